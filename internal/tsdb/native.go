package tsdb

import (
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
)

// errNative means that a native histogram is not one that the database takes.
var errNative = errors.New("not a native histogram")

// shootNative is shoot for a native histogram, and tells whether s is one.
func (f *feed) shootNative(s *metric.Series) bool {
	n := len(f.natives)
	if n < cap(f.natives) {
		f.natives = f.natives[:n+1] // with the memory that it had
	} else {
		f.natives = append(f.natives, native.Histogram{})
	}
	if !s.ReadNative(&f.natives[n]) {
		f.natives = f.natives[:n]
		return false
	}
	f.shot = append(f.shot, seen{series: s, first: n, native: true})
	return true
}

// sampled is a native histogram at a time.
type sampled struct {
	labels labels.Labels
	time   int64
	value  *native.Histogram
}

// appendNative appends a native histogram, of which the database keeps a copy of its own: of
// integers where all counts are.
func appendNative(app storage.Appender, ref storage.SeriesRef, s sampled) (storage.SeriesRef, error) {
	if !s.value.Whole() {
		h := floatHistogram(s.value)
		return refused(h.Validate)(app.AppendHistogram(ref, s.labels, s.time, nil, h))
	}
	h := &histogram.Histogram{
		Schema: s.value.Schema, ZeroThreshold: s.value.Threshold, ZeroCount: uint64(s.value.Zero), Count: uint64(s.value.Count), Sum: s.value.Sum,
		PositiveSpans: spans(s.value.Positive.Spans), NegativeSpans: spans(s.value.Negative.Spans),
		PositiveBuckets: deltas(s.value.Positive.Counts), NegativeBuckets: deltas(s.value.Negative.Counts),
	}
	return refused(h.Validate)(app.AppendHistogram(ref, s.labels, s.time, h, nil))
}

// refused tells the error of one sample, which is not right, from one of the database.
func refused(validate func() error) func(storage.SeriesRef, error) (storage.SeriesRef, error) {
	return func(ref storage.SeriesRef, err error) (storage.SeriesRef, error) {
		if err == nil {
			return ref, nil
		}
		if wrong := validate(); wrong != nil {
			err = fmt.Errorf("%w: %w", errNative, wrong)
		}
		return ref, err
	}
}

func floatHistogram(h *native.Histogram) *histogram.FloatHistogram {
	return &histogram.FloatHistogram{
		Schema: h.Schema, ZeroThreshold: h.Threshold, ZeroCount: h.Zero, Count: h.Count, Sum: h.Sum,
		PositiveSpans: spans(h.Positive.Spans), NegativeSpans: spans(h.Negative.Spans),
		PositiveBuckets: append([]float64(nil), h.Positive.Counts...), NegativeBuckets: append([]float64(nil), h.Negative.Counts...),
	}
}

func spans(all []native.Span) (made []histogram.Span) {
	for _, s := range all {
		made = append(made, histogram.Span(s))
	}
	return made
}

// deltas returns each count less the one before.
func deltas(counts []float64) []int64 {
	made := make([]int64, len(counts))
	last := int64(0)
	for i, n := range counts {
		made[i] = int64(n) - last
		last = int64(n)
	}
	return made
}

// readNative puts what the database has into h, whose memory it uses again.
func readNative(h *native.Histogram, from *histogram.FloatHistogram) {
	h.Reset()
	h.Schema, h.Threshold, h.Zero, h.Count, h.Sum = from.Schema, from.ZeroThreshold, from.ZeroCount, from.Count, from.Sum
	readBuckets(&h.Positive, from.PositiveSpans, from.PositiveBuckets)
	readBuckets(&h.Negative, from.NegativeSpans, from.NegativeBuckets)
}

// readBuckets leaves out buckets that are empty: a chunk writes all that any of its samples has.
func readBuckets(into *native.Buckets, spans []histogram.Span, counts []float64) {
	index, last := int32(0), int32(0)
	for _, s := range spans {
		index += s.Offset
		for range s.Length {
			if counts[0] != 0 {
				into.Add(index, last, counts[0])
				last = index
			}
			counts = counts[1:]
			index++
		}
	}
}

// pointOf returns the sample that it is at: a value, or how many values a native histogram had
// seen. The end of a series is the marker in both.
func pointOf(it chunkenc.Iterator, kind chunkenc.ValueType) (t int64, v float64) {
	if kind == chunkenc.ValFloat {
		return it.At()
	}
	t, h := it.AtFloatHistogram(nil)
	if value.IsStaleNaN(h.Sum) {
		return t, math.Float64frombits(value.StaleNaN)
	}
	return t, h.Count
}
