// Package native knows the buckets of Prometheus' native histograms, and writes such a
// histogram as the fields that the exposition format and remote write have alike.
//
// With schema s each power of two is divided into 2^s buckets; with a negative one a bucket
// covers 2^-s powers of two. Bucket i has the values above Bound(i-1, s) up to Bound(i, s), of
// negative values those of the same amount. Values whose amount is at most ZeroThreshold are
// in a bucket of their own.
//
//	i := native.Index(0.25, 3)
//	b = native.Append(b, native.RemoteWrite, &histogram)
//
// The package leaves out who counts, and how many buckets there may be.
package native

import (
	"math"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

// The schemas that Prometheus knows.
const (
	MinSchema = -4
	MaxSchema = 8
)

// ZeroThreshold is the greatest amount that counts as zero: 2^-128, as in Prometheus' client
// libraries.
const ZeroThreshold = 1.0 / (1 << 64) / (1 << 64)

// Schema returns the schema of the widest buckets each of which ends at most factor above
// where it begins, as the client libraries choose it. factor is more than 1.
func Schema(factor float64) int {
	return int(max(MinSchema, min(MaxSchema, -math.Floor(math.Log2(math.Log2(factor))))))
}

// Index returns the bucket of a value's amount, which is no NaN and above ZeroThreshold.
// Infinity has a bucket behind that of the greatest number.
func Index(v float64, schema int) int32 {
	v = math.Abs(v)
	if math.IsInf(v, 0) {
		return Index(math.MaxFloat64, schema) + 1
	}
	frac, exp := math.Frexp(v) // frac*2^exp, frac from 0.5 up to 1
	if schema <= 0 {
		if frac == 0.5 { // a power of two ends a bucket
			exp--
		}
		return int32((exp + 1<<-schema - 1) >> -schema)
	}
	stride := MaxSchema - schema
	low, high := 0, 1<<schema // the first bound that frac does not pass is in low..high
	for low < high {
		if mid := (low + high) / 2; bounds[mid<<stride] < frac {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return int32(low + (exp-1)<<schema)
}

// Bound returns the greatest amount that is in a bucket.
func Bound(index int32, schema int) float64 {
	if schema <= 0 {
		return bound(0.5, int(index)<<-schema+1)
	}
	within := int(index) & (1<<schema - 1)
	return bound(bounds[within<<(MaxSchema-schema)], int(index)>>schema+1)
}

// bound returns frac*2^exp. The last bucket of numbers would end at infinity, which has one of
// its own.
func bound(frac float64, exp int) float64 {
	if frac == 0.5 && exp == 1025 {
		return math.MaxFloat64
	}
	return math.Ldexp(frac, exp)
}

// Halve returns the bucket that has the values of a bucket once all became twice as wide, so
// many times.
func Halve(index int32, times uint8) int32 { return (index-1)>>times + 1 }

// Last returns the last of the buckets that Halve makes one of.
func Last(halved int32, times uint8) int32 { return halved << times }

// Span is a run of buckets.
type Span struct {
	// Offset is how many buckets are left out before it; of the first, where it begins.
	Offset int32
	Length uint32
}

// Buckets are those of one sign that are not empty, and perhaps some that are.
type Buckets struct {
	Spans  []Span
	Counts []float64 // not cumulative
}

// MaxEmpty is how many empty buckets Add writes out before one, since a new span takes as much
// room.
const MaxEmpty = 2

// Add appends a bucket, which is behind all that are there. last is the one before.
func (b *Buckets) Add(index, last int32, count float64) {
	n := len(b.Spans)
	switch gap := index - last - 1; {
	case n == 0:
		b.Spans = append(b.Spans, Span{Offset: index, Length: 1})
	case gap > MaxEmpty:
		b.Spans = append(b.Spans, Span{Offset: gap, Length: 1})
	default:
		for range gap {
			b.Counts = append(b.Counts, 0)
		}
		b.Spans[n-1].Length += uint32(gap) + 1
	}
	b.Counts = append(b.Counts, count)
}

// Reset empties b and keeps its memory.
func (b *Buckets) Reset() { b.Spans, b.Counts = b.Spans[:0], b.Counts[:0] }

// Histogram is what a native histogram has at a moment.
type Histogram struct {
	Schema    int32
	Zero      float64 // count of what is in the bucket of zero
	Count     float64 // of all, NaN included, which is in no bucket
	Sum       float64
	Positive  Buckets
	Negative  Buckets
	Threshold float64 // of the bucket of zero
}

// Reset empties h and keeps its memory.
func (h *Histogram) Reset() {
	h.Positive.Reset()
	h.Negative.Reset()
	*h = Histogram{Positive: h.Positive, Negative: h.Negative}
}

// maxWhole is the bound below which every whole number is a float64.
const maxWhole = 1 << 53

// Whole tells whether all counts of h are whole numbers, as they are but for samples that
// stand for a part of another.
func (h *Histogram) Whole() bool {
	return isWhole(h.Count) && isWhole(h.Zero) && h.Positive.whole() && h.Negative.whole()
}

func (b *Buckets) whole() bool {
	for _, n := range b.Counts {
		if !isWhole(n) {
			return false
		}
	}
	return true
}

func isWhole(n float64) bool { return n >= 0 && n < maxWhole && n == math.Trunc(n) }

// Message is which message a histogram is a part of: its fields have the same order in both.
type Message uint32

// The messages, as the number of their field with the schema.
const (
	// RemoteWrite is prometheus.Histogram and io.prometheus.write.v2.Histogram.
	RemoteWrite Message = 4
	// Exposition is io.prometheus.client.Histogram.
	Exposition Message = 5
)

// The fields of both messages, from that of the schema.
const (
	schemaField = iota
	thresholdField
	zeroField
	zeroFloatField
	negativeField
	positiveField = negativeField + 3
)

// The fields of a run of buckets, from that of its spans.
const (
	spanField = iota
	deltaField
	countField
)

// Append appends the fields about buckets. Counts are integers if all of them are.
func Append(dst []byte, m Message, h *Histogram) []byte {
	first, whole := uint32(m), h.Whole()
	dst = protobuf.AppendSigned(dst, first+schemaField, int64(h.Schema))
	dst = protobuf.AppendFloat(dst, first+thresholdField, h.Threshold)
	if whole {
		dst = protobuf.AppendNumber(dst, first+zeroField, uint64(h.Zero))
	} else {
		dst = protobuf.AppendFloat(dst, first+zeroFloatField, h.Zero)
	}
	dst = h.Negative.append(dst, first+negativeField, whole)
	return h.Positive.append(dst, first+positiveField, whole)
}

// The fields of a span.
const spanOffset, spanLength = 1, 2

func (b *Buckets) append(dst []byte, first uint32, whole bool) []byte {
	if len(b.Spans) == 0 {
		return dst
	}
	var at int
	for _, s := range b.Spans {
		dst, at = protobuf.Open(dst, first+spanField)
		dst = protobuf.AppendSigned(dst, spanOffset, int64(s.Offset))
		dst = protobuf.AppendNumber(dst, spanLength, uint64(s.Length))
		dst = protobuf.Close(dst, at)
	}
	if whole {
		dst, at = protobuf.Open(dst, first+deltaField)
		last := int64(0)
		for _, n := range b.Counts {
			dst = protobuf.AppendRawSigned(dst, int64(n)-last)
			last = int64(n)
		}
	} else {
		dst, at = protobuf.Open(dst, first+countField)
		for _, n := range b.Counts {
			dst = protobuf.AppendRawFloat(dst, n)
		}
	}
	return protobuf.Close(dst, at)
}
