package otlp

import (
	"math"
	"sort"

	"github.com/weirlog/weir/internal/codec/native"
	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// The scales that OpenTelemetry has.
const (
	leastScale = -10
	mostScale  = 20
)

// mostLevel is how often buckets can become wider.
const mostLevel = native.MaxSchema - native.MinSchema

// counted is a cell and what it counts.
type counted struct {
	cell  uint32
	value float64
}

// exponential counts a point of an exponential histogram.
func (v *points) exponential(p *wire.Point, at span) error {
	if p.Excess > 0 || p.Scale < leastScale || p.Scale > mostScale {
		return errBuckets
	}
	// The buckets of a series become wider where there are too many; how fine they can be stays.
	own := metric.Native{Schema: native.MaxSchema, MaxBuckets: v.numbers.cfg.MaxBuckets}
	t, err := v.series(metric.Desc{Kind: metric.Histogram, Native: &own}, p)
	if err != nil {
		return err
	}
	v.cells = v.cells[:0]
	add := func(b *wire.Buckets, sign float64) {
		for i, n := range b.Counts {
			if n > 0 {
				v.cells = append(v.cells, counted{own.CellOf(sign * upper(int64(b.Offset)+int64(i), p.Scale)), float64(n)})
			}
		}
	}
	add(&p.Positive, 1)
	add(&p.Negative, -1)
	level := levelOf(v.cells, own.MaxBuckets)
	if p.ZeroCount > 0 {
		v.cells = append(v.cells, counted{own.CellOf(0), float64(p.ZeroCount)})
	}
	desc := t.series.Family().Desc()
	if p.HasSum {
		v.cells = append(v.cells, counted{desc.SumCell(), p.Sum})
	}
	if v.metric.Temporality == wire.Delta {
		v.deltas = v.deltas[:0]
		for cell, n := range gathered(v.cells, finer(level)) {
			v.deltas = append(v.deltas, record.Delta{Cell: cell, Add: n})
		}
		v.numbers.added(t, at, v.deltas)
	} else if err := v.numbers.exponential(t, at, v.cells, level); err != nil {
		return err
	}
	v.exemplify(t, p, own.CellOf)
	return nil
}

// upper returns the greatest value of a bucket of OpenTelemetry's, within what a float can have.
func upper(index int64, scale int32) float64 {
	if scale > native.MaxSchema { // finer than ours
		index >>= scale - native.MaxSchema
		scale = native.MaxSchema
	}
	const most = 1 << 19 // buckets of the finest schema stay below
	index = min(max(index+1, -most), most)
	value := native.Bound(int32(index), int(max(scale, native.MinSchema)))
	if scale < native.MinSchema {
		value = native.Bound(int32(min(max(index<<(native.MinSchema-scale), -most), most)), native.MinSchema)
	}
	return min(max(value, math.SmallestNonzeroFloat64), math.MaxFloat64)
}

// levelOf returns how often the buckets of a point have to become wider until there are no more
// than that. Cells of one bucket are next to each other.
func levelOf(cells []counted, most int) uint8 {
	return uint8(sort.Search(mostLevel, func(level int) bool {
		n, before := 0, uint32(0) // which is the cell of no bucket
		for _, c := range cells {
			if wide := metric.WiderCell(c.cell, uint8(level)); wide != before {
				n, before = n+1, wide
			}
		}
		return n <= most
	}))
}

// finer returns the level at which there still are too many cells, but no more than twice as many:
// these widen the buckets of a series as all of them would.
func finer(level uint8) uint8 { return max(level, 1) - 1 }

// gathered returns what the cells have that are one at a level.
func gathered(cells []counted, level uint8) map[uint32]float64 {
	all := make(map[uint32]float64)
	for _, c := range cells {
		all[metric.WiderCell(c.cell, level)] += c.value
	}
	return all
}

// widened returns cells at a level.
func widened(cells map[uint32]float64, level uint8) map[uint32]float64 {
	all := make(map[uint32]float64, len(cells))
	for cell, v := range cells {
		all[metric.WiderCell(cell, level)] += v
	}
	return all
}

// exponential is cumulative for the cells of a native histogram, which become others when its
// sender widens its buckets: what changed since the last point is added, but for the sum, which
// is set. Level is how wide the cells of the point have to be.
func (n *numbers) exponential(t *track, p span, cells []counted, level uint8) error {
	t.load(n.deps.State)
	if t.last == nil {
		t.level = max(t.level, t.series.Halved())
		t.first, t.last = widened(t.has(), t.level), map[uint32]float64{}
	}
	desc := t.series.Family().Desc()
	sum := desc.SumCell()
	between := max(t.level, finer(level))
	now := gathered(cells, between)
	again, err := t.follow(p, count(now, sum) < count(t.last, sum))
	if err != nil {
		return err
	}
	if again {
		for cell, v := range t.last {
			t.first[cell] += v
		}
		t.last = map[uint32]float64{}
	}
	if !countable(now[sum]) {
		now[sum] = t.last[sum]
	}
	t.widen(between)
	n.change(t, now)
	t.last = now
	t.widen(level)
	for len(t.first) > desc.Native.MaxBuckets && t.level < mostLevel {
		t.widen(t.level + 1)
	}
	t.took(p)
	t.store(n.deps.State)
	return nil
}

// widen makes the cells wider that t keeps.
func (t *track) widen(level uint8) {
	if level > t.level {
		t.level, t.first, t.last = level, widened(t.first, level), widened(t.last, level)
	}
}

// change appends the deltas from what a sender said last to what it says now.
func (n *numbers) change(t *track, now map[uint32]float64) {
	id, desc := t.series.ID(), t.series.Family().Desc()
	sum := desc.SumCell()
	for cell, v := range now {
		if d := v - t.last[cell]; d != 0 && cell != sum {
			n.pending = append(n.pending, record.Delta{Series: id, Cell: cell, Add: d})
		}
	}
	for cell, v := range t.last {
		if _, stays := now[cell]; !stays && v != 0 && cell != sum {
			n.pending = append(n.pending, record.Delta{Series: id, Cell: cell, Add: -v})
		}
	}
	if now[sum] != t.last[sum] {
		n.pending = append(n.pending, record.Delta{Series: id, Cell: sum | record.SetCell, Add: t.first[sum] + now[sum]})
	}
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
