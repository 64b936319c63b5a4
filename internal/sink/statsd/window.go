package statsd

import (
	"math"
	"slices"
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

// export is an Export, or a Feed, at work.
type export struct {
	Export
	feed   *feed // nil: it is an Export
	format format
	keys   []string // of its states
	kind   byte     // on the wire
	parts  []part
	quiet  uint64 // how many silent windows are sent as zeros

	// carries says that what could not be sent in its window is sent in a later one.
	carries bool
	// stamped says that lines have the time of their window. Sent again they replace what
	// was sent before, so the part of a window that was sent at a stop is sent again as a
	// part of the whole.
	stamped bool

	points  map[pointKey]*point
	order   []*point // by text, so that points that look alike on the wire are neighbours
	round   uint64
	old     saved     // what a series had when weir stopped
	fresh   bool      // New made the state: nothing was ever sent
	dirty   []bool    // states that have changed since they were stored
	start   int64     // when the present window began on the wall clock, Unix nanoseconds
	due     time.Time // when it ends, on the monotonic clock
	stamp   int64     // Unix seconds of what waits to be sent: the end of its window
	renamed bool      // texts have changed since order was sorted
	broken  bool      // what waits is of a window that has not ended: weir stops
}

// gather reads all series, and finds those that came and went.
func (e *export) gather() {
	e.round++
	before := len(e.order)
	if e.feed != nil {
		e.gatherFeed()
	} else {
		e.Family.Each(func(s *metric.Series) bool {
			for _, part := range e.parts {
				e.see(s, part, nil)
			}
			return true
		})
	}
	e.order = slices.DeleteFunc(e.order, func(p *point) bool {
		if p.round == e.round {
			return false
		}
		delete(e.points, pointKey{p.series, p.part})
		return true
	})
	if len(e.order) > before || e.renamed {
		slices.SortFunc(e.order, compareText)
		e.renamed = false
	}
}

// see reads one number of a series. Those of a Feed are of a source.
func (e *export) see(s *metric.Series, part part, of *origin) *point {
	p := e.points[pointKey{s, part}]
	if p == nil {
		p = e.add(s, part, of)
	}
	if p.text.name == "" && of != nil && of.name != "" {
		p.text, e.renamed = e.format.text(of.name, p), true
	}
	p.now, p.round = part.of(s), e.round
	return p
}

// add makes the point of a new series. Its baseline is 0, unless it is one from before a restart.
func (e *export) add(s *metric.Series, part part, of *origin) *point {
	p := &point{series: s, part: part, kind: e.kind, scale: 1, id: pointID(s, part)}
	name := e.Name
	if of != nil {
		name = of.name
		of.fit(p)
	}
	if name != "" {
		p.text = e.format.text(name, p)
	}
	if old, ok := e.old.points[p.id]; ok && old.created == s.Created().UnixMilli() {
		p.base, p.bound, p.silent, p.pending, p.sent, p.parted = old.base, old.bound, old.silent, old.pending, old.sent, old.parted
	}
	e.points[pointKey{s, part}] = p
	e.order = append(e.order, p)
	return p
}

// seed makes what was counted so far the baseline of all series: none of it was asked for.
// What a feed has from after the sink was made was.
func (e *export) seed(now time.Time) {
	e.gather()
	for _, p := range e.order {
		if e.feed != nil && !p.series.Created().Before(e.feed.made) {
			continue
		}
		p.base, p.bound, p.silent = p.now, p.now, math.MaxUint32
	}
	e.start = now.UnixNano()
	e.fresh = true
	e.spoil()
}

// spoil has all states stored.
func (e *export) spoil() {
	for i := range e.dirty {
		e.dirty[i] = true
	}
}

// resume takes up where the state was left. It returns what can no longer be sent. Within
// the window in which weir stopped it goes on as if nothing had happened. In the next one
// the window that weir did not see the end of is sent late, as it would be by a target
// that comes back. After that it is missed.
func (e *export) resume(old saved, now time.Time) (missed float64) {
	e.old = old
	e.gather()
	e.old = saved{}
	e.start, e.stamp = old.start, old.stamp
	if e.stamped && old.stamp > time.Unix(0, old.start).Unix() { // weir stopped, and could not send what it had
		for _, p := range e.order {
			p.pending = false
		}
	}
	windows := (now.UnixNano() - old.start) / int64(e.Window) // negative: the clock was set back
	switch {
	case e.fresh || windows < 1:
	case windows == 1:
		missed = e.cut(false)
	default:
		for _, p := range e.order {
			p.silent += uint64(windows)
			if !e.carries && !p.part.isLevel() {
				missed += p.give(p.now)
				p.bound, p.pending = p.now, false
			}
		}
	}
	e.fresh = false
	e.spoil()
	return missed
}

// cut ends a window: what was counted in it waits to be sent. What still waits from the
// window before is missed by a gauge, which returns how much that is, and added to by a
// count. The partial window of a shutdown sends no zeros.
func (e *export) cut(partial bool) (missed float64) {
	e.gather()
	for _, p := range e.order {
		switch {
		case p.part.isLevel():
			missed += e.cutLevel(p, partial)
		default:
			missed += e.cutSum(p, partial)
		}
	}
	for _, p := range e.order {
		if p.text.name == "" { // nobody has said yet what it is called
			p.pending = false
		}
	}
	e.broken = partial
	e.stamp = time.Unix(0, e.start).Add(e.Window).Unix()
	e.dirty[0] = true // it has when the window began
	return missed
}

// cutSum ends the window of a number that grows.
func (e *export) cutSum(p *point, partial bool) (missed float64) {
	if p.pending && !e.carries && !e.broken {
		missed = p.give(p.bound)
		e.dirty[p.shard] = true
	}
	switch {
	case p.now != p.bound:
		p.silent = 0
		e.dirty[p.shard] = true
	case !partial:
		p.silent++
	}
	p.bound = p.now
	p.pending = p.bound != p.base || !partial && p.silent <= e.quiet
	return missed
}

// cutLevel ends the window of a number that is as it is. With a time it is sent of every window;
// without one when it was set, since who reads it keeps it.
func (e *export) cutLevel(p *point, partial bool) (missed float64) {
	switch changed := p.series.Changed().Unix(); {
	case p.unset():
		return 0
	case e.stamped:
		if p.pending {
			missed = 1
		}
		p.pending = !partial
	case p.now != p.bound || changed != p.changed:
		p.changed, p.pending = changed, true
	}
	p.bound = p.now
	if absent(p.now) {
		p.pending = false
	}
	return missed
}

// settle says that a point was sent, or given up for good.
func (e *export) settle(points []*point) {
	for _, p := range points {
		if !p.pending {
			continue
		}
		p.pending = false
		switch {
		case p.part.isLevel():
		case e.broken && e.stamped:
			p.sent, p.parted, e.dirty[p.shard] = p.bound, true, true
		default:
			e.dirty[p.shard] = e.dirty[p.shard] || p.base != p.bound || p.parted
			p.base, p.parted = p.bound, false
		}
	}
	if e.feed == nil {
		e.dirty[0] = true
	}
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
