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

// line is a linear program.
type line struct {
	segs []segment
	// quick has a segment's short cut for plain, and for escaped, text.
	quick [2][]quick
}

// quick is a segment in a form that is tried first: a run of at least min characters, up to
// the first byte that may be the literal's or not be one of the run. If the literal is there
// all is decided, since a run followed by a literal of which it could take the beginning
// was not made a segment. If anything is uncommon, segment.match begins anew.
type quick struct {
	try    try
	class  *class
	search *finder
	// less, eq1 and eq2 are those of search.
	less, eq1, eq2             uint64
	min, slot                  int
	n                          int // length of the literal
	word0, mask0, word1, mask1 uint64
}

// try is the kind of search for the end of a run.
type try uint8

const (
	tryNone  try = iota // segment.match does it
	tryWords            // see finder
	tryRange
	tryOne  // the only byte of search, eq1
	tryHere // there is no run
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

// newLine prepares the short cuts of segs.
func newLine(segs []segment) *line {
	l := &line{segs: segs}
	for i := range segs {
		l.quick[0] = append(l.quick[0], segs[i].quick(false))
		l.quick[1] = append(l.quick[1], segs[i].quick(true))
	}
	return l
}

// quick returns the short cut of s.
func (s *segment) quick(escaped bool) (q quick) {
	if s.assert != 0 || s.open != s.close || s.lit != nil && s.lit.fold {
		return q
	}
	q.slot, q.min = s.open, s.run.min
	if s.lit != nil {
		f := &s.lit.plain
		if escaped {
			f = &s.lit.escaped
		}
		if q.n = len(f.b); q.n > 16 {
			return q
		}
		q.word0, q.mask0, q.word1, q.mask1 = f.word0, f.mask0, f.word1, f.mask1
	}
	class := s.run.class
	switch {
	case s.take == takeNone:
		q.try = tryHere
		return q
	case s.take == takeUntil:
		class = s.skip
	case s.take != takeRun || s.run.max >= 0 || s.run.min > 1 || s.run.back > 0 && s.lit == nil:
		return q
	case s.run.back > 0:
		first := s.lit.runes[0]
		class = newClass(not(union(not(class.ranges), []rune{first, first})))
	}
	q.class, q.search = class, &class.plain
	if escaped {
		q.search = &class.escaped
	}
	q.less, q.eq1, q.eq2 = q.search.less, q.search.eq1, q.search.eq2
	switch {
	case q.search.single >= 0:
		q.try = tryOne
	case q.search.how == byWords && q.search.high == 0:
		q.try = tryWords
	case q.search.how == byRange:
		q.try = tryRange
	}
	return q
}

// match matches the segments at pos. It returns the end, or what went wrong, and where that
// was.
func (l *line) match(t *text, pos int, row []record.Span) (next int, at place) {
	quicks := l.quick[0]
	if t.escaped {
		quicks = l.quick[1]
	}
	for i := 0; ; i++ {
		var seen int
		if i, pos, seen = short(quicks, i, t.b, pos, t.end, row); i == len(quicks) {
			return pos, place{i, pos}
		}
		if seen >= 0 {
			if next = quicks[i].finish(t, pos, seen, row); next >= 0 {
				pos = next
				continue
			}
		}
		next, far := l.segs[i].match(t, pos, row)
		if next < 0 || l.segs[i].rest && far == t.end {
			return next, place{i, far}
		}
		pos = next
	}
}

// short matches the segments from i on as long as their short cuts suffice. It returns the
// segment that needs more, or len(quicks), where that begins, and how far its run was seen
// to go or -1.
//
// It calls nothing, so that all it needs stays in registers: this loop is most of what a
// line costs.
func short(quicks []quick, i int, b []byte, pos, end int, row []record.Span) (seg, from, seen int) {
	// Up to here 16 bytes can be read, and no run is followed beyond.
	limit := min(end, len(b)-16)
	for ; i < len(quicks); i++ {
		q := &quicks[i]
		at := pos
		switch q.try {
		case tryOne:
			for {
				if at > limit || at+16 > len(b) {
					return i, pos, -1
				}
				y := binary.LittleEndian.Uint64(b[at:at+8]) ^ q.eq1
				z := binary.LittleEndian.Uint64(b[at+8:at+16]) ^ q.eq1
				m, m2 := (y-ones)&^y&tops, (z-ones)&^z&tops
				if m|m2 == 0 {
					at += 16
					continue
				}
				next := at + 8
				if m == 0 {
					m = m2
					at = next
				}
				at += bits.TrailingZeros64(m) >> 3
				break
			}
		case tryWords:
			for {
				if at > limit || at+16 > len(b) {
					return i, pos, -1
				}
				x := binary.LittleEndian.Uint64(b[at : at+8])
				y, z := x^q.eq1, x^q.eq2
				m := ((x-q.less)&^x | (y-ones)&^y | (z-ones)&^z) & tops
				x = binary.LittleEndian.Uint64(b[at+8 : at+16])
				y, z = x^q.eq1, x^q.eq2
				m2 := ((x-q.less)&^x | (y-ones)&^y | (z-ones)&^z) & tops
				if m|m2 == 0 {
					at += 16
					continue
				}
				next := at + 8
				if m == 0 {
					m = m2
					at = next
				}
				at += bits.TrailingZeros64(m) >> 3
				break
			}
		case tryRange:
			if at > limit || at+8 > len(b) {
				return i, pos, -1
			}
			x := binary.LittleEndian.Uint64(b[at : at+8])
			y := x & lows
			m := (^(y + q.less) | (y + q.eq1) | x) & tops
			if m == 0 {
				return i, pos, -1
			}
			at += bits.TrailingZeros64(m) >> 3
		case tryNone:
			return i, pos, -1
		}
		if at > limit || at-pos < q.min || at+q.n > end || q.n == 0 && at != end {
			return i, pos, -1
		}
		if (binary.LittleEndian.Uint64(b[at:at+8])^q.word0)&q.mask0 != 0 ||
			q.n > 8 && (binary.LittleEndian.Uint64(b[at+8:at+16])^q.word1)&q.mask1 != 0 {
			return i, pos, at
		}
		if q.slot >= 0 {
			row[q.slot] = record.Span{Off: uint32(pos), Len: uint32(at - pos)}
		}
		pos = at + q.n
	}
	return i, pos, -1
}

// finish is the rest of a short cut whose run goes from pos to at and there meets something
// that may be an escape of one of its characters.
func (q *quick) finish(t *text, pos, at int, row []record.Span) int {
	for {
		if at >= t.end || !t.escaped || t.b[at] != '\\' {
			return failed
		}
		r, n := t.char(at)
		if n == 0 || q.class == nil || !q.class.has(r) {
			return failed
		}
		at = q.search.find(t.b, at+n, t.end)
		if at+q.n <= t.end && at+16 <= len(t.b) && q.n > 0 &&
			(binary.LittleEndian.Uint64(t.b[at:])^q.word0)&q.mask0|(binary.LittleEndian.Uint64(t.b[at+8:])^q.word1)&q.mask1 == 0 {
			break
		}
	}
	if q.slot >= 0 {
		row[q.slot] = record.Span{Off: uint32(pos), Len: uint32(at - pos)}
	}
	return at + q.n
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
