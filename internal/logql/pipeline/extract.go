package pipeline

import (
	"regexp"
	"slices"

	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// regexpStage extracts the named groups of the first match.
type regexpStage struct {
	re     *regexp.Regexp
	scan   *scan.Pattern // nil where only re can do it
	wanted []slot        // those of scan
	groups []slot        // the same of re
}

// slot is a field that somebody may ask for and its place among those of a match.
type slot struct {
	*name
	at int
}

// slotsOf returns the slots of fields, those without a name or that nobody needs left out.
func slotsOf(fields []string, need *Need) (list []slot) {
	for i, field := range fields {
		if field == "" {
			continue
		}
		if n := newName(field, need); !n.skip {
			list = append(list, slot{n, i})
		}
	}
	return list
}

func newRegexp(st *syntax.Regexp, need *Need) *regexpStage {
	s := &regexpStage{re: st.Re}
	wanted := func(field string) bool { return !newName(field, need).skip }
	if p, err := scan.CompileSome(st.Re.String(), wanted); err == nil {
		if ok, _ := p.Engine(); ok {
			s.scan = p
		}
	}
	s.groups = slotsOf(s.re.SubexpNames(), need)
	if s.scan != nil {
		s.wanted = slotsOf(s.scan.Names(), need)
	}
	return s
}

func (s *regexpStage) run(r *Runner) bool {
	if !r.wants(s.groups, nil) {
		return true // no match is no error
	}
	if s.scan != nil {
		if result := r.match(s.scan); result == scan.NoMatch || result == scan.Matched && r.take(s.wanted) {
			return true
		}
	}
	line := r.Line()
	m := s.re.FindSubmatchIndex(line)
	if m == nil {
		return true
	}
	for _, g := range s.groups {
		var value []byte
		if m[2*g.at] >= 0 {
			value = line[m[2*g.at]:m[2*g.at+1]]
		}
		r.extract(g.name, value)
	}
	return true
}

// wants tells whether one of the slots can become a label of the record, which came with more
// labels beside those in r.
func (r *Runner) wants(slots []slot, more []string) bool {
	for i := range slots {
		n := slots[i].name
		if n.needPlain && n.needSuffixed {
			return true
		}
		if n.needSuffixed == (r.cameWith(n.plain) || slices.Contains(more, n.plain)) {
			return true
		}
	}
	return false
}

// match fills r.spans with the fields of the line, which are parts of r.text unless the
// line was changed.
func (r *Runner) match(p *scan.Pattern) scan.Result {
	if r.held == p {
		r.held = nil
		return r.result
	}
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

// take extracts fields of the last match.
func (r *Runner) take(slots []slot) bool {
	for i := range slots {
		at := r.spans[slots[i].at]
		if r.changed {
			r.extract(slots[i].name, r.line[at.Off:at.Off+at.Len])
		} else {
			r.extract(slots[i].name, r.unescaped(r.text[at.Off:at.Off+at.Len:at.Off+at.Len]))
		}
	}
	return true
}

// patternStage extracts the captures of a pattern.
type patternStage struct {
	parts  []syntax.PatternPart
	names  []*name       // by part; nil for literals and captures that nobody needs
	scan   *scan.Pattern // nil where it cannot do it
	wanted []slot        // those of scan
}

func newPattern(st *syntax.Pattern, need *Need) *patternStage {
	s := &patternStage{parts: st.Parts}
	var fields []string
	for _, part := range st.Parts {
		var n *name
		if part.Name != "" {
			fields = append(fields, part.Name)
			if n = newName(part.Name, need); n.skip {
				n = nil
			}
		}
		s.names = append(s.names, n)
	}
	s.wanted = slotsOf(fields, need)
	if p, err := scan.CompilePattern(st.Text); err == nil && len(p.Names()) == len(fields) {
		s.scan = p
	}
	return s
}

// present returns the wanted slots up to the last field that the match has: those after it
// are absent, which is not the same as empty.
func (s *patternStage) present(r *Runner) []slot {
	n, fields := len(s.wanted), len(r.spans)
	for fields > 0 && r.spans[fields-1] == (record.Span{}) {
		fields--
	}
	for n > 0 && s.wanted[n-1].at >= fields {
		n--
	}
	return s.wanted[:n]
}

// run looks for the literals from left to right. One at the start has to begin the line; a
// capture without its literal takes the rest of the line.
func (s *patternStage) run(r *Runner) bool {
	if !r.wants(s.wanted, nil) {
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
