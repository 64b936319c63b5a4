package pipeline

import (
	"encoding/binary"
	"math/bits"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// stops are bytes that something ends at: those below less, one and two, each given eight
// times.
type stops struct{ less, one, two uint64 }

// stop returns the first place from at on of one of these bytes, the end of the text if there
// is none.
func stop(text []byte, at int, s stops) int {
	for ; at+8 <= len(text); at += 8 {
		x := binary.LittleEndian.Uint64(text[at:])
		y, z := x^s.one, x^s.two
		// The lowest mark is right, whatever there is above it.
		if m := ((x-s.less)&^x | (y-ones)&^y | (z-ones)&^z) & tops; m != 0 {
			return at + bits.TrailingZeros64(m)>>3
		}
	}
	for ; at < len(text); at++ {
		if c := text[at]; c < byte(s.less) || c == byte(s.one) || c == byte(s.two) {
			return at
		}
	}
	return at
}

// jsonText goes through JSON text from left to right. Like Loki it takes what many loggers
// write and JSON does not allow: control characters in strings, escapes that are none,
// numbers of any form, a comma before a brace; and it looks at no more of arrays than where
// they end.
type jsonText struct {
	text []byte
	at   int
}

func (t *jsonText) space() {
	for t.at < len(t.text) && t.text[t.at] <= ' ' {
		if c := t.text[t.at]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return
		}
		t.at++
	}
}

// peek returns the next byte, 0 at the end.
func (t *jsonText) peek() byte {
	if t.at < len(t.text) {
		return t.text[t.at]
	}
	return 0
}

func (t *jsonText) take(c byte) bool {
	if t.at < len(t.text) && t.text[t.at] == c {
		t.at++
		return true
	}
	return false
}

// string goes through a string and returns its inside, whose escapes may be none.
func (t *jsonText) string() (inside []byte, escaped, ok bool) {
	if !t.take('"') {
		return nil, false, false
	}
	from := t.at
	for {
		t.at = stop(t.text, t.at, stops{0, ones * '"', ones * '\\'})
		if t.at >= len(t.text) {
			return nil, false, false
		}
		if t.text[t.at] == '"' {
			t.at++
			return t.text[from : t.at-1 : t.at-1], escaped, true
		}
		escaped = true
		t.at += 2
	}
}

// wellEscaped tells whether each backslash of a text begins an escape.
func wellEscaped(text []byte) bool {
	s := jsontext.Scanner{Text: text}
	for {
		if s.At = stop(text, s.At, stops{0, ones * '\\', ones * '\\'}); s.At >= len(text) {
			return true
		}
		if !s.Escape() {
			return false
		}
	}
}

// literal goes through a number or a word.
func (t *jsonText) literal() bool {
	from := t.at
	for t.at < len(t.text) && !endsLiteral(t.text[t.at]) {
		t.at++
	}
	switch word := t.text[from:t.at]; {
	case len(word) == 0:
		return false
	case word[0] == '-' || word[0]-'0' <= 9:
		return true
	default:
		return string(word) == "true" || string(word) == "false" || string(word) == "null"
	}
}

func endsLiteral(c byte) bool {
	switch c {
	case ' ', '\n', '\r', '\t', ',', '}', ']':
		return true
	}
	return false
}

// skip goes through a value of whatever kind.
func (t *jsonText) skip() (ok bool) {
	switch c := t.peek(); c {
	case '"':
		_, _, ok = t.string()
		return ok
	case '{', '[':
		return t.nested(c, c+2)
	}
	return t.literal()
}

// nested goes through an array or an object: to where as many brackets of its kind were
// closed as were opened.
func (t *jsonText) nested(opening, closing byte) bool {
	for depth := 0; t.at < len(t.text); {
		switch t.text[t.at] {
		case '"':
			if _, _, ok := t.string(); !ok {
				return false
			}
			continue
		case opening:
			depth++
		case closing:
			depth--
		}
		if t.at++; depth == 0 {
			return true
		}
	}
	return false
}

// next goes through the next member of an object, or element of an array. Its value is nil
// at the end, which is at a bracket then, and where something else is; nothing follows that.
func (t *jsonText) next(isMember bool) (key []byte, escaped bool, value []byte) {
	if t.space(); t.peek() == ']' || t.peek() == '}' {
		return nil, false, nil
	}
	ok := true
	if isMember {
		key, escaped, ok = t.string()
		t.space()
		ok = ok && t.take(':')
		t.space()
	}
	from := t.at
	if ok = ok && t.skip(); ok {
		value = t.text[from:t.at]
		t.space()
		ok = t.take(',') || t.peek() == ']' || t.peek() == '}'
	}
	if !ok {
		t.at = len(t.text)
		return nil, false, nil
	}
	return key, escaped, value
}
