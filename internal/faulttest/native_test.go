package faulttest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// exemplarsOf returns the exemplars that base has of a query, by the labels of their series
// without those that a scrape adds.
func exemplarsOf(t *testing.T, base, query string) map[string]string {
	t.Helper()
	resp, err := http.Get(base + "/api/v1/query_exemplars?" + url.Values{"query": {query}, "start": {"0"}, "end": {"4000000000"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data []struct {
			SeriesLabels map[string]string
			Exemplars    []struct {
				Labels    map[string]string
				Value     string
				Timestamp float64
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range answer.Data {
		delete(s.SeriesLabels, "job")
		delete(s.SeriesLabels, "instance")
		last := s.Exemplars[len(s.Exemplars)-1]
		found[fmt.Sprint(s.SeriesLabels)] = fmt.Sprint(last.Labels, last.Value, last.Timestamp)
	}
	return found
}

// traced writes lines with a duration and the id of a trace, and returns the durations.
func traced(t *testing.T, path string, from, n int) (sum float64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < from+n; i++ {
		v := float64(i%100+1) / 100
		sum += v
		if _, err := fmt.Fprintf(f, `{"log":"{\"rt\":%v,\"trace_id\":\"trace%d\"}\n","stream":"stdout","time":"2026-11-21T20:00:%02d.%03dZ"}`+"\n", v, i, i/1000, i%1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestNativeOverKills counts lines in a native histogram while weir is killed. Its history, a
// Prometheus that scrapes it and one that takes remote write all have the same count, sum,
// quantiles and exemplars.
func TestNativeOverKills(t *testing.T) {
	for name, newest := range map[string]bool{"v1": false, "v2": true} {
		t.Run(name, func(t *testing.T) { nativeOverKills(t, name, newest) })
	}
}

func nativeOverKills(t *testing.T, protocol string, newest bool) {
	const features = "native-histograms,exemplar-storage"
	address := freePort(t)
	receiver := realtest.StartPrometheus(t, realtest.PrometheusConfig{Address: address, Receive: true, Features: features, Newest: newest})
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`history: {interval: 1s}
sources: {app: {type: file, paths: [%q], start: beginning, format: docker}}
sinks: {central: {type: remote_write, url: "http://%s/api/v1/write", protocol: %s, send_exemplars: true, start: beginning}}
rules:
  - match: '{source="app"}'
    parse: {json: {}}
    count:
      - {name: rt, histogram: rt, unit: seconds, native: {}, exemplar: [trace_id]}
      - {name: classic, histogram: rt, unit: seconds, buckets: [0.25, 0.5], exemplar: [trace_id]}
      - {name: hits, exemplar: [trace_id]}
`, path, address, protocol)})
	scraper := realtest.StartPrometheus(t, realtest.PrometheusConfig{Scrape: w.Address(), Features: features, Newest: newest})
	ours := "http://" + w.Address()
	sum, bases := 0.0, []string{ours, scraper.URL, receiver.URL}
	value := func(base, query string) float64 {
		t.Helper()
		for _, text := range ask(t, base, query) {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		return math.NaN()
	}
	for round := range 4 {
		sum += traced(t, path, 1000*round, 1000)
		if round == 2 {
			w.Kill()
			w.Again()
		}
		for _, base := range bases {
			realtest.Eventually(t, base+" to have the counts of all lines", func() bool { return value(base, "histogram_count(rt_seconds)") == float64(1000*(round+1)) })
			if got := value(base, "histogram_sum(rt_seconds)"); math.Abs(got-sum) > 1e-6 {
				t.Errorf("round %d, %s: sum %v; want %v", round, base, got, sum)
			}
			// Buckets are 9 % wide, and the values are equally many of each.
			for _, q := range []float64{0.1, 0.5, 0.9} {
				if got := value(base, fmt.Sprintf("histogram_quantile(%v, rt_seconds)", q)); math.Abs(got-q) > q*0.06+0.01 {
					t.Errorf("round %d, %s: quantile %v is %v", round, base, q, got)
				}
			}
		}
	}
	w.Kill()
	w.Again()
	realtest.Eventually(t, "the history after a kill", func() bool {
		return value(ours, "histogram_count(rt_seconds)") == 4000 && value(ours, "histogram_quantile(0.9, rate(rt_seconds[5m]))") > 0.8
	})
	if got := value(ours, "histogram_quantile(0.9, rate(rt_seconds[5m]))"); math.Abs(got-0.9) > 0.07 {
		t.Errorf("the 0.9 quantile of the rate is %v", got)
	}
	// What the three have last: the same series, each with the same last exemplar.
	for _, query := range []string{"hits_total", "classic_seconds_bucket", "rt_seconds"} {
		want := exemplarsOf(t, ours, query)
		if len(want) == 0 {
			t.Errorf("no exemplars of %s", query)
		}
		for _, base := range bases[1:] {
			var got map[string]string
			for range 3 {
				if got = exemplarsOf(t, base, query); maps.Equal(got, want) {
					break
				}
				realtest.Eventually(t, "another round", another(t, receiver.URL))
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s, %s:\n%v\nweir has\n%v", base, query, got, slices.Sorted(maps.Values(want)))
			}
		}
	}
	if problems := dropped(t, ours); problems != "" {
		t.Error(problems)
	}
}

// TestNativeReload: another factor begins the histogram anew, another bound of buckets does not.
func TestNativeReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	config := func(native string) string {
		return fmt.Sprintf(`history: none
sources: {app: {type: file, paths: [%q], start: beginning, format: docker}}
rules:
  - match: '{source="app"}'
    parse: {json: {}}
    count: [{name: rt, histogram: rt, unit: seconds, native: %s}]
`, path, native)
	}
	w := faulttest.Start(t, faulttest.Options{Config: config("{}")})
	counted := func(n float64) {
		t.Helper()
		faulttest.WaitFor(t, fmt.Sprintf("a count of %v", n), func() bool {
			all, err := w.Metrics()
			return err == nil && faulttest.Sum(all, "rt_seconds_count") == n
		})
	}
	traced(t, path, 0, 100)
	counted(100)
	w.SetConfig(config("{max_buckets: 20}"))
	w.Signal(syscall.SIGHUP)
	traced(t, path, 100, 100)
	counted(200)
	w.SetConfig(config("{factor: 2}"))
	w.Signal(syscall.SIGHUP)
	counted(0)
	traced(t, path, 200, 30)
	counted(30)
	w.Kill()
	w.Again()
	counted(30)
}
