package tsdb

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Steps is a row of equal steps of time, the last of which ends at a moment.
type Steps struct {
	Until time.Time
	Each  time.Duration
	N     int
}

// start returns where the first step begins.
func (s Steps) start() time.Time { return s.Until.Add(-time.Duration(s.N) * s.Each) }

// Past is what a series did in each of some steps; NaN where nothing is known.
type Past struct {
	labels labels.Labels
	Steps  []float64
}

// Label returns the value of a label, "" if the series has not got it.
func (p *Past) Label(name string) string { return p.labels.Get(name) }

// maxPast is how many series of one name are looked at.
const maxPast = 1000

// Growth returns how much each series of a counter, or the count of a native histogram, grew in
// each of the steps. What it had
// grown to before its first sample is not known; a counter that fell began again at zero.
// Beyond a thousand series there are no more.
func (d *DB) Growth(ctx context.Context, name string, s Steps) ([]Past, error) {
	return d.past(ctx, name, s, func(step *float64, before, now float64) {
		if math.IsNaN(before) {
			return
		}
		if now < before {
			before = 0
		}
		if math.IsNaN(*step) {
			*step = 0
		}
		*step += now - before
	})
}

// Levels returns the last value that each series of a gauge had in each of the steps, with the
// same bound.
func (d *DB) Levels(ctx context.Context, name string, s Steps) ([]Past, error) {
	return d.past(ctx, name, s, func(step *float64, _, now float64) { *step = now })
}

// past has note take each sample of the series, with the one before, NaN if there is none.
func (d *DB) past(ctx context.Context, name string, s Steps, note func(step *float64, before, now float64)) ([]Past, error) {
	from := s.start()
	q, err := d.Querier(from.Add(-s.Each).UnixMilli(), s.Until.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	named, err := labels.NewMatcher(labels.MatchEqual, model.MetricNameLabel, name)
	if err != nil {
		return nil, err
	}
	var all []Past
	var it chunkenc.Iterator
	found := q.Select(ctx, false, nil, named)
	for len(all) < maxPast && found.Next() {
		series := found.At()
		p := Past{series.Labels(), make([]float64, s.N)}
		for i := range p.Steps {
			p.Steps[i] = math.NaN()
		}
		before := math.NaN()
		it = series.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			t, v := pointOf(it, kind)
			if value.IsStaleNaN(v) {
				before = math.NaN()
				continue
			}
			if i := time.UnixMilli(t).Sub(from) / s.Each; t >= from.UnixMilli() && int(i) < s.N {
				note(&p.Steps[i], before, v)
			}
			before = v
		}
		if err := it.Err(); err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", name, err)
		}
		all = append(all, p)
	}
	return all, found.Err()
}
