package scan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
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
	entities                   bool // escaped & < > are characters of the run
	list                       bool // the run may go on after a space
	n                          int  // length of the literal
	word0, word1, mask0, mask1 uint64
	halves
}

// The escapes that Docker writes in text where nothing needs one, as the low bytes of a
// word: \u0026, \u003c and \u003e.
const (
	escapeMask  = 1<<48 - 1
	escapedAnd  = '6'<<40 | '2'<<32 | '0'<<24 | '0'<<16 | 'u'<<8 | '\\'
	escapedLess = 'c'<<40 | '3'<<32 | '0'<<24 | '0'<<16 | 'u'<<8 | '\\'
	escapedMore = 'e'<<40 | '3'<<32 | '0'<<24 | '0'<<16 | 'u'<<8 | '\\'
)

// try is the kind of search for the end of a run.
type try uint8

const (
	tryNone  try = iota // segment.match does it
	tryWords            // see finder
	tryRange
	tryOne  // the only byte of search, eq1
	tryHere // there is no run
)

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
		if q.n > 0 {
			q.describe(nil)
		}
		return q
	case s.take == takeUntil:
		class = s.skip
	case s.take == takeList:
		if q.list = true; s.lit == nil {
			return q
		}
	case s.take != takeRun || s.run.max >= 0 || s.run.min > 1 || s.run.back > 0 && s.lit == nil:
		return q
	case s.run.back > 0:
		first := s.lit.runes[0]
		class = newClass(not(union(not(class.ranges), []rune{first, first})))
	}
	q.class, q.search = class, &class.plain
	q.entities = escaped && class.in['&'] && class.in['<'] && class.in['>']
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
	if q.try != tryNone && !q.list {
		q.describe(&q.search.stop)
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
		if i, pos, seen = t.short(quicks, i, pos, row); i == len(quicks) {
			return pos, place{i, pos}
		}
		if seen >= 0 {
			next = l.segs[i].resume(&quicks[i], t, pos, seen)
			if next >= 0 {
				quicks[i].keep(row, pos, next-quicks[i].n)
				pos = next
				continue
			}
			if next == failed {
				return failed, place{i, seen}
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
// What follow can do it leaves to that. Else it calls nothing, so that all it needs stays in
// registers: this is most of what a line costs.
func (t *text) short(quicks []quick, i, pos int, row []record.Span) (seg, from, seen int) {
	b, end := t.b, t.end
	// Up to here 16 bytes can be read, and no run is followed beyond.
	limit := min(end, len(b)-16)
	for ; ; i++ {
		far := follow(t, quicks, place{i, pos}, row)
		if i, pos = far.step, far.pos; i >= len(quicks) {
			return i, pos, -1
		}
		q := &quicks[i]
		// The end is found skip behind first. Apart they are a shorter chain between segments.
		first, skip := pos, 0
	search:
		for first <= limit && first+8 <= len(b) {
			var m uint64
			switch x := binary.LittleEndian.Uint64(b[first : first+8]); q.try {
			case tryOne:
				y := x ^ q.eq1
				m = (y - ones) &^ y
			case tryWords:
				y, z := x^q.eq1, x^q.eq2
				m = (x-q.less)&^x | (y-ones)&^y | (z-ones)&^z
			case tryRange:
				y := x & lows
				m = ^(y + q.less) | (y + q.eq1) | x
			case tryHere:
				m = tops
			default:
				return i, pos, -1
			}
			if m &= tops; m != 0 {
				skip = bits.TrailingZeros64(m) >> 3
				break
			}
			first += 8
		}
		at, next := first+skip, first+q.n+skip
		if at > limit && q.n == 0 && limit == end {
			at, next = end, end // nothing ends the run before
		}
		if at > limit || at-pos < q.min || next > end || q.n == 0 && at != end || q.list && goesOn(b[at-1], b[at+1]) {
			return i, pos, -1
		}
		x := binary.LittleEndian.Uint64(b[at : at+8])
		if (x^q.word0)&q.mask0 != 0 {
			if x &= escapeMask; q.entities && (x == escapedAnd || x == escapedLess || x == escapedMore) {
				first, skip = at+len(`\u0026`), 0
				goto search
			}
			return i, pos, at
		}
		if q.n > 8 && (binary.LittleEndian.Uint64(b[at+8:at+16])^q.word1)&q.mask1 != 0 {
			return i, pos, at
		}
		q.keep(row, pos, at)
		pos = next
	}
}

// goesOn tells whether a list may go on with the space between these bytes.
func goesOn(before, after byte) bool {
	return before == ',' || after == ':' || after == '\\'
}

// resume goes on where the short cut of s saw its run come to, without the literal being
// there in the form in which it is expected. It returns where that form ends, failed if the
// segment does not match, gaveUp if it takes a closer look.
func (s *segment) resume(q *quick, t *text, pos, at int) int {
	if q.class == nil || q.list {
		return gaveUp
	}
	for t.escaped && at < t.end && t.b[at] == '\\' {
		r, n := t.char(at)
		if n == 0 || !q.class.has(r) {
			return gaveUp
		}
		at = q.search.find(t.b, at+n, t.end)
		if q.n > 0 && s.lit.escaped.at(t.b, at, t.end) {
			return at + q.n
		}
	}
	// A run that a bare byte ends does not go on, so the literal had to be here.
	if s.take == takeRun && s.run.back == 0 && at < t.end && t.b[at] < utf8.RuneSelf && q.search.stop[t.b[at]] &&
		s.lit != nil && at-pos >= q.min && s.lit.at(t, at) == failed {
		return failed
	}
	return gaveUp
}

// keep notes the group of a segment.
func (q *quick) keep(row []record.Span, pos, at int) {
	if q.slot >= 0 {
		row[q.slot] = record.Span{Off: uint32(pos), Len: uint32(at - pos)}
	}
}
