package otlp

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Reasons for which a point is refused.
var (
	errLate    = errors.New("it is older than one that came before")
	errSender  = errors.New("another sender of the same name, with a later start, has the series")
	errSeries  = errors.New("there are too many series (max_series, max_series_per_name)")
	errShape   = errors.New("another metric of the same name has another type or other buckets")
	errBuckets = errors.New("its buckets make no sense")
	errKind    = errors.New("it does not say what it is the sum of (aggregation_temporality)")
	errName    = errors.New("it has no name that Prometheus can have")
	errValue   = errors.New("it has no value")
)

// track is what is known of a series that points come to.
type track struct {
	series *metric.Series
	key    string // of its state
	used   int64  // Unix seconds of the last point

	start, time uint64 // of the last point
	// last is what the last cumulative point said, base what all senders before that one came to:
	// the cells of the series are their sums. While last is nil, State may have base.
	last, base []float64
	// cells are what the last cumulative point of an exponential histogram said; nil: State may
	// have them.
	cells map[uint32]float64
}

// span is when a point's sum began and ended.
type span struct{ start, time uint64 }

// follow sees whether a point comes after the last one, and whether its sender began anew.
func (t *track) follow(p span, less bool) (again bool, err error) {
	switch {
	case p.start != 0 && t.start != 0 && p.start < t.start:
		return false, errSender
	case p.start != 0 && t.start != 0 && p.start > t.start:
		return true, nil
	case p.time < t.time:
		return false, errLate
	}
	return less, nil
}

// cumulative appends the deltas for a point whose cells count from its start: they are set, so
// a point that comes twice counts once.
func (t *track) cumulative(dst []record.Delta, st flow.State, p span, values []float64) ([]record.Delta, error) {
	if t.last == nil {
		t.load(st, len(values))
	}
	less := false
	for i := range max(1, len(values)-1) { // the last of several is a sum, which may fall
		less = less || values[i] < t.last[i]
	}
	again, err := t.follow(p, less)
	if err != nil {
		return dst, err
	}
	if again {
		for i := range t.base {
			t.base[i] += t.last[i]
		}
	}
	if again || t.start < p.start || t.time == 0 {
		t.start = max(t.start, p.start)
		st.Store(t.key, t.appendState(nil))
	}
	t.time = p.time
	t.last = append(t.last[:0], values...)
	for i, v := range values {
		dst = append(dst, record.Delta{Series: t.series.ID(), Cell: uint32(i) | record.SetCell, Add: t.base[i] + v})
	}
	return dst, nil
}

// load makes t what it was before a restart: last is what the series has beyond base.
func (t *track) load(st flow.State, cells int) {
	has := t.series.AppendCells(nil)
	t.base, t.last = slices.Clone(has), make([]float64, cells)
	state := st.Load(t.key)
	if len(state) != 8*(1+cells) {
		return
	}
	t.start = binary.LittleEndian.Uint64(state)
	for i := range t.base {
		t.base[i] = math.Float64frombits(binary.LittleEndian.Uint64(state[8*(1+i):]))
		t.last[i] = has[i] - t.base[i]
	}
}

// appendState encodes start and base.
func (t *track) appendState(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, t.start)
	for _, v := range t.base {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// exponential is cumulative for the cells of a native histogram, which become others when its
// sender widens its buckets: what changed since the last point is added.
func (t *track) exponential(dst []record.Delta, st flow.State, p span, cells map[uint32]float64) ([]record.Delta, error) {
	if t.cells == nil {
		t.loadCells(st)
	}
	sum := t.series.Family().Desc()
	again, err := t.follow(p, count(cells, sum.SumCell()) < count(t.cells, sum.SumCell()))
	if err != nil {
		return dst, err
	}
	if again {
		clear(t.cells)
	}
	for cell, v := range cells {
		if d := v - t.cells[cell]; d != 0 {
			dst = append(dst, record.Delta{Series: t.series.ID(), Cell: cell, Add: d})
		}
	}
	for cell, v := range t.cells {
		if _, stays := cells[cell]; !stays && v != 0 {
			dst = append(dst, record.Delta{Series: t.series.ID(), Cell: cell, Add: -v})
		}
	}
	t.start, t.time, t.cells = max(t.start, p.start), p.time, cells
	st.Store(t.key, t.appendCells(nil))
	return dst, nil
}

// count returns how many values cells have, all but the sum.
func count(cells map[uint32]float64, sum uint32) (n float64) {
	for cell, v := range cells {
		if cell != sum {
			n += v
		}
	}
	return n
}

// cellBytes is how much of a state a cell takes.
const cellBytes = 12

// loadCells makes t what it was before a restart.
func (t *track) loadCells(st flow.State) {
	t.cells = map[uint32]float64{}
	state := st.Load(t.key)
	if len(state) < 8 || (len(state)-8)%cellBytes != 0 {
		return
	}
	t.start = binary.LittleEndian.Uint64(state)
	for rest := state[8:]; len(rest) > 0; rest = rest[cellBytes:] {
		t.cells[binary.LittleEndian.Uint32(rest)] = math.Float64frombits(binary.LittleEndian.Uint64(rest[4:]))
	}
}

// appendCells encodes start and cells.
func (t *track) appendCells(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, t.start)
	for cell, v := range t.cells {
		dst = binary.LittleEndian.AppendUint32(dst, cell)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// added appends the deltas for a point that has what came since the one before. One that comes
// twice in a row, since its answer was lost, counts once.
func (t *track) added(dst []record.Delta, p span, cells []record.Delta) []record.Delta {
	if p.time != 0 && p.start == t.start && p.time == t.time {
		return dst
	}
	t.start, t.time = p.start, p.time
	t.last, t.cells = nil, nil // a sender that changes its mind is looked up again
	for _, d := range cells {
		if d.Add != 0 {
			d.Series = t.series.ID()
			dst = append(dst, d)
		}
	}
	return dst
}

// gauge appends the delta for the latest value.
func (t *track) gauge(dst []record.Delta, p span, v float64) ([]record.Delta, error) {
	if p.time < t.time {
		return dst, errLate
	}
	t.time = p.time
	return append(dst, record.Delta{Series: t.series.ID(), Cell: record.SetCell, Add: v}), nil
}
