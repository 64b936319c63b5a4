package lokipush_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/lokipush"
)

// notes is a Visitor that writes down what it gets, one thing a line.
type notes struct {
	strings.Builder
	refuse bool  // every stream
	err    error // of entries
}

func (n *notes) Stream(l lokipush.Labels) bool {
	labels, err := l.Parse()
	if err != nil {
		fmt.Fprintf(n, "stream: %v\n", err)
		return true
	}
	fmt.Fprintf(n, "stream %s\n", labels)
	return !n.refuse
}

func (n *notes) Entry(e *lokipush.Entry) error {
	fmt.Fprintf(n, "%d %s", e.Time, e.Line)
	for _, p := range e.Metadata {
		fmt.Fprintf(n, " %s=%s", p.Name, p.Value)
	}
	if e.Excess > 0 {
		fmt.Fprintf(n, " and %d more", e.Excess)
	}
	n.WriteByte('\n')
	return n.err
}

// visit returns what a visitor notes, and the error as a last line.
func visit(f lokipush.Format, body []byte) string {
	var d lokipush.Decoder
	var n notes
	if err := d.Visit(f, body, &n); err != nil {
		fmt.Fprintf(&n, "%v\n", err)
	}
	return strings.TrimSuffix(n.String(), "\n")
}

func TestJSON(t *testing.T) {
	good := func(body string, want ...string) {
		t.Helper()
		if got := visit(lokipush.JSON, []byte(body)); got != strings.Join(want, "\n") {
			t.Errorf("%s\n got %s\nwant %s", body, got, strings.Join(want, "\n"))
		}
	}
	bad := good // the last line is the error
	good(`{"streams":[{"stream":{"app":"shop","env":"x"},"values":[["1700000000000000001","one"],["2","two \"2\"",{"id":"7","user":"\u00e9"}]]}]}`,
		`stream {app="shop", env="x"}`, "1700000000000000001 one", `2 two "2" id=7 user=é`)
	good(` { "streams" : [ { "values" : [ [ "1" , "a" ] , null ] , "more" : {"x":[1,{}]} , "stream" : { "b" : "2" , "a" : "1" } } ] , "other" : [ ] } `,
		`stream {a="1", b="2"}`, "1 a")
	good(`{"streams":[{"stream":{"a":"b"},"values":[["1","l",{"structuredMetadata":{"k":"v"},"parsed":{"p":"q"}}]]},{"stream":{"c":"d"},"values":[["-5","m",{"n":1.5e3,"t":true,"u":null,"k\u0065y":"\n"},"rest"]]}]}`,
		`stream {a="b"}`, "1 l k=v", `stream {c="d"}`, "-5 m n=1.5e3 t=true key=\n")
	good(`{"streams":[{"labels":"{app=\"shop\"}","entries":[{"ts":"2026-11-21T05:06:07.5Z","line":"x"},{"line":"","ts":"12","structuredMetadata":[{"name":"a","value":"b"}]},{"ts":"1","line":"z","structuredMetadata":{"c":"d"}}]}]}`,
		`stream {app="shop"}`, "1795237567500000000 x", "12  a=b", "1 z c=d")
	good(`{"streams":[]}`, "")
	good(`{"streams":null}`, "")
	good(`{}`, "")
	good(`{"streams":[{"stream":{"a":"b"},"values":[]},{"stream":{"a":"b"}},{}]}`, `stream {a="b"}`)
	good(`{"streams":[{"values":[["1","x"]]}]}`, "stream: at byte 0: a stream needs at least one label", "1 x")

	bad(``, "at byte 0: expected an object")
	bad(`{"streams":[]} x`, "at byte 15: text after the request")
	bad(`{"streams":{}}`, "at byte 11: expected a list")
	bad(`{"streams":[{"stream":{"a":"b"},"values":[["1","x"],[2,"y"]]}]}`, `stream {a="b"}`, "1 x",
		"at byte 53, in streams[0].values[1]: expected a string")
	bad(`{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}`, `stream {a="b"}`, "at byte 46, in streams[0].values[0]: an entry needs a time and a line")
	bad(`{"streams":[{"stream":{"a":"b"},"values":[["1e3","x"]]}]}`, `stream {a="b"}`, "at byte 43, in streams[0].values[0]: expected a time: nanoseconds since 1970, in quotes")
	bad(`{"streams":[{"stream":{"a":"b"},"values":[["9223372036854775808","x"]]}]}`, `stream {a="b"}`, "at byte 43, in streams[0].values[0]: expected a time: nanoseconds since 1970, in quotes")
	bad(`{"streams":[{"stream":{"a":"b"},"stream":{}}]}`, "at byte 41, in streams[0]: the labels are given twice")
	bad(`{"streams":[{"values":[],"values":[]}]}`, "at byte 34, in streams[0]: the entries are given twice")
	bad(`{"streams":[{"stream":"x"}]}`, "at byte 22, in streams[0]: expected an object of labels")
	bad(`{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"now","line":""}]}]}`, `stream {a="b"}`, "at byte 51, in streams[0].entries[0]: expected a time, as in 2026-11-21T05:06:07.123Z")
	bad(`{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"1"}]}]}`, `stream {a="b"}`, `at byte 45, in streams[0].entries[0]: an entry needs "ts" and "line"`)
	bad("{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1\",\"x\ny\"]]}]}", `stream {a="b"}`, "at byte 49, in streams[0].values[0]: a string that is not valid")
	bad(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",["y"]]]}]}`, `stream {a="b"}`, "at byte 51, in streams[0].values[0]: expected an object of structured metadata")
	bad(`{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`, "at byte 105: no valid JSON")
}

// pieces of protobuf, as tests write it
func bytesField(number byte, parts ...string) string {
	body := strings.Join(parts, "")
	return string(number<<3|2) + varint(uint64(len(body))) + body
}

func varintField(number byte, v uint64) string { return string(number<<3) + varint(v) }

func varint(v uint64) string {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return string(append(b, byte(v)))
}

func stamp(seconds int64, nanos uint64) string {
	return bytesField(1, varintField(1, uint64(seconds)), varintField(2, nanos))
}

func TestProtobuf(t *testing.T) {
	good := func(body string, want ...string) {
		t.Helper()
		if got := visit(lokipush.Protobuf, []byte(body)); got != strings.Join(want, "\n") {
			t.Errorf("%q\n got %s\nwant %s", body, got, strings.Join(want, "\n"))
		}
	}
	bad := good
	labels := bytesField(1, `{app="shop"}`)
	entry := bytesField(2, stamp(1700000000, 1), bytesField(2, "one"))
	good("", "")
	good(bytesField(1, labels), "")
	good(bytesField(1, labels, entry), `stream {app="shop"}`, "1700000000000000001 one")
	good(bytesField(1, entry, varintField(3, 77), labels)+bytesField(2, "loki"), `stream {app="shop"}`, "1700000000000000001 one")
	good(bytesField(1, labels, bytesField(2, bytesField(2, "x"), bytesField(3, bytesField(1, "k"), bytesField(2, "v")), bytesField(4, bytesField(1, "p"), bytesField(2, "q")))),
		`stream {app="shop"}`, "0 x k=v")
	good(bytesField(1, labels, bytesField(2)), `stream {app="shop"}`, "0 ")
	good(bytesField(1, entry), "stream: at byte 0: expected {, as in {app=\"shop\"}", "1700000000000000001 one")
	for seconds, want := range map[int64]string{-1: "-999999999", 1 << 40: "9223372036854775807", -1 << 40: "-9223372036854775808"} {
		good(bytesField(1, labels, bytesField(2, stamp(seconds, 1))), `stream {app="shop"}`, want+" ")
	}
	good(bytesField(1, labels, bytesField(2, stamp(-62135596800, 0))), `stream {app="shop"}`, "0 ")

	bad("\x00", "at byte 0: no field of protobuf begins like this")
	bad("\x0b", "at byte 0: a field of a type that protobuf does not have")
	bad("\x0a\x05abc", "at byte 2: a field that is longer than what it is in")
	bad("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "at byte 11: a field that is longer than what it is in")
	bad("\x0a"+strings.Repeat("\xff", 11), "at byte 1: a number that does not end")
	bad(varintField(1, 5), "at byte 0, in streams[0]: a field that should have bytes has a number")
	bad(bytesField(1, labels, entry, bytesField(2, stamp(1, 1e9))), `stream {app="shop"}`, "1700000000000000001 one",
		"at byte 37, in streams[0].entries[1]: a time with more than a second of nanoseconds")
	bad(bytesField(1, labels, bytesField(2, varintField(2, 1))), `stream {app="shop"}`, "at byte 18, in streams[0].entries[0]: a field that should have bytes has a number")
	for n := range len(bytesField(1, labels, entry)) - 1 {
		var d lokipush.Decoder
		if err := d.Visit(lokipush.Protobuf, []byte(bytesField(1, labels, entry)[:n+1]), &notes{}); err == nil {
			t.Errorf("the first %d bytes were taken", n+1)
		}
	}
}

func TestRefusedStreamIsChecked(t *testing.T) {
	var d lokipush.Decoder
	check := func(f lokipush.Format, body string, want string) {
		t.Helper()
		n := notes{refuse: true}
		err := d.Visit(f, []byte(body), &n)
		if syntax := (*lokipush.SyntaxError)(nil); !errors.As(err, &syntax) || n.String() != want {
			t.Errorf("%v, after %q", err, n.String())
		}
	}
	check(lokipush.JSON, `{"streams":[{"stream":{"a":"b"},"values":[["1","x"],[]]}]}`, "stream {a=\"b\"}\n")
	check(lokipush.Protobuf, bytesField(1, bytesField(1, `{a="b"}`), bytesField(2, stamp(1, 2)), bytesField(2, "\x00")), "stream {a=\"b\"}\n")
}

func TestVisitorEndsVisit(t *testing.T) {
	enough := errors.New("enough")
	var d lokipush.Decoder
	for format, body := range map[lokipush.Format]string{
		lokipush.JSON:     `{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["2","y"]]},{"stream":{"c":"d"},"values":[["1","x"]]}]}`,
		lokipush.Protobuf: strings.Repeat(bytesField(1, bytesField(1, `{a="b"}`), bytesField(2, stamp(0, 1), bytesField(2, "x"))), 2),
	} {
		n := notes{err: enough}
		if err := d.Visit(format, []byte(body), &n); err != enough || n.String() != "stream {a=\"b\"}\n1 x\n" {
			t.Errorf("%v, after %q", err, n.String())
		}
	}
}

func TestTooMuchMetadata(t *testing.T) {
	pairs := strings.Repeat(bytesField(3, bytesField(1, "k"), bytesField(2, "v")), lokipush.MaxMetadata+3)
	got := visit(lokipush.Protobuf, []byte(bytesField(1, bytesField(1, `{a="b"}`), bytesField(2, pairs))))
	if !strings.HasSuffix(got, " k=v and 3 more") || strings.Count(got, "k=v") != lokipush.MaxMetadata {
		t.Errorf("%s", got)
	}
}

func TestLabels(t *testing.T) {
	parse := func(text string) string {
		labels, err := lokipush.Labels{Text: []byte(text), JSON: strings.HasPrefix(text, `{"`) && strings.Contains(text, `":`)}.Parse()
		if err != nil {
			return err.Error()
		}
		return labels.String()
	}
	check := func(text, want string) {
		t.Helper()
		if got := parse(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	check(`{b="2", a="1"}`, `{a="1", b="2"}`)
	check(` { b = '2' , a=`+"`1`"+` , } `, `{a="1", b="2"}`)
	check(`{"a"="1"}`, `{a="1"}`)
	check(`{a="\"\\\n\u00e9\x41é\xff",b=""}`, `{a="\"\\\néAé`+"\uFFFD"+`"}`)
	check("{a=\"\xff\"}", "{a=\"\uFFFD\"}")
	check(`{"b":"2","a":"\u0031"}`, `{a="1", b="2"}`)
	check(` {"a":1, "b":true,"c":null}`[1:], `{a="1", b="true"}`)
	check(`{}`, "at byte 0: a stream needs at least one label")
	check(`{a=""}`, "at byte 0: a stream needs at least one label")
	check(`{a="1",a="2"}`, `at byte 0: the label "a" comes twice`)
	check(``, `at byte 0: expected {, as in {app="shop"}`)
	check(`x{a="1"}`, `at byte 0: expected {, as in {app="shop"}`)
	check(`{a="1"`, "at byte 6: expected a comma or }")
	check(`{a="1" b="2"}`, "at byte 7: expected a comma or }")
	check(`{,}`, "at byte 1: expected the name of a label and =")
	check(`{a="1",,}`, "at byte 7: expected the name of a label and =")
	check(`{a="1`, "at byte 3: the quote does not end")
	check("{a=`1", "at byte 3: the quote does not end")
	check(`{a=1}`, "at byte 3: expected a value in quotes")
	check(`{a="\q"}`, "at byte 4: an escape that is none")
	check(`{a=~"1"}`, "at byte 3: expected a value in quotes")
	check(`{a="1"}x`, "at byte 7: text after the labels")
	check(`{"a.b"="1"}`, `at byte 1: "a.b" is no name of a label: use letters, digits and _, and no digit first`)
	check(`{"1a":"1"}`, `at byte 1: "1a" is no name of a label: use letters, digits and _, and no digit first`)
	check(`{"a":"1","b":{}}`, "at byte 13: expected a string")
	check(`{"a":"1"}{}`, "at byte 9: text after the labels")

	long := func(n int) string { return strings.Repeat("x", n) }
	if got := parse(`{` + long(1024) + `="` + long(2048) + `"}`); len(got) != 1024+2048+5 {
		t.Errorf("%.80s", got)
	}
	check(`{`+long(1025)+`="1"}`, `at byte 1: the name "`+long(64)+`…" has 1025 bytes, at most 1024 are taken`)
	check(`{a="`+long(2049)+`"}`, `at byte 1: the value of "a" has 2049 bytes, at most 2048 are taken`)
	check(`{`+long(16<<10)+`}`, "at byte 16384: labels of 16386 bytes, at most 16384 are taken")
	var many []string
	for i := range 31 {
		many = append(many, fmt.Sprintf(`l%d="v"`, i))
	}
	check("{"+strings.Join(many, ",")+"}", "at byte 231: more than 30 labels")
}

func TestAppendName(t *testing.T) {
	for in, want := range map[string]string{"trace_id": "trace_id", "http.status-code": "http_status_code", "a. b": "a_b", "1st": "key_1st", "é": "_", "": "", "a__b": "a__b"} {
		if got := string(lokipush.AppendName(nil, []byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// silent is a Visitor that takes everything.
type silent struct{}

func (silent) Stream(lokipush.Labels) bool   { return true }
func (silent) Entry(e *lokipush.Entry) error { return nil }

func TestNoAllocations(t *testing.T) {
	line := strings.Repeat("some text ", 15)
	entries := strings.Repeat(bytesField(2, stamp(1700000000, 5), bytesField(2, line), bytesField(3, bytesField(1, "k"), bytesField(2, "v"))), 100)
	values := strings.Repeat(`["1700000000000000005","`+line+`\n",{"k":"v"}],`, 100) + `["1","x"]`
	bodies := map[lokipush.Format][]byte{
		lokipush.Protobuf: []byte(bytesField(1, bytesField(1, `{a="b"}`), entries)),
		lokipush.JSON:     []byte(`{"streams":[{"stream":{"a":"b"},"values":[` + values + `]}]}`),
	}
	for format, body := range bodies {
		var d lokipush.Decoder
		n := testing.AllocsPerRun(10, func() {
			if err := d.Visit(format, body, silent{}); err != nil {
				t.Fatal(err)
			}
		})
		if n > 10 { // of 100 entries
			t.Errorf("format %d: %v allocations", format, n)
		}
	}
}

// rewriter writes what a visitor saw as protobuf again.
type rewriter struct {
	body, stream string
	times        []int64
}

func (r *rewriter) Stream(l lokipush.Labels) bool {
	r.close()
	r.stream = bytesField(1, string(l.Text))
	return !l.JSON
}

func (r *rewriter) Entry(e *lokipush.Entry) error {
	r.times = append(r.times, e.Time)
	seconds, nanos := e.Time/1e9, e.Time%1e9
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	entry := stamp(seconds, uint64(nanos)) + bytesField(2, string(e.Line))
	for _, p := range e.Metadata {
		entry += bytesField(3, bytesField(1, string(p.Name)), bytesField(2, string(p.Value)))
	}
	r.stream += bytesField(2, entry)
	return nil
}

func (r *rewriter) close() {
	if r.stream != "" {
		r.body += bytesField(1, r.stream)
	}
	r.stream = ""
}

func FuzzProtobuf(f *testing.F) {
	f.Add([]byte(bytesField(1, bytesField(1, `{app="shop"}`), bytesField(2, stamp(1700000000, 1), bytesField(2, "one"), bytesField(3, bytesField(1, "k"), bytesField(2, "v"))))))
	f.Add([]byte("\x0a\x05abc"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d lokipush.Decoder
		var r rewriter
		if err := d.Visit(lokipush.Protobuf, body, &r); err != nil {
			if syntax := (*lokipush.SyntaxError)(nil); !errors.As(err, &syntax) || syntax.Offset > len(body) {
				t.Fatal(err)
			}
			return
		}
		r.close()
		for _, ns := range r.times {
			if ns == math.MaxInt64 || ns == math.MinInt64 {
				return // they were further away
			}
		}
		if a, b := visit(lokipush.Protobuf, body), visit(lokipush.Protobuf, []byte(r.body)); a != b && !strings.Contains(a, " more\n") {
			t.Fatalf("%s\nbecame\n%s", a, b)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"streams":[{"stream":{"app":"shop"},"values":[["1700000000000000001","one"],["2","two",{"id":"7"}]]}]}`))
	f.Add([]byte(`{"streams":[{"values":[["1","a"],null],"stream":{"b":"2"}}],"other":[1.5e3,true,null]}`))
	f.Add([]byte(`{"streams":[{"labels":"{app=\"shop\"}","entries":[{"ts":"2026-11-21T05:06:07.5Z","line":"x","structuredMetadata":[{"name":"a","value":"b"}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := visit(lokipush.JSON, body)
		var d lokipush.Decoder
		err := d.Visit(lokipush.JSON, body, silent{})
		if syntax := (*lokipush.SyntaxError)(nil); err != nil && (!errors.As(err, &syntax) || syntax.Offset > len(body)) {
			t.Fatal(err)
		}
		if refused := d.Visit(lokipush.JSON, body, &notes{refuse: true}); (refused == nil) != (err == nil) {
			t.Fatalf("refused: %v, taken: %v", refused, err)
		}
		if err == nil && !json.Valid(body) {
			t.Fatalf("no JSON, but read as\n%s", got)
		}
	})
}

func FuzzLabels(f *testing.F) {
	f.Add([]byte(`{b="2", a='1', }`), false)
	f.Add([]byte(`{"b":"2","a":"\u0031"}`), true)
	f.Fuzz(func(t *testing.T, text []byte, object bool) {
		labels, err := lokipush.Labels{Text: text, JSON: object}.Parse()
		if err != nil {
			return
		}
		again, err := lokipush.Labels{Text: []byte(labels.String())}.Parse()
		if err != nil && len(labels.String()) <= lokipush.MaxLabelBytes || err == nil && !slices.Equal(again, labels) {
			t.Fatalf("%s became %s, %v", labels, again, err)
		}
	})
}
