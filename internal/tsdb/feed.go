package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
)

// feed is what taking samples needs from one round to the next.
type feed struct {
	known  map[*metric.Series]*tracked
	round  uint64
	shot   []seen    // the series of this round
	values []float64 // of their samples
	// natives are the native histograms of this round.
	natives   []native.Histogram
	exemplars []shotExemplar
	failed    bool // the last round was not written, so what the database knows is in doubt
}

// seen is a series of the registry, and where its values begin, or its native histogram is.
type seen struct {
	series *metric.Series
	first  int
	native bool
}

// tracked is what the database knows a series of the registry as: one series for a counter
// or a gauge, several for a histogram.
type tracked struct {
	labels []labels.Labels
	refs   []storage.SeriesRef
	round  uint64 // in which it was last seen
	// exemplified is the number of the newest exemplar that was added.
	exemplified uint64
}

// errClock keeps samples of the past out: the database has newer ones already.
var errClock = errors.New("the clock is before the newest sample of the history")

// take writes a sample of each series at now, and an end for those that are gone. A round
// that cannot be written is dropped and counted.
func (d *DB) take(ctx context.Context, now time.Time) {
	d.shoot()
	ts := now.UnixMilli()
	d.dropBroken()
	err := d.ready(ctx)
	if err == nil {
		err = d.write(ctx, ts)
	}
	ahead := errors.Is(err, errClock) && isAhead(d.db, ts) && oldestOf(d.db) <= ts || err == nil && d.hasty
	if ahead && d.settled() || err == nil && d.feed.failed {
		// Something was not written before. Only what the disk has counts, so it is read
		// again before anything is added to it. Opening also sets aside what is ahead.
		err = d.again(ctx, ts)
	}
	if err != nil {
		d.o.Health.Dropped("round", 1)
		d.feed.failed = d.feed.failed || !errors.Is(err, errClock)
	} else {
		d.feed.failed = false
	}
	d.tell(feeding, err)
}

// ready opens the database if again could not.
func (d *DB) ready(ctx context.Context) error {
	if d.db != nil { // nobody else sets it
		return nil
	}
	return d.open(ctx)
}

// again opens the database anew and repeats a round.
func (d *DB) again(ctx context.Context, ts int64) error {
	d.shut()
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.write(ctx, ts)
}

// shut closes the database, to open it again.
func (d *DB) shut() {
	for _, t := range d.feed.known {
		clear(t.refs) // they may come to mean other series
	}
	if err := d.close(); err != nil {
		d.o.Log.Warn("close the history", "error", err)
	}
}

// shoot copies the numbers out of the registry, which must not wait for a disk.
func (d *DB) shoot() {
	f := &d.feed
	f.shot, f.values, f.natives, f.exemplars = f.shot[:0], f.values[:0], f.natives[:0], f.exemplars[:0]
	d.o.Registry.Collect()
	d.o.Registry.Each(func(family *metric.Family, s *metric.Series) bool {
		if s.IsUnset() {
			return true
		}
		f.shootExemplars(s)
		if f.shootNative(s) {
			return true
		}
		f.shot = append(f.shot, seen{series: s, first: len(f.values)})
		if s.Cells() == 1 {
			f.values = append(f.values, s.Value())
			return true
		}
		count := 0.0
		for i := range s.Cells() - 1 {
			count += s.Cell(i)
			f.values = append(f.values, count)
		}
		f.values = append(f.values, s.Cell(s.Cells()-1), count)
		return true
	})
}

// write appends what was shot, and commits it.
func (d *DB) write(ctx context.Context, ts int64) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if newest := d.db.Head().MaxTime(); newest != math.MinInt64 && ts <= newest {
		if ts == newest {
			return nil // the last round of a run may be at the time of the one before
		}
		return fmt.Errorf("%w, of %s", errClock, time.UnixMilli(newest).UTC().Format(time.RFC3339))
	}
	f := &d.feed
	f.round++
	app := d.db.Appender(ctx)
	fresh, dropped, err := d.append(app, ts)
	if err == nil {
		err = d.end(app, ts, fresh)
	}
	if err == nil {
		d.appendExemplars(app, ts)
	}
	if err != nil {
		return errors.Join(err, app.Rollback())
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	d.rounds.set(ts)
	for s, t := range f.known {
		if t.round != f.round {
			delete(f.known, s)
			d.begun.remove(s, t.labels)
		}
	}
	if dropped > 0 {
		d.o.Health.Dropped("sample", dropped)
	}
	d.numbers.samples.Add(float64(len(f.values) + len(f.natives) - dropped))
	return nil
}

// append adds the samples of a round. It returns what the database has got to know in it,
// and how many samples it did not take.
func (d *DB) append(app storage.Appender, ts int64) (fresh map[storage.SeriesRef]bool, dropped int, err error) {
	f := &d.feed
	for _, s := range f.shot {
		t := f.known[s.series]
		isNew := t == nil
		if isNew {
			sets := d.labelSets(s.series)
			t = &tracked{labels: sets, refs: make([]storage.SeriesRef, len(sets))}
			f.known[s.series] = t
			d.begun.add(s.series, sets)
		}
		t.round = f.round
		for i, set := range t.labels {
			ref, err := t.refs[i], error(nil)
			if s.native {
				ref, err = appendNative(app, ref, sampled{set, ts, &f.natives[s.first]})
			} else {
				ref, err = app.Append(ref, set, ts, f.values[s.first+i])
			}
			switch {
			case err == nil:
				t.refs[i] = ref
			case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrDuplicateSampleForTimestamp), errors.Is(err, errNative):
				dropped++
				continue
			default:
				return nil, 0, fmt.Errorf("append sample: %w", err)
			}
			if isNew {
				if fresh == nil {
					fresh = map[storage.SeriesRef]bool{}
				}
				fresh[ref] = true
			}
		}
	}
	return fresh, dropped, nil
}

// end marks the series that were not seen in this round as ended, so that no query takes
// their last value for one of now. A series that has gone and come back is not one of them:
// the registry has another one for it, the database the same.
func (d *DB) end(app storage.Appender, ts int64, fresh map[storage.SeriesRef]bool) error {
	f := &d.feed
	if len(f.known) == len(f.shot) {
		return nil
	}
	stale := math.Float64frombits(value.StaleNaN)
	for _, t := range f.known {
		if t.round == f.round {
			continue
		}
		for i, set := range t.labels {
			if fresh[t.refs[i]] {
				continue
			}
			if _, err := app.Append(t.refs[i], set, ts, stale); err != nil && !errors.Is(err, storage.ErrOutOfOrderSample) && !errors.Is(err, storage.ErrOutOfBounds) {
				return fmt.Errorf("end series: %w", err)
			}
		}
	}
	return nil
}

// labelSets returns the labels of all series that one of the registry is here, in the order
// of their values.
func (d *DB) labelSets(s *metric.Series) []labels.Labels {
	desc := s.Family().Desc()
	set := func(suffix, limit string) labels.Labels {
		b := labels.NewScratchBuilder(8)
		add := func(name, value string) {
			if value != "" { // as in Prometheus, an empty label is an absent one
				b.Add(name, value)
			}
		}
		add(metricName, desc.Name+suffix)
		add("le", limit)
		for _, l := range d.o.Registry.Constant() {
			add(l.Name, l.Value)
		}
		for _, l := range s.Labels() {
			add(l.Name, l.Value)
		}
		if s.IsOverflow() {
			add(metric.OverflowLabel, "true")
		}
		b.Sort()
		return b.Labels()
	}
	if desc.Kind != metric.Histogram || desc.Native != nil {
		return []labels.Labels{set("", "")}
	}
	sets := make([]labels.Labels, 0, len(desc.Buckets)+3)
	for _, limit := range desc.Buckets {
		sets = append(sets, set(bucketSuffix, formatLimit(limit)))
	}
	return append(sets, set(bucketSuffix, "+Inf"), set("_sum", ""), set("_count", ""))
}

// metricName is the label that has the name of the metric.
const metricName = model.MetricNameLabel

const bucketSuffix = "_bucket"

// histogramSuffixes are the ends of the names that a histogram has.
var histogramSuffixes = [...]string{bucketSuffix, "_sum", "_count"}

// formatLimit writes a bucket's limit as OpenMetrics does, and so whoever scrapes /metrics:
// one can see that it is a float.
func formatLimit(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}
