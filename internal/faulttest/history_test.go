package faulttest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// ask returns the series of an instant query, without the labels that a scrape adds, with
// their values.
func ask(t *testing.T, base, query string) map[string]string {
	t.Helper()
	resp, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range answer.Data.Result {
		delete(s.Metric, "job")
		delete(s.Metric, "instance")
		found[fmt.Sprint(s.Metric)] = fmt.Sprint(s.Value[1])
	}
	return found
}

// TestHistoryOverKills kills weir while it writes its history, again and again. Each time
// everything that could be asked for before can be asked for after, the count that the lines
// have is in it, and it goes on.
func TestHistoryOverKills(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
		"history: {interval: 1s}\nsources: {app: {type: file, paths: [%q], start: beginning}}\n%s", path, faulttest.Rules)})
	lines := faulttest.NewWriter(t, path)
	promtool := realtest.Promtool(t)
	base := "http://" + w.Address()
	before := map[string]string{}
	for i := range 4 {
		lines.Write(500)
		written := map[string]string{"map[]": fmt.Sprint(500 * (i + 1))}
		counts := func() map[string]string { return ask(t, base, `count_over_time(process_cpu_seconds_total[1h])`) }
		realtest.Eventually(t, "samples of now", func() bool {
			now := counts()
			for series, n := range before {
				if len(now[series]) < len(n) || len(now[series]) == len(n) && now[series] < n {
					t.Fatalf("%s had %s samples and has %q after a kill", series, n, now[series])
				}
			}
			return len(now) > 0 && fmt.Sprint(now) != fmt.Sprint(before)
		})
		realtest.Eventually(t, "the counts of all lines", func() bool { return maps.Equal(ask(t, base, "count(lines_total)"), written) })
		before = counts()
		w.Kill()
		w.Again()
		realtest.Eventually(t, "the history to be open", func() bool { return len(counts()) > 0 })
		if now := ask(t, base, "count(last_over_time(lines_total[1h]))"); !maps.Equal(now, written) {
			t.Errorf("after a kill there are the counts of %s lines", now)
		}
	}
	out, err := exec.Command(promtool, "query", "labels", base, "machine").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Errorf("promtool: %v %s", err, out)
	}
	w.Terminate()
}

// TestHistoryIsWhatPrometheusScrapes has Debian's Prometheus scrape weir, and asks both for
// the series they have and the values of those that are at rest.
func TestHistoryIsWhatPrometheusScrapes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
		"history: {interval: 1s}\nsources: {app: {type: file, paths: [%q], start: beginning}}\n%s", path, faulttest.Rules)})
	prom := realtest.StartPrometheus(t, realtest.PrometheusConfig{Scrape: w.Address()})
	faulttest.NewWriter(t, path).Write(1000)
	ours := "http://" + w.Address()
	const atRest = `{__name__!~"(process|go|weir_history|weir_journal|weir_quer|scrape|weir_disk|weir_component_behind).*|up"}`
	var got, want map[string]string
	same := func() bool {
		got, want = ask(t, ours, atRest), ask(t, prom.URL, atRest)
		return len(got) > 10 && maps.Equal(got, want)
	}
	deadline := 100
	for ; deadline > 0 && !same(); deadline-- {
		faulttest.WaitFor(t, "a moment", func() bool { return !same() || len(got) > 10 })
	}
	if deadline == 0 {
		for _, series := range slices.Sorted(maps.Keys(want)) {
			if got[series] != want[series] {
				t.Errorf("%s: the history has %q, Prometheus %q", series, got[series], want[series])
			}
		}
		for series, v := range got {
			if _, ok := want[series]; !ok {
				t.Errorf("%s: the history has %s, Prometheus nothing", series, v)
			}
		}
	}
	names := func(base string) map[string]string {
		return ask(t, base, `count by (__name__, le) ({__name__!~"scrape_.*|up"})`)
	}
	if a, b := names(ours), names(prom.URL); !maps.Equal(a, b) {
		t.Errorf("names and buckets: the history has\n%v\nPrometheus\n%v", a, b)
	}
}
