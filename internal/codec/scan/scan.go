// Package scan takes the fields from a line of text by a pattern: a regular expression in
// RE2 syntax, as its users write it, or a pattern in Loki's syntax. A regular expression is
// compiled to a program for scanning bytes, whose results are those of package regexp.
//
//	p, err := scan.Compile(`^(?P<ip>\S+) .* (?P<status>\d{3})$`)
//	row := make([]record.Span, len(p.Names())) // one a field, of the arena
//	if p.Match(row, b.Arena, rec.Body, rec.Flags&record.Escaped != 0) == scan.Matched {
//		status := b.Bytes(row[1])
//	}
//
// The text may be the inside of a JSON string, still escaped: it is matched as if it were
// unescaped, without doing that, and the fields are escaped as well.
//
// How it works: where the characters that can follow a part tell where that part ends, as
// in "[^"]*" or \S+ and a space, nothing has to be tried; eight bytes are looked at in one
// step. Where there are several ways they are tried in the order that regexp prefers. The
// work for one line is bounded: beyond the bound, and for the few constructs that are not
// supported (Engine says which), package regexp does the line.
//
// A Pattern does not change and may be used concurrently. The package leaves out what the
// fields mean.
package scan

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"

	"github.com/weirlog/weir/internal/record"
)

// Result is what became of a line.
type Result uint8

const (
	// NoMatch: the line does not fit.
	NoMatch Result = iota
	// Matched: the row has the fields.
	Matched
	// NeedPlain: escaped text that has to be unescaped and matched again.
	NeedPlain
)

// Pattern is a compiled pattern.
type Pattern struct {
	names []string
	// line is the program if it has no choices, else insts; neither: regexp does all.
	line   *line
	insts  []inst
	starts starts
	// machines are those not in use, for lines to come.
	machines sync.Pool
	// why is the reason for regexp doing all.
	why string
	// re decides where the program gave up. It is nil for patterns that never do.
	re *regexp.Regexp
	// groups are the numbers in re of the groups with names.
	groups []int
}

// Compile returns the pattern of a regular expression in RE2 syntax. Its fields are the
// groups that have names. It matches where regexp would: anywhere in the line, unless ^
// binds it. The error is that of package regexp, or that two groups have the same name.
func Compile(expr string) (*Pattern, error) {
	return CompileSome(expr, func(string) bool { return true })
}

// CompileSome is Compile without the fields that are not wanted.
func CompileSome(expr string, wanted func(name string) bool) (*Pattern, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	p := &Pattern{re: re}
	slots := map[int]int{}
	names := re.SubexpNames()
	for i, name := range names {
		if name != "" && slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("error parsing regexp: duplicate group name: `%s`", name)
		}
		if name != "" && wanted(name) {
			slots[i] = len(p.names)
			p.names = append(p.names, name)
			p.groups = append(p.groups, i)
		}
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	c := &compiler{slots: slots}
	if err := c.program(tree); err != nil {
		p.why = err.Error()
		return p, nil
	}
	p.starts = newStarts(c, tree)
	if p.line = newLinear(c.insts); p.line == nil {
		p.insts = c.insts
	}
	return p, nil
}

// Names returns the names of the fields, in the order of a row.
func (p *Pattern) Names() []string { return p.names }

// Engine tells whether p is scanned for, and if it is not, why: package regexp, which does
// the work then, is much slower.
func (p *Pattern) Engine() (scanner bool, why string) { return p.why == "", p.why }

// Match finds the leftmost match in body, a part of arena, and fills row, which has
// len(Names()) elements, with the places of the fields in arena. A field whose group took
// no part is the zero Span. If escaped is set, body is the inside of a JSON string and so
// are the fields. Unless Matched is returned row has no meaning.
func (p *Pattern) Match(row []record.Span, arena []byte, body record.Span, escaped bool) Result {
	t := text{b: arena, beg: int(body.Off), end: int(body.Off + body.Len), escaped: escaped}
	end := failed
	switch {
	case p.line != nil:
		end, _ = p.search(&t, row, nil)
	case p.insts != nil:
		end, _ = p.backtrack(t, row)
	default:
		if escaped && bytes.IndexByte(arena[t.beg:t.end], '\\') >= 0 {
			return NeedPlain
		}
		return p.regexp(row, &t)
	}
	switch {
	case end >= 0:
		return Matched
	case end == failed:
		return NoMatch
	case escaped:
		return NeedPlain
	}
	return p.regexp(row, &t)
}

// backtrack is search with the memory that a program with choices needs.
func (p *Pattern) backtrack(t text, row []record.Span) (end int, far place) {
	m, ok := p.machines.Get().(*machine)
	if !ok {
		m = &machine{}
	}
	m.prog, m.t, m.row = p.insts, t, row
	end, far = p.search(&m.t, row, m)
	m.prog, m.t, m.row = nil, text{}, nil
	p.machines.Put(m)
	if end < 0 {
		return end, far
	}
	for i, s := range row {
		if s.Off == unset {
			row[i] = record.Span{}
		} else {
			row[i].Len -= s.Off
		}
	}
	return end, far
}

// regexp matches plain text with package regexp. It is the only part that allocates.
func (p *Pattern) regexp(row []record.Span, t *text) Result {
	at := p.re.FindSubmatchIndex(t.b[t.beg:t.end])
	if at == nil {
		return NoMatch
	}
	for i, g := range p.groups {
		row[i] = record.Span{}
		if from, to := at[2*g], at[2*g+1]; from >= 0 {
			row[i] = record.Span{Off: uint32(t.beg + from), Len: uint32(to - from)}
		}
	}
	return Matched
}

// Stopped returns how much of text, which is plain and does not match, the pattern fits:
// where the attempt that came furthest in the pattern failed. It is an estimate for people
// to look at.
func (p *Pattern) Stopped(text []byte) int {
	row := make([]record.Span, len(p.names))
	t := newText(text)
	var far place
	switch {
	case p.line != nil:
		_, far = p.search(&t, row, nil)
	case p.insts != nil:
		_, far = p.backtrack(t, row)
	default:
		return p.stoppedRegexp(text)
	}
	return far.pos
}

// stoppedRegexp finds the longest beginning of the expression that matches.
func (p *Pattern) stoppedRegexp(text []byte) int {
	tree, err := syntax.Parse(p.re.String(), syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat {
		return 0
	}
	for n := len(tree.Sub) - 1; n > 0; n-- {
		part := *tree
		part.Sub = tree.Sub[:n]
		re, err := regexp.Compile(part.String())
		if err != nil {
			continue
		}
		if at := re.FindIndex(text); at != nil {
			return at[1]
		}
	}
	return 0
}
