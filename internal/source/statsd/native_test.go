package statsd

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/config"
)

// histogram returns what the native histogram of a name has.
func (w *world) histogram(name string) (h native.Histogram) {
	w.t.Helper()
	for _, f := range w.reg.Owned("statsd/" + w.source.deps.Name) {
		if f.Desc().Name == name {
			f.Find().ReadNative(&h)
		}
	}
	h.Threshold = 0
	return h
}

// TestNative: timers, histograms and distributions are native where the source or a mapping says
// so, over restarts. Another factor begins them anew.
func TestNative(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Native, c.Dialect = &Native{Factor: 2, MaxBuckets: 100}, DogStatsD
		c.Mappings = []Mapping{
			{Match: "own", Name: "own", Buckets: []float64{1}},
			{Match: "fine", Name: "fine", HistogramOptions: Histogram{NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBuckets: 4}},
		}
	})
	check := func(name, want string) {
		t.Helper()
		if got := fmt.Sprint(w.histogram(name)); got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
	w.send(0, "rt:1500|ms|@0.5\nrt:0|ms\nsize:-3:5|h\nown:0.5|h\nfine:1:2:4:8:16:32:1000000|d")
	w.lines(5)
	check("rt_seconds", "{0 1 3 3 {[{1 1}] [2]} {[] []} 0}")
	check("size", "{0 0 2 2 {[{3 1}] [1]} {[{2 1}] [1]} 0}")
	check("fine", "{-2 0 7 1.000063e+06 {[{0 6}] [1 4 1 0 0 1]} {[] []} 0}")
	w.has(`own_bucket{le="1"} 1`, "rt_seconds_count 3", "rt_seconds_sum 3")
	w.restart()
	w.send(0, "rt:3000|ms\nrt:1|ms|@0.3")
	w.lines(7)
	h := w.histogram("rt_seconds")
	if n := 1 / 0.3; math.Abs(h.Count-4-n) > 1e-9 || h.Whole() {
		t.Errorf("%+v", h)
	}
	w.cfg.Native = &Native{Factor: 1.1, MaxBuckets: 100}
	w.restart()
	w.send(0, "rt:3000|ms")
	w.lines(8)
	check("rt_seconds", "{3 0 1 3 {[{13 1}] [1]} {[] []} 0}")
	w.agrees()
}

// TestNativeDefaults: a file's defaults are for mappings without buckets of their own.
func TestNativeDefaults(t *testing.T) {
	f := MappingFile{
		Defaults: MappingDefaults{HistogramOptions: Histogram{NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBuckets: 7}},
		Mappings: []Mapping{{Match: "a", Name: "a"}, {Match: "b", Name: "b", Buckets: []float64{1}}, {Match: "c", Name: "c", HistogramOptions: Histogram{NativeHistogramBucketFactor: 1.5}}},
	}
	all := f.All()
	if got := fmt.Sprint(all[0].HistogramOptions, all[1].HistogramOptions, all[2].HistogramOptions); got != "{[] 1.2 7} {[] 0 0} {[] 1.5 7}" {
		t.Error(got)
	}
	bad := func(key string, o Histogram) {
		t.Helper()
		var p *config.Problem
		if err := (&Mapping{Match: "a", Name: "a", HistogramOptions: o}).Validate(); !errors.As(err, &p) || p.Key != "histogram_options."+key {
			t.Errorf("%+v: %v", o, err)
		}
	}
	bad("native_histogram_bucket_factor", Histogram{NativeHistogramBucketFactor: 1})
	bad("native_histogram_bucket_factor", Histogram{NativeHistogramMaxBuckets: 5})
	bad("native_histogram_max_buckets", Histogram{NativeHistogramBucketFactor: 2, NativeHistogramMaxBuckets: -1})
	if err := (&Native{Factor: 1}).Validate(); err == nil {
		t.Error("a factor of 1 without buckets is taken")
	}
}
