package pipeline

import (
	"encoding/binary"
	"math/bits"
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

// jsonText goes through JSON text from left to right.
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

// string goes through a string and returns its inside.
func (t *jsonText) string() (inside []byte, escaped, ok bool) {
	if !t.take('"') {
		return nil, false, false
	}
	from := t.at
	for {
		t.at = stop(t.text, t.at, stops{ones * ' ', ones * '"', ones * '\\'})
		switch t.peek() {
		case '"':
			t.at++
			return t.text[from : t.at-1 : t.at-1], escaped, true
		case '\\':
			if escaped = true; !t.escape() {
				return nil, false, false
			}
		default:
			return nil, false, false
		}
	}
}

func (t *jsonText) escape() bool {
	if t.at+1 >= len(t.text) {
		return false
	}
	switch t.text[t.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		t.at += 2
		return true
	case 'u':
		if t.at+6 > len(t.text) {
			return false
		}
		for _, c := range t.text[t.at+2 : t.at+6] {
			if c-'0' > 9 && c|0x20-'a' > 5 {
				return false
			}
		}
		t.at += 6
		return true
	}
	return false
}

// literal goes through a number or a word, whatever follows it.
func (t *jsonText) literal() bool {
	switch t.peek() {
	case 't':
		return t.word("true")
	case 'f':
		return t.word("false")
	case 'n':
		return t.word("null")
	}
	t.take('-')
	if !t.take('0') && t.digits() == 0 {
		return false
	}
	if t.take('.') && t.digits() == 0 {
		return false
	}
	if t.take('e') || t.take('E') {
		if !t.take('+') {
			t.take('-')
		}
		return t.digits() > 0
	}
	return true
}

func (t *jsonText) word(w string) bool {
	if len(t.text)-t.at < len(w) || string(t.text[t.at:t.at+len(w)]) != w {
		return false
	}
	t.at += len(w)
	return true
}

func (t *jsonText) digits() int {
	from := t.at
	for t.at < len(t.text) && t.text[t.at]-'0' <= 9 {
		t.at++
	}
	return t.at - from
}

// skip goes through a value of whatever kind, and tells whether it is valid. It does not
// call itself, so that no line is too deep for it.
func (t *jsonText) skip() bool {
	var space [32]byte
	nested := space[:0] // the brackets that end the arrays and objects around the place
	for {
		closing, ok := t.begin()
		if !ok {
			return false
		}
		if closing != 0 {
			nested = append(nested, closing)
			continue
		}
		for {
			if len(nested) == 0 {
				return true
			}
			if t.space(); t.take(',') {
				break
			}
			if !t.take(nested[len(nested)-1]) {
				return false
			}
			nested = nested[:len(nested)-1]
		}
		if t.space(); nested[len(nested)-1] == '}' && !t.key() {
			return false
		}
	}
}

// begin goes through a scalar or an empty array or object; of another to its first value,
// and returns the bracket that ends it.
func (t *jsonText) begin() (closing byte, ok bool) {
	switch c := t.peek(); c {
	case '"':
		_, _, ok = t.string()
		return 0, ok
	case '{', '[':
		t.at++
		t.space()
		if t.take(c + 2) {
			return 0, true
		}
		return c + 2, c == '[' || t.key()
	}
	return 0, t.literal()
}

// key goes through the name of a member and the colon behind it.
func (t *jsonText) key() bool {
	if _, _, ok := t.string(); !ok {
		return false
	}
	t.space()
	ok := t.take(':')
	t.space()
	return ok
}
