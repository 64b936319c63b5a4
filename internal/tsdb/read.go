package tsdb

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
)

// Label is a name and a value.
type Label struct{ Name, Value string }

// Sample is a value at a time in Unix milliseconds. The end of a series is a value that has
// the bits of Prometheus' marker.
type Sample struct {
	Time  int64
	Value float64
}

// Histogram is a native histogram at a time. The end of a series is one whose sum has the bits
// of Prometheus' marker.
type Histogram struct {
	Time  int64
	Value native.Histogram
}

// Series is a series of the history with some of its samples: values, or native histograms.
type Series struct {
	Labels     []Label // sorted by name
	Samples    []Sample
	Histograms []Histogram
	// Exemplars came with the rounds of these samples; they may be older.
	Exemplars []Exemplar
	// Created is when a counter of the present registry began, in Unix milliseconds; else 0.
	Created int64
}

// Name returns the name of the metric.
func (s *Series) Name() string {
	for _, l := range s.Labels {
		if l.Name == metricName {
			return l.Value
		}
	}
	return ""
}

// Await returns the time of the newest round of samples, as soon as that is after last, in
// Unix milliseconds. What is read up to then is complete: nothing is added to it any more.
// When last is of a clock that was ahead, and what it wrote is set aside, Await returns the
// time before last from which the history went on.
func (d *DB) Await(ctx context.Context, last int64) (newest int64, err error) {
	for {
		newest, resumed, changed := d.rounds.get()
		switch {
		case newest > last:
			return newest, nil
		case newest != noRound && newest < last:
			return resumed, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

// Extent returns the time of the oldest sample and how many series there are now.
func (d *DB) Extent() (oldest int64, series int, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return 0, 0, ErrNotReady
	}
	return d.oldest(), int(d.db.Head().NumSeries()), nil
}

// oldest returns the time of the oldest sample. The caller holds mu for reading.
func (d *DB) oldest() int64 {
	oldest := d.db.Head().MinTime()
	for _, b := range d.db.Blocks() {
		oldest = min(oldest, b.MinTime())
	}
	return oldest
}

// Read visits the series that have samples from one time to another, both included, in the
// order of their labels, each with those samples in the order of time. What visit gets is
// its own until it returns. The database stays open until then, so visit must not wait.
func (d *DB) Read(ctx context.Context, from, until int64, visit func(*Series)) error {
	q, err := d.Querier(from, until)
	if err != nil {
		return err
	}
	defer q.Close()
	exemplars := d.arrivals.between(from, until)
	var s Series
	var it chunkenc.Iterator
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, "", "")) // all there are
	for set.Next() {
		at := set.At()
		it = at.Iterator(it)
		s.Samples, s.Histograms = s.Samples[:0], s.Histograms[:0]
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			s.add(it, kind)
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("read samples: %w", err)
		}
		if len(s.Samples)+len(s.Histograms) == 0 {
			continue
		}
		s.Labels = s.Labels[:0]
		at.Labels().Range(func(l labels.Label) { s.Labels = append(s.Labels, Label(l)) })
		s.Created, s.Exemplars = d.begun.of(at.Labels()), nil
		if len(exemplars) > 0 {
			s.Exemplars = exemplars[at.Labels().Hash()]
		}
		visit(&s)
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("read samples: %w", err)
	}
	return nil
}

// add takes the sample that it is at.
func (s *Series) add(it chunkenc.Iterator, kind chunkenc.ValueType) {
	if kind == chunkenc.ValFloat {
		t, v := it.At()
		s.Samples = append(s.Samples, Sample{t, v})
		return
	}
	n := len(s.Histograms)
	if n < cap(s.Histograms) {
		s.Histograms = s.Histograms[:n+1] // with the memory that it had
	} else {
		s.Histograms = append(s.Histograms, Histogram{})
	}
	h := &s.Histograms[n]
	t, from := it.AtFloatHistogram(nil)
	h.Time = t
	readNative(&h.Value, from)
}

// Describe returns what the registry says of the metrics that it has now, by the names that
// their samples have.
func (d *DB) Describe() map[string]metric.Desc {
	all := map[string]metric.Desc{}
	var last *metric.Family
	d.o.Registry.Each(func(f *metric.Family, _ *metric.Series) bool {
		if f == last {
			return true
		}
		last = f
		desc := f.Desc()
		desc.Help, desc.Subject = desc.HelpText(), ""
		if desc.Kind != metric.Histogram || desc.Native != nil {
			all[desc.Name] = desc
			return true
		}
		for _, suffix := range histogramSuffixes {
			all[desc.Name+suffix] = desc
		}
		return true
	})
	return all
}

// rounds knows the newest round that is written.
type rounds struct {
	mu      sync.Mutex
	newest  int64
	resumed int64         // the newest when the database was opened
	changed chan struct{} // closed and replaced when newest changes
}

func (r *rounds) get() (newest, resumed int64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest, r.resumed, r.changed
}

// resume is set for a database that was opened.
func (r *rounds) resume(newest int64) {
	r.mu.Lock()
	r.resumed = newest
	r.mu.Unlock()
	r.set(newest)
}

func (r *rounds) set(newest int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if newest == r.newest {
		return
	}
	r.newest = newest
	close(r.changed)
	r.changed = make(chan struct{})
}

// written returns the time of the newest sample of an open database that nothing is added
// to at the moment.
func (d *DB) written() int64 {
	newest := d.db.Head().MaxTime()
	for _, b := range d.db.Blocks() {
		newest = max(newest, b.MaxTime()-1) // a block ends before its maximum
	}
	return newest
}

// begun knows when the counters of the registry began, by the labels of their samples.
type begun struct {
	mu sync.Mutex
	at map[uint64]int64 // Unix milliseconds by the hash of labels
}

func (b *begun) of(set labels.Labels) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at[set.Hash()]
}

func (b *begun) add(s *metric.Series, sets []labels.Labels) {
	if s.Family().Kind() == metric.Gauge {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, set := range sets {
		b.at[set.Hash()] = s.Created().UnixMilli()
	}
}

// remove forgets a series, unless another one has come in its place.
func (b *begun) remove(s *metric.Series, sets []labels.Labels) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, set := range sets {
		if b.at[set.Hash()] == s.Created().UnixMilli() {
			delete(b.at, set.Hash())
		}
	}
}

// noRound is the time of the newest round when there is none.
const noRound = math.MinInt64
