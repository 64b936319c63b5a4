package distlog

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Kind is what the value of an attribute is.
type Kind uint8

// The kinds.
const (
	Null    Kind = iota // what Python calls None
	Text                // the inside of a string without escapes
	Escaped             // the inside of one with escapes
	Number              // NaN and Infinity too
	Bool                // true or false
	Nested              // an object or an array
)

// Attr is one attribute of a record, as spans of its text.
type Attr struct {
	Name, Value record.Span
	Kind        Kind
	// Context is set if it is one of the object "context".
	Context bool
	// EscapedName is set if the name has escapes.
	EscapedName bool
}

// Error is why a text is no record, a short constant phrase.
type Error string

// Error returns the phrase.
func (e Error) Error() string { return string(e) }

// The errors of Parse.
const (
	NotUTF8   Error = "not UTF-8"
	NotObject Error = "not an object"
	NotJSON   Error = "not JSON"
	TooDeep   Error = "nested too deep"
	TooMany   Error = "too many attributes"
)

const (
	// maxDepth is how deep objects and arrays may be nested. Python's own bound is about ten
	// times that.
	maxDepth = 100
	// maxAttrs is how many attributes a record may have, those of its context included.
	maxAttrs = 4096
)

// Parse appends the attributes of the record in text to dst. Those of an object "context"
// stand in its place. An attribute may come twice.
func Parse(dst []Attr, text []byte) ([]Attr, error) {
	if !utf8.Valid(text) {
		return dst, NotUTF8
	}
	p := parser{Scanner: jsontext.Scanner{Text: text}, attrs: dst, most: len(dst) + maxAttrs}
	p.Space()
	if !p.Next('{') {
		if p.skip(maxDepth) {
			return dst, NotObject
		}
		return dst, p.error()
	}
	if !p.object(false) {
		return dst, p.error()
	}
	if p.Space(); p.At < len(text) {
		return dst, NotJSON
	}
	return p.attrs, nil
}

type parser struct {
	jsontext.Scanner
	attrs    []Attr
	most     int
	contexts bool // there was one
	from, to int  // its attributes
	moved    int  // attributes that were, because one before them was taken out
	reason   Error
}

func (p *parser) error() error {
	if p.reason == "" {
		return NotJSON
	}
	return p.reason
}

// fail notes why the text is not read further.
func (p *parser) fail(reason Error) bool {
	if p.reason == "" {
		p.reason = reason
	}
	return false
}

func (p *parser) span(inside []byte) record.Span {
	return record.Span{Off: uint32(p.At - 1 - len(inside)), Len: uint32(len(inside))}
}

// object goes through an object whose attributes are wanted, from its brace on. It looks for
// what Python writes first: a space after each colon and comma, and no other.
func (p *parser) object(context bool) bool {
	p.At++
	p.Space()
	if p.Take('}') {
		return true
	}
	for {
		name, escaped, ok := p.name()
		if !ok {
			return false
		}
		isContext := !context && name.Len == 7 && string(p.Text[name.Off:name.Off+7]) == "context"
		if isContext && p.contexts {
			p.forgetContext()
		}
		if isContext && p.Next('{') {
			p.contexts, p.from = true, len(p.attrs)
			if !p.object(true) {
				return false
			}
			p.to = len(p.attrs)
		} else {
			value, kind, ok := p.value()
			if !ok || len(p.attrs) >= p.most {
				return ok && p.fail(TooMany)
			}
			p.attrs = append(p.attrs, Attr{})
			a := &p.attrs[len(p.attrs)-1] // to copy what was just written would make the processor wait
			a.Name, a.Value, a.Kind, a.Context, a.EscapedName = name, value, kind, context, escaped
		}
		if t, i := p.Text, p.At; i+2 < len(t) && t[i] == ',' && t[i+1] == ' ' && t[i+2] > ' ' {
			p.At += 2
			continue
		}
		p.Space()
		if !p.Take(',') {
			return p.Take('}')
		}
		p.Space()
	}
}

// name goes through the name of an attribute, and to its value.
func (p *parser) name() (name record.Span, escaped, ok bool) {
	t, i := p.Text, p.At
	if i >= len(t) || t[i] != '"' {
		return name, false, false
	}
	end := plain(t, i+1)
	if end+3 < len(t) && t[end] == '"' && t[end+1] == ':' && t[end+2] == ' ' && t[end+3] > ' ' {
		p.At = end + 3
		return between(i+1, end), false, true
	}
	p.At++
	inside, escaped, ok := p.Inside()
	if !ok {
		return name, false, false
	}
	name = p.span(inside)
	p.Space()
	ok = p.Take(':')
	p.Space()
	return name, escaped, ok
}

func between(from, to int) record.Span { return record.Span{Off: uint32(from), Len: uint32(to - from)} }

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// plain returns where the next quote, backslash or control character is, or the end.
func plain(t []byte, i int) int {
	for ; i+8 <= len(t); i += 8 {
		w := binary.LittleEndian.Uint64(t[i:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		// The lowest mark is always right; those above may be there without reason.
		if m := ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & high; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(t) && t[i] != '"' && t[i] != '\\' && t[i] >= ' ' {
		i++
	}
	return i
}

// forgetContext takes out the attributes of a context that another one follows. Those behind
// them are moved, each once at most, since the next context is behind all of them.
func (p *parser) forgetContext() {
	if p.from < p.to {
		p.moved += len(p.attrs) - p.to
		p.attrs = slices.Delete(p.attrs, p.from, p.to)
	}
	p.contexts = false
}

// value goes through the value of an attribute.
func (p *parser) value() (value record.Span, k Kind, ok bool) {
	t, from := p.Text, p.At
	if from >= len(t) {
		return value, Null, false
	}
	switch t[from] {
	case '"':
		return p.text()
	case '{', '[':
		k = Nested
	case 't', 'f':
		k = Bool
	case 'n':
		if len(t)-from > 4 && string(t[from:from+4]) == "null" {
			p.At = from + 4
			return between(from, from+4), Null, true
		}
	default:
		k = Number
		if i := number(t, from); i > from && i < len(t) && (t[i] == ',' || t[i] == '}') {
			p.At = i
			return between(from, i), k, true
		}
	}
	ok = p.skip(maxDepth - 1)
	return between(from, p.At), k, ok
}

// number returns where the number ends that begins at i, if it is one without an exponent; i
// if it is not.
func number(t []byte, i int) int {
	from := i
	if t[i] == '-' {
		i++
	}
	digits := i
	for i < len(t) && t[i]-'0' <= 9 {
		i++
	}
	if i == digits || t[digits] == '0' && i > digits+1 {
		return from
	}
	if i < len(t) && t[i] == '.' {
		i++
		fraction := i
		for i < len(t) && t[i]-'0' <= 9 {
			i++
		}
		if i == fraction {
			return from
		}
	}
	return i
}

// text goes through a value that is a string.
func (p *parser) text() (value record.Span, k Kind, ok bool) {
	t, from := p.Text, p.At+1
	if end := plain(t, from); end < len(t) && t[end] == '"' {
		p.At = end + 1
		return between(from, end), Text, true
	}
	p.At++
	inside, escaped, ok := p.Inside()
	if !ok {
		return value, Null, false
	}
	if k = Text; escaped {
		k = Escaped
	}
	return between(from, from+len(inside)), k, true
}

// skip goes through any value, of at most depth levels.
func (p *parser) skip(depth int) bool {
	if p.At == len(p.Text) {
		return false
	}
	switch p.Text[p.At] {
	case '"':
		p.At++
		_, _, ok := p.Inside()
		return ok
	case '{':
		return p.skipList('}', depth)
	case '[':
		return p.skipList(']', depth)
	}
	return p.literal()
}

// skipList goes through an object or an array.
func (p *parser) skipList(end byte, depth int) bool {
	if depth == 0 {
		return p.fail(TooDeep)
	}
	p.At++
	p.Space()
	if p.Take(end) {
		return true
	}
	for {
		if end == '}' {
			if !p.Take('"') {
				return false
			}
			if _, _, ok := p.Inside(); !ok {
				return false
			}
			p.Space()
			if !p.Take(':') {
				return false
			}
			p.Space()
		}
		if !p.skip(depth - 1) {
			return false
		}
		p.Space()
		if !p.Take(',') {
			return p.Take(end)
		}
		p.Space()
	}
}

// literal goes through a number or a word, of which Python has more than RFC 8259.
func (p *parser) literal() bool {
	switch rest := p.Text[p.At:]; {
	case rest[0] == 'N':
		return p.word("NaN")
	case rest[0] == 'I':
		return p.word("Infinity")
	case rest[0] == '-' && len(rest) > 1 && rest[1] == 'I':
		return p.word("-Infinity")
	}
	return p.Literal()
}

func (p *parser) word(w string) bool {
	rest := p.Text[p.At:]
	if len(rest) < len(w) || string(rest[:len(w)]) != w {
		return false
	}
	p.At += len(w)
	return true
}
