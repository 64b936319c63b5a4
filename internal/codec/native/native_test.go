package native_test

import (
	"math"
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/codec/native"
)

// TestSchema has the factors that Prometheus' documentation names.
func TestSchema(t *testing.T) {
	for factor, want := range map[float64]int{1.00271: 8, 1.003: 8, 1.006: 7, 1.05: 4, 1.1: 3, 1.2: 2, 1.5: 1, 2: 0, 4: -1, 16: -2, 65535: -3, 65536: -4, 1e9: -4, 1.0000001: 8} {
		if got := native.Schema(factor); got != want {
			t.Errorf("factor %v: schema %d; want %d", factor, got, want)
		}
	}
}

// TestBounds: a bound is in the bucket that it ends, the next number in the next one.
func TestBounds(t *testing.T) {
	for schema := native.MinSchema; schema <= native.MaxSchema; schema++ {
		last := native.Index(math.MaxFloat64, schema)
		for i := native.Index(math.Nextafter(native.ZeroThreshold, 1), schema); i < last; i += 1 + max(0, last/997) {
			bound := native.Bound(i, schema)
			if at, after := native.Index(bound, schema), native.Index(math.Nextafter(bound, math.Inf(1)), schema); at != i || after != i+1 {
				t.Fatalf("schema %d: the bound %v of %d is in %d, the next number in %d", schema, bound, i, at, after)
			}
			if native.Index(-bound, schema) != i {
				t.Fatalf("schema %d: %v is not where %v is", schema, -bound, bound)
			}
		}
		if native.Bound(last, schema) != math.MaxFloat64 || native.Index(math.Inf(-1), schema) != last+1 || !math.IsInf(native.Bound(last+1, schema), 1) {
			t.Errorf("schema %d: infinity is in %d, the greatest number in %d, up to %v", schema, native.Index(math.Inf(1), schema), last, native.Bound(last, schema))
		}
	}
}

// TestHalve: wider buckets have what those had which they are made of.
func TestHalve(t *testing.T) {
	values := []float64{1e-38, 0.001, 0.5, 0.7, 1, 1.0000001, 2, 3, 1e10, math.MaxFloat64, math.Inf(1)}
	for schema := native.MinSchema; schema <= native.MaxSchema; schema++ {
		for times := 0; schema-times >= native.MinSchema; times++ {
			for _, v := range values {
				i := native.Index(v, schema)
				want := native.Index(v, schema-times)
				if got := native.Halve(i, uint8(times)); got != want {
					t.Errorf("%v: bucket %d of schema %d, halved %d times: %d; want %d", v, i, schema, times, got, want)
				}
				if got := native.Halve(native.Last(want, uint8(times)), uint8(times)); got != want {
					t.Errorf("%v: the last bucket of %d is in %d", v, want, got)
				}
			}
		}
	}
}

// TestSpans writes small gaps out and leaves large ones out.
func TestSpans(t *testing.T) {
	var b native.Buckets
	last := int32(0)
	for _, i := range []int32{-7, -6, -3, 1, 2} {
		b.Add(i, last, float64(i+8))
		last = i
	}
	if !slices.Equal(b.Spans, []native.Span{{Offset: -7, Length: 5}, {Offset: 3, Length: 2}}) || !slices.Equal(b.Counts, []float64{1, 2, 0, 0, 5, 9, 10}) {
		t.Errorf("%v %v", b.Spans, b.Counts)
	}
}

// TestWhole tells counts from parts of them.
func TestWhole(t *testing.T) {
	h := native.Histogram{Count: 3, Positive: native.Buckets{Counts: []float64{1, 2}}}
	if !h.Whole() {
		t.Error("whole counts are not")
	}
	for _, n := range []float64{0.5, -1, math.NaN(), math.Inf(1), 1 << 54} {
		h.Positive.Counts[1] = n
		if h.Whole() {
			t.Errorf("%v is whole", n)
		}
	}
}

// FuzzIndex holds the bucket of a value against its bounds, in all schemas.
func FuzzIndex(f *testing.F) {
	for _, v := range []float64{1, 0.5, 0.1, 3, 1e300, math.MaxFloat64, 5e-324, 1.5e-38, math.Inf(1)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		if v = math.Abs(v); !(v > native.ZeroThreshold) {
			return
		}
		for schema := native.MinSchema; schema <= native.MaxSchema; schema++ {
			i := native.Index(v, schema)
			if !(v <= native.Bound(i, schema)) || !(v > native.Bound(i-1, schema)) {
				t.Fatalf("schema %d: %v is in bucket %d, from %v up to %v", schema, v, i, native.Bound(i-1, schema), native.Bound(i, schema))
			}
		}
	})
}
