package scan

import (
	"regexp/syntax"

	"github.com/weirlog/weir/internal/record"
)

// A linear program is one without choices: the fields of a line and what stands between
// them. Most patterns for log lines are. Each segment is, in this order and each part
// optional, an assertion, the begin of a group, a run, the end of a group, a literal.
type segment struct {
	take        take
	open, close int // groups; -1: none
	assert      syntax.EmptyOp
	// run and skip are what take works with.
	run  inst
	skip *class
	lit  *literal
	// rest: if lit is not found, the run takes all that is left, and that is a match
	// without the groups from after on.
	rest  bool
	after int
	// colon and space are what is between the words of a list: " : ", and " " after a comma.
	colon, space *literal
}

// take is how a segment finds the end of its run.
type take uint8

const (
	takeNone  take = iota
	takeRun        // what run says
	takeUntil      // up to the first lit, passing skip in between
	takeList       // words with ", " or " : " between them
	takeRest       // all that is left
)

// newLinear turns instructions into segments; nil if they have choices.
func newLinear(insts []inst) *line {
	// The parts of a segment come in the order of their rank.
	rank := [...]int{opAssert: 1, opOpen: 2, opRun: 3, opClose: 4, opLit: 5}
	segs := []segment{{open: -1, close: -1}}
	at := 0
	for _, in := range insts {
		if in.op == opMatch {
			break
		}
		if int(in.op) >= len(rank) || rank[in.op] == 0 {
			return nil
		}
		if rank[in.op] <= at {
			segs = append(segs, segment{open: -1, close: -1})
		}
		at = rank[in.op]
		s := &segs[len(segs)-1]
		switch in.op {
		case opAssert:
			s.assert = in.assert
		case opOpen:
			s.open = in.x
		case opRun:
			s.take, s.run = takeRun, in
		case opClose:
			s.close = in.x
		case opLit:
			s.lit = in.lit
		}
	}
	return newLine(segs)
}

// match matches the segment at pos. It returns the end, or what went wrong, and where.
func (s *segment) match(t *text, pos int, row []record.Span) (next, far int) {
	if s.assert != 0 {
		if at := t.assert(s.assert, pos); at < 0 {
			return at, pos
		}
	}
	if s.open >= 0 {
		row[s.open].Off = uint32(pos)
	}
	if s.take != takeNone {
		at := s.end(t, pos)
		if at < 0 {
			return at, pos
		}
		pos = at
	}
	if s.close >= 0 {
		row[s.close].Len = uint32(pos) - row[s.close].Off
	}
	if s.lit == nil {
		return pos, pos
	}
	next = s.lit.at(t, pos)
	if next == failed && s.rest && pos == t.end {
		clear(row[s.after:])
		return pos, pos
	}
	return next, pos
}

// end returns where the run that begins at pos ends, or what went wrong.
func (s *segment) end(t *text, pos int) int {
	switch s.take {
	case takeRun:
		return s.run.run(t, pos)
	case takeUntil:
		return s.until(t, pos)
	case takeList:
		return s.list(t, pos)
	}
	return t.end
}

// until returns the first place from pos on where the literal is.
func (s *segment) until(t *text, pos int) int {
	for {
		if pos = s.skip.run(t, pos); pos < 0 {
			return pos
		}
		if pos == t.end {
			if s.rest {
				return pos
			}
			return failed
		}
		if at := s.lit.at(t, pos); at != failed {
			return min(at, pos) // malformed, or here
		}
		_, n := t.char(pos)
		if n == 0 {
			return malformed
		}
		pos += n
	}
}

// list returns the end of a list of words: a:80, b:80 : c:80.
func (s *segment) list(t *text, pos int) int {
	end := s.run.class.run(t, pos)
	if end == pos {
		return failed
	}
	for end >= 0 {
		next := s.colon.at(t, end)
		if last := t.prev(end, pos); next == failed && last >= 0 {
			if r, _ := t.char(last); r == ',' {
				next = s.space.at(t, end)
			}
		}
		if next == failed {
			return end
		}
		if next < 0 {
			return next
		}
		word := s.run.class.run(t, next)
		if word == next {
			return end
		}
		end = word
	}
	return end
}
