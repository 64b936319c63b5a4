package otlp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/record"
)

// shown is a visitor that writes down what it gets.
type shown struct {
	out    []string
	refuse bool
}

func attributes(all []otlp.Attribute) string {
	var b strings.Builder
	for _, a := range all {
		text, _ := a.Value.Plain(nil)
		fmt.Fprintf(&b, " %s=%s", a.Key, text)
	}
	return b.String()
}

func (s *shown) add(format string, args ...any) { s.out = append(s.out, fmt.Sprintf(format, args...)) }

func (s *shown) Resource(r *otlp.Resource) bool {
	s.add("resource%s", attributes(r.Attributes))
	return !s.refuse
}

func (s *shown) Scope(v *otlp.Scope) {
	s.add("scope %s %s%s", v.Name, v.Version, attributes(v.Attributes))
}

func (s *shown) Log(l *otlp.Log) error {
	text, _ := l.Body.Plain(nil)
	s.add("%d %d %d %s %q%s %x %x %d %d %s", l.Time, l.Observed, l.Severity, l.SeverityText, text, attributes(l.Attributes), l.TraceID, l.SpanID, l.Flags, l.Dropped, l.EventName)
	return nil
}

func (s *shown) Metric(m *otlp.Metric) {
	s.add("metric %s %q %s kind %d temporality %d monotonic %t scope %s", m.Name, m.Description, m.Unit, m.Kind, m.Temporality, m.Monotonic, m.Scope.Name)
}

func (s *shown) Point(p *otlp.Point) error {
	exemplars := ""
	for _, e := range p.Exemplars {
		exemplars += fmt.Sprintf(" e(%d %v %x %x)", e.Time, e.Value, e.TraceID, e.SpanID)
	}
	s.add("%d-%d%s flags %d value %v %t count %d sum %v %t %v %v scale %d zero %d %v +%v -%v %v%s", p.Start, p.Time, attributes(p.Attributes), p.Flags, p.Value, p.HasValue,
		p.Count, p.Sum, p.HasSum, p.Counts, p.Bounds, p.Scale, p.ZeroCount, p.ZeroThreshold, p.Positive, p.Negative, p.Quantiles, exemplars)
	return nil
}

const logsJSON = `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],"unknown":[{"a":1}]},
"scopeLogs":[{"scope":{"name":"lib","version":"1","attributes":[{"key":"a","value":{"boolValue":true}}]},"logRecords":[
{"timeUnixNano":"1544712660300000000","observedTimeUnixNano":1544712660300000001,"severityNumber":10,"severityText":"Information",
 "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","flags":1,"eventName":"e","droppedAttributesCount":3,
 "body":{"stringValue":"Example \"log\"\n"},
 "attributes":[{"key":"i","value":{"intValue":"-10"}},{"key":"d","value":{"doubleValue":637.704}},{"key":"n","value":{"doubleValue":"NaN"}},
 {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"many"},{"intValue":1},{}]}}},
 {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"bytesValue":"AQID"}}]}}},{"key":"none","value":{}}]},
 {"body":{"kvlistValue":{"values":[{"key":"k\t","value":{"arrayValue":{}}}]}}}
]}],"schemaUrl":"x"}]}`

// TestLogs reads what OpenTelemetry's example has, and more.
func TestLogs(t *testing.T) {
	body, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(logsJSON))
	if err != nil {
		t.Fatal(err)
	}
	var d otlp.Decoder
	var got shown
	if err := d.Logs(body, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"resource service.name=shop",
		"scope lib 1 a=true",
		`1544712660300000000 1544712660300000001 10 Information "Example \"log\"\n" i=-10 d=637.704 n=NaN l=["many",1,null] m={"k":"AQID"} none= 5b8efff798038103d269b633813fc60c eee19b7ec3c1b174 1 3 e`,
		`0 0 0  "{\"k\\t\":[]}"   0 0 `,
	}
	if !slices.Equal(got.out, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got.out, "\n"), strings.Join(want, "\n"))
	}
	refused := shown{refuse: true}
	if err := d.Logs(body, &refused); err != nil || len(refused.out) != 1 {
		t.Errorf("%v %q", err, refused.out)
	}
}

const metricsJSON = `{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"lib"},"metrics":[
{"name":"sum","unit":"1","description":"d","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
 {"asInt":"5","startTimeUnixNano":"1","timeUnixNano":"2","attributes":[{"key":"a","value":{"stringValue":"b"}}],
  "exemplars":[{"timeUnixNano":"3","asDouble":1.5,"spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60c"}]}]}},
{"name":"gauge","gauge":{"dataPoints":[{"asDouble":-1e3,"timeUnixNano":"2"},{"flags":1}]}},
{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"2","sum":2,"bucketCounts":["1","1"],"explicitBounds":[1]}]}},
{"name":"x","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":3,"sum":10,"scale":-1,"zeroCount":1,"positive":{"offset":-2,"bucketCounts":[0,"2"]},"zeroThreshold":0.5}]}},
{"name":"s","summary":{"dataPoints":[{"count":3,"sum":10,"quantileValues":[{"quantile":0.5,"value":2}]}]}}
]}]}]}`

func TestMetrics(t *testing.T) {
	body, err := otlp.AppendProtobuf(nil, otlp.Metrics, []byte(metricsJSON))
	if err != nil {
		t.Fatal(err)
	}
	var d otlp.Decoder
	var got shown
	if err := d.Metrics(body, &got); err != nil {
		t.Fatal(err)
	}
	const rest = "[] [] scale 0 zero 0 0 +{0 []} -{0 []} []"
	want := []string{
		"resource",
		`metric sum "d" 1 kind 7 temporality 2 monotonic true scope lib`,
		"1-2 a=b flags 0 value 5 true count 0 sum 0 false " + rest + " e(3 1.5 5b8efff798038103d269b633813fc60c eee19b7ec3c1b174)",
		`metric gauge ""  kind 5 temporality 0 monotonic false scope lib`,
		"0-2 flags 0 value -1000 true count 0 sum 0 false " + rest,
		"0-0 flags 1 value 0 false count 0 sum 0 false " + rest,
		`metric h ""  kind 9 temporality 1 monotonic false scope lib`,
		"0-0 flags 0 value 0 false count 2 sum 2 true [1 1] [1] scale 0 zero 0 0 +{0 []} -{0 []} []",
		`metric x ""  kind 10 temporality 1 monotonic false scope lib`,
		"0-0 flags 0 value 0 false count 3 sum 10 true [] [] scale -1 zero 1 0.5 +{-2 [0 2]} -{0 []} []",
		`metric s ""  kind 11 temporality 0 monotonic false scope lib`,
		"0-0 flags 0 value 0 false count 3 sum 10 true [] [] scale 0 zero 0 0 +{0 []} -{0 []} [{0.5 2}]",
	}
	if !slices.Equal(got.out, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got.out, "\n"), strings.Join(want, "\n"))
	}
}

// TestBadJSON has what is refused, with what is said of it.
func TestBadJSON(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		_, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(text))
		var syntax *protobuf.SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	of := func(record string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{` + record + `}]}]}]}`
	}
	bad(``, "expected an object")
	bad(`[]`, "expected an object")
	bad(`{} {}`, "after the request")
	bad(`{"a":}`, "no valid JSON")
	bad(`{"resourceLogs":{}}`, "expected a list")
	bad(of(`"timeUnixNano":"x"`), "no value of timeUnixNano")
	bad(of(`"timeUnixNano":1.5`), "no value of timeUnixNano")
	bad(of(`"timeUnixNano":9007199254740993.0`), "no value of timeUnixNano") // 2^53 and 1, which no float is
	bad(of(`"traceId":"0g"`), "no value of traceId")
	bad(of(`"severityNumber":"SEVERITY_NUMBER_INFO"`), "no value of severityNumber")
	bad(of(`"severityText":5`), "no value of severityText")
	bad(of(`"body":"text"`), "expected an object")
	bad(of(`"body":{"boolValue":1}`), "no value of boolValue")
	bad(of(`"body":{"bytesValue":"?"}`), "no value of bytesValue")
	bad(of(`"flags":4294967296`), "no value of flags")
	bad(of(`"x":`+strings.Repeat("[", 500)), "no valid JSON")
	bad(of(`"body":`+strings.Repeat(`{"arrayValue":{"values":[`, 500)), "deep")
	if b, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(` { "resourceLogs" : null } `)); err != nil || len(b) != 0 {
		t.Error(b, err)
	}
}

// nested returns a request with a body of lists within lists.
func nested(depth int) []byte {
	value := protobuf.AppendText(nil, 1, "x")
	for range depth {
		value = protobuf.AppendText(nil, 5, protobuf.AppendText(nil, 1, value))
	}
	body := protobuf.AppendText(nil, 5, value)
	for _, field := range []uint32{2, 2, 1} {
		body = protobuf.AppendText(nil, field, body)
	}
	return body
}

// TestHostile has bodies that want too much, or are damaged.
func TestHostile(t *testing.T) {
	var d otlp.Decoder
	if err := d.Logs(nested(32), &shown{}); err != nil {
		t.Error(err)
	}
	if err := d.Logs(nested(33), &shown{}); err == nil || !strings.Contains(err.Error(), "32 deep") {
		t.Error(err)
	}
	if err := d.Logs(nested(1000), &shown{}); err == nil {
		t.Error("1,000 levels are taken")
	}
	whole, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(logsJSON))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		if d.Logs(whole[:n], &shown{}) == nil {
			t.Errorf("the first %d of %d bytes are taken", n, len(whole))
		}
	}
	many, _ := otlp.OpenLog(nil, &otlp.Head{})
	for range otlp.MaxAttributes + 7 {
		many = otlp.AppendAttribute(many, []byte("k"), []byte("v"))
	}
	many = otlp.AppendRequest(nil, &otlp.Origin{}, protobuf.Close(many, 1))
	var most most
	if err := d.Logs(many, &most); err != nil || most.attributes != otlp.MaxAttributes || most.excess != 7 {
		t.Error(err, most)
	}
}

type most struct {
	shown
	attributes, excess int
}

func (m *most) Log(l *otlp.Log) error {
	m.attributes, m.excess = len(l.Attributes), l.Excess
	return nil
}

// TestEncode reads what is written.
func TestEncode(t *testing.T) {
	id, _ := hex.DecodeString("5b8efff798038103d269b633813fc60c")
	records, at := otlp.OpenLog(nil, &otlp.Head{Time: 5, Level: record.LevelWarn, Body: []byte("no \xff letter"), TraceID: id, SpanID: id[:8], Flags: 1})
	records = protobuf.Close(otlp.AppendAttribute(records, []byte("task"), []byte("t")), at)
	records, at = otlp.OpenLog(records, &otlp.Head{})
	records = protobuf.Close(records, at)
	resource := otlp.AppendResourceAttribute(nil, "service.name", "shop")
	body := otlp.AppendRequest(nil, &otlp.Origin{Resource: resource, Name: "weir", Version: "1"}, records)
	var d otlp.Decoder
	var got shown
	if err := d.Logs(body, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"resource service.name=shop", "scope weir 1", `5 0 13 warn "no � letter" task=t 5b8efff798038103d269b633813fc60c 5b8efff798038103 1 0 `, `0 0 0  ""   0 0 `}
	if !slices.Equal(got.out, want) {
		t.Errorf("%q; want %q", got.out, want)
	}
	for l := record.LevelUnknown; l <= record.LevelFatal; l++ {
		if got := otlp.LevelOf(otlp.Severity(l)); got != l {
			t.Errorf("%s becomes %s", l, got)
		}
	}
	if otlp.LevelOf(24) != record.LevelFatal || otlp.LevelOf(25) != record.LevelUnknown || otlp.LevelOf(-1) != record.LevelUnknown {
		t.Error("levels of the ends")
	}
}

func TestAnswers(t *testing.T) {
	p := otlp.Partial{Rejected: 7, Message: `too "old"`}
	if got, err := otlp.ParseResponse(otlp.AppendResponse(nil, p)); err != nil || got != p {
		t.Error(got, err)
	}
	if b := otlp.AppendResponse(nil, otlp.Partial{}); len(b) != 0 {
		t.Errorf("%x", b)
	}
	if got := string(otlp.AppendJSONResponse(nil, otlp.Metrics, p)); got != `{"partialSuccess":{"rejectedDataPoints":"7","errorMessage":"too \"old\""}}` {
		t.Error(got)
	}
	s := otlp.Status{Code: 8, Message: "busy", RetryAfter: 1.5}
	if got, ok := otlp.ParseStatus(otlp.AppendStatus(nil, s)); !ok || got != s {
		t.Error(got, ok)
	}
	text := otlp.AppendJSONStatus(nil, s)
	if got := otlp.ParseJSONMessage(text); string(text) != `{"code":8,"message":"busy"}` || got != "busy" {
		t.Error(string(text), got)
	}
}

// TestAllocations: nothing is allocated for a record.
func TestAllocations(t *testing.T) {
	body, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(logsJSON))
	if err != nil {
		t.Fatal(err)
	}
	var d otlp.Decoder
	var v quiet
	if n := testing.AllocsPerRun(100, func() {
		if d.Logs(body, &v) != nil {
			t.Error("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// quiet is a visitor that wants all and keeps nothing.
type quiet struct{ points int }

func (*quiet) Resource(*otlp.Resource) bool { return true }
func (*quiet) Scope(*otlp.Scope)            {}
func (*quiet) Log(*otlp.Log) error          { return nil }
func (*quiet) Metric(*otlp.Metric)          {}
func (q *quiet) Point(*otlp.Point) error    { q.points++; return nil }

func FuzzLogs(f *testing.F) {
	body, err := otlp.AppendProtobuf(nil, otlp.Logs, []byte(logsJSON))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(nested(3))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d otlp.Decoder
		first, again, dry := shown{}, shown{}, shown{refuse: true}
		err := d.Logs(body, &first)
		if failed := d.Logs(body, &dry); (failed == nil) != (err == nil) {
			t.Errorf("%v with records, %v without", err, failed)
		}
		if _ = d.Logs(body, &again); !slices.Equal(first.out, again.out) {
			t.Error("the second time it is another")
		}
	})
}

func FuzzMetrics(f *testing.F) {
	body, err := otlp.AppendProtobuf(nil, otlp.Metrics, []byte(metricsJSON))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		var d otlp.Decoder
		first, dry := shown{}, shown{refuse: true}
		err := d.Metrics(body, &first)
		if failed := d.Metrics(body, &dry); (failed == nil) != (err == nil) {
			t.Errorf("%v with points, %v without", err, failed)
		}
	})
}

// FuzzJSON: what is taken is protobuf that can be read, and not much more than the text.
func FuzzJSON(f *testing.F) {
	f.Add(true, []byte(logsJSON))
	f.Add(false, []byte(metricsJSON))
	f.Fuzz(func(t *testing.T, logs bool, text []byte) {
		what := otlp.Metrics
		if logs {
			what = otlp.Logs
		}
		body, err := otlp.AppendProtobuf(nil, what, text)
		if err != nil {
			return
		}
		if len(body) > 5*len(text) {
			t.Errorf("%d bytes of %d", len(body), len(text))
		}
		var d otlp.Decoder
		if logs {
			err = d.Logs(body, &quiet{})
		} else {
			err = d.Metrics(body, &quiet{})
		}
		if err != nil && !strings.Contains(err.Error(), "deep") {
			t.Error(err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(otlp.AppendResponse(nil, otlp.Partial{Rejected: 1, Message: "m"}))
	f.Add(otlp.AppendStatus(nil, otlp.Status{Code: 1, Message: "m", RetryAfter: 2}))
	f.Add([]byte(`{"code":8,"message":"busy"}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = otlp.ParseResponse(body)
		_, _ = otlp.ParseStatus(body)
		_ = otlp.ParseJSONMessage(body)
	})
}

// BenchmarkLogs reads records as an SDK sends them.
func BenchmarkLogs(b *testing.B) {
	var records []byte
	for i := range 1000 {
		var at int
		records, at = otlp.OpenLog(records, &otlp.Head{Time: int64(i + 1), Level: record.LevelInfo, Body: []byte("GET /orders/17 took 12 ms for customer 4711 of the shop"), TraceID: make([]byte, 16), SpanID: make([]byte, 8)})
		records = otlp.AppendAttribute(records, []byte("http.route"), []byte("/orders/{id}"))
		records = otlp.AppendAttribute(records, []byte("http.response.status_code"), []byte("200"))
		records = protobuf.Close(records, at)
	}
	body := otlp.AppendRequest(nil, &otlp.Origin{Resource: otlp.AppendResourceAttribute(nil, "service.name", "shop"), Name: "lib"}, records)
	for name, v := range map[string]otlp.LogVisitor{"read": &quiet{}, "check": &refusing{}} {
		b.Run(name, func(b *testing.B) {
			var d otlp.Decoder
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Logs(body, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// refusing is a visitor that wants nothing.
type refusing struct{ quiet }

func (*refusing) Resource(*otlp.Resource) bool { return false }

// TestRoom: nothing is appended that no room was asked for.
func TestRoom(t *testing.T) {
	for what, text := range map[otlp.Request]string{otlp.Logs: logsJSON, otlp.Metrics: metricsJSON} {
		want, err := otlp.AppendProtobuf(nil, what, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		got, err := otlp.AppendWithin(nil, what, []byte(text), func(dst []byte, more int) ([]byte, error) {
			if cap(dst) != given {
				t.Errorf("room of %d bytes where %d were given", cap(dst), given)
			}
			more += len(dst)
			dst = append(make([]byte, 0, more), dst...)
			given = cap(dst)
			return dst[:len(dst):given], nil
		})
		if err != nil || !bytes.Equal(got, want) || cap(got) != given {
			t.Errorf("%v, %d bytes, %d with room for %d", err, len(want), len(got), given)
		}
		for at := range len(want) {
			_, err := otlp.AppendWithin(nil, what, []byte(text), func(dst []byte, _ int) ([]byte, error) {
				if len(dst) > at {
					return dst, errRoom
				}
				return dst, nil
			})
			if err != nil && !errors.Is(err, errRoom) {
				t.Fatal(err)
			}
		}
	}
}

var errRoom = errors.New("no room")
