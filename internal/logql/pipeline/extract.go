package pipeline

import (
	"regexp"

	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// regexpStage extracts the named groups of the first match.
type regexpStage struct {
	re    *regexp.Regexp
	scan  *scan.Pattern // nil where only re can do it
	names []*name       // by the slot of the row, or by the group of re
	wants bool
}

func newRegexp(st *syntax.Regexp, need *Need) *regexpStage {
	s := &regexpStage{re: st.Re}
	if p, err := scan.Compile(st.Re.String()); err == nil {
		if ok, _ := p.Engine(); ok {
			s.scan = p
		}
	}
	groups := s.re.SubexpNames()
	if s.scan != nil {
		groups = s.scan.Names()
	}
	for _, group := range groups {
		n := newName(group, need)
		s.names = append(s.names, n)
		s.wants = s.wants || !n.skip
	}
	return s
}

func (s *regexpStage) run(r *Runner) bool {
	if !s.wants {
		return true // no match is no error
	}
	if s.scan != nil {
		if result := r.match(s.scan); result == scan.NoMatch || result == scan.Matched && r.take(s.names) {
			return true
		}
	}
	line := r.Line()
	m := s.re.FindSubmatchIndex(line)
	if m == nil {
		return true
	}
	slot := 0
	for i, group := range s.re.SubexpNames() {
		if group == "" {
			continue
		}
		n := s.names[slot]
		if s.scan == nil {
			n = s.names[i]
		}
		slot++
		var value []byte
		if m[2*i] >= 0 {
			value = line[m[2*i]:m[2*i+1]]
		}
		r.extract(n, value)
	}
	return true
}

// match fills r.spans with the fields of the line, which are parts of r.text unless the
// line was changed.
func (r *Runner) match(p *scan.Pattern) scan.Result {
	n := len(p.Names())
	if cap(r.spans) < n {
		r.spans = make([]record.Span, n)
	}
	r.spans = r.spans[:n]
	if r.changed {
		return p.Match(r.spans, r.line, record.Span{Len: uint32(len(r.line))}, false)
	}
	body := record.Span{Off: uint32(r.bodyAt), Len: uint32(r.bodyEnd - r.bodyAt)}
	return p.Match(r.spans, r.text, body, r.hasEscapes())
}

// take extracts the fields of the last match.
func (r *Runner) take(names []*name) bool {
	for i, n := range names {
		if n.skip {
			continue
		}
		s := r.spans[i]
		if r.changed {
			r.extract(n, r.line[s.Off:s.Off+s.Len])
		} else {
			r.extract(n, r.unescaped(r.text[s.Off:s.Off+s.Len:s.Off+s.Len]))
		}
	}
	return true
}

// patternStage extracts the captures of a pattern.
type patternStage struct {
	parts []syntax.PatternPart
	names []*name // by part; nil for literals and captures without a name
	scan  *scan.Pattern
	slots []*name // by the slot of the row of scan
	wants bool
}

func newPattern(st *syntax.Pattern, need *Need) *patternStage {
	s := &patternStage{parts: st.Parts}
	for _, part := range st.Parts {
		var n *name
		if part.Name != "" {
			n = newName(part.Name, need)
			s.slots = append(s.slots, n)
			s.wants = s.wants || !n.skip
		}
		s.names = append(s.names, n)
	}
	if p, err := scan.CompilePattern(st.Text); err == nil && len(p.Names()) == len(s.slots) {
		s.scan = p
	}
	return s
}

// present returns the names up to the last field that the match has: those after it are
// absent, which is not the same as empty.
func (s *patternStage) present(r *Runner) []*name {
	n := len(s.slots)
	for n > 0 && r.spans[n-1] == (record.Span{}) {
		n--
	}
	return s.slots[:n]
}

// run looks for the literals from left to right. One at the start has to begin the line; a
// capture without its literal takes the rest of the line.
func (s *patternStage) run(r *Runner) bool {
	if !s.wants {
		return true
	}
	if s.scan != nil && !r.changed {
		if result := r.match(s.scan); result == scan.NoMatch || result == scan.Matched && r.take(s.present(r)) {
			return true
		}
	}
	rest := r.Line()
	if len(rest) == 0 {
		return true
	}
	for i := range s.parts {
		if literal := s.parts[i].Literal; literal != "" {
			if i == 0 {
				if len(rest) < len(literal) || string(rest[:len(literal)]) != literal {
					return true
				}
				rest = rest[len(literal):]
			}
			continue
		}
		value, found := rest, false
		if i+1 < len(s.parts) {
			if at := indexString(rest, s.parts[i+1].Literal); at >= 0 {
				value, rest, found = rest[:at], rest[at+len(s.parts[i+1].Literal):], true
			}
		}
		if s.names[i] != nil {
			r.extract(s.names[i], value)
		}
		if !found {
			return true
		}
	}
	return true
}
