package logql

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
)

// measure is what is kept of the entries of an interval, which depends on the function.
type measure uint8

const (
	counts  measure = iota // how many
	sums                   // how many, and their sum
	least                  // the smallest value
	most                   // the largest value
	spreads                // mean and squares of the distances from it
	lists                  // each value, with its place
)

func measureOf(op syntax.RangeOp, unwrapped bool) measure {
	switch op {
	case syntax.CountOverTime, syntax.AbsentOverTime:
		return counts
	case syntax.Rate:
		if !unwrapped {
			return counts
		}
		return sums
	case syntax.MinOverTime:
		return least
	case syntax.MaxOverTime:
		return most
	case syntax.StddevOverTime, syntax.StdvarOverTime:
		return spreads
	case syntax.FirstOverTime, syntax.LastOverTime, syntax.QuantileOverTime, syntax.RateCounter:
		return lists
	}
	return sums
}

// sampleAt is a value and where its entry stands in the order of all.
type sampleAt struct {
	place place
	value float64
}

// cell is the intervals of one series. Pages are made as they are needed.
type cell struct {
	key   string
	pages []*page
}

// page is some consecutive intervals. Of the slices only those are there that the measure
// needs: n how many entries, a the sum, the extreme or the mean, b the squares.
type page struct {
	n    []int64
	a, b []float64
	list [][]sampleAt
}

// pageBits is how many intervals a page has at most, as a power of two.
const pageBits = 6

// table is the series of a range aggregation, as far as one worker has seen them.
type table struct {
	measure   measure
	intervals int
	pageBits  int
	pageLen   int
	budget    *budget
	cells     map[string]*cell
	// recent are series that were asked for, by their keys' last bytes.
	recent [recentCells]*cell
}

// recentCells is how many series are found without the map, a power of two.
const recentCells = 64

// recentAt returns the place of a series in table.recent.
func recentAt(key []byte) int {
	const odd = 0x9E3779B97F4A7C15
	if len(key) < 8 {
		return 0
	}
	return int(binary.LittleEndian.Uint64(key[len(key)-8:]) * odd >> (64 - 6))
}

func newTable(m measure, intervals int, b *budget) *table {
	size := min(bits.Len(uint(intervals-1)), pageBits)
	return &table{measure: m, intervals: intervals, pageBits: size, pageLen: 1 << size, budget: b, cells: map[string]*cell{}}
}

// cellBytes is about what a series takes beside its key and its pages.
const cellBytes = 160

// cell returns the series with that key, made if need be.
func (t *table) cell(key []byte) (*cell, error) {
	recent := &t.recent[recentAt(key)]
	if c := *recent; c != nil && c.key == string(key) {
		return c, nil
	}
	c := t.cells[string(key)]
	if c == nil {
		n := (t.intervals + t.pageLen - 1) / t.pageLen
		if err := t.budget.charge(cellBytes + len(key) + 8*n); err != nil {
			return nil, err
		}
		c = &cell{key: string(key), pages: make([]*page, n)}
		t.cells[c.key] = c
	}
	*recent = c
	return c, nil
}

// page returns the page that an interval is on and its place there.
func (t *table) page(c *cell, interval int) (p *page, i int, err error) {
	p, i = c.pages[interval>>t.pageBits], interval&(t.pageLen-1)
	if p != nil {
		return p, i, nil
	}
	floats := 0
	p = &page{n: make([]int64, t.pageLen)}
	switch t.measure {
	case sums, least, most:
		p.a, floats = make([]float64, t.pageLen), 1
	case spreads:
		p.a, p.b, floats = make([]float64, t.pageLen), make([]float64, t.pageLen), 2
	case lists:
		p.list, floats = make([][]sampleAt, t.pageLen), 3
	}
	c.pages[interval>>t.pageBits] = p
	return p, i, t.budget.charge(8 * t.pageLen * (1 + floats))
}

// sampleBytes is about what a value in a list takes.
const sampleBytes = 60

// add counts an entry with a value.
func (t *table) add(c *cell, interval int, s sampleAt) error {
	p, i, err := t.page(c, interval)
	if err != nil {
		return err
	}
	p.n[i]++
	switch t.measure {
	case sums:
		p.a[i] += s.value
	case least, most:
		if p.n[i] == 1 || t.measure.better(s.value, p.a[i]) {
			p.a[i] = s.value
		}
	case spreads:
		delta := s.value - p.a[i]
		p.a[i] += delta / float64(p.n[i])
		p.b[i] += delta * (s.value - p.a[i])
	case lists:
		p.list[i] = append(p.list[i], s)
		return t.budget.charge(sampleBytes)
	}
	return nil
}

// better tells whether v takes the place of an extreme. NaN is one only if there is
// nothing else.
func (m measure) better(v, extreme float64) bool {
	return m == least && v < extreme || m == most && v > extreme || math.IsNaN(extreme)
}

// addMany counts n entries whose values are sum together, for the measures counts and sums.
func (t *table) addMany(c *cell, interval int, n int64, sum float64) error {
	p, i, err := t.page(c, interval)
	if err != nil {
		return err
	}
	p.n[i] += n
	if t.measure == sums {
		p.a[i] += sum
	}
	return nil
}

// merge adds what another worker has seen.
func (t *table) merge(other *table) {
	for key, theirs := range other.cells {
		c := t.cells[key]
		if c == nil {
			t.cells[key] = theirs
			continue
		}
		for i, from := range theirs.pages {
			switch {
			case from == nil:
			case c.pages[i] == nil:
				c.pages[i] = from
			default:
				t.mergePage(c.pages[i], from)
			}
		}
	}
	other.cells = nil
}

func (t *table) mergePage(to, from *page) {
	for i, n := range from.n {
		if n == 0 {
			continue
		}
		s := state{n: to.n[i]}
		t.load(&s, to, i)
		t.join(&s, from, i)
		to.n[i] = s.n
		switch t.measure {
		case sums, least, most:
			to.a[i] = s.a
		case spreads:
			to.a[i], to.b[i] = s.a, s.b
		case lists:
			to.list[i] = append(to.list[i], from.list[i]...)
		}
	}
}

// state is what is known of a window.
type state struct {
	n    int64
	a, b float64
	list []sampleAt
}

// load sets the state to that of an interval, but for its list.
func (t *table) load(s *state, p *page, i int) {
	s.n = p.n[i]
	if p.a != nil {
		s.a = p.a[i]
	}
	if p.b != nil {
		s.b = p.b[i]
	}
}

// join adds an interval that has entries to the state, but for its list.
func (t *table) join(s *state, p *page, i int) {
	if s.n == 0 {
		t.load(s, p, i)
		return
	}
	n := p.n[i]
	switch t.measure {
	case sums:
		s.a += p.a[i]
	case least, most:
		if t.measure.better(p.a[i], s.a) {
			s.a = p.a[i]
		}
	case spreads:
		delta := p.a[i] - s.a
		total := float64(s.n + n)
		s.a += delta * float64(n) / total
		s.b += p.b[i] + delta*delta*float64(s.n)*float64(n)/total
	}
	s.n += n
}

// window sets the state to that of the intervals from first up to end.
func (t *table) window(s *state, c *cell, first, end int) {
	*s = state{list: s.list[:0]}
	for at := first; at < end; {
		p, i := c.pages[at>>t.pageBits], at&(t.pageLen-1)
		stop := min(end-at+i, t.pageLen)
		at += stop - i
		if p == nil {
			continue
		}
		for ; i < stop; i++ {
			if p.n[i] == 0 {
				continue
			}
			t.join(s, p, i)
			if t.measure == lists {
				s.list = append(s.list, p.list[i]...)
			}
		}
	}
	if t.measure == lists {
		slices.SortFunc(s.list, func(a, b sampleAt) int { return a.place.compare(b.place) })
	}
}

// sliding is the count of a window that moves on from step to step, so that each interval is
// added and taken away once, however long the windows are.
type sliding struct {
	first, end int
	n          int64
}

// to moves the window to intervals and returns how many entries it has.
func (w *sliding) to(t *table, c *cell, first, end int) int64 {
	if first >= w.end || first < w.first {
		*w = sliding{first: first, end: first}
	}
	w.n += t.count(c, w.end, end) - t.count(c, w.first, first)
	w.first, w.end = first, end
	return w.n
}

// count returns how many entries the intervals from first up to end have.
func (t *table) count(c *cell, first, end int) (n int64) {
	for at := first; at < end; {
		p, i := c.pages[at>>t.pageBits], at&(t.pageLen-1)
		stop := min(end-at+i, t.pageLen)
		at += stop - i
		if p != nil {
			for ; i < stop; i++ {
				n += p.n[i]
			}
		}
	}
	return n
}

// result returns the value of a window that has entries and ends at a time.
func (s *state) result(agg *syntax.RangeAgg, end int64) float64 {
	seconds := agg.Range.Seconds()
	switch agg.Op {
	case syntax.CountOverTime:
		return float64(s.n)
	case syntax.Rate:
		if agg.Unwrap == nil {
			return float64(s.n) / seconds
		}
		return s.a / seconds
	case syntax.BytesRate:
		return s.a / seconds
	case syntax.AvgOverTime:
		return s.a / float64(s.n)
	case syntax.StdvarOverTime:
		return s.b / float64(s.n)
	case syntax.StddevOverTime:
		return math.Sqrt(s.b / float64(s.n))
	case syntax.FirstOverTime:
		return s.list[0].value
	case syntax.LastOverTime:
		return s.list[len(s.list)-1].value
	case syntax.RateCounter:
		return increase(s.list, end-int64(agg.Range), end) / seconds
	case syntax.QuantileOverTime:
		return quantile(agg.Param, s.list)
	}
	return s.a // bytes_over_time, sum, min and max
}

// increase is by how much a counter grew in a window, where it began at 0 again when it went
// down. As in Prometheus what lies between the edges of the window and the first and last
// value is estimated: the counter grew as it did between them, but not from below 0, and
// for half the time between two values if an edge is farther away than that.
func increase(list []sampleAt, from, end int64) float64 {
	first, last := &list[0], &list[len(list)-1]
	if first.place.time == last.place.time {
		return 0
	}
	grown := last.value - first.value
	for i := 1; i < len(list); i++ {
		if list[i].value < list[i-1].value {
			grown += list[i-1].value
		}
	}
	sampled := seconds(first.place.time, last.place.time)
	between := sampled / float64(len(list)-1)
	before, after := seconds(from, first.place.time), seconds(last.place.time, end)
	if grown > 0 && first.value >= 0 {
		before = min(before, sampled*(first.value/grown))
	}
	const far = 1.1 // times the usual distance
	if before >= between*far {
		before = between / 2
	}
	if after >= between*far {
		after = between / 2
	}
	return grown * ((before + sampled + after) / sampled)
}

func seconds(from, to int64) float64 { return time.Duration(to - from).Seconds() }

// quantile interpolates between the values next to the rank. NaN sorts first.
func quantile(q float64, list []sampleAt) float64 {
	switch {
	case math.IsNaN(q):
		return q
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	slices.SortFunc(list, func(a, b sampleAt) int { return cmp.Compare(a.value, b.value) })
	rank := q * float64(len(list)-1)
	lower := math.Floor(rank)
	upper := math.Min(lower+1, float64(len(list)-1))
	weight := rank - lower
	return list[int(lower)].value*(1-weight) + list[int(upper)].value*weight
}
