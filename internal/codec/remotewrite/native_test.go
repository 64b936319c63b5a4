package remotewrite_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/codec/remotewrite/remotewritetest"
)

// fine returns a series with native histograms and exemplars.
func fine() remotewrite.Series {
	whole := native.Histogram{Schema: 3, Threshold: native.ZeroThreshold, Zero: 2, Count: 12, Sum: -1.5,
		Positive: native.Buckets{Spans: []native.Span{{Offset: -7, Length: 2}, {Offset: 4, Length: 1}}, Counts: []float64{5, 1, 2}},
		Negative: native.Buckets{Spans: []native.Span{{Offset: 0, Length: 1}}, Counts: []float64{2}},
	}
	parts := whole
	parts.Schema, parts.Zero, parts.Sum = -4, 0.25, stale
	return remotewrite.Series{
		Labels:     []remotewrite.Label{{"__name__", "rt_seconds"}, {"path", "/"}},
		Histograms: []remotewrite.Histogram{{1700000000000, whole}, {1700000015000, parts}, {1700000030000, native.Histogram{}}},
		Exemplars:  []remotewrite.Exemplar{{[]remotewrite.Label{{"span_id", "s"}, {"trace_id", "t"}}, 0.5, 1699999999000}, {nil, 1, 5}},
		Type:       remotewrite.HistogramType, Help: "Times.", Start: 1600000000000,
	}
}

// TestNative reads native histograms and exemplars that were written.
func TestNative(t *testing.T) {
	want := fine()
	var v1 remotewrite.V1
	var v2 remotewrite.V2
	v1.Add(&want)
	v2.Add(&want)
	got, err := remotewritetest.ReadV2(v2.Body())
	if err != nil || len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("version 2: %v, %v\nwant %v", got, err, want)
	}
	if math.Float64bits(got[0].Histograms[1].Value.Sum) != math.Float64bits(stale) {
		t.Error("the end of a series is another NaN")
	}
	// Version 1 has the exemplars behind the histograms, in a series of their own.
	got, err = remotewritetest.ReadV1(v1.Body())
	want.Type, want.Help, want.Start = 0, "", 0
	exemplars := remotewrite.Series{Labels: want.Labels, Exemplars: want.Exemplars}
	want.Exemplars = nil
	if err != nil || len(got) != 2 || fmt.Sprint(got) != fmt.Sprint([]remotewrite.Series{want, exemplars}) {
		t.Errorf("version 1: %v, %v\nwant %v", got, err, want)
	}
	x := fine()
	if n := testing.AllocsPerRun(100, func() {
		v1.Reset()
		v2.Reset()
		v1.Add(&x)
		v2.Add(&x)
		v2.Body()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzNative writes a histogram of any numbers and reads it again.
func FuzzNative(f *testing.F) {
	f.Add(int32(3), int32(-7), uint8(3), 5.0, 1.0, 2.5, int64(1700000000000))
	f.Add(int32(-4), int32(math.MinInt32), uint8(0), -1.0, math.NaN(), math.Inf(1), int64(-1))
	f.Fuzz(func(t *testing.T, schema, offset int32, length uint8, a, b, sum float64, at int64) {
		h := native.Histogram{Schema: schema, Threshold: b, Zero: a, Count: a + b, Sum: sum}
		for _, side := range []*native.Buckets{&h.Positive, &h.Negative} {
			side.Spans = []native.Span{{Offset: offset, Length: uint32(length)}}
			for i := range int(length) {
				side.Counts = append(side.Counts, []float64{a, b, 0}[i%3])
			}
			offset++
		}
		want := remotewrite.Series{Histograms: []remotewrite.Histogram{{at, h}}, Exemplars: []remotewrite.Exemplar{{nil, a, at}}}
		var v1 remotewrite.V1
		var v2 remotewrite.V2
		v1.Add(&want)
		v2.Add(&want)
		got, err := remotewritetest.ReadV1(v1.Body())
		if err != nil || len(got) != 2 || fmt.Sprint(got[0].Histograms) != fmt.Sprint(want.Histograms) || fmt.Sprint(got[1].Exemplars) != fmt.Sprint(want.Exemplars) {
			t.Fatalf("version 1: %v, %v; want %v", got, err, want)
		}
		got, err = remotewritetest.ReadV2(v2.Body())
		if err != nil || len(got) != 1 || fmt.Sprint(got[0].Histograms, got[0].Exemplars) != fmt.Sprint(want.Histograms, want.Exemplars) {
			t.Fatalf("version 2: %v, %v; want %v", got, err, want)
		}
	})
}
