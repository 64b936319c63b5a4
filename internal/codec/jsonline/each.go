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
	e := each{Scanner: jsontext.Scanner{Text: body}, visit: visit}
	e.Space()
	e.At++
	e.object("")
}

// each goes through an object that is known to be valid.
type each struct {
	jsontext.Scanner
	visit func(name string, value []byte) bool
	plain []byte
}

func (e *each) object(prefix string) (more bool) {
	e.Space()
	if e.Take('}') {
		return true
	}
	for {
		e.Take('"')
		name := prefix + string(e.inside())
		e.Space()
		e.Take(':')
		e.Space()
		if !e.value(name) {
			return false
		}
		e.Space()
		if !e.Take(',') {
			e.Take('}')
			return true
		}
		e.Space()
	}
}

// inside returns the text of the string whose quote was taken.
func (e *each) inside() []byte {
	inside, escaped, _ := e.Scanner.Inside()
	if !escaped {
		return inside
	}
	e.plain = jsontext.Unescape(e.plain[:0], inside)
	return e.plain
}

func (e *each) value(name string) (more bool) {
	from := e.At
	switch e.Text[e.At] {
	case '"':
		e.At++
		return e.visit(name, e.inside())
	case '{':
		e.At++
		e.Space()
		if e.At < len(e.Text) && e.Text[e.At] != '}' {
			return e.object(name + ".")
		}
		e.Take('}')
	case '[':
		e.At++
		w := walk{Scanner: e.Scanner}
		w.array(maxDepth)
		e.At = w.At
	default:
		e.Literal()
	}
	return e.visit(name, e.Text[from:e.At])
}
