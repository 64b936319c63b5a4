package scan

import (
	"encoding/binary"
	"math/bits"
	"regexp/syntax"

	"github.com/weirlog/weir/internal/record"
)

// A linear program is one without choices: the fields of a line and what stands between
// them. Most patterns for log lines are. Each segment is, in this order and each part
// optional, an assertion, the begin of a group, a run, the end of a group, a literal.
type segment struct {
	// quick are the parts in the form for plain, and for escaped, text.
	quick       [2]quick
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

// quick is what is tried first, inline, for a run and the literal after it. It has all it
// needs in one place. When it does not find the end beyond doubt, segment.end does.
type quick struct {
	*finder
	how                  how
	less, eq1, eq2, high uint64
	// none: there is nothing to try.
	none bool
	// quote: an escaped quote ends the run.
	quote bool
	// sure are the bytes that end the run beyond doubt.
	sure                       *[256]bool
	min                        int
	n                          int // length of the literal
	word0, mask0, word1, mask1 uint64
}

// newLinear turns instructions into segments; nil if they have choices.
func newLinear(insts []inst) []segment {
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
	for i := range segs {
		segs[i].prepare()
	}
	return segs
}

// prepare fills quick.
func (s *segment) prepare() {
	class := s.run.class
	switch {
	case s.take == takeUntil:
		class = s.skip
	case s.take != takeRun || s.run.back > 0 || s.run.max >= 0 || s.run.min > 1:
		class = nil
	}
	for k := range s.quick {
		q := &s.quick[k]
		if s.lit != nil {
			f := &s.lit.plain
			if k == 1 {
				f = &s.lit.escaped
			}
			q.n = len(f.b)
			q.word0, q.mask0, q.word1, q.mask1 = f.word0, f.mask0, f.word1, f.mask1
		}
		q.none = class == nil
		if q.none {
			continue
		}
		q.finder = &class.plain
		if k == 1 {
			q.finder = &class.escaped
		}
		q.how, q.less, q.eq1, q.eq2, q.high = q.finder.how, q.finder.less, q.finder.eq1, q.finder.eq2, q.finder.high
		q.min = s.run.min
		q.quote = k == 1 && !class.in['"']
		sure := q.finder.stop
		sure['\\'] = sure['\\'] && k == 0
		for b := 0x80; b < len(sure); b++ {
			sure[b] = class.high == noHigh
		}
		q.sure = &sure
	}
}

// linear matches the segments at pos. It returns the end, or what went wrong, and how far
// it came.
func linear(segs []segment, t *text, pos int, row []record.Span) (next, far int) {
	b, end, k := t.b, t.end, 0
	if t.escaped {
		k = 1
	}
	for i := range segs {
		s := &segs[i]
		q := &s.quick[k]
		if s.assert != 0 {
			if at := t.assert(s.assert, pos); at < 0 {
				return at, pos
			}
		}
		if s.open >= 0 {
			row[s.open].Off = uint32(pos)
		}
		if s.take != takeNone {
			at := q.end(b, pos, end)
			if at < 0 || s.take == takeUntil && !s.found(t, at) {
				if at = s.end(t, pos); at < 0 {
					return at, pos
				}
			}
			pos = at
		}
		if s.close >= 0 {
			row[s.close].Len = uint32(pos) - row[s.close].Off
		}
		if s.lit == nil {
			continue
		}
		if n := pos + q.n; n <= end && pos+16 <= len(b) && q.n <= 16 &&
			(binary.LittleEndian.Uint64(b[pos:])^q.word0)&q.mask0|(binary.LittleEndian.Uint64(b[pos+8:])^q.word1)&q.mask1 == 0 {
			pos = n
			continue
		}
		at := s.lit.at(t, pos)
		if at < 0 {
			if s.rest && at == failed && pos == end {
				clear(row[s.after:])
				return end, end
			}
			return at, pos
		}
		pos = at
	}
	return pos, pos
}

// end returns the end of the run at pos, -1 if that takes a closer look.
func (q *quick) end(b []byte, pos, end int) int {
	if q.none {
		return -1
	}
	at := pos
	switch q.how {
	case byWords:
		if pos+8 > len(b) {
			return -1
		}
		x := binary.LittleEndian.Uint64(b[pos:])
		y, z := x^q.eq1, x^q.eq2
		if m := ((x-q.less)&^x | (y-ones)&^y | (z-ones)&^z | x&q.high) & tops; m != 0 {
			at += bits.TrailingZeros64(m) >> 3
		} else {
			at = q.findWords(b, pos+8, end)
		}
	case byRange:
		if pos+8 > len(b) {
			return -1
		}
		x := binary.LittleEndian.Uint64(b[pos:])
		y := x & lows
		if m := (^(y + q.less) | (y + q.eq1) | x) & tops; m != 0 {
			at += bits.TrailingZeros64(m) >> 3
		} else {
			at = q.find(b, pos+8, end)
		}
	default:
		at = q.find(b, pos, end)
	}
	if at >= end {
		at = end
	} else if c := b[at]; !q.sure[c] && !(q.quote && c == '\\' && at+1 < end && b[at+1] == '"') {
		return -1
	}
	if at-pos < q.min {
		return -1
	}
	return at
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

// found tells whether the literal is at i, in the form in which it is expected.
func (s *segment) found(t *text, i int) bool {
	f := &s.lit.plain
	if t.escaped {
		f = &s.lit.escaped
	}
	return f.at(t.b, i, t.end)
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
		next := listColon.at(t, end)
		if last := t.prev(end, pos); next == failed && last >= 0 {
			if r, _ := t.char(last); r == ',' {
				next = listSpace.at(t, end)
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
