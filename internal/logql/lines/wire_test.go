package lines_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/pipeline"
)

func TestWire(t *testing.T) {
	check := func(l lines.Line, want string) {
		t.Helper()
		got := lines.Append([]byte("before "), &l)
		if string(got) != "before "+want+"\n" {
			t.Errorf("%s; want %s", got, want)
		}
		back, err := lines.ParseLine([]byte(want))
		if err != nil || !reflect.DeepEqual(back, l) {
			t.Errorf("%+v, %v; want %+v", back, err, l)
		}
	}
	check(lines.Line{Entry: logql.Entry{Time: moment + 1, Stream: "f/a", Line: "text"}}, `{"time":"2023-11-14T22:13:20.000000001Z","stream":"f/a","line":"text"}`)
	check(lines.Line{
		Entry: logql.Entry{
			Time: moment, Stream: "f/a", Line: "a \"b\" \\ \n\t\x1b \u202e \U000e0041 ü", Sequence: 1<<64 - 1, Gap: true,
			Labels: []pipeline.Label{
				{Name: "app", Value: "a"}, {Name: "detected_level", Value: "warn", Category: pipeline.OfMetadata}, {Name: "env", Value: ""},
				{Name: "stream", Value: "stderr", Category: pipeline.OfMetadata}, {Name: "user", Value: "u", Category: pipeline.OfParsed},
			},
		},
		Context: true, Apart: true,
	}, `{"time":"2023-11-14T22:13:20.000000000Z","stream":"f/a","sequence":18446744073709551615,"level":"warn",`+
		`"line":"a \"b\" \\ \n\t\u001b \u202e \udb40\udc41 ü","labels":{"app":"a","env":""},"metadata":{"stream":"stderr"},"parsed":{"user":"u"},"gap":true,"context":true,"apart":true}`)
	check(lines.Line{Lost: 12}, `{"lost":12}`)
	check(lines.Line{Warning: "it is \"damaged\""}, `{"warning":"it is \"damaged\""}`)
	for _, text := range []string{``, `{`, `[]`, `{}`, `{"lost":-1}`, `{"time":"x"}`, `{"time":"2023-11-14T22:13:20Z","line":1}`} {
		if l, err := lines.ParseLine([]byte(text)); err == nil {
			t.Errorf("%s is %+v", text, l)
		}
	}
	_, err := lines.ParseLine(lines.AppendError(nil, "it \"broke\"\x1b"))
	var remote *lines.RemoteError
	if !errors.As(err, &remote) || remote.Text != "it \"broke\"\x1b" {
		t.Error(err)
	}
}

// FuzzWire sends lines there and back.
func FuzzWire(f *testing.F) {
	f.Add(int64(moment), "f/a", "text", "app", "a\x1b\xff\u2028", uint64(7), true)
	f.Fuzz(func(t *testing.T, time int64, stream, text, name, value string, sequence uint64, gap bool) {
		l := lines.Line{Entry: logql.Entry{
			Time: time, Stream: stream, Line: text, Sequence: sequence, Gap: gap, Labels: []pipeline.Label{{Name: name, Value: value, Category: pipeline.OfParsed}},
		}}
		wire := lines.Append(nil, &l)
		if !json.Valid(wire) || bytes.IndexByte(wire, '\n') != len(wire)-1 {
			t.Fatalf("%q", wire)
		}
		for _, r := range string(wire[:len(wire)-1]) {
			if !lines.Harmless(r) {
				t.Errorf("%q in %q", r, wire)
			}
		}
		got, err := lines.ParseLine(wire)
		if err != nil {
			t.Fatal(err)
		}
		valid := func(s string) string {
			if utf8.ValidString(s) {
				return s
			}
			return strings.Map(func(r rune) rune { return r }, s) // each bad byte is U+FFFD
		}
		l.Stream, l.Line = valid(stream), valid(text)
		l.Labels[0].Name, l.Labels[0].Value = valid(name), valid(value)
		if !reflect.DeepEqual(got, l) {
			t.Errorf("%+v; want %+v", got, l)
		}
	})
}

// FuzzParseLine reads what did not come from a weir.
func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"time":"2023-11-14T22:13:20.000000001Z","stream":"f/a","sequence":3,"level":"warn","line":"text","labels":{"a":"b"},"gap":true}`))
	f.Add([]byte(`{"lost":12}`))
	f.Add([]byte(`{"warning":"x"}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := lines.ParseLine(text)
		if err != nil {
			return
		}
		if _, err := lines.ParseLine(lines.Append(nil, &l)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
