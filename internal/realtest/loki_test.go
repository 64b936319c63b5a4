package realtest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	faulttest.Cleanup()
	os.Exit(code)
}

// stream is what a test pushes.
type stream struct {
	Stream map[string]string `json:"stream"`
	Values [][]any           `json:"values"`
}

// push sends streams in one request, to weir or to Loki.
func push(t testing.TB, url string, streams []stream) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"streams": streams})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusNoContent {
		text := new(bytes.Buffer)
		_, _ = text.ReadFrom(response.Body)
		t.Fatalf("push: %s: %s", response.Status, text)
	}
}

// logs returns three streams of 200 records, one a second from a time on: access lines,
// JSON and logfmt.
func logs(from time.Time) []stream {
	labels := func(app string) map[string]string {
		return map[string]string{"app": app, "job": "test", "service_name": app, "source": "push"}
	}
	all := []stream{{Stream: labels("nginx")}, {Stream: labels("shop")}, {Stream: labels("till")}}
	statuses := []int{200, 200, 301, 404, 500, 200, 503}
	levels := []string{"info", "debug", "warn", "error"}
	for i := range 200 {
		at := func(k int) string {
			return strconv.FormatInt(from.Add(time.Duration(i)*time.Second+time.Duration(k)).UnixNano(), 10)
		}
		status, level, took := statuses[i%len(statuses)], levels[i%len(levels)], 10+i*7%100
		lines := []string{
			fmt.Sprintf(`10.0.0.%d - - [21/Nov/2026:05:06:07 +0000] "GET /item/%d HTTP/1.1" %d %d "-" "curl/8.0"`, i%9, i, status, 100*i),
			fmt.Sprintf(`{"level":%q,"msg":"order %d done","status":%d,"took":"%dms","user":{"id":%d},"size":"%dKB"}`, level, i, status, took, i%5, i%7),
			fmt.Sprintf(`level=%s msg="paid order %d" status=%d took=%dms amount=%d.5`, level, i, status, took, i%11),
		}
		for k := range all {
			value := []any{at(k), lines[k]}
			if i%3 == 0 {
				value = append(value, map[string]string{"trace_id": fmt.Sprintf("t%d", i%4), "pod": all[k].Stream["app"] + "-0"})
			}
			all[k].Values = append(all[k].Values, value)
		}
	}
	return all
}

// pushing starts weir with nothing but pushes, and logcli for it.
func pushing(t *testing.T) (*faulttest.Weir, *realtest.Logcli) {
	t.Helper()
	realtest.LokiProgram(t, "logcli") // else there is no use in starting weir
	w := faulttest.Start(t, faulttest.Options{Config: "sources: {push: {}}\nrules: []\n"})
	return w, realtest.NewLogcli(t, "http://"+w.Address())
}

// TestLogcliPages asks for more lines than logcli takes at once, all of which weir read at
// once: they say no time, and logcli gives up where a page of them has one time.
func TestLogcliPages(t *testing.T) {
	realtest.LokiProgram(t, "logcli")
	const lines = 5000
	name := filepath.Join(t.TempDir(), "app.log")
	var text []byte
	for i := range lines {
		text = fmt.Appendf(text, "line %d\n", i)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("sources: {app: {type: file, paths: [%q], start: beginning}}\nrules: []\n", name)})
	logcli := realtest.NewLogcli(t, "http://"+w.Address())
	faulttest.WaitFor(t, "all lines to be kept", func() bool {
		return strings.Contains(logcli.Run(t, "instant-query", `sum(count_over_time({source="app"}[1h]))`), fmt.Sprintf("%q", strconv.Itoa(lines)))
	})
	for _, batch := range []string{"1000", "100"} {
		for _, args := range [][]string{{"query", `{source="app"}`}, {"query", `{source="app"}`, "--forward"}} {
			if got, err := logcli.Try(append(args, "--limit=5000", "--batch="+batch, "--output=raw")...); err != nil || strings.Count(got, "\n") != lines {
				t.Errorf("%d lines, a page has %s: %v", strings.Count(got, "\n"), batch, err)
			}
		}
	}
}

func TestLogcli(t *testing.T) {
	w, logcli := pushing(t)
	from := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	push(t, "http://"+w.Address(), logs(from))
	run := func(want string, args ...string) {
		t.Helper()
		if got := logcli.Run(t, args...); strings.TrimRight(got, "\n") != want {
			t.Errorf("logcli %s:\n%s\nwant\n%s", strings.Join(args, " "), got, want)
		}
	}
	run("app\njob\nservice_name\nsource", "labels")
	run("nginx\nshop\ntill", "labels", "app")
	run(`{app="nginx", job="test", service_name="nginx", source="push"}`, "series", `{app=~"n.*"}`)
	if got := logcli.Run(t, "series", "{}", "--analyze-labels"); !strings.Contains(got, "Total Streams:  3") || !strings.Contains(got, "app           3              3") {
		t.Errorf("analyze-labels:\n%s", got)
	}
	run(`level=error msg="paid order 199" status=404 took=103ms amount=1.5`+"\n"+`level=error msg="paid order 195" status=503 took=75ms amount=8.5`,
		"query", `{app="till"} |= "level=error"`, "--limit=2", "--output=raw")
	run(`level=error msg="paid order 3" status=404 took=31ms amount=3.5`, "query", `{app="till"} |= "level=error"`, "--limit=1", "--forward", "--output=raw")
	if got := logcli.Run(t, "query", `{app="till"} | trace_id="t0"`, "--limit=1", "--output=jsonl", "--include-label=trace_id"); !strings.Contains(got, `{"labels":{"trace_id":"t0"},"line":"level=info msg=\"paid order 192\"`) {
		t.Errorf("structured metadata:\n%s", got)
	}
	got := logcli.Run(t, "query", `{job="test"}`, "--limit=600", "--batch=50", "--output=raw")
	if n := strings.Count(got, "\n"); n != 600 {
		t.Errorf("%d lines in batches", n)
	}
	for query, want := range map[string]string{
		`sum(count_over_time({job="test"}[30m]))`:                                                  "600",
		`max(max_over_time({app="shop"} | json | unwrap duration(took) [30m]))`:                    "0.109",
		`sum(count_over_time({app="nginx"} | pattern "<_>\" <status> <_>" | status >= 500 [30m]))`: "56",
	} {
		if got := logcli.Run(t, "instant-query", query); !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := logcli.Run(t, "query", `sum by (app) (rate({job="test"}[1m]))`, "--step=60s"); strings.Count(got, `"app":`) != 3 || !strings.Contains(got, `"1"`) {
		t.Errorf("rate:\n%s", got)
	}
	for _, want := range []string{"streams: 3", "entries: 600"} {
		if got := logcli.Run(t, "stats", `{job="test"}`); !strings.Contains(got, want) {
			t.Errorf("stats:\n%s", got)
		}
	}
	for _, command := range []string{"volume", "volume_range"} {
		if got := logcli.Run(t, command, `{job="test"}`, "--targetLabels=app"); strings.Count(got, `"app":`) != 3 {
			t.Errorf("%s:\n%s", command, got)
		}
	}
	for _, want := range []string{"label: took\t\ttype: duration", "label: trace_id\t\ttype: string\t\tcardinality: 4", "label: status\t\ttype: int\t\tcardinality: 5"} {
		if got := logcli.Run(t, "detected-fields", `{app="till"}`); !strings.Contains(got, want) {
			t.Errorf("detected-fields: no %q in\n%s", want, got)
		}
	}
	if _, err := logcli.Try("query", `{app="shop"} | nonsense`); err == nil || !strings.Contains(err.Error(), "parse error at line 1, col 16") {
		t.Errorf("a mistake in a query: %v", err)
	}
}

func TestLogcliTail(t *testing.T) {
	w, logcli := pushing(t)
	url := "http://" + w.Address()
	push(t, url, []stream{{map[string]string{"app": "shop"}, [][]any{{strconv.FormatInt(time.Now().UnixNano(), 10), "there before"}}}})
	cmd := logcli.Command("query", `{app="shop"} |= "before"`, "--tail", "--output=raw")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	limit := time.AfterFunc(3*realtest.Patience, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	lines := bufio.NewScanner(out)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	next("there before") // so it follows by now
	for _, line := range []string{"before and now", "now", "and now as before"} {
		push(t, url, []stream{{map[string]string{"app": "shop"}, [][]any{{strconv.FormatInt(time.Now().UnixNano(), 10), line}}}})
	}
	next("before and now")
	next("and now as before")
}

func TestLogcliGivesTheToken(t *testing.T) {
	realtest.LokiProgram(t, "logcli")
	const token = "0123456789abcdef"
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := faulttest.Start(t, faulttest.Options{Config: "sources: {push: {}}\nrules: []\n", Env: []string{"WEIR_TOKEN_FILE=" + name}})
	url := "http://" + w.Address()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "give the token"},
		{[]string{"--bearer-token=wrong-wrong-wrong"}, "give the token"},
		{[]string{"--bearer-token=" + token}, ""},
		{[]string{"--username=anyone", "--password=" + token}, ""},
	} {
		_, err := realtest.NewLogcli(t, url).Try(append(c.args, "labels")...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

// TestLokiCanary lets Loki's own watchdog push, follow, and look for what it pushed. It has
// time, for a busy machine; what is missing for long makes what follows out of order for it.
// It notes what it has pushed only afterwards. What weir brings back before that is unexpected
// to it, and missing from then on, so it does not count if it is there.
func TestLokiCanary(t *testing.T) {
	path := realtest.LokiProgram(t, "loki-canary")
	w := faulttest.Start(t, faulttest.Options{Config: "sources: {push: {}}\nrules: []\n"})
	port := freePort(t)
	cmd := exec.Command(path, "-addr="+w.Address(), "-push", "-port="+port, "-interval=20ms", "-logs-batch-size=5",
		"-wait=20s", "-max-wait=40s", "-pruneinterval=500ms", "-spot-check-interval=200ms", "-spot-check-initial-wait=1s", "-spot-check-query-rate=1s",
		"-metric-test-interval=2s", "-metric-test-range=10s")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // again, if the test came so far
		if t.Failed() {
			t.Logf("loki-canary said:\n%s", said.String())
		}
	}()
	numbers := func() map[string]float64 {
		response, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		if err != nil {
			return nil
		}
		defer func() { _ = response.Body.Close() }()
		samples, _ := faulttest.ParseMetrics(response.Body)
		return samples
	}
	faulttest.WaitFor(t, "300 entries and 5 spot checks", func() bool {
		n := numbers()
		return n["loki_canary_entries_total"] >= 300 && n["loki_canary_spot_check_entries_total"] >= 5 && n["loki_canary_response_latency_seconds_count"] >= 250
	})
	n := numbers()
	for _, bad := range []string{"websocket_missing_entries", "missing_entries", "spot_check_missing_entries", "duplicate_entries"} {
		if v, ok := n["loki_canary_"+bad+"_total"]; !ok || v != 0 {
			t.Errorf("%s: %v", bad, v)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // so that all is said
	checkEarly(t, w, said.String())
	if n["loki_canary_metric_test_actual"] < 0.8*n["loki_canary_metric_test_expected"] {
		t.Errorf("counted %v of %v", n["loki_canary_metric_test_actual"], n["loki_canary_metric_test_expected"])
	}
	var names []string
	for name := range n {
		if strings.HasPrefix(name, "loki_canary_") && !strings.Contains(name, "_bucket") {
			names = append(names, fmt.Sprintf("%s %v", name, n[name]))
		}
	}
	slices.Sort(names)
	t.Log(strings.Join(names, "\n"))
}

// checkEarly sees that what was unexpected to the watchdog is kept once, and that nothing but
// that made anything out of order.
func checkEarly(t *testing.T, w *faulttest.Weir, said string) {
	t.Helper()
	early := map[string]bool{}
	for _, m := range regexp.MustCompile(`received an unexpected entry with ts (\d+)`).FindAllStringSubmatch(said, -1) {
		early[m[1]] = true
	}
	response, err := http.Get("http://" + w.Address() + "/loki/api/v1/query_range?limit=5000&query=" + url.QueryEscape(`{name="loki-canary"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	kept, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for ts := range early {
		if n := strings.Count(string(kept), `"`+ts+` `); n != 1 { // the line begins with it
			t.Errorf("the entry %s is kept %d times", ts, n)
		}
	}
	for _, m := range regexp.MustCompile(`was received before entries: \[(.*)\]`).FindAllStringSubmatch(said, -1) {
		for _, one := range regexp.MustCompile(`(\S+ \S+ \S+ \S+) m=\S+`).FindAllStringSubmatch(m[1], -1) {
			at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", one[1])
			if err != nil || !early[strconv.FormatInt(at.UnixNano(), 10)] {
				t.Errorf("an entry came before that of %s, which was late: %v", one[1], err)
			}
		}
	}
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
