package api_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/tsdb/api"
)

// TestSameAsPrometheus asks Debian's Prometheus, on a copy of the database, what it asks us.
// The answers are the same, but for the last digits of some sums, which Prometheus 3 makes
// another way, and so is what is refused, but for its wording.
func TestSameAsPrometheus(t *testing.T) {
	dir := t.TempDir()
	s, _ := newAPI(t, openHistory(t, dir), api.Limits{})
	copied := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(copied, "lock"))
	prom := realtest.StartPrometheus(t, realtest.PrometheusConfig{Dir: copied})
	compare := func(path string, parameters ...string) {
		t.Helper()
		status, body := ask(t, s.URL, path, parameters...)
		wantStatus, want := ask(t, prom.URL, path, parameters...)
		got, wanted := data(t, body), data(t, want)
		if all := strings.Join(parameters, " "); !strings.Contains(all, "sort") && !strings.Contains(all, "topk") && !strings.Contains(all, "bottomk") {
			inOrder(t, got)
			inOrder(t, wanted)
		}
		if status != wantStatus || status == 200 && !same(got, wanted) {
			t.Errorf("%s %q: weir %d\n%s\nPrometheus %d\n%s", path, parameters, status, body, wantStatus, want)
		}
		if kind := func(s string) string {
			_, s, _ = strings.Cut(s, `"errorType":"`)
			s, _, _ = strings.Cut(s, `"`)
			return s
		}; kind(body) != kind(want) {
			t.Errorf("%s %q: weir %s, Prometheus %s", path, parameters, body, want)
		}
	}
	for _, query := range []string{
		"hits_total", `hits_total{status=~"4..|5.."}`, "load", "-load", "load > 0", "abs(load) * 2 + 1", "1/0", "0/0", "1e-7", "1e21", "123456789.125",
		`"a\tb"`, "gone", "gone offset 1h", "last_over_time(gone[2h])", "hits_total @ 1795179000", "absent(nothing)", "up",
		"sum by (machine) (hits_total)", "topk(1, load)", "count(load)", "quantile(0.3, load)", `count_values("v", load)`, "stddev(load)",
		"rate(hits_total[4m])", "increase(hits_total[10m])", "irate(hits_total[4m])", "delta(load[7m])", "deriv(load[7m])", "predict_linear(load[7m], 60)",
		"avg_over_time(load[5m])", "max_over_time(load[10m:1m])", "resets(load[10m])", "changes(load[10m])", "sum(rate(hits_total[5m])) by (status)",
		"histogram_quantile(0.5, rate(rt_seconds_bucket[5m]))", "histogram_quantile(0.9, sum by (le) (rt_seconds_bucket))", "rt_seconds_sum / rt_seconds_count",
		`label_replace(load, "x", "$1-x", "status", "(.)..")`, `label_join(load, "x", ",", "machine", "status")`, "sort_desc(load)", "vector(time())",
		"hits_total / on(status) load", "hits_total and load", "load unless hits_total", "hits_total / ignoring(nothing) hits_total", "timestamp(load)", "hour()",
		"scalar(load)", "clamp(load, -1, 1)", "bottomk(2, hits_total) or gone", "hits_total[1m]", "gone[20m] offset 50m",
		"rate(hits_total)", "sum(", "foo{", "load * hits_total{status=~'4.*'} on", "load[5m:1m", "nosuch(1)", `{__name__=~".*"}`, "load + on(machine) hits_total", "",
	} {
		// Away from the times of samples: Prometheus 3 leaves out one at the very beginning of a
		// range, Prometheus 2 does not.
		compare("/api/v1/query", "query="+query, "time=1795179607.251")
		if !strings.Contains(query, "sort") { // which means nothing in a range
			compare("/api/v1/query_range", "query="+query, "start="+at(3007), "end="+at(5007), "step=75")
		}
	}
	for _, p := range [][]string{
		{"/api/v1/query", "query=1", "time=x"}, {"/api/v1/query", "query=1", "timeout=x"}, {"/api/v1/query", "query=load", "time=2026-11-20T13:00:00.5Z"},
		{"/api/v1/query_range", "query=load"}, {"/api/v1/query_range", "query=1", "start=1", "end=0", "step=1"}, {"/api/v1/query_range", "query=1", "start=1", "end=2", "step=0"},
		{"/api/v1/query_range", "query=1", "start=1", "end=100000", "step=1"}, {"/api/v1/query_range", "query=1", "start=1", "end=100", "step=1m"},
		{"/api/v1/series"}, {"/api/v1/series", "match[]=load"}, {"/api/v1/series", "match[]=load", "match[]=hits_total", "start=" + at(0), "end=" + at(60)},
		{"/api/v1/series", "match[]={}"}, {"/api/v1/series", "match[]=("}, {"/api/v1/series", "match[]=load", "start=x"}, {"/api/v1/series", "match[]=load", "start=" + at(90000), "end=" + at(90001)},
		{"/api/v1/labels"}, {"/api/v1/labels", "match[]=gone"}, {"/api/v1/labels", "match[]=gone", "match[]=load"}, {"/api/v1/labels", "match[]=nothing"},
		{"/api/v1/label/status/values"}, {"/api/v1/label/__name__/values"}, {"/api/v1/label/le/values", "match[]=load"}, {"/api/v1/label/nothing/values"},
		{"/api/v1/label/status/values", `match[]=load{status!="404"}`, "match[]=gone"}, {"/api/v1/format_query", "query=sum(rate(x[5m]))by(a)"}, {"/api/v1/format_query", "query=("},
		{"/api/v1/query_exemplars", "query=load"}, {"/api/v1/query_exemplars", "query=("}, {"/api/v1/rules"}, {"/api/v1/alerts"},
	} {
		compare(p[0], p[1:]...)
	}
}

// data returns the data of an answer.
func data(t *testing.T, body string) any {
	t.Helper()
	var answer struct{ Data any }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	return answer.Data
}

// inOrder sorts the series of a vector by their labels: of most queries they come in any order.
func inOrder(t *testing.T, data any) {
	answer, _ := data.(map[string]any)
	series, _ := answer["result"].([]any)
	if answer["resultType"] != "vector" {
		return
	}
	metric := func(s any) string {
		text, err := json.Marshal(s.(map[string]any)["metric"])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	slices.SortFunc(series, func(a, b any) int { return strings.Compare(metric(a), metric(b)) })
}

// same compares JSON, and numbers in it up to the last digits.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for key := range a {
			ok = ok && same(a[key], b[key])
		}
		return ok && len(a) == len(b)
	case []any:
		b, ok := b.([]any)
		ok = ok && len(a) == len(b)
		for i := range a {
			ok = ok && same(a[i], b[i])
		}
		return ok
	case string:
		x, err := strconv.ParseFloat(a, 64)
		text, _ := b.(string)
		y, err2 := strconv.ParseFloat(text, 64)
		return a == text || err == nil && err2 == nil && math.Abs(x-y) <= 1e-12*math.Abs(x)
	}
	return a == b
}

// TestPromtool: its queries are answered.
func TestPromtool(t *testing.T) {
	promtool := realtest.Promtool(t)
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	run := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(promtool, append([]string{"query"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("promtool query %q: %v\n%s\nwant %s", args, err, out, want)
		}
	}
	run(`{machine="web-1"} => 1440 @[1795179600]`, "instant", "--time="+at(3600), s.URL, "sum by (machine) (hits_total)")
	run("720 @[1795179600]\n723 @[1795179615]\n", "range", "--start="+at(3600), "--end="+at(3615), "--step=15s", s.URL, `hits_total{status="200"}`)
	run(`{__name__="load", machine="web-1", status="404"}`, "series", "--match=load", "--start="+at(0), "--end="+at(60), s.URL)
	run("200\n404\n502\n", "labels", "--start="+at(0), "--end="+at(60), s.URL, "status")
}
