package otlp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weirlog/weir/internal/codec/compress"
	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

const (
	isJSON     = "Content-Type: application/json"
	isProtobuf = "Content-Type: application/x-protobuf"
)

// oneLog returns a request with one record of a service.
func oneLog(service, text string) []byte {
	records, at := wire.OpenLog(nil, &wire.Head{Time: 1, Level: record.LevelInfo, Body: []byte(text)})
	return wire.AppendRequest(nil, &wire.Origin{Resource: wire.AppendResourceAttribute(nil, "service.name", service)}, protobuf.Close(records, at))
}

func zip(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const shop = `otlp/{service_name="shop", source="otlp"}`

// TestWays sends the same in every way there is.
func TestWays(t *testing.T) {
	w := newWorld(t, nil).run()
	body := oneLog("shop", "text")
	var e compress.Encoder
	var want []string
	took := func(got, answer string) {
		t.Helper()
		if got != answer {
			t.Errorf("%q", got)
		}
		want = append(want, "1 info text")
		w.expect(map[string][]string{shop: want})
	}
	const asJSON = `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityNumber":9,"body":{"stringValue":"text"}}]}]}]}`
	took(w.post("/v1/logs", body, isProtobuf), "200")
	took(w.post("/v1/logs", []byte(asJSON), isJSON), "200 {}")
	took(w.post("/v1/logs", zip(t, []byte(asJSON)), isJSON+"; charset=utf-8", "Content-Encoding: gzip"), "200 {}")
	took(w.post("/v1/logs", zip(t, body), isProtobuf, "Content-Encoding: gzip"), "200")
	took(w.post("/v1/logs", e.AppendFrame(nil, body), isProtobuf, "Content-Encoding: zstd"), "200")
	took(w.call(methodLogs, message(body, 0)), "0")
	took(w.call(methodLogs, message(body, 0), "Content-Type: application/grpc+proto", "Grpc-Timeout: 10S", "Grpc-Encoding: gzip"), "0")
	took(w.call(methodLogs, message(zip(t, body), 1), "Grpc-Encoding: gzip"), "0")
	took(w.call(methodLogs, message(e.AppendFrame(nil, body), 1), "Grpc-Encoding: zstd"), "0")
	if w.opened[shop] != 1 {
		t.Errorf("opened %d times", w.opened[shop])
	}
	if got := w.post("/v1/logs", nil, isProtobuf) + w.post("/v1/logs", []byte("{}"), isJSON) + w.call(methodLogs, message(nil, 0)); got != "200200 {}0" {
		t.Errorf("nothing: %s", got)
	}
}

// TestRecords: what attributes, severities, times and bodies become.
func TestRecords(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Labels = map[string]string{"env": "test"} }).run()
	text := func(key, value string) string {
		return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, key, value)
	}
	body := `{"resourceLogs":[{"resource":{"attributes":[` + text("service.name", "shop") + `,` + text("telemetry.sdk.name", "otel") + `,` + text("a", "of the resource") + `]},"scopeLogs":[
 {"scope":{"name":"lib","version":"1.2","attributes":[` + text("a", "of the scope") + `,` + text("b", "c") + `]},"logRecords":[
  {"timeUnixNano":"5","observedTimeUnixNano":"1000000005","severityNumber":14,"severityText":"Warning","body":{"stringValue":"one"},"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1,
   "attributes":[` + text("http.route", "/") + `,` + text("a", "own") + `,` + text("http_route", "/last") + `,` + text("log.iostream", "stderr") + `,{"key":"n","value":{"intValue":"7"}},{"key":"list","value":{"arrayValue":{"values":[{"intValue":1}]}}}]},
  {"observedTimeUnixNano":"7","severityText":"ERROR","body":{"kvlistValue":{"values":[{"key":"k","value":{"doubleValue":1.5}}]}},"eventName":"e","droppedAttributesCount":2},
  {"severityNumber":99,"body":{"stringValue":"x"},"attributes":[` + text("log.iostream", "stdout") + `,` + text("weir.cut", "true") + `]}]},
 {"logRecords":[{"timeUnixNano":"18446744073709551615","body":{}}]}]},
 {"scopeLogs":[{"logRecords":[{"timeUnixNano":"8","body":{"stringValue":"of nobody"}}]}]}]}`
	if got := w.post("/v1/logs", []byte(body), isJSON); got != "200 {}" {
		t.Fatal(got)
	}
	const rest = "scope_name=lib scope_version=1.2 b=c"
	w.expect(map[string][]string{
		`otlp/{env="test", service_name="shop", source="otlp"}`: {
			"5 warn one flags 4 weight 0 severity_text=Warning severity_number=14 observed_timestamp=1000000005 trace_id=5b8efff798038103d269b633813fc60c span_id=eee19b7ec3c1b174 flags=1 http_route=/last a=own n=7 list=[1] telemetry_sdk_name=otel " + rest,
			`7 error {"k":1.5} event_name=e dropped_attributes_count=2 telemetry_sdk_name=otel a=of the resource ` + rest,
			"0 unknown x severity_number=99 log_iostream=stdout weir_cut=true telemetry_sdk_name=otel a=of the resource " + rest,
			"9223372036854775807 unknown  telemetry_sdk_name=otel a=of the resource",
		},
		`otlp/{env="test", source="otlp"}`: {"8 unknown of nobody"},
	})
}

// TestOwn: what another weir sends becomes what it was there.
func TestOwn(t *testing.T) {
	w := newWorld(t, nil).run()
	resource := wire.AppendResourceAttribute(nil, "weir.stream", "docker/shop")
	resource = wire.AppendResourceAttribute(resource, "container", "shop")
	resource = wire.AppendResourceAttribute(resource, "source", "docker")
	records, at := wire.OpenLog(nil, &wire.Head{Time: 3, Level: record.LevelError, Body: []byte("text")})
	for _, kv := range [][2]string{{"task", "t"}, {"weir.cut", "true"}, {"weir.weight", "10"}, {"log.iostream", "stderr"}} {
		records = wire.AppendAttribute(records, []byte(kv[0]), []byte(kv[1]))
	}
	body := wire.AppendRequest(nil, &wire.Origin{Resource: resource, Name: "weir", Version: "1"}, protobuf.Close(records, at))
	if got := w.post("/v1/logs", body, isProtobuf); got != "200" {
		t.Fatal(got)
	}
	w.expect(map[string][]string{`otlp/{container="shop", source="docker"}`: {fmt.Sprintf("3 error text flags %d weight 10 task=t", record.Cut|record.Stderr)}})
}

// TestKeys: what stands in an attribute is no other attribute.
func TestKeys(t *testing.T) {
	w := newWorld(t, nil).run()
	one := func(pairs ...string) []byte {
		var resource []byte
		for i := 0; i < len(pairs); i += 2 {
			resource = wire.AppendResourceAttribute(resource, pairs[i], pairs[i+1])
		}
		log, at := wire.OpenLog(nil, &wire.Head{Time: 1, Body: []byte("x")})
		return wire.AppendRequest(nil, &wire.Origin{Resource: resource}, protobuf.Close(log, at))
	}
	body := append(one("service.name", "a\x00service.namespace\x00b"), one("service.name", "a", "service.namespace", "b")...)
	if got := w.post("/v1/logs", body, isProtobuf); got != "200" {
		t.Fatal(got)
	}
	w.expect(map[string][]string{
		"otlp/{service_name=\"a\x00service.namespace\x00b\", source=\"otlp\"}": {"1 unknown x"}, `otlp/{service_name="a", service_namespace="b", source="otlp"}`: {"1 unknown x"},
	})
}

// TestLarge: long texts lose their end, many records make several batches.
func TestLarge(t *testing.T) {
	w := newWorld(t, nil).run()
	var records []byte
	var want []string
	for i := range 3000 {
		var at int
		records, at = wire.OpenLog(records, &wire.Head{Time: int64(i + 1), Body: []byte(strings.Repeat("x", 500))})
		records = protobuf.Close(wire.AppendAttribute(records, []byte("i"), fmt.Append(nil, i)), at)
		want = append(want, fmt.Sprintf("%d unknown %s i=%d telemetry=yes", i+1, strings.Repeat("x", 500), i))
	}
	records, at := wire.OpenLog(records, &wire.Head{Time: 1, Body: []byte(strings.Repeat("é", maxLineBytes/2+1))})
	records = protobuf.Close(records, at)
	want = append(want, fmt.Sprintf("1 unknown %d bytes flags %d weight 0 telemetry=yes", maxLineBytes, record.Cut))
	resource := wire.AppendResourceAttribute(nil, "telemetry", "yes")
	if got := w.post("/v1/logs", wire.AppendRequest(nil, &wire.Origin{Resource: resource}, records), isProtobuf); got != "200" {
		t.Fatal(got)
	}
	w.expect(map[string][]string{`otlp/{source="otlp"}`: want})
}

// TestRefused has the answers to what is not taken.
func TestRefused(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxBody, c.MaxStreams = 64<<10, 2 }).run()
	body := oneLog("shop", "text")
	good := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	}
	status := func(got, want string, code int32) {
		t.Helper()
		http, body, _ := strings.Cut(got, " ")
		if s, ok := wire.ParseStatus([]byte(body)); !ok || s.Code != code || !strings.HasPrefix(http+" "+s.Message, want) {
			t.Errorf("%q; want %q with code %d", got, want, code)
		}
	}
	status(w.post("/v1/traces", body, isProtobuf), "404 logs are taken at /v1/logs", 12)
	good(w.post("/v1/logs", body), "415 content type \"\"")
	good(w.post("/v1/logs", body, "Content-Type: text/plain"), "415")
	status(w.post("/v1/logs", body, isProtobuf, "Content-Encoding: br"), "415 content encoding", 12)
	status(w.post("/v1/logs", body, isProtobuf, "Sec-Fetch-Site: cross-site"), "403 web pages", 7)
	good(w.post("/v1/traces", []byte("{}"), isJSON), `404 {"code":12,"message":"logs are taken at /v1/logs`)
	good(w.post("/v1/logs", []byte("{}"), isJSON, "Content-Encoding: br"), `415 {"code":12,"message":"content encoding`)
	good(w.post("/v1/logs", []byte("{}"), isJSON, "Sec-Fetch-Site: cross-site"), `403 {"code":7,"message":"web pages`)
	good(w.post("/v1/logs", []byte("{"), isJSON), `400 {"code":3,"message":"at byte 1: expected a key"}`)
	good(w.post("/v1/logs", body[:10], isProtobuf), "400")
	good(w.post("/v1/logs", make([]byte, 65<<10), isProtobuf), "413")
	good(w.post("/v1/logs", zip(t, make([]byte, 1<<20)), isProtobuf, "Content-Encoding: gzip"), "413")
	good(w.post("/v1/logs", body, isProtobuf, "Content-Encoding: gzip"), "400")
	good(w.call("/opentelemetry.proto.collector.trace.v1.TraceService/Export", message(body, 0)), "12 weir takes logs and metrics")
	good(w.call(methodLogs, message(body, 1)), "3 the message says that it is packed")
	good(w.call(methodLogs, message(body, 2)), "3 the call is not one whole message")
	good(w.call(methodLogs, message(body, 0)[:20]), "3 the call is not one whole message")
	good(w.call(methodLogs, append(message(body, 0), message(body, 0)...)), "3 the call is not one whole message")
	good(w.call(methodLogs, nil), "3 the call is not one whole message")
	good(w.call(methodLogs, []byte("\x00\xff\xff\xff\xff")), "8 the request has more than 64KiB")
	good(w.call(methodLogs, message(zip(t, make([]byte, 1<<20)), 1), "Grpc-Encoding: gzip"), "8 the request has more than 64KiB")
	good(w.call(methodLogs, message(body, 1), "Grpc-Encoding: snappy"), "12 grpc-encoding")
	good(w.call(methodLogs, message(body, 0), "Grpc-Timeout: soon"), "3 grpc-timeout")
	good(w.call(methodLogs, message([]byte("\x00"), 0)), "3 at byte 0: no field of protobuf")
	many := append(append(oneLog("a", "x"), oneLog("b", "x")...), oneLog("c", "x")...)
	good(w.post("/v1/logs", many, isProtobuf), "429")
	good(w.call(methodLogs, message(many, 0)), "8 0 streams are open and at most 2 can be (max_streams)")
	if got := w.call(methodLogs, message(many, 0)); !strings.HasSuffix(got, "(after 30 s)") {
		t.Error(got)
	}
	w.expect(map[string][]string{})
	w.mu.Lock()
	w.fail = flow.ErrNoRoom
	w.mu.Unlock()
	good(w.post("/v1/logs", body, isProtobuf), "503")
	good(w.call(methodLogs, message(body, 0)), "14 the disk has no room to keep text (after 1 s)")
	w.mu.Lock()
	w.fail, w.refuse = nil, errTest
	w.mu.Unlock()
	good(w.call(methodLogs, message(oneLog("new", "x"), 0)), "0rejected 1: the stream cannot be opened")
	if got := w.post("/v1/logs", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}`), isJSON); got != `200 {"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"the stream cannot be opened"}}` {
		t.Error(got)
	}
	if w.source.bodies.Used() != 0 || w.source.requests.Load() != 0 || w.source.streams.InUse() {
		t.Error("something is still in use")
	}
}

// TestWhole damages the end of requests: of one batch, of several, and of several resources.
// Nothing of them is written.
func TestWhole(t *testing.T) {
	w := newWorld(t, nil).run()
	var many []byte
	for range 3000 {
		var at int
		many, at = wire.OpenLog(many, &wire.Head{Time: 1, Body: []byte(strings.Repeat("x", 500))})
		many = protobuf.Close(many, at)
	}
	large := wire.AppendRequest(nil, &wire.Origin{Resource: wire.AppendResourceAttribute(nil, "service.name", "large")}, many)
	nowhere, at := wire.OpenLog(nil, &wire.Head{Time: 1, Body: []byte("x")})
	nowhere = protobuf.Close(append(nowhere, "\x32\x7f"...), at) // an attribute that is longer than its record
	damaged := wire.AppendRequest(nil, &wire.Origin{Resource: wire.AppendResourceAttribute(nil, "service.name", "shop")}, nowhere)
	for name, body := range map[string][]byte{
		"one record":            damaged,
		"after a record":        wire.AppendRequest(nil, &wire.Origin{}, append(bytes.Clone(many[:len(many)/3000]), nowhere...)),
		"after several batches": wire.AppendRequest(nil, &wire.Origin{}, append(bytes.Clone(many), nowhere...)),
		"the second resource":   append(oneLog("shop", "text"), damaged...),
		"after a large one":     append(bytes.Clone(large), damaged...),
		"what follows":          append(bytes.Clone(large), 0),
	} {
		if got := w.post("/v1/logs", body, isProtobuf); !strings.HasPrefix(got, "400") {
			t.Errorf("%s: %.100s", name, got)
		}
	}
	w.expect(map[string][]string{})
	if w.opened[shop] > 0 || w.source.bodies.Used() != 0 || w.source.streams.InUse() {
		t.Error("something is still in use, or was opened")
	}
	if got := w.post("/v1/logs", append(oneLog("shop", "text"), large...), isProtobuf); got != "200" || w.records() != 3001 {
		t.Errorf("%s, %d records", got, w.records())
	}
}

// TestFirstNotWritten has the disk fail for the first of several resources: whatever the others have,
// the sender is told, and may send all of it again.
func TestFirstNotWritten(t *testing.T) {
	w := newWorld(t, nil).run()
	w.fail = flow.ErrNoRoom
	first := oneLog("shop", "text")
	for name, body := range map[string][]byte{
		"nothing":         first,
		"an empty one":    append(bytes.Clone(first), 0x0a, 0x00),
		"one with scopes": append(bytes.Clone(first), wire.AppendRequest(nil, &wire.Origin{Name: "lib"}, nil)...),
		"more records":    append(bytes.Clone(first), oneLog("other", "text")...),
	} {
		if got := w.post("/v1/logs", body, isProtobuf); !strings.HasPrefix(got, "503") {
			t.Errorf("%s: %.100s", name, got)
		}
	}
	if got := w.post("/v1/logs", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]},{}]}`), isJSON); !strings.HasPrefix(got, "503") {
		t.Errorf("JSON: %.100s", got)
	}
	w.expect(map[string][]string{})
	if w.source.bodies.Used() != 0 || w.source.streams.InUse() {
		t.Error("something is still in use")
	}
}

// TestManyRecords sends records that have nothing, of two bytes each: more than a batch has are
// written in several, and more than a request may have are refused before any is written.
func TestManyRecords(t *testing.T) {
	w := newWorld(t, nil).run()
	empty := func(n int) []byte {
		return wire.AppendRequest(nil, &wire.Origin{Resource: wire.AppendResourceAttribute(nil, "service.name", "shop")}, bytes.Repeat([]byte{0x12, 0}, n))
	}
	most := w.source.maxRecords()
	if got := w.post("/v1/logs", empty(most+1), isProtobuf); !strings.HasPrefix(got, "413") || w.records() > 0 {
		t.Errorf("%.100s, %d records", got, w.records())
	}
	if got := w.call(methodLogs, message(empty(most+1), 0)); !strings.HasPrefix(got, "8 the request has more than 1048576 records") {
		t.Errorf("%.100s", got)
	}
	const n = 2*maxBatchRecords + 1
	if got := w.post("/v1/logs", empty(n), isProtobuf); got != "200" || w.records() != n {
		t.Errorf("%.100s, %d records", got, w.records())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.most > maxBatchRecords {
		t.Errorf("a batch has %d records", w.most)
	}
}

// TestSlowBody: a body that comes too slowly is one to be sent again.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, nil).run()
	slow := fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)
	for name, read := range map[string]func(j *job) error{
		"HTTP":   func(j *job) error { return j.read(iotest.ErrReader(slow), wire.Logs, form{}) },
		"packed": func(j *job) error { return j.read(iotest.ErrReader(slow), wire.Logs, form{encoding: intake.Gzip}) },
		"gRPC":   func(j *job) error { return j.readMessage(iotest.ErrReader(slow), intake.Plain) },
		"later": func(j *job) error {
			return j.readMessage(io.MultiReader(strings.NewReader("\x00\x00\x00\x00\x09ab"), iotest.ErrReader(slow)), intake.Plain)
		},
	} {
		if a := w.source.take(t.Context(), wire.Logs, read); a.status != 503 || a.code != deadlineExceeded || a.after != 1 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// FuzzRequest: whatever is sent, it is answered, and nothing of it stays in use.
func FuzzRequest(f *testing.F) {
	f.Add(oneLog("shop", "text"), false)
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"attributes":[{"key":"a.b","value":{"intValue":1}}]}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, json bool) {
		w := newWorld(t, func(c *Config) { c.MaxStreams = 10 })
		w.source.gate.Open(worldLines{world: w})
		j := &job{}
		if !j.Begin(&w.source.bodies, 1<<20) {
			t.Fatal("no memory")
		}
		if err := j.read(bytes.NewReader(body), wire.Logs, form{json: json}); err == nil {
			if _, err := w.source.write(t.Context(), j, wire.Logs); err != nil && w.records() > 0 {
				t.Error("a part of a request was written that is refused")
			}
		}
		j.End()
		if w.source.bodies.Used() != 0 || w.source.streams.InUse() {
			t.Error("something is still in use")
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(message(oneLog("shop", "text"), 0), "gzip")
	f.Add(message(zip(f, oneLog("shop", "text")), 1), "gzip")
	f.Fuzz(func(t *testing.T, framed []byte, encoding string) {
		w := newWorld(t, nil)
		j := &job{}
		j.Begin(&w.source.bodies, 1<<20)
		_ = j.readMessage(bytes.NewReader(framed), "gzip")
		j.End()
		_, _ = parseTimeout(encoding)
		if text := escapeMessage(encoding); strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("%q", text)
		}
	})
}
