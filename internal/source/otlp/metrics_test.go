package otlp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/native"
	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/metric"
)

// sendMetrics sends metrics of a service, each an object of JSON, and returns the answer.
func (w *world) sendMetrics(metrics ...string) string {
	w.t.Helper()
	return w.post("/v1/metrics", []byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.instance.id","value":{"stringValue":"1"}}]},
"scopeMetrics":[{"metrics":[`+strings.Join(metrics, ",")+`]}]}]}`), isJSON)
}

// took sends metrics of which all points have to be taken.
func (w *world) took(metrics ...string) {
	w.t.Helper()
	if got := w.sendMetrics(metrics...); got != "200 {}" {
		w.t.Errorf("%s: %s", metrics, got)
	}
}

// numbers returns the series as the text format has them, without help and types.
func (w *world) numbers() string {
	var lines []string
	for line := range strings.Lines(string(w.reg.AppendText(nil, metric.Text))) {
		if line[0] != '#' {
			lines = append(lines, strings.TrimSpace(strings.ReplaceAll(line, `machine="m",`, "")))
		}
	}
	return strings.Join(lines, "\n")
}

// has sees that there are these series, and no others of the same beginning.
func (w *world) has(want ...string) {
	w.t.Helper()
	if got := w.numbers(); got != strings.Join(want, "\n") {
		w.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func sum(name string, start, at int, value float64) string {
	return fmt.Sprintf(`{"name":%q,"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"%d","timeUnixNano":"%d","asDouble":%v}]}}`, name, start, at, value)
}

const origin = `{instance="1",job="shop"}`

// TestCumulative: a sum counts on over new starts of its sender and of weir.
func TestCumulative(t *testing.T) {
	w := newWorld(t, nil).run()
	w.took(sum("hits", 1, 10, 5))
	w.took(sum("hits", 1, 11, 7), sum("hits", 1, 11, 7))
	w.took(sum("hits", 1, 12, 7))
	w.has("hits_total" + origin + " 7")
	w.took(sum("hits", 20, 21, 3)) // the sender began anew
	w.has("hits_total" + origin + " 10")
	if got := w.sendMetrics(sum("hits", 1, 22, 8)); !strings.Contains(got, `"rejectedDataPoints":"1","errorMessage":"hits: another sender`) {
		t.Error(got)
	}
	if got := w.sendMetrics(sum("hits", 20, 20, 2)); !strings.Contains(got, "it is older") {
		t.Error(got)
	}
	w.restart(nil)
	w.took(sum("hits", 20, 30, 4))
	w.has("hits_total" + origin + " 11")
	w.restart(nil)
	w.took(sum("hits", 40, 41, 1)) // both began anew
	w.has("hits_total" + origin + " 12")
	w.took(sum("hits", 0, 42, 3)) // who does not know its start any more
	w.has("hits_total" + origin + " 14")
	w.took(sum("hits", 0, 43, 1)) // and has less began anew
	w.has("hits_total" + origin + " 15")
}

// TestKinds: what the points of each kind become.
func TestKinds(t *testing.T) {
	w := newWorld(t, nil).run()
	w.took(
		`{"name":"temp","unit":"Cel","gauge":{"dataPoints":[{"timeUnixNano":"5","asDouble":21.5,"attributes":[{"key":"room.no","value":{"intValue":"7"}}]}]}}`,
		`{"name":"open","sum":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"5","asInt":"-3"}]}}`,
		`{"name":"moved","sum":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"5","asInt":"-3"}]}}`,
		`{"name":"sent","unit":"By","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","asInt":"3"}]}}`,
		`{"name":"took","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[1]}]}}`,
		`{"name":"size","histogram":{"aggregationTemporality":1,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","count":"2","sum":4,"bucketCounts":["1","0","1"],"explicitBounds":[1,2]}]}}`,
		`{"name":"wait","summary":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","count":"3","sum":6,"quantileValues":[{"quantile":0.5,"value":2}]}]}}`,
	)
	w.took(
		`{"name":"temp","unit":"Cel","gauge":{"dataPoints":[{"timeUnixNano":"6","asDouble":22,"attributes":[{"key":"room.no","value":{"intValue":"7"}}]}]}}`,
		`{"name":"moved","sum":{"aggregationTemporality":1,"dataPoints":[{"startTimeUnixNano":"5","timeUnixNano":"6","asInt":"5"}]}}`,
		`{"name":"sent","unit":"By","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"5","timeUnixNano":"6","asInt":"4"},{"startTimeUnixNano":"5","timeUnixNano":"6","asInt":"4"}]}}`,
		`{"name":"took","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"5","timeUnixNano":"6","count":"1","sum":0.5,"bucketCounts":["1","0"],"explicitBounds":[1]}]}}`,
		`{"name":"size","histogram":{"aggregationTemporality":1,"dataPoints":[{"startTimeUnixNano":"5","timeUnixNano":"6","count":"1","sum":2,"bucketCounts":["0","1","0"],"explicitBounds":[1,2]}]}}`,
	)
	// Two points of one request are two; a request that comes again brings nothing.
	again := `{"name":"sent","unit":"By","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"5","timeUnixNano":"6","asInt":"4"},{"startTimeUnixNano":"5","timeUnixNano":"6","asInt":"4"}]}}`
	w.took(again)
	w.took(again)
	w.has(
		`moved{instance="1",job="shop"} 2`,
		`open{instance="1",job="shop"} -3`,
		`sent_bytes_total{instance="1",job="shop"} 11`,
		`size_bucket{instance="1",job="shop",le="1"} 1`, `size_bucket{instance="1",job="shop",le="2"} 2`, `size_bucket{instance="1",job="shop",le="+Inf"} 3`,
		`size_sum{instance="1",job="shop"} 6`, `size_count{instance="1",job="shop"} 3`,
		`temp_celsius{instance="1",job="shop",room_no="7"} 22`,
		`took_seconds_bucket{instance="1",job="shop",le="1"} 2`, `took_seconds_bucket{instance="1",job="shop",le="+Inf"} 4`,
		`took_seconds_sum{instance="1",job="shop"} 5`, `took_seconds_count{instance="1",job="shop"} 4`,
		`wait{instance="1",job="shop",quantile="0.5"} 2`, `wait_count{instance="1",job="shop"} 3`, `wait_sum{instance="1",job="shop"} 6`,
	)
	body := []byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.namespace","value":{"stringValue":"eu"}},{"key":"host.name","value":{"stringValue":"web-1"}}]},
"scopeMetrics":[{"scope":{"name":"lib","version":"2"},"metrics":[{"name":"x","gauge":{"dataPoints":[{"asInt":1,"attributes":[{"key":"machine","value":{"stringValue":"other"}},{"key":"a.b","value":{"stringValue":"1"}},{"key":"a_b","value":{"stringValue":"2"}}]}]}}]}]}]}`)
	if got := w.post("/v1/metrics", body, isJSON); got != "200 {}" {
		t.Error(got)
	}
	for _, want := range []string{`target_info{host_name="web-1",job="eu/shop"} 1`, `x{a_b="1;2",exported_machine="other",host_name="web-1",job="eu/shop",otel_scope_name="lib",otel_scope_version="2"} 1`} {
		if !slices.Contains(strings.Split(w.numbers(), "\n"), want) {
			t.Errorf("%s is not in\n%s", want, w.numbers())
		}
	}
}

func exponential(temporality, start, at int, data string) string {
	return fmt.Sprintf(`{"name":"rt","exponentialHistogram":{"aggregationTemporality":%d,"dataPoints":[{"startTimeUnixNano":"%d","timeUnixNano":"%d",%s}]}}`, temporality, start, at, data)
}

// native returns the buckets of the exponential histogram: upper limits and counts.
func (w *world) native() string {
	var h native.Histogram
	w.reg.Named("rt").Find("instance", "1", "job", "shop").ReadNative(&h)
	text := fmt.Sprintf("count %v sum %v zero %v:", h.Count, h.Sum, h.Zero)
	for sign, side := range []native.Buckets{h.Positive, h.Negative} {
		index, k := int32(0), 0
		for i, span := range side.Spans {
			if index += span.Offset; i > 0 {
				index++
			}
			for j := range span.Length {
				if j > 0 {
					index++
				}
				if side.Counts[k] != 0 {
					text += fmt.Sprintf(" %s%v=%v", []string{"", "-"}[sign], native.Bound(index, int(h.Schema)), side.Counts[k])
				}
				k++
			}
		}
	}
	return text
}

func TestExponential(t *testing.T) {
	w := newWorld(t, nil).run()
	check := func(want string) {
		t.Helper()
		if got := w.native(); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
	w.took(exponential(2, 1, 5, `"count":"4","sum":9,"scale":0,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["2","1"]}`))
	check("count 4 sum 9 zero 1: 2=2 4=1")
	w.took(exponential(2, 1, 6, `"count":"6","sum":-3,"scale":0,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["2","2"]},"negative":{"offset":-1,"bucketCounts":["1"]}`))
	check("count 6 sum -3 zero 1: 2=2 4=2 -1=1")
	w.took(exponential(2, 1, 7, `"count":"7","sum":-3,"scale":-1,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["5"]},"negative":{"offset":-1,"bucketCounts":["1"]}`)) // it became wider
	check("count 7 sum -3 zero 1: 4=5 -1=1")
	w.restart(nil)
	w.took(exponential(2, 1, 8, `"count":"8","sum":-1,"scale":-1,"zeroCount":"2","positive":{"offset":0,"bucketCounts":["5"]},"negative":{"offset":-1,"bucketCounts":["1"]}`))
	check("count 8 sum -1 zero 2: 4=5 -1=1")
	w.took(exponential(2, 9, 10, `"count":"1","sum":3,"scale":20,"positive":{"offset":1048575,"bucketCounts":["1"]}`)) // it began anew
	check("count 9 sum 2 zero 2: 2=1 4=5 -1=1")
	w.took(exponential(1, 10, 11, `"count":"1","sum":1,"scale":3,"positive":{"offset":15,"bucketCounts":["1"]}`))
	check("count 10 sum 3 zero 2: 2=1 4=6 -1=1")
}

// TestExemplars: they lead from a bucket to a trace.
func TestExemplars(t *testing.T) {
	w := newWorld(t, nil).run()
	const exemplars = `"exemplars":[{"timeUnixNano":"5000000","asDouble":0.5,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},{"timeUnixNano":"6","asDouble":3}]`
	w.took(`{"name":"took","histogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","count":"1","sum":0.5,"bucketCounts":["1","0"],"explicitBounds":[1],` + exemplars + `}]}}`)
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.exemplars, "; "); got != `cell 0 0.5 at 5000000 trace_id 5b8efff798038103d269b633813fc60c span_id eee19b7ec3c1b174` {
		t.Error(got)
	}
}

// TestPointsRefused: what cannot be counted is said and counted, the rest is taken.
func TestPointsRefused(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSeries, c.MaxSeriesPerName = 4, 2 }).run()
	refused := func(want, m string) {
		t.Helper()
		if got := w.sendMetrics(m); !strings.Contains(got, `"rejectedDataPoints":"1"`) || !strings.Contains(got, want) {
			t.Errorf("%s: %s", m, got)
		}
	}
	gauge := func(name string, label int) string {
		return fmt.Sprintf(`{"name":%q,"gauge":{"dataPoints":[{"asInt":1,"attributes":[{"key":"i","value":{"intValue":%d}}]}]}}`, name, label)
	}
	refused("no value", `{"name":"x","gauge":{"dataPoints":[{}]}}`)
	refused("no value", `{"name":"x","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":-1}]}}`)
	refused("aggregation_temporality", `{"name":"x","sum":{"dataPoints":[{"asDouble":1}]}}`)
	refused("aggregation_temporality", `{"name":"x","histogram":{"dataPoints":[{}]}}`)
	refused("no name", `{"name":"...","gauge":{"dataPoints":[{"asInt":1}]}}`)
	refused("buckets", `{"name":"x","histogram":{"aggregationTemporality":2,"dataPoints":[{"bucketCounts":["1"],"explicitBounds":[1]}]}}`)
	refused("buckets", `{"name":"x","histogram":{"aggregationTemporality":2,"dataPoints":[{"bucketCounts":["1","1","1"],"explicitBounds":[2,1]}]}}`)
	refused("buckets", `{"name":"x","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":21}]}}`)
	w.has("")
	w.took(gauge("a", 1), gauge("a", 2), gauge("b", 1))
	refused("too many series", gauge("a", 3))
	w.took(gauge("b", 2))
	refused("too many series", gauge("c", 1))
	refused("another type", `{"name":"a","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":1}]}}`)
	w.took(gauge("a", 1), `{"name":"a","gauge":{"dataPoints":[{"flags":1}]}}`)
	if got := w.call(methodMetrics, message([]byte("\x00"), 0)); !strings.HasPrefix(got, "3 at byte 0") {
		t.Error(got)
	}
	if n := w.source.numbers.expire(time.Now().Add(time.Hour).Unix()); n != 4 {
		t.Errorf("%d have expired", n)
	}
	w.has("")
}

// TestNotWritten: what could not be written is counted once, when the sender repeats it.
func TestNotWritten(t *testing.T) {
	w := newWorld(t, nil).run()
	set := func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fail = err
	}
	both := []string{sum("a", 1, 5, 3), `{"name":"b","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"5","asInt":"3"}]}}`}
	set(errTest)
	for range 3 {
		if got := w.sendMetrics(both...); !strings.HasPrefix(got, "503") {
			t.Error(got)
		}
	}
	set(nil)
	w.took(both...)
	w.has("a_total"+origin+" 3", "b_total"+origin+" 3")
}

// TestNames has names as OpenTelemetry's documents and Prometheus' translation have them.
func TestNames(t *testing.T) {
	check := func(want, name, unit string, kind wire.Kind, monotonic bool) {
		t.Helper()
		if got := nameOf(&wire.Metric{Name: []byte(name), Unit: []byte(unit), Kind: kind, Monotonic: monotonic}); got != want {
			t.Errorf("%s in %s: %s; want %s", name, unit, got, want)
		}
	}
	check("http_server_request_duration_seconds", "http.server.request.duration", "s", wire.Histogram, false)
	check("system_io_bytes_total", "system.io", "By", wire.Sum, true)
	check("system_io_bytes_total", "system.io_bytes_total", "By", wire.Sum, true)
	check("active_requests", "active_requests", "{request}", wire.Sum, false)
	check("cpu_utilization_ratio", "cpu.utilization", "1", wire.Gauge, false)
	check("errors_total", "errors", "1", wire.Sum, true)
	check("speed_meters_per_second", "speed", "m/s", wire.Gauge, false)
	check("rate_per_second", "rate", "{req}/s", wire.Gauge, false)
	check("_2xx_total", "2xx", "", wire.Sum, true)
	check("a_b", "a//b", "", wire.Gauge, false)
	check("load_percent", "load", "%", wire.Gauge, false)
	check("odd_thing", "odd", "thing", wire.Gauge, false)
	check("", "...", "", wire.Gauge, false)
	for key, want := range map[string]string{"a.b": "a_b", "1a": "key_1a", "__a": "key__a", "a:b": "a_b", "": ""} {
		if got := labelOf(key); got != want {
			t.Errorf("%s: %s; want %s", key, got, want)
		}
	}
}

// FuzzPoints: whatever comes, the series keep to their bounds.
func FuzzPoints(f *testing.F) {
	for _, m := range []string{sum("hits", 1, 10, 5), exponential(2, 1, 5, `"count":"4","sum":9,"scale":0,"positive":{"offset":0,"bucketCounts":["2","1"]}`)} {
		body, err := wire.AppendProtobuf(nil, wire.Metrics, []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[`+m+`]}]}]}`))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t, func(c *Config) { c.MaxSeries = 10 })
		if err := w.source.numbers.open(worldLines{world: w}); err != nil {
			t.Fatal(err)
		}
		w.source.gate.Open(worldLines{world: w})
		j := &job{}
		j.Begin(&w.source.bodies, 1<<20)
		j.Text = body
		for range 2 {
			_, _ = w.source.write(t.Context(), j, wire.Metrics)
		}
		if n := len(w.source.numbers.tracks); n > 10 {
			t.Errorf("%d series", n)
		}
		w.reg.AppendText(nil, metric.OpenMetrics)
	})
}

// TestNotFinite: what is infinite or no number poisons no number that lasts.
func TestNotFinite(t *testing.T) {
	w := newWorld(t, nil).run()
	refused := func(m string) {
		t.Helper()
		if got := w.sendMetrics(m); !strings.Contains(got, `"rejectedDataPoints":"1","errorMessage":"x: it has no value`) {
			t.Errorf("%s: %s", m, got)
		}
	}
	for _, v := range []string{`"NaN"`, `"Infinity"`, `1e301`} {
		for _, kind := range []string{`"aggregationTemporality":2,"isMonotonic":true`, `"aggregationTemporality":1,"isMonotonic":true`, `"aggregationTemporality":1`} {
			refused(`{"name":"x","sum":{` + kind + `,"dataPoints":[{"timeUnixNano":"5","asDouble":` + v + `}]}}`)
		}
	}
	for i, sum := range []string{`2`, `"NaN"`, `"-Infinity"`, `9`} {
		for name, temporality := range map[string]int{"all": 2, "more": 1} {
			w.took(fmt.Sprintf(`{"name":%q,"histogram":{"aggregationTemporality":%d,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"%d","count":"%d","sum":%s,"bucketCounts":["%[4]d"]}]}}`, name, temporality, 5+i, i+1, sum))
		}
		w.took(exponential(2, 1, 5+i, fmt.Sprintf(`"count":"%d","sum":%s,"scale":0,"positive":{"offset":0,"bucketCounts":["%[1]d"]}`, i+1, sum)))
		w.took(fmt.Sprintf(`{"name":"wait","summary":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"%d","count":"%d","sum":%s}]}}`, 5+i, i+1, sum))
	}
	if got, want := w.native(), "count 4 sum 9 zero 0: 2=4"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	for _, want := range []string{"all_count" + origin + " 4", "all_sum" + origin + " 9", "more_count" + origin + " 10", "more_sum" + origin + " 11", "wait_count" + origin + " 4", "wait_sum" + origin + " 9"} {
		if !slices.Contains(strings.Split(w.numbers(), "\n"), want) {
			t.Errorf("%s is not in\n%s", want, w.numbers())
		}
	}
}

// TestSeriesBytes: what senders call their series is bounded in bytes, too.
func TestSeriesBytes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSeries = 1000 }).run()
	gauge := func(name, help, key, value string) string {
		return fmt.Sprintf(`{"name":%q,"description":%q,"gauge":{"dataPoints":[{"asInt":1,"attributes":[{"key":%q,"value":{"stringValue":%q}}]}]}}`, name, help, key, value)
	}
	long := strings.Repeat("ü", 100_000)
	w.took(gauge("x", long, "k", long))
	if n := len(w.reg.Named("x").Desc().Help); n > maxHelp {
		t.Errorf("a help of %d bytes", n)
	}
	w.refuses("no name", gauge(strings.Repeat("y", 2000), "", "k", "v"))
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf(`{"key":"k%d","value":{"stringValue":%q}}`, i, strings.Repeat("v", 1000))
	}
	w.refuses("labels", `{"name":"y","gauge":{"dataPoints":[{"asInt":1,"attributes":[`+strings.Join(many, ",")+`]}]}}`)
	points := make([]string, 999)
	for i := range points {
		points[i] = gauge(fmt.Sprintf("z%d", i), strings.Repeat("h", 1000), strings.Repeat("k", 1000), strings.Repeat("v", 1000))
	}
	before := w.source.numbers.bytes
	if got := w.sendMetrics(points...); !strings.Contains(got, "too many series") {
		t.Error(got)
	}
	if n := w.source.numbers.bytes; n <= before || n > seriesBytes*1000+spareBytes {
		t.Errorf("%d bytes", n)
	}
	w.restart(nil)
	if n := w.source.numbers.bytes; n > seriesBytes*1000+spareBytes || n < before {
		t.Errorf("%d bytes after a restart", n)
	}
	w.source.numbers.expire(time.Now().Add(time.Hour).Unix())
	if n := w.source.numbers.bytes; n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	if got := w.numbers(); got != "" {
		t.Error(got[:100])
	}
	// What stands between two labels is in none.
	l := labelled{pairs: []labelPair{{"a", "1\xffb\xff2"}}}
	f, err := w.reg.Family(metric.Desc{Name: "free", Free: true})
	if err != nil || l.values(f)[1] != "1\uFFFDb\uFFFD2" {
		t.Errorf("%q, %v", l.values(f), err)
	}
	w.reg.Forget("free")
	w.took(gauge("x", "", "k", "v"))
}
