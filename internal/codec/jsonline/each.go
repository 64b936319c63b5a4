package jsonline

import (
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Each calls visit for every field of a plain body that is an object, until it returns
// false: in the order of the line, those of nested objects with dotted names. Strings are
// given as their text; an array, or an object without keys, as it stands. A body that does
// not match has no fields. value is valid until visit returns.
func Each(body []byte, visit func(name string, value []byte) bool) {
	b := record.Batch{Arena: body}
	if !New(nil).Match(&b, record.Span{Len: uint32(len(body))}, nil) {
		return
	}
	e := each{scanner: scanner{text: body}, visit: visit}
	e.space()
	e.at++
	e.object("")
}

// each goes through an object that is known to be valid.
type each struct {
	scanner
	visit func(name string, value []byte) bool
	plain []byte
}

func (e *each) object(prefix string) (more bool) {
	e.space()
	if e.take('}') {
		return true
	}
	for {
		e.take('"')
		name := prefix + string(e.inside())
		e.space()
		e.take(':')
		e.space()
		if !e.value(name) {
			return false
		}
		e.space()
		if !e.take(',') {
			e.take('}')
			return true
		}
		e.space()
	}
}

// inside returns the text of the string whose quote was taken.
func (e *each) inside() []byte {
	from := e.at
	end, escaped := e.string()
	if !escaped {
		return e.text[from:end]
	}
	e.plain = jsontext.Unescape(e.plain[:0], e.text[from:end])
	return e.plain
}

func (e *each) value(name string) (more bool) {
	from := e.at
	switch e.text[e.at] {
	case '"':
		e.at++
		return e.visit(name, e.inside())
	case '{':
		e.at++
		e.space()
		if e.at < len(e.text) && e.text[e.at] != '}' {
			return e.object(name + ".")
		}
		e.take('}')
	case '[':
		e.at++
		w := walk{scanner: e.scanner}
		w.array(maxDepth)
		e.at = w.at
	default:
		e.literal()
	}
	return e.visit(name, e.text[from:e.at])
}
