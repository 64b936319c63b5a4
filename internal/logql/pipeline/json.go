package pipeline

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// What __error_details__ says of a line that is not what its parser expected.
const (
	badJSON   = "the line is not valid JSON"
	badLogfmt = "the line has a malformed key=value pair"
)

// maxDepth is how deep the objects of a line may nest.
const maxDepth = 128

// jsonStage extracts all scalars of an object.
type jsonStage struct{}

func (*jsonStage) run(r *Runner) bool {
	w := jsonWalk{jsonText{text: r.Line()}, r}
	r.names.begin()
	w.space()
	if !w.take('{') || !w.object(0, maxDepth) {
		r.fail(syntax.JSONParserErr, badJSON)
	}
	return true
}

// jsonWalk extracts the members of an object on its way through a line.
type jsonWalk struct {
	jsonText
	r *Runner
}

// object goes through an object after its brace. The names of its members begin with
// r.path[:prefix].
func (w *jsonWalk) object(prefix, depth int) bool {
	if depth == 0 {
		return false
	}
	for {
		if w.space(); w.take('}') {
			return true
		}
		key, escaped, ok := w.string()
		if !ok || escaped && !wellEscaped(key) {
			return false
		}
		r := w.r
		if r.path = r.path[:prefix]; escaped {
			r.path = jsontext.Unescape(r.path, key)
		} else {
			r.path = append(r.path, key...)
		}
		if w.space(); !w.take(':') {
			return false
		}
		if w.space(); !w.member(depth) {
			return false
		}
		w.space()
		if !w.take(',') {
			return w.take('}')
		}
	}
}

// member goes through the value of the member whose name is r.path.
func (w *jsonWalk) member(depth int) bool {
	r := w.r
	switch w.peek() {
	case '{':
		from, text := w.at, w.text
		if !w.nested('{', '}') {
			return false // of one that has no end no members are taken
		}
		end := w.at
		w.at, w.text = from+1, text[:end]
		r.path = append(r.path, '_')
		ok := w.object(len(r.path), depth-1)
		w.at, w.text = end, text
		return ok
	case '[':
		return w.skip()
	case '"':
		text, escaped, ok := w.string()
		if !ok {
			return false
		}
		if n := r.names.get(r.path); !n.skip {
			r.extract(n, r.plainString(text, escaped))
		}
		return true
	}
	from := w.at
	if !w.literal() {
		return false
	}
	if text := w.text[from:w.at]; text[0] != 'n' { // null is no label
		r.extract(r.names.get(r.path), text)
	}
	return true
}

// plainString returns the text of a string of JSON; nothing where an escape is none.
func (r *Runner) plainString(inside []byte, escaped bool) []byte {
	switch {
	case !escaped:
		return inside
	case !wellEscaped(inside):
		return nil
	}
	from := len(r.scratch)
	r.scratch = jsontext.Unescape(r.scratch, inside)
	return r.scratch[from:len(r.scratch):len(r.scratch)]
}

// jsonFields extracts what paths lead to.
type jsonFields struct {
	fields []syntax.Extraction
	names  []*name
}

func newJSONFields(st *syntax.JSON, need *Need) *jsonFields {
	f := &jsonFields{fields: st.Fields}
	for i := range st.Fields {
		f.names = append(f.names, newName(st.Fields[i].Label, need))
	}
	return f
}

func (f *jsonFields) run(r *Runner) bool {
	line := r.Line()
	if len(line) == 0 {
		return true
	}
	root, ok := firstValue(line)
	if !ok || root[0] != '{' && root[0] != '[' && root[0] != '"' {
		r.fail(syntax.JSONParserErr, badJSON)
		return true
	}
	for i := range f.fields {
		if !f.names[i].skip {
			r.extract(f.names[i], r.follow(root, f.fields[i].Keys))
		}
	}
	return true
}

// firstValue returns the JSON value that text begins with.
func firstValue(text []byte) (value []byte, ok bool) {
	t := jsonText{text: text}
	t.space()
	from := t.at
	if !t.skip() {
		return nil, false
	}
	return text[from:t.at], true
}

// follow returns what a path leads to from a valid value, nil if it leads nowhere.
func (r *Runner) follow(value []byte, keys []syntax.PathKey) []byte {
	for i := range keys {
		if value = r.child(value, &keys[i]); value == nil {
			return nil
		}
	}
	return r.scalar(value)
}

// child returns a member of an object, the first of that name, or an element of an array.
func (r *Runner) child(value []byte, key *syntax.PathKey) []byte {
	t := jsonText{text: value}
	if key.IsIndex != t.take('[') || !key.IsIndex && !t.take('{') {
		return nil
	}
	for i := 0; ; i++ {
		name, escaped, value := t.next(!key.IsIndex)
		switch {
		case value == nil:
			return nil
		case key.IsIndex && i == key.Index, !key.IsIndex && string(r.plainString(name, escaped)) == key.Name:
			return value
		}
	}
}

// scalar returns the text of a string, nothing for null, and other values as they stand.
func (r *Runner) scalar(value []byte) []byte {
	switch {
	case value[0] == 'n':
		return nil
	case value[0] != '"':
		return value
	}
	text := value[1 : len(value)-1]
	return r.plainString(text, bytes.IndexByte(text, '\\') >= 0)
}

// unpackStage takes an object apart that has a line in _entry.
type unpackStage struct{}

func (*unpackStage) run(r *Runner) bool {
	line := r.Line()
	if len(line) == 0 {
		return true
	}
	root, ok := firstValue(line)
	if !ok || root[0] != '{' {
		r.fail(syntax.JSONParserErr, badJSON)
		return true
	}
	entry, found, ok := r.members(root, false)
	switch {
	case !ok:
		r.fail(syntax.JSONParserErr, badJSON)
	case found:
		r.members(root, true)
		r.setLine(r.keep(entry))
	}
	return true
}

// members goes through the texts of an object and returns the last _entry; the others are
// extracted if it is asked to. It fails if something else than members is there.
func (r *Runner) members(root []byte, extract bool) (entry []byte, found, ok bool) {
	t := jsonText{text: root}
	t.take('{')
	r.names.begin()
	before := len(r.extracted)
	for {
		key, escaped, value := t.next(true)
		if value == nil {
			return entry, found, t.peek() == '}'
		}
		if escaped && !wellEscaped(key) {
			return nil, false, false
		}
		if value[0] != '"' {
			continue
		}
		switch key = r.plainString(key, escaped); {
		case string(key) != syntax.UnpackEntry:
			if extract {
				r.extractLast(r.names.get(key), r.scalar(value), before)
			}
		case !wellEscaped(value[1 : len(value)-1]):
			return nil, false, false
		case !extract:
			entry, found = r.scalar(value), true
		}
	}
}
