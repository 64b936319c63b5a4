package faulttest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// found is a record that a query finds.
type found struct {
	text   string
	labels map[string]string // with the stored fields
}

// query returns what a selector finds since a time, a page at a time.
func query(t *testing.T, base, selector string, since time.Time) []found {
	t.Helper()
	return queryBetween(t, base, selector, since.UnixNano(), time.Now().Add(time.Hour).UnixNano())
}

// queryBetween asks for two halves of the time where a page has not room for all of it: many
// entries may have one time, so a page does not say where the next one begins.
func queryBetween(t *testing.T, base, selector string, from, until int64) (all []found) {
	t.Helper()
	const page = 5000
	res, err := http.Get(base + "/loki/api/v1/query_range?" + url.Values{
		"query": {selector}, "start": {fmt.Sprint(from)}, "end": {fmt.Sprint(until)}, "limit": {fmt.Sprint(page)}, "direction": {"forward"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	err = json.NewDecoder(res.Body).Decode(&answer)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range answer.Data.Result {
		for _, v := range s.Values {
			all = append(all, found{v[1], s.Stream})
		}
	}
	if len(all) < page {
		return all
	}
	middle := from + (until-from)/2
	if middle == from {
		t.Fatalf("%d entries have the time %d", page, from)
	}
	return append(queryBetween(t, base, selector, from, middle), queryBetween(t, base, selector, middle, until)...)
}

// otlpAddresses returns free addresses for HTTP and gRPC.
func otlpAddresses(t *testing.T) (http, grpc string) {
	return faulttest.FreeAddress(t), faulttest.FreeAddress(t)
}

// TestOTelSDK has OpenTelemetry's SDK for Go send logs and metrics, straight and by way of a
// Collector.
func TestOTelSDK(t *testing.T) {
	for _, way := range []string{"grpc", "http", "collector grpc", "collector http"} {
		t.Run(way, func(t *testing.T) { fromSDK(t, way) })
	}
}

func fromSDK(t *testing.T, way string) {
	overHTTP, overGRPC := otlpAddresses(t)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("sources: {otlp: {http: %q, grpc: %q}}\nrules: []\n", overHTTP, overGRPC)})
	protocol := way
	endpoints := map[string]string{"grpc": overGRPC, "http": overHTTP}
	if rest, ok := strings.CutPrefix(way, "collector "); ok {
		protocol = rest
		c := realtest.StartCollector(t, protocol, endpoints[protocol])
		endpoints = map[string]string{"grpc": c.GRPC, "http": c.HTTP}
	}
	const records = 3000
	realtest.OTelSDK(t, "-endpoint", endpoints[protocol], "-protocol", protocol, "-records", fmt.Sprint(records))
	base := "http://" + w.Address()
	selector := fmt.Sprintf(`{service_name="sdk-%s"}`, protocol)
	var all []found
	realtest.Eventually(t, "the records", func() bool {
		all = query(t, base, selector, time.Unix(1_600_000_000, 0))
		return len(all) >= records
	})
	seen := map[string]bool{}
	for _, f := range all {
		seen[f.text] = true
		n := f.labels["n"]
		want := map[string]string{
			"service_name": "sdk-" + protocol, "source": "otlp", "detected_level": "warn", "n": n, "http_route": "/", "extra": "e", "service_instance_id": "1", "scope_name": "test", "scope_version": "1",
			"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174", "flags": "1",
		}
		if f.text != "record "+n || !maps.Equal(f.labels, want) {
			t.Fatalf("%q %v; want %v", f.text, f.labels, want)
		}
	}
	if len(seen) != records || len(all) != records {
		t.Errorf("%d records, %d of them different; want %d", len(all), len(seen), records)
	}
	of := func(name, more string) string {
		return fmt.Sprintf(`%s{machine="%s",%sinstance="1",job="sdk-%s",otel_scope_name="test"}`, name, machine(t, w), more, protocol)
	}
	want := map[string]float64{
		of("requests_total", `http_route="/",`): 2 * records, of("open", ""): records, of("temperature_celsius", ""): records - 1, of("took_seconds_count", ""): records,
		of("exponential_count", ""): records, of("exponential_sum", ""): records * (records + 1) / 2,
	}
	realtest.Eventually(t, "the metrics", func() bool {
		has, err := w.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range want {
			if has[name] != v {
				t.Logf("%s is %v; want %v", name, has[name], v)
				return false
			}
		}
		return true
	})
}

// machine returns the name that weir has for this machine.
func machine(t *testing.T, w *faulttest.Weir) string {
	t.Helper()
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for name := range m {
		if _, rest, ok := strings.Cut(name, `machine="`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			return name
		}
	}
	t.Fatal("no series names the machine")
	return ""
}

// TestOTLPOverKills sends what one weir reads to another by way of a Collector, over both
// protocols. Both are killed meanwhile. In the end every line is there, with the labels that it had.
func TestOTLPOverKills(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) { otlpOverKills(t, protocol) })
	}
}

func otlpOverKills(t *testing.T, protocol string) {
	overHTTP, overGRPC := otlpAddresses(t)
	to := map[string]string{"grpc": overGRPC, "http": overHTTP}[protocol]
	second := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("sources: {otlp: {http: %q, grpc: %q}}\nrules: []\n", overHTTP, overGRPC)})
	c := realtest.StartCollector(t, protocol, to)
	address := map[string]string{"grpc": c.GRPC, "http": c.HTTP}[protocol]
	path := filepath.Join(t.TempDir(), "app.log")
	first := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`sources: {app: {type: file, paths: [%q], start: beginning}}
rules: []
sinks: {next: {type: otlp, url: "http://%s", protocol: %s, start: beginning, max_records: 300}}
`, path, address, protocol)})
	lines := faulttest.NewWriter(t, path)
	selector := fmt.Sprintf(`{source="app", filename=%q}`, path)
	since := time.Now().Add(-time.Hour)
	arrived := func() map[string]int {
		seen := map[string]int{}
		for _, f := range query(t, "http://"+second.Address(), selector, since) {
			seen[f.text]++
		}
		return seen
	}
	for i := range 3 {
		lines.Write(1000)
		realtest.Eventually(t, "some lines", func() bool { return len(arrived()) > 1000*i })
		if i == 1 {
			second.Kill()
			second.Again()
		}
		first.Kill()
		first.Again()
	}
	realtest.Eventually(t, "all lines", func() bool { return len(arrived()) >= lines.Written() })
	seen, twice := arrived(), 0
	for n := range lines.Written() {
		switch k := seen[strings.TrimSuffix(string(faulttest.Line(n)), "\n")]; {
		case k == 0:
			t.Errorf("line %d is missing", n)
		case k > 1:
			twice++
		}
	}
	t.Logf("%d lines, %d of them more than once, after kills of both", lines.Written(), twice)
}

// TestLokiSinkOverKills has a real Loki take what weir reads. Weir is killed meanwhile. In the end
// Loki has every line, with its labels and fields.
func TestLokiSinkOverKills(t *testing.T) {
	server := realtest.StartLoki(t)
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`sources: {app: {type: file, paths: [%q], start: beginning}}
rules: [{match: '{}', parse: {pattern: "n=<number> crc=<crc> <_>"}, keep: {fields: [number]}}]
sinks: {loki: {type: loki, url: %q, start: beginning, max_records: 500, labels: {machine: "m"}}}
`, path, server.URL)})
	lines := faulttest.NewWriter(t, path)
	since := time.Now().Add(-time.Minute)
	has := func() map[string]int {
		seen := map[string]int{}
		for _, f := range query(t, server.URL, `{source="app", machine="m"}`, since) {
			seen[f.text]++
			if f.labels["number"] == "" || f.labels["filename"] != path {
				t.Fatalf("%q with %v", f.text, f.labels)
			}
		}
		return seen
	}
	for i := range 3 {
		lines.Write(1000)
		realtest.Eventually(t, "some lines", func() bool { return len(has()) > 1000*i })
		w.Kill()
		w.Again()
	}
	realtest.Eventually(t, "all lines", func() bool { return len(has()) >= lines.Written() })
	var twice []string
	for text, n := range has() {
		if n > 1 {
			twice = append(twice, text)
		}
	}
	slices.Sort(twice)
	t.Logf("%d lines, %d more than once in Loki", lines.Written(), len(twice))
}

// TestOTLPSourceOverKills kills weir while a sender sends logs and cumulative sums, and sends again
// what was not answered. Whatever was answered is there, and the sums are what the sender said last.
func TestOTLPSourceOverKills(t *testing.T) {
	const requests, records, kills = 120, 10, 4
	overHTTP, overGRPC := otlpAddresses(t)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("sources: {otlp: {http: %q, grpc: %q}}\nrules: []\n", overHTTP, overGRPC)})
	var answered atomic.Int64
	since, began := time.Now().Add(-time.Minute), time.Now().UnixNano()
	const origin = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"fault"}}]}`
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range requests {
			var logs []string
			for k := range records {
				n := i*records + k
				logs = append(logs, fmt.Sprintf(`{"timeUnixNano":"%d","body":{"stringValue":"line %d"}}`, since.UnixNano()+int64(n), n))
			}
			untilTaken(overHTTP, "/v1/logs", `{"resourceLogs":[{`+origin+`,"scopeLogs":[{"logRecords":[`+strings.Join(logs, ",")+`]}]}]}`)
			at := fmt.Sprintf(`"startTimeUnixNano":"%d","timeUnixNano":"%d"`, began, began+int64(i)+1)
			untilTaken(overHTTP, "/v1/metrics", fmt.Sprintf(`{"resourceMetrics":[{`+origin+`,"scopeMetrics":[{"metrics":[
{"name":"sent","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{%[1]s,"asInt":"%[2]d"}]}},
{"name":"took","histogram":{"aggregationTemporality":2,"dataPoints":[{%[1]s,"count":"%[2]d","sum":%[2]d,"bucketCounts":["%[2]d","0"],"explicitBounds":[1]}]}}]}]}]}`, at, i+1))
			answered.Add(1)
		}
	}()
	for i := range kills {
		faulttest.WaitFor(t, "some more requests", func() bool { return answered.Load() >= int64((i+1)*requests/(kills+1)) })
		w.Kill()
		w.Again()
	}
	<-sent
	w.Kill()
	w.Again()
	seen := map[string]int{}
	for _, f := range query(t, "http://"+w.Address(), `{service_name="fault"}`, since) {
		seen[f.text]++
	}
	for n := range requests * records {
		if seen[fmt.Sprintf("line %d", n)] == 0 {
			t.Errorf("line %d was answered and is lost", n)
		}
	}
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sent_total", "took_count", "took_sum"} {
		if v := m[fmt.Sprintf(`%s{machine="%s",job="fault"}`, name, machine(t, w))]; v != requests {
			t.Errorf("%s is %v; want %d", name, v, requests)
		}
	}
}

// untilTaken posts JSON until that is answered with 200.
func untilTaken(address, path, body string) {
	for {
		res, err := http.Post("http://"+address+path, "application/json", strings.NewReader(body))
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		<-time.After(5 * time.Millisecond)
	}
}
