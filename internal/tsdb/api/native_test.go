package api_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/tsdb/api"
)

// openNative returns a database with an hour of native histograms of several schemas, of
// integers and of floats, and with exemplars.
func openNative(t *testing.T, dir string) *tsdb.DB {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.EnableExemplarStorage, o.MaxExemplars = true, 1000
	db, err := tsdb.Open(dir, nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for round := range int64(240) {
		app := db.Appender(context.Background())
		ts := start.Add(time.Duration(round) * 15 * time.Second).UnixMilli()
		for i, path := range []string{"/", "/slow", "/parts"} {
			set := labels.FromStrings("__name__", "fine_seconds", "path", path, "machine", "web-1")
			n := uint64(round)
			h := &histogram.Histogram{
				Schema: int32(3 - i), ZeroThreshold: 1e-128, ZeroCount: n, Count: 7 * n, Sum: float64(n) * 12.5,
				PositiveSpans: []histogram.Span{{Offset: -3, Length: 2}, {Offset: 5, Length: 1}}, PositiveBuckets: []int64{int64(n), int64(n), -int64(n)},
				NegativeSpans: []histogram.Span{{Offset: 1, Length: 1}}, NegativeBuckets: []int64{int64(2 * n)},
			}
			var parts *histogram.FloatHistogram
			if path == "/parts" {
				parts = h.ToFloat(nil)
				parts.Count, parts.ZeroCount, h = parts.Count+0.5, parts.ZeroCount+0.5, nil
			}
			ref, err := app.AppendHistogram(0, set, ts, h, parts)
			if err != nil {
				t.Fatal(err)
			}
			if round%20 == 0 {
				e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", fmt.Sprint("t", round), "span_id", `"s"`), Value: float64(round) / 8, Ts: ts - 1500, HasTs: true}
				if _, err := app.AppendExemplar(ref, set, e); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// TestNativeSameAsPrometheus asks Debian's Prometheus, on a copy of a database with native
// histograms and exemplars, what it asks us.
func TestNativeSameAsPrometheus(t *testing.T) {
	dir := t.TempDir()
	s, _ := newAPI(t, openNative(t, dir), api.Limits{})
	copied := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(copied, "lock"))
	prom := realtest.StartPrometheus(t, realtest.PrometheusConfig{Dir: copied, Features: "native-histograms,exemplar-storage"})
	compare := func(path string, parameters ...string) {
		t.Helper()
		status, body := ask(t, s.URL, path, parameters...)
		wantStatus, want := ask(t, prom.URL, path, parameters...)
		got, wanted := data(t, body), data(t, want)
		inOrder(t, got)
		inOrder(t, wanted)
		if status != 200 || wantStatus != 200 || !same(got, wanted) {
			t.Errorf("%s %q: weir %d\n%.300s\nPrometheus %d\n%.300s", path, parameters, status, body, wantStatus, want)
		}
	}
	compare("/api/v1/query", "query=fine_seconds", "time="+at(3007))
	for _, path := range []string{"/", "/slow", "/parts"} { // one by one: 2.42 mixes series up
		for _, query := range []string{
			"fine_seconds", "rate(fine_seconds[5m])", "sum(rate(fine_seconds[5m]))", "sum by (path) (increase(fine_seconds[10m]))",
			"histogram_count(fine_seconds)", "histogram_sum(rate(fine_seconds[5m]))", "histogram_fraction(0, 1, rate(fine_seconds[5m]))",
		} {
			query = strings.ReplaceAll(query, "fine_seconds", `fine_seconds{path="`+path+`"}`)
			compare("/api/v1/query", "query="+query, "time="+at(3007))
			compare("/api/v1/query_range", "query="+query, "start="+at(1007), "end="+at(3007), "step=75")
		}
	}
	all := []string{"start=" + at(-100), "end=" + at(4000)}
	for _, query := range []string{"fine_seconds", `rate(fine_seconds{path="/"}[5m])`, `fine_seconds{path="/slow"} / on(path) fine_seconds{path=~"/p.*"}`, "nothing"} {
		compare("/api/v1/query_exemplars", append(all, "query="+query)...)
	}
	for _, base := range []string{s.URL, prom.URL} {
		resp, err := http.Get(base + "/api/v1/query_exemplars?query=vector(1)")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("%s answers %d without a selector", base, resp.StatusCode)
		}
	}
	compare("/api/v1/query_exemplars", "query=fine_seconds", "start="+at(299), "end="+at(898))
	compare("/api/v1/query_exemplars", "query=fine_seconds")
}
