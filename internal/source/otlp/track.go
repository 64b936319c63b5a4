package otlp

import (
	"errors"
	"math"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Reasons for which a point is refused.
var (
	errLate    = errors.New("it is older than one that came before")
	errSender  = errors.New("another sender of the same name, with a later start, has the series")
	errShared  = errors.New("another sender, scope or metric has the series: give each sender its own service.instance.id, and let no two names differ by signs alone")
	errSeries  = errors.New("there are too many series, or too long ones (max_series, max_series_per_name)")
	errLabels  = errors.New("its labels are too long")
	errShape   = errors.New("another metric of the same name has another type or other buckets")
	errBuckets = errors.New("its buckets make no sense")
	errKind    = errors.New("it does not say what it is the sum of (aggregation_temporality)")
	errName    = errors.New("it has no name that Prometheus can have")
	errValue   = errors.New("it has no value, or none that can be added up")
)

// track is what is known of a series that points come to.
type track struct {
	series *metric.Series
	key    string // by name and labels
	state  string // the key of its state
	bytes  int    // that it takes
	used   int64  // Unix seconds of the last point that was taken

	start, time uint64 // of the last point
	from        sender // of the last point; zero: nobody knows
	request     uint64 // that brought it
	loaded      bool   // start to level have what State has
	// base is what the cells had before the present sender began, total what they have with its
	// last cumulative point; nil: there was none.
	base, total []float64
	// first and last are the same of an exponential histogram, by cells: what was there before,
	// and what the last point said.
	first, last map[uint32]float64
	level       uint8 // how often the cells of both were made wider
}

// sender tells apart whose points come to a series: hashes of all that is said of a resource,
// and of all that its scope, metric and point are called.
type sender struct{ resource, stream uint64 }

// span is when a point's sum began and ended, whose it is, and with which request it came.
type span struct {
	start, time uint64
	from        sender
	request     uint64
}

// follow sees whether a point comes after the last one, and whether its sender began anew. Two
// senders that come to one series by turns are never taken for one that begins anew each time.
func (t *track) follow(p span, less bool) (again bool, err error) {
	switch {
	case p.start != 0 && t.start != 0 && p.start < t.start:
		return false, errSender
	case p.start != 0 && t.start != 0 && p.start > t.start:
		return true, nil
	case p.from != t.from && t.from != (sender{}) && !t.isSame(p, less):
		return false, errShared
	case p.time < t.time || less && p.time == t.time:
		return false, errLate
	}
	return less, nil
}

// isSame tells whether another resource than before is the same, of which something else is
// said now, as when a Collector has found out where it runs.
func (t *track) isSame(p span, less bool) bool {
	return p.start != 0 && p.start == t.start && p.from.stream == t.from.stream && !less
}

// took notes that a point was taken.
func (t *track) took(p span) {
	t.start, t.time, t.from, t.used, t.request = max(t.start, p.start), p.time, p.from, time.Now().Unix(), p.request
}

// mostValue is the most that a point can add to a durable number: whatever is beyond would
// make it infinite, for ever, or nothing that one can add to.
const mostValue = 1e300

func countable(v float64) bool { return math.Abs(v) <= mostValue }

// cumulative appends the deltas for a point whose cells count from its start: they are set, so
// a point that comes twice counts once. Only the last of several may fall, which is a sum.
func (n *numbers) cumulative(t *track, p span, values []float64) (again bool, err error) {
	t.load(n.deps.State)
	if t.total == nil {
		t.total = t.series.AppendCells(nil)
		t.base = append(t.base, t.total...)
	}
	less := false
	for i := range max(1, len(values)-1) {
		less = less || countable(values[i]) && t.base[i]+values[i] < t.total[i]
	}
	if again, err = t.follow(p, less); err != nil {
		return false, err
	}
	n.set(t, p, values, again)
	return again, nil
}

// set appends the deltas for a point that was found to follow. The cells are compared and kept
// with base: taken off again, it would leave a little more or less than there was.
func (n *numbers) set(t *track, p span, values []float64, again bool) {
	if again {
		copy(t.base, t.total)
	}
	for i, v := range values {
		if countable(v) && countable(t.base[i]+v) {
			t.total[i] = t.base[i] + v
		}
		n.pending = append(n.pending, record.Delta{Series: t.series.ID(), Cell: uint32(i) | record.SetCell, Add: t.total[i]})
	}
	t.took(p)
	t.store(n.deps.State)
}

// added appends the deltas for a point that has what came since the one before. One that comes
// with two requests in a row, since the answer was lost, counts once. Those of one request are
// different ones, of which something on the way has taken off what told them apart.
func (n *numbers) added(t *track, p span, cells []record.Delta) {
	t.load(n.deps.State)
	if p.time != 0 && p.start == t.start && p.time == t.time && p.from == t.from && p.request != t.request {
		return
	}
	for _, d := range cells {
		if d.Add == 0 || !countable(d.Add) {
			continue
		}
		d.Series = t.series.ID()
		n.pending = append(n.pending, d)
		t.raise(d)
	}
	t.took(p)
	t.start = p.start
	if t.total != nil || t.last != nil {
		t.store(n.deps.State)
	}
}

// raise makes what a delta adds a part of what was there before, where cumulative points came
// to the series, too.
func (t *track) raise(d record.Delta) {
	switch {
	case t.total != nil:
		t.base[d.Cell] += d.Add
		t.total[d.Cell] += d.Add
	case t.last != nil:
		t.first[metric.WiderCell(d.Cell, t.level)] += d.Add
	}
}

// gauge appends the delta for the latest value.
func (n *numbers) gauge(t *track, p span, v float64) error {
	if p.time < t.time {
		return errLate
	}
	t.took(p)
	n.pending = append(n.pending, record.Delta{Series: t.series.ID(), Cell: record.SetCell, Add: v})
	return nil
}

// load makes t what it was before a restart. What the series has is known of itself, so the
// state has only what was there before the present sender, and whose last point was when.
func (t *track) load(st flow.State) {
	if t.loaded {
		return
	}
	t.loaded = true
	if t.series.Family().Desc().Native != nil {
		t.loadCells(st.Load(t.state))
		return
	}
	has := t.series.AppendCells(nil)
	if base, ok := t.loadBase(st.Load(t.state), len(has)); ok {
		t.base, t.total = base, has
	}
}
