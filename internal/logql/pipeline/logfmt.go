package pipeline

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// logfmtStage extracts key=value pairs, or only those that are named.
type logfmtStage struct {
	strict, keepEmpty bool
	fields            []syntax.Extraction
	names             []*name
}

func newLogfmt(st *syntax.Logfmt, need *Need) *logfmtStage {
	s := &logfmtStage{strict: st.Strict, keepEmpty: st.KeepEmpty, fields: st.Fields}
	for i := range st.Fields {
		s.names = append(s.names, newName(st.Fields[i].Label, need))
	}
	return s
}

func (s *logfmtStage) run(r *Runner) bool {
	if len(s.fields) > 0 {
		s.named(r)
		return true
	}
	t := logfmtText{text: r.Line()}
	r.names.begin()
	for t.next(s.strict) {
		if len(t.value) > 0 || s.keepEmpty {
			if n := r.names.get(t.key); !n.skip {
				r.extract(n, t.plain(r))
			}
		}
	}
	if t.bad {
		r.fail(syntax.LogfmtParserErr, badLogfmt)
	}
	return true
}

// named extracts the last of each of the pairs that are asked for.
func (s *logfmtStage) named(r *Runner) {
	t := logfmtText{text: r.Line()}
	found := append(r.found[:0], make([][]byte, len(s.fields))...)
	for t.next(s.strict) {
		for i := range s.fields {
			if string(t.key) == s.fields[i].Keys[0].Name {
				found[i] = t.plain(r)
			}
		}
	}
	for i := range s.fields {
		if !s.names[i].skip {
			r.extract(s.names[i], found[i])
		}
	}
	if r.found = found; t.bad {
		r.fail(syntax.LogfmtParserErr, badLogfmt)
	}
}

// logfmtText goes through the pairs of a line. Keys consist of anything but spaces, = and
// quotes; so do values, unless they are quoted.
type logfmtText struct {
	text []byte
	at   int
	// key and value are the last pair; the value without quotes, and escaped if it was quoted
	// and has escapes.
	key, value []byte
	escaped    bool
	bad        bool // a pair was malformed, and strict was asked for
}

// next goes to the next pair that is well formed. If strict it ends at the first that is not.
func (t *logfmtText) next(strict bool) bool {
	for {
		for t.at < len(t.text) && t.text[t.at] <= ' ' {
			t.at++
		}
		if t.at == len(t.text) {
			return false
		}
		if t.pair() {
			return true
		}
		if strict {
			t.bad = true
			return false
		}
	}
}

// pair takes a pair; if it is malformed, all up to where the next may begin.
func (t *logfmtText) pair() bool {
	from := t.at
	t.word()
	if t.key, t.value, t.escaped = t.text[from:t.at], nil, false; t.peek() == '"' || t.at == from {
		t.toSpace()
		return false
	}
	if t.peek() != '=' {
		return true
	}
	t.at++
	if t.peek() == '"' {
		return t.quoted()
	}
	from = t.at
	t.word()
	if c := t.peek(); c == '=' || c == '"' {
		t.toSpace()
		return false
	}
	t.value = t.text[from:t.at]
	return true
}

func (t *logfmtText) peek() byte {
	if t.at < len(t.text) {
		return t.text[t.at]
	}
	return 0
}

func (t *logfmtText) word() {
	t.at = stop(t.text, t.at, stops{ones * (' ' + 1), ones * '=', ones * '"'})
}

func (t *logfmtText) toSpace() {
	for t.at < len(t.text) && t.text[t.at] > ' ' {
		t.at++
	}
}

// quoted takes a value in quotes. The escapes are those of JSON.
func (t *logfmtText) quoted() bool {
	t.at++
	from := t.at
	end := jsontext.End(t.text, from)
	if end < 0 {
		t.at = len(t.text)
		return false
	}
	t.at = end + 1
	t.value = t.text[from:end]
	t.escaped = bytes.IndexByte(t.value, '\\') >= 0
	return !t.escaped || wellEscaped(t.value)
}

// plain returns the text of the last value.
func (t *logfmtText) plain(r *Runner) []byte {
	if !t.escaped {
		return t.value
	}
	from := len(r.scratch)
	r.scratch = jsontext.Unescape(r.scratch, t.value)
	return r.scratch[from:len(r.scratch):len(r.scratch)]
}
