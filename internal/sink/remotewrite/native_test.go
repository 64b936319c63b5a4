package remotewrite

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/codec/remotewrite/remotewritetest"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/tsdb"
)

// TestNativeWindow has native histograms and exemplars in the requests, within their bounds, or
// neither, as the configuration says.
func TestNativeWindow(t *testing.T) {
	series := &tsdb.Series{
		Labels:    []tsdb.Label{{Name: "__name__", Value: "rt_seconds"}},
		Exemplars: []tsdb.Exemplar{{Labels: []tsdb.Label{{Name: "trace_id", Value: "t"}}, Value: 3, Time: 7}},
	}
	for i := range int64(10) {
		h := tsdb.Histogram{Time: 15 * i, Value: native.Histogram{Count: float64(i)}}
		h.Value.Positive.Add(1, 0, float64(i))
		series.Histograms = append(series.Histograms, h)
	}
	counter := &tsdb.Series{Labels: []tsdb.Label{{Name: "__name__", Value: "hits_total"}}, Samples: []tsdb.Sample{{Time: 15, Value: 1}}, Exemplars: series.Exemplars}
	check := func(c Config, wantHistograms, wantExemplars, wantRequests int) {
		t.Helper()
		w := newWindow(c)
		w.described = map[string]metric.Desc{}
		w.reset()
		w.add(counter)
		w.add(series)
		w.flush()
		histograms, exemplars, samples := 0, 0, 0
		for _, r := range w.requests {
			samples += r.samples
			body, err := compress.UncompressSnappy(nil, r.body, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			read := remotewritetest.ReadV1
			if c.Protocol == V2 {
				read = remotewritetest.ReadV2
			}
			all, err := read(body)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				for _, h := range s.Histograms {
					if h.Time != int64(15*histograms) || h.Value.Count != float64(histograms) {
						t.Errorf("%+v", h)
					}
					histograms++
				}
				for _, e := range s.Exemplars {
					if fmt.Sprint(e) != fmt.Sprint(remotewrite.Exemplar{Labels: []remotewrite.Label{{Name: "trace_id", Value: "t"}}, Value: 3, Time: 7}) {
						t.Errorf("%+v", e)
					}
					exemplars++
				}
			}
		}
		if histograms != wantHistograms || exemplars != wantExemplars || len(w.requests) != wantRequests || samples != 1+wantHistograms {
			t.Errorf("%+v: %d histograms, %d exemplars, %d samples in %d requests", c, histograms, exemplars, samples, len(w.requests))
		}
	}
	for _, p := range []Protocol{V1, V2} {
		c := Default()
		c.Protocol = p
		check(c, 10, 0, 1)
		c.SendExemplars, c.MaxSamples = true, 4
		check(c, 10, 2, 3)
		c.SendNativeHistograms = false
		check(c, 0, 1, 1)
	}
}
