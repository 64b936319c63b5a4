package pipeline

import (
	"strings"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// JSONPaths goes through a line as stage json does and tells for each value that becomes a
// label which members of the objects lead to it. label is without the suffix that it gets
// where the record has one of that name. path is valid until found returns.
func JSONPaths(line []byte, found func(label string, path []string)) {
	w := pathWalk{found: found}
	t := jsonText{text: line}
	if t.space(); t.peek() == '{' {
		w.object(line[t.at:], maxDepth)
	}
}

// pathWalk remembers where in a line it is.
type pathWalk struct {
	path  []string
	found func(label string, path []string)
}

// object goes through an object, and those in it.
func (w *pathWalk) object(text []byte, depth int) {
	t := jsonText{text: text}
	if depth == 0 || !t.take('{') {
		return
	}
	for {
		key, escaped, value := t.next(true)
		if value == nil || escaped && !wellEscaped(key) {
			return
		}
		if escaped {
			key = jsontext.Unescape(nil, key)
		}
		w.path = append(w.path, string(key))
		switch value[0] {
		case '{':
			w.object(value, depth-1)
		case '[', 'n': // neither an array nor null is a label
		default:
			w.found(syntax.SanitizeName(strings.Join(w.path, "_")), w.path)
		}
		w.path = w.path[:len(w.path)-1]
	}
}
