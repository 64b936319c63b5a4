package faulttest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// receiver is a store that takes remote write, and can be away.
type receiver struct {
	protocol string
	start    func(t *testing.T, address, dir string) (stop func())
	within   float64 // how much of a value may differ: VictoriaMetrics does not keep every last digit
}

func prometheus(newest bool) func(t *testing.T, address, dir string) func() {
	return func(t *testing.T, address, dir string) func() {
		return realtest.StartPrometheus(t, realtest.PrometheusConfig{Address: address, Dir: dir, Receive: true, Newest: newest}).Stop
	}
}

// TestRemoteWriteOverKills has a store take what weir counts. The store goes away, weir is
// killed meanwhile, and once more while it catches up. In the end the store has every sample
// that the history has, each once.
func TestRemoteWriteOverKills(t *testing.T) {
	for name, r := range map[string]receiver{
		"prometheus":       {"v1", prometheus(false), 0},
		"prometheus 3":     {"v1", prometheus(true), 0},
		"prometheus 3, v2": {"v2", prometheus(true), 0},
		"victoria-metrics": {"v1", func(t *testing.T, address, dir string) func() { return realtest.StartVictoria(t, address, dir).Stop }, 1e-13},
	} {
		t.Run(name, func(t *testing.T) { overKills(t, r) })
	}
}

func overKills(t *testing.T, r receiver) {
	address, data := freePort(t), filepath.Join(t.TempDir(), "data")
	stop := r.start(t, address, data)
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`history: {interval: 1s}
sources: {app: {type: file, paths: [%q], start: beginning}}
sinks: {central: {type: remote_write, url: "http://%s/api/v1/write", protocol: %s, start: beginning, max_samples: 500, labels: {job: weir}}}
%s`, path, address, r.protocol, faulttest.Rules)})
	ours, theirs := "http://"+w.Address(), "http://"+address
	lines := faulttest.NewWriter(t, path)
	counted := func(base string, n int) {
		t.Helper()
		realtest.Eventually(t, fmt.Sprintf("%s to have the counts of %d lines", base, n), func() bool {
			return maps.Equal(ask(t, base, "count(last_over_time(lines_total[1h]))"), map[string]string{"map[]": strconv.Itoa(n)})
		})
	}
	lines.Write(200)
	counted(theirs, 200)
	stop()
	lines.Write(200)
	counted(ours, 400)
	w.Kill()
	lines.Write(200)
	w.Again()
	counted(ours, 600)
	r.start(t, address, data)
	w.Kill() // perhaps while it catches up
	w.Again()
	lines.Write(200)
	counted(theirs, 800)
	counted(ours, 800)
	at := time.Now()
	realtest.Eventually(t, "a round of later", another(t, theirs))
	var lost []string
	for range 10 { // VictoriaMetrics shows what it has after a second
		if lost = missing(t, comparison{theirs, ours, at, r.within}); len(lost) == 0 {
			break
		}
		realtest.Eventually(t, "another round", another(t, theirs))
	}
	for i, m := range lost {
		if i < 10 {
			t.Errorf("the store has not: %s", m)
		}
	}
	if n := len(raw(t, ours, everything, at)); n < 800 {
		t.Errorf("the history has %d series", n)
	}
	for _, m := range missing(t, comparison{ours, theirs, at, r.within}) {
		t.Errorf("the history has not: %s", m)
	}
	if problems := dropped(t, ours); problems != "" {
		t.Error(problems)
	}
}

// another returns whether base has got samples since now.
func another(t *testing.T, base string) func() bool {
	began := time.Now().UnixMilli()
	return func() bool {
		for _, samples := range raw(t, base, "weir_history_samples_total", time.Now()) {
			for ms := range samples {
				if ms > began {
					return true
				}
			}
		}
		return false
	}
}

const everything = `{__name__=~".+"}`

// comparison is one of what two have of the half hour before at.
type comparison struct {
	base, like string
	at         time.Time
	within     float64
}

// missing returns the series of which base has not the samples that like has.
func missing(t *testing.T, c comparison) (all []string) {
	t.Helper()
	got := raw(t, c.base, everything, c.at)
	for series, want := range raw(t, c.like, everything, c.at) {
		for ms, value := range want {
			had, ok := got[series][ms]
			same := had == value || math.IsNaN(had) && math.IsNaN(value) || math.Abs(had-value) < c.within*math.Abs(value)
			if !ok || !same {
				all = append(all, fmt.Sprintf("%s at %d: %v; want %v", series, ms, had, value))
				break
			}
		}
	}
	return all
}

// raw returns the samples of the half hour before at, by series and time, without the label
// that the sink puts on.
func raw(t *testing.T, base, selector string, at time.Time) map[string]map[int64]float64 {
	t.Helper()
	resp, err := http.Get(base + "/api/v1/query?" + url.Values{"query": {selector + "[30m]"}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[int64]float64{}
	for _, s := range answer.Data.Result {
		delete(s.Metric, "job")
		samples := map[int64]float64{}
		for _, pair := range s.Values {
			seconds, _ := pair[0].(float64)
			text, _ := pair[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%v: %q", s.Metric, text)
			}
			samples[int64(math.Round(seconds*1000))] = value
		}
		all[fmt.Sprint(s.Metric)] = samples
	}
	return all
}

// dropped returns the lines of /metrics that say what the sink has dropped.
func dropped(t *testing.T, base string) string {
	t.Helper()
	resp, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(regexp.MustCompile(`(?m)^weir_component_dropped_total\{.*sink/central.*$`).Find(text))
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
