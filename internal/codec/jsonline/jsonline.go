// Package jsonline takes fields from log lines that are JSON objects.
//
//	m := jsonline.New([]string{"level", "http.status"})
//	if m.Match(&batch, body, row) {
//		status := batch.Bytes(row[1])
//	}
//
// A line matches when all of it is one object in valid JSON. A dotted name is a key of a
// nested object, or a key with dots in it. Of a key that comes twice the last one counts.
//
// A Matcher may not be used concurrently; Each may. The package never builds a tree, and
// leaves out arrays' elements: an array is one value.
package jsonline

import (
	"strings"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// maxDepth is how deep a line may nest; deeper ones do not match.
const maxDepth = 100

// maxDots is how many dots of a name may stand for nesting: each doubles the ways in which
// a line may spell it. A name with more is a key with dots in it.
const maxDots = 8

// Matcher extracts a list of fields.
type Matcher struct {
	names []string
	root  *node
	key   []byte // scratch for keys with escapes
}

// node says which keys of an object are wanted.
type node struct{ entries []entry }

type entry struct {
	key  string
	slot int   // of the key's value in the row; -1 when only fields of it are wanted
	sub  *node // wanted fields of the value; may be nil
}

// New returns a Matcher for the fields, which differ from each other.
func New(names []string) *Matcher {
	m := &Matcher{names: names, root: &node{}}
	for slot, name := range names {
		if strings.Count(name, ".") > maxDots {
			m.root.entry(name).slot = slot
		} else {
			m.root.add(name, slot)
		}
	}
	return m
}

// add enters a name: as a key, and, at each dot, as a key with a nested object.
func (n *node) add(name string, slot int) {
	n.entry(name).slot = slot
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		e := n.entry(name[:i])
		if e.sub == nil {
			e.sub = &node{}
		}
		e.sub.add(name[i+1:], slot)
	}
}

func (n *node) entry(key string) *entry {
	if e := n.find([]byte(key)); e != nil {
		return e
	}
	n.entries = append(n.entries, entry{key: strings.Clone(key), slot: -1})
	return &n.entries[len(n.entries)-1]
}

func (n *node) find(key []byte) *entry {
	if n == nil {
		return nil
	}
	for i := range n.entries {
		if e := &n.entries[i]; e.key == string(key) {
			return e
		}
	}
	return nil
}

// Names returns the fields, in the order of a row.
func (m *Matcher) Names() []string { return m.names }

// Match fills row, which is zero, with the fields of a plain body and says whether it is
// an object. A string gives its text, which is appended to b's arena if it has escapes;
// anything else, nested objects too, gives the JSON as it stands. When it returns false
// row is not meaningful.
func (m *Matcher) Match(b *record.Batch, body record.Span, row []record.Span) bool {
	w := walk{Scanner: jsontext.Scanner{Text: b.Bytes(body)}, m: m, b: b, off: body.Off, row: row}
	w.Space()
	if !w.Take('{') || !w.object(m.root, maxDepth) {
		return false
	}
	w.Space()
	return w.At == len(w.Text)
}

// walk is one Match.
type walk struct {
	jsontext.Scanner
	m   *Matcher
	b   *record.Batch
	off uint32 // of the text in the arena
	row []record.Span
}

// object goes through an object after its brace.
func (w *walk) object(n *node, depth int) bool {
	if depth == 0 {
		return false
	}
	w.Space()
	if w.Take('}') {
		return true
	}
	for {
		if !w.Take('"') {
			return false
		}
		key, escaped, ok := w.Inside()
		if !ok {
			return false
		}
		if escaped && n != nil {
			w.m.key = jsontext.Unescape(w.m.key[:0], key)
			key = w.m.key
		}
		e := n.find(key)
		w.Space()
		if !w.Take(':') {
			return false
		}
		w.Space()
		if !w.value(e, depth) {
			return false
		}
		w.Space()
		if !w.Take(',') {
			return w.Take('}')
		}
		w.Space()
	}
}

// value goes through a value, of a wanted key if e is not nil.
func (w *walk) value(e *entry, depth int) bool {
	if w.At == len(w.Text) {
		return false
	}
	from := w.At
	switch w.Text[w.At] {
	case '"':
		w.At++
		inside, escaped, ok := w.Inside()
		if ok && e != nil && e.slot >= 0 {
			w.row[e.slot] = w.textSpan(from+1, inside, escaped)
		}
		return ok
	case '{':
		w.At++
		var sub *node
		if e != nil {
			sub = e.sub
		}
		if !w.object(sub, depth-1) {
			return false
		}
	case '[':
		w.At++
		if !w.array(depth - 1) {
			return false
		}
	default:
		if !w.Literal() {
			return false
		}
	}
	if e != nil && e.slot >= 0 {
		w.row[e.slot] = record.Span{Off: w.off + uint32(from), Len: uint32(w.At - from)}
	}
	return true
}

func (w *walk) array(depth int) bool {
	if depth == 0 {
		return false
	}
	w.Space()
	if w.Take(']') {
		return true
	}
	for {
		if !w.value(nil, depth) {
			return false
		}
		w.Space()
		if !w.Take(',') {
			return w.Take(']')
		}
		w.Space()
	}
}

// textSpan returns the span of a string's text, whose inside begins at from.
func (w *walk) textSpan(from int, inside []byte, escaped bool) record.Span {
	if !escaped {
		return record.Span{Off: w.off + uint32(from), Len: uint32(len(inside))}
	}
	off := len(w.b.Arena)
	w.b.Arena = jsontext.Unescape(w.b.Arena, inside)
	return record.Span{Off: uint32(off), Len: uint32(len(w.b.Arena) - off)}
}
