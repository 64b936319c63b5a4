package pipeline

import (
	"bytes"
	"regexp"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// lineFilter lets lines pass that match one of its terms or, if negated, none.
type lineFilter struct {
	negated bool
	terms   []term
}

// term is what a line filter looks for: a text, or else one of the others.
type term struct {
	text    []byte
	needle  kept.Needle
	re      *regexp.Regexp
	scan    *scan.Pattern // of re
	seq     *sequence     // of re, if it is one
	ip      *syntax.IPRange
	pattern *syntax.LinePattern
}

func newLineFilter(f *syntax.LineFilter) lineFilter {
	out := lineFilter{negated: f.Op.Negated()}
	for i := range f.Terms {
		t := &f.Terms[i]
		c := term{re: t.Re, ip: t.IP, pattern: t.Pattern}
		switch {
		case t.Re != nil:
			// What regexp took, Compile takes, unless a group's name is there twice.
			if p, err := scan.Compile(t.Re.String()); err == nil {
				if ok, _ := p.Engine(); ok {
					c.scan = p
				}
			}
			c.seq = newSequence(t.Re.String())
		case t.IP == nil && t.Pattern == nil:
			c.text, c.needle = []byte(t.Text), kept.NewNeedle([]byte(t.Text))
		}
		out.terms = append(out.terms, c)
	}
	return out
}

// filtered tells whether the line passes the filters. The one that the driver decides has
// been passed, if the driver's hit is in the body.
func (r *Runner) filtered() bool {
	for i := range r.prog.filters {
		if i == r.prog.decides && r.hitDecides() {
			continue
		}
		if !r.prog.filters[i].passes(r) {
			return false
		}
	}
	return true
}

// hitDecides tells whether the driver's hit is in the body and begins where a character does.
func (r *Runner) hitDecides() bool {
	return r.hit >= r.bodyAt && r.hit < r.bodyEnd && !inEscape(r.text[r.bodyAt:r.bodyEnd], r.hit-r.bodyAt)
}

// passes looks at the body of the line as it was kept.
func (f *lineFilter) passes(r *Runner) bool {
	for i := range f.terms {
		if f.terms[i].inBody(r) {
			return !f.negated
		}
	}
	return f.negated
}

func (t *term) inBody(r *Runner) bool {
	switch {
	case t.seq != nil:
		return t.seq.in(r.text[r.bodyAt:r.bodyEnd])
	case t.scan != nil:
		if cap(r.spans) < len(t.scan.Names()) {
			r.spans = make([]record.Span, len(t.scan.Names()))
		}
		body := record.Span{Off: uint32(r.bodyAt), Len: uint32(r.bodyEnd - r.bodyAt)}
		switch t.scan.Match(r.spans[:len(t.scan.Names())], r.text, body, r.hasEscapes()) {
		case scan.Matched:
			return true
		case scan.NoMatch:
			return false
		}
		return t.re.Match(r.Line())
	case t.re != nil:
		return t.re.Match(r.Line())
	case t.ip != nil:
		return hasAddress(t.ip, r.Line())
	case t.pattern != nil:
		return matchesPattern(t.pattern.Parts, r.Line())
	}
	return t.needle.In(r.text[r.bodyAt:r.bodyEnd])
}

// in tells whether plain text matches.
func (t *term) in(line []byte) bool {
	switch {
	case t.re != nil:
		return t.re.Match(line)
	case t.ip != nil:
		return hasAddress(t.ip, line)
	case t.pattern != nil:
		return matchesPattern(t.pattern.Parts, line)
	}
	return bytes.Contains(line, t.text)
}

// changedLineFilter is a line filter behind a stage that changes lines.
type changedLineFilter struct{ lineFilter }

func (f *changedLineFilter) run(r *Runner) bool {
	if !r.changed && r.text != nil {
		return f.passes(r)
	}
	for i := range f.terms {
		if f.terms[i].in(r.Line()) {
			return !f.negated
		}
	}
	return f.negated
}

// matchesPattern tells whether a whole line matches: literals are looked for from left to
// right, each at its first place, and a capture stands for one byte at least.
func matchesPattern(parts []syntax.PatternPart, line []byte) bool {
	if len(parts) == 0 {
		return len(line) == 0
	}
	capture := false
	for i := range parts {
		literal := parts[i].Literal
		if literal == "" {
			capture = true
			continue
		}
		at := indexString(line, literal)
		if at < 0 || capture != (at > 0) {
			return false
		}
		line, capture = line[at+len(literal):], false
	}
	return capture == (len(line) > 0)
}

// indexString is bytes.Index for a string.
func indexString(b []byte, s string) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], s[0])
		if i < 0 || len(b)-at-i < len(s) {
			return -1
		}
		if at += i; string(b[at:at+len(s)]) == s {
			return at
		}
	}
}

// addFilter adds a filter that looks at lines as they were kept.
func (p *Program) addFilter(f *syntax.LineFilter) {
	c := newLineFilter(f)
	if len(c.terms) == 1 && c.terms[0].needle.Escaped() == nil && c.terms[0].isText() && !c.negated {
		return // the empty text is in every line
	}
	p.filters = append(p.filters, c)
	if !c.negated {
		p.clauses = append(p.clauses, c.clauses()...)
	}
}

func (t *term) isText() bool { return t.re == nil && t.ip == nil && t.pattern == nil }
