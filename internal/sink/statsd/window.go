package statsd

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// Export is a number that a rule makes, and how it is sent.
type Export struct {
	// Family has the series: a counter, or a histogram, which is sent as two numbers,
	// .count and .sum.
	Family *metric.Family
	// Name is the name on the wire: nginx.status_count.
	Name string
	// As is "gauge" (also ""), the number of the window, or "count", which a server adds up.
	As string
	// Window is how often it is sent; zero means the sink's window.
	Window time.Duration
}

// part is which number of a series is meant.
type part byte

const (
	value part = iota // of a counter
	count             // of the values that a histogram took
	sum               // of these values
)

func (p part) of(s *metric.Series) float64 {
	switch p {
	case count:
		return s.Count()
	case sum:
		return s.Sum()
	}
	return s.Value()
}

func (p part) suffix() string { return [...]string{"", ".count", ".sum"}[p] }

// point is one number of a series on its way out. bound-base is what is sent.
type point struct {
	series  *metric.Series
	part    part
	id      string // over restarts, see pointID
	text    text
	now     float64 // the value when last gathered
	bound   float64 // the value at the last boundary of windows
	base    float64 // the value up to which all was sent, or given up
	silent  uint64  // how many windows in a row brought nothing
	pending bool    // bound-base waits to be sent
	round   uint64  // of the last gathering that saw the series
}

type pointKey struct {
	series *metric.Series
	part   part
}

// export is an Export at work.
type export struct {
	Export
	writer writer
	key    string // of its state
	kind   byte   // on the wire
	parts  []part
	quiet  uint64 // how many silent windows are sent as zeros

	points map[pointKey]*point
	order  []*point // by text, so that points that look alike on the wire are neighbours
	round  uint64
	old    saved     // what a series had when weir stopped
	fresh  bool      // New made the state: nothing was ever sent
	dirty  bool      // the state has changed since it was stored
	start  int64     // when the present window began on the wall clock, Unix nanoseconds
	due    time.Time // when it ends, on the monotonic clock
}

// gather reads all series, and finds those that came and went.
func (e *export) gather() {
	e.round++
	before := len(e.order)
	e.Family.Each(func(s *metric.Series) bool {
		for _, part := range e.parts {
			p := e.points[pointKey{s, part}]
			if p == nil {
				p = e.add(s, part)
			}
			p.now, p.round = part.of(s), e.round
		}
		return true
	})
	e.order = slices.DeleteFunc(e.order, func(p *point) bool {
		if p.round == e.round {
			return false
		}
		delete(e.points, pointKey{p.series, p.part})
		return true
	})
	if len(e.order) > before {
		slices.SortFunc(e.order, compareText)
	}
}

// add makes the point of a new series. Its baseline is 0, unless it is one from before a restart.
func (e *export) add(s *metric.Series, part part) *point {
	p := &point{series: s, part: part, id: pointID(s, part), text: e.writer.text(e.Name, part.suffix(), s)}
	if old, ok := e.old.points[p.id]; ok && old.created == s.Created().UnixMilli() {
		p.base, p.bound, p.silent, p.pending = old.base, old.bound, old.silent, old.pending
	}
	e.points[pointKey{s, part}] = p
	e.order = append(e.order, p)
	return p
}

func compareText(a, b *point) int {
	return cmp.Or(strings.Compare(a.text.name, b.text.name), strings.Compare(a.text.tags, b.text.tags))
}

// seed makes what was counted so far the baseline of all series: none of it was asked for.
func (e *export) seed(now time.Time) {
	e.gather()
	for _, p := range e.order {
		p.base, p.bound, p.silent = p.now, p.now, math.MaxUint32
	}
	e.start = now.UnixNano()
	e.dirty, e.fresh = true, true
}

// resume takes up where the state was left. It returns what can no longer be sent. Within
// the window in which weir stopped it goes on as if nothing had happened. In the next one
// the window that weir did not see the end of is sent late, as it would be by a target
// that comes back. After that it is missed.
func (e *export) resume(old saved, now time.Time) (missed float64) {
	e.old = old
	e.gather()
	e.old = saved{}
	e.start = old.start
	windows := (now.UnixNano() - old.start) / int64(e.Window) // negative: the clock was set back
	switch {
	case e.fresh || windows < 1:
	case windows == 1:
		missed = e.cut(false)
	default:
		for _, p := range e.order {
			p.silent += uint64(windows)
			if e.kind == 'g' {
				missed += p.missed(p.now)
				p.base, p.bound, p.pending = p.now, p.now, false
			}
		}
	}
	e.fresh, e.dirty = false, true
	return missed
}

// cut ends a window: what was counted in it waits to be sent. What still waits from the
// window before is missed by a gauge, which returns how much that is, and added to by a
// count. The partial window of a shutdown sends no zeros.
func (e *export) cut(partial bool) (missed float64) {
	e.gather()
	for _, p := range e.order {
		if p.pending && e.kind == 'g' {
			missed += p.missed(p.bound)
			p.base = p.bound
		}
		switch {
		case p.now != p.bound:
			p.silent = 0
		case !partial:
			p.silent++
		}
		p.bound = p.now
		p.pending = p.bound != p.base || !partial && p.silent <= e.quiet
	}
	e.dirty = true
	return missed
}

// missed returns how many records stand between the baseline and v. The sum of a
// histogram is about records that its count has counted already.
func (p *point) missed(v float64) float64 {
	if n := v - p.base; p.part != sum && n > 0 {
		return n
	}
	return 0
}

// settle says that a point was sent, or given up for good.
func (e *export) settle(points []*point) {
	for _, p := range points {
		if p.pending {
			p.base, p.pending = p.bound, false
		}
	}
	e.dirty = true
}

// schedule sets the end of the present window: when the wall clock shows the next whole
// multiple of the window, waited for on the monotonic clock, so that setting the clock
// makes at worst one window between half and one and a half times as long.
func (e *export) schedule(wall, now time.Time, after bool) {
	window := int64(e.Window)
	into := wall.UnixNano() % window
	left := window - into
	e.start = wall.UnixNano() - into
	if after && left < window/2 {
		e.start += window
		left += window
	}
	e.due = now.Add(time.Duration(left))
}
