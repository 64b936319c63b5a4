package tsdb

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier implements storage.Queryable. The database stays open until the querier is closed.
// It does not wait: who comes while the database is being closed, to be opened again, is told
// that it is not open.
func (d *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	if d.closing.Load() || !d.mu.TryRLock() {
		return nil, ErrNotReady
	}
	if d.db == nil {
		d.mu.RUnlock()
		return nil, ErrNotReady
	}
	q, err := d.db.Querier(mint, maxt)
	if err != nil {
		d.mu.RUnlock()
		d.doubt(err)
		return nil, err
	}
	return &querier{Querier: q, watch: watch{&d.closing, d.doubt}, release: sync.OnceFunc(d.mu.RUnlock)}, nil
}

// querier keeps the database from being closed, but ends soon when it shall be.
type querier struct {
	storage.Querier
	watch
	release func()
}

// watch is what everything that reads for a query knows.
type watch struct {
	closing *atomic.Bool
	doubt   func(error) // takes what could not be read
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return &seriesSet{SeriesSet: q.Querier.Select(ctx, sorted, hints, matchers...), watch: q.watch}
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values, notes, err := q.Querier.LabelValues(ctx, name, hints, matchers...)
	q.doubt(err)
	return values, notes, err
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names, notes, err := q.Querier.LabelNames(ctx, hints, matchers...)
	q.doubt(err)
	return names, notes, err
}

// Close implements storage.Querier.
func (q *querier) Close() error {
	defer q.release()
	return q.Querier.Close()
}

type seriesSet struct {
	storage.SeriesSet
	watch
	stopped bool
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	s.stopped = s.stopped || s.closing.Load()
	return !s.stopped && s.SeriesSet.Next()
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return &series{s.SeriesSet.At(), s.watch} }

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error {
	if s.stopped {
		return ErrNotReady
	}
	err := s.SeriesSet.Err()
	s.doubt(err)
	return err
}

type series struct {
	storage.Series
	watch
}

// Iterator implements storage.Series.
func (s *series) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*iterator)
	if !ok {
		it = &iterator{}
	}
	it.Iterator, it.watch = s.Series.Iterator(it.Iterator), s.watch
	it.stopped = false
	return it
}

// iterator ends when the database shall be closed, and tells of the samples that it could not
// read.
type iterator struct {
	chunkenc.Iterator
	watch
	stopped bool
}

// Next implements chunkenc.Iterator.
func (i *iterator) Next() chunkenc.ValueType {
	if i.stopped = i.stopped || i.closing.Load(); i.stopped {
		return chunkenc.ValNone
	}
	return i.Iterator.Next()
}

// Err implements chunkenc.Iterator.
func (i *iterator) Err() error {
	if i.stopped {
		return ErrNotReady
	}
	err := i.Iterator.Err()
	i.doubt(err)
	return err
}
