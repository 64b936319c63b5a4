package crawl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// step is one part of a path: a key, an element or all elements.
type step struct {
	key   string
	index int // -1: key, or all
	all   bool
}

// parsePath reads a path such as data.items[0].events[*]; a key with odd letters is written
// ["as this"]. A $ in front means the whole, as in JSONPath.
func parsePath(text string) ([]step, error) {
	rest, _ := strings.CutPrefix(text, "$")
	var steps []step
	for first := rest == text; rest != ""; first = false {
		if rest[0] == '[' {
			s, after, err := parseBracket(rest[1:])
			if err != nil {
				return nil, err
			}
			steps, rest = append(steps, s), after
			continue
		}
		if !first {
			if rest[0] != '.' {
				return nil, fmt.Errorf("a dot is missing before %q", rest)
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, errors.New("a key is missing")
		}
		steps, rest = append(steps, step{key: rest[:end], index: -1}), rest[end:]
	}
	return steps, nil
}

// parseBracket reads what follows a bracket: 0], *] or "key"].
func parseBracket(text string) (s step, rest string, err error) {
	if strings.HasPrefix(text, `"`) {
		quoted, err := strconv.QuotedPrefix(text)
		if err == nil {
			s.key, err = strconv.Unquote(quoted)
		}
		rest, ok := strings.CutPrefix(text[len(quoted):], "]")
		if err != nil || !ok {
			return s, "", fmt.Errorf("[%s is not as [\"key\"]", text)
		}
		s.index = -1
		return s, rest, nil
	}
	inside, rest, ok := strings.Cut(text, "]")
	if ok && inside == "*" {
		return step{index: -1, all: true}, rest, nil
	}
	n, err := strconv.Atoi(inside)
	if !ok || err != nil || n < 0 {
		return s, "", fmt.Errorf("[%s is not as [0], [*] or [\"key\"]", text)
	}
	return step{index: n}, rest, nil
}

// node is a place in JSON that somebody wants something of, or of what is in it.
type node struct {
	edges []edge
	// slots are the values that are wanted from here.
	slots []int
	// records says that the records are here.
	records bool
}

type edge struct {
	step
	to *node
}

// add returns the node at a path below n.
func (n *node) add(path []step) *node {
	for _, s := range path {
		next := (*node)(nil)
		for _, e := range n.edges {
			if e.step == s {
				next = e.to
			}
		}
		if next == nil {
			next = new(node)
			n.edges = append(n.edges, edge{s, next})
		}
		n = next
	}
	return n
}

// want makes the value at a path be found in a slot.
func (n *node) want(path string, slot int) error {
	steps, err := parsePath(path)
	if err != nil {
		return err
	}
	at := n.add(steps)
	at.slots = append(at.slots, slot)
	return nil
}

// member returns the node of a key, nil if nobody wants it. A key with escapes is as it is
// in the text; scratch is for what it means.
func (n *node) member(key []byte, escaped bool, scratch *[]byte) *node {
	if escaped {
		*scratch = jsontext.Unescape((*scratch)[:0], key)
		key = *scratch
	}
	for i := range n.edges {
		e := &n.edges[i]
		if e.index < 0 && !e.all && e.key == string(key) {
			return e.to
		}
	}
	return nil
}

// element returns the node of element i.
func (n *node) element(i int) *node {
	for k := range n.edges {
		if e := &n.edges[k]; e.all || e.index == i {
			return e.to
		}
	}
	return nil
}

// value is one that was found, a part of the text.
type value struct {
	raw []byte // as it stands there; nil: it is not there
	// text says that it is a string, escaped that this has escapes.
	text, escaped bool
}

// absent tells whether there is nothing, or null.
func (v value) absent() bool { return v.raw == nil || !v.text && string(v.raw) == "null" }

// plain returns v as text, in scratch if it has escapes.
func (v value) plain(scratch *[]byte) []byte {
	if !v.text {
		return v.raw
	}
	inside := v.raw[1 : len(v.raw)-1]
	if !v.escaped {
		return inside
	}
	*scratch = jsontext.Unescape((*scratch)[:0], inside)
	return *scratch
}

// maxDepth is how many levels JSON may have.
const maxDepth = 100

// isDeep tells whether JSON ends where it has all the levels that it may have.
func isDeep(text []byte) bool {
	level, inside := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			level++
		case c == '}' || c == ']':
			level--
		}
	}
	return level >= maxDepth
}

// extractor goes through values and keeps what is wanted of them.
type extractor struct {
	jsontext.Scanner
	values  []value
	scratch []byte
}

// extract goes through the value that begins here. It is false where the text ends too early
// or is no JSON.
func (x *extractor) extract(n *node, depth int) bool {
	if n == nil {
		return x.Skip(depth)
	}
	from := x.At
	v := value{}
	switch {
	case x.At == len(x.Text) || depth == 0:
		return false
	case x.Text[x.At] == '"':
		x.At++
		_, escaped, ok := x.Inside()
		if !ok {
			return false
		}
		v.text, v.escaped = true, escaped
	case x.Text[x.At] == '{' && len(n.edges) > 0:
		if !x.object(n, depth) {
			return false
		}
	case x.Text[x.At] == '[' && len(n.edges) > 0:
		if !x.array(n, depth) {
			return false
		}
	default:
		if !x.Skip(depth) {
			return false
		}
	}
	if len(n.slots) > 0 {
		v.raw = x.Text[from:x.At:x.At]
	}
	for _, slot := range n.slots {
		x.values[slot] = v
	}
	return true
}

func (x *extractor) object(n *node, depth int) bool {
	x.At++
	x.Space()
	if x.Take('}') {
		return true
	}
	for {
		if !x.Take('"') {
			return false
		}
		key, escaped, ok := x.Inside()
		if !ok {
			return false
		}
		x.Space()
		if !x.Take(':') {
			return false
		}
		x.Space()
		if !x.extract(n.member(key, escaped, &x.scratch), depth-1) {
			return false
		}
		x.Space()
		if !x.Take(',') {
			return x.Take('}')
		}
		x.Space()
	}
}

func (x *extractor) array(n *node, depth int) bool {
	x.At++
	x.Space()
	if x.Take(']') {
		return true
	}
	for i := 0; ; i++ {
		if !x.extract(n.element(i), depth-1) {
			return false
		}
		x.Space()
		if !x.Take(',') {
			return x.Take(']')
		}
		x.Space()
	}
}
