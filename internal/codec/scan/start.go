package scan

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// starts says where in a text a match may begin, so that a line that does not match costs
// little more than one pass.
type starts struct {
	// anchored: only at the beginning.
	anchored bool
	// some: a text without characters does not match.
	some bool
	// every: wherever, since the pattern can match nothing.
	every bool
	// end: also after the last character.
	end bool
	// skip are the characters that no match begins with.
	skip *class
	// first is what every match begins with, if that is known.
	first *literal
	// lead is the class of the unlimited run that the pattern begins with. An attempt that
	// failed at its begin also fails later within the same run: what could be reached
	// from there was reached.
	lead *class
	// required is a text that no match is without.
	required *literal
}

func newStarts(c *compiler, re *syntax.Regexp) starts {
	a := c.aheadOf(0)
	s := starts{every: a.empty, end: a.empty || a.end, skip: newClass(not(a.ranges))}
	at := 0
	for c.insts[at].op == opOpen {
		at++
	}
	switch in := c.insts[at]; {
	case in.op == opAssert && in.assert == syntax.EmptyBeginText:
		s.anchored = true
	case in.op == opLit && !in.lit.fold:
		s.first = in.lit
	case (in.op == opRun || in.op == opGreedy || in.op == opLazy) && in.max < 0:
		s.lead = in.class
	}
	if runes := required(re); len(runes) > 0 {
		s.required = newLiteral(runes, false)
	}
	return s
}

// required returns the longest text that each match of re has. It is without characters
// that some writers of JSON escape and others do not, so that escaped text can be asked
// for it as well.
func required(re *syntax.Regexp) []rune {
	switch re.Op {
	case syntax.OpLiteral:
		odd := func(r rune) bool { return r < ' ' || r >= utf8.RuneSelf || strings.ContainsRune("/<>&", r) }
		if re.Flags&syntax.FoldCase == 0 && !slices.ContainsFunc(re.Rune, odd) {
			return re.Rune
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []rune
		for _, sub := range re.Sub {
			if r := required(sub); len(r) > len(best) {
				best = r
			}
		}
		return best
	}
	return nil
}

// next returns the first place from i on where a match may begin, or failed or malformed.
func (s *starts) next(t *text, i int) int {
	if s.every {
		return i
	}
	if s.first != nil && !t.escaped {
		n := bytes.Index(t.b[i:t.end], s.first.plain.b)
		if n < 0 {
			return failed
		}
		return i + n
	}
	i = s.skip.run(t, i)
	if i == t.end && !s.end {
		return failed
	}
	return i
}

// after returns where to look on after an attempt failed at i, which is before the end.
func (s *starts) after(t *text, i int) int {
	if s.lead != nil {
		if at := s.lead.run(t, i); at < 0 || at > i {
			return at
		}
	}
	_, n := t.char(i)
	if n == 0 {
		return malformed
	}
	return i + n
}

// possible tells whether t may have the required text from i on.
func (s *starts) possible(t *text, i int) bool {
	if s.required == nil {
		return true
	}
	rest := t.b[i:t.end]
	if !t.escaped {
		return bytes.Contains(rest, s.required.plain.b)
	}
	if bytes.Contains(rest, s.required.escaped.b) {
		return true
	}
	// It may still be there if one of its characters is written in another way.
	for {
		n := bytes.Index(rest, []byte(`\u00`))
		if n < 0 {
			return false
		}
		rest = rest[n:]
		if r := jsontext.Hex4(rest); r < 0 || slices.Contains(s.required.runes, r) {
			return true
		}
		rest = rest[4:]
	}
}

// place is a step of a program and where in the text it was tried.
type place struct{ step, pos int }

// deeper returns the place that is deeper in the program, or further in the text.
func (p place) deeper(q place) place {
	if q.step > p.step || q.step == p.step && q.pos > p.pos {
		return q
	}
	return p
}

// search finds the leftmost match in t. It returns its end, or what went wrong, and the
// deepest place where an attempt failed.
func (p *Pattern) search(t *text, row []record.Span, m *machine) (end int, far place) {
	s := &p.starts
	far.pos = t.beg
	if s.some && t.beg == t.end {
		return failed, far
	}
	pos, checked := t.beg, false
	// What each attempt looks at is bounded together, so that no line takes for ever.
	work := 4096 + 16*(t.end-t.beg)
	for {
		// The first attempt is at the beginning, which is nearly always right.
		if !s.anchored && (m != nil || checked) {
			if pos = s.next(t, pos); pos < 0 {
				return pos, far
			}
		}
		if m == nil {
			var at place
			end, at = p.line.match(t, pos, row)
			if work -= at.pos - pos + 8; work < 0 && end == failed {
				end = gaveUp
			}
			far = far.deeper(at)
		} else {
			m.work, m.far = work, far
			end = m.attempt(pos)
			work, far = m.work-8, m.far
		}
		if end != failed || s.anchored || pos >= t.end {
			return end, far
		}
		if !checked && !s.possible(t, pos) {
			return failed, far
		}
		checked = true
		if pos = s.after(t, pos); pos < 0 {
			return pos, far
		}
	}
}
