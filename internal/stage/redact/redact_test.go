package redact_test

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/redact"
)

// run redacts one record whose fields are the pieces of its text that are named.
func run(t *testing.T, p redact.Pattern, body string, flags record.Flags, fields ...string) (text string, values []string, count float64) {
	t.Helper()
	b := new(record.Batch)
	span := b.Append([]byte(body))
	b.Records = []record.Record{{Body: span, Flags: flags}}
	for _, f := range fields {
		at := bytes.Index(b.Arena, []byte(f))
		b.Slots = append(b.Slots, f)
		b.Values = append(b.Values, record.Span{Off: uint32(at), Len: uint32(len(f))})
	}
	stage, err := redact.New([]redact.Pattern{p}, []uint32{7})
	if err != nil {
		t.Fatal(err)
	}
	end := flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		text = string(b.Bytes(b.Records[0].Body))
		for _, v := range b.Row(0) {
			values = append(values, string(b.Bytes(v)))
		}
		for _, d := range b.Deltas {
			count += d.Add
		}
		return nil
	})
	if err := stage(end).Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return text, values, count
}

func TestRedact(t *testing.T) {
	p := redact.Pattern{Name: "token", Regex: `token=\w+`, Replace: "****"}
	text, values, n := run(t, p, "GET /a?token=s200t 200 end", 0, "/a?token=s200t", "s200t", " 200 end")
	if text != "GET /a?**** 200 end" || n != 1 {
		t.Errorf("text %q, %v replaced", text, n)
	}
	if values[0] != "/a?****" || values[1] != "****" || values[2] != " 200 end" {
		t.Errorf("fields %q", values)
	}
	text, values, _ = run(t, p, `\"u\" \u0026token=abc \"x\"`, record.Escaped, `abc`, `\"x\"`)
	if text != `"u" &**** "x"` || values[0] != "****" || values[1] != `"x"` {
		t.Errorf("escaped: text %q, fields %q", text, values)
	}
	if text, _, n = run(t, p, `nothing \"here\"`, record.Escaped); text != `nothing \"here\"` || n != 0 {
		t.Errorf("a record without a secret became %q", text)
	}
}

// redacted runs patterns over one record with the given spans as fields.
func redacted(t *testing.T, patterns []redact.Pattern, b *record.Batch) (text string, values []string) {
	t.Helper()
	series := make([]uint32, len(patterns))
	for i := range series {
		series[i] = uint32(i + 1)
	}
	stage, err := redact.New(patterns, series)
	if err != nil {
		t.Fatal(err)
	}
	end := flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		plain := func(v record.Span) string {
			if b.Records[0].Flags&record.Escaped != 0 {
				return string(dockerjson.Unescape(nil, b.Bytes(v)))
			}
			return string(b.Bytes(v))
		}
		text = plain(b.Records[0].Body)
		for _, v := range b.Row(0) {
			values = append(values, plain(v))
		}
		return nil
	})
	if err := stage(end).Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return text, values
}

// batch returns a record of plain text and its fields: pieces of it, or, behind a +, copies.
func batch(text string, escaped bool, fields ...string) *record.Batch {
	b := new(record.Batch)
	b.Append([]byte("before"))
	form := func(s string) []byte {
		if escaped {
			return dockerjson.Escape(nil, []byte(s))
		}
		return []byte(s)
	}
	body := b.Append(form(text))
	r := record.Record{Body: body}
	if escaped {
		r.Flags |= record.Escaped
	}
	b.Records = append(b.Records, r)
	for i, f := range fields {
		b.Slots = append(b.Slots, string(rune('a'+i)))
		if copied, ok := strings.CutPrefix(f, "+"); ok {
			b.Values = append(b.Values, b.Append(form(copied)))
			continue
		}
		at := bytes.Index(b.Bytes(body), form(f))
		b.Values = append(b.Values, record.Span{Off: body.Off + uint32(at), Len: uint32(len(form(f)))})
	}
	return b
}

func TestFieldsThatCameWithRecords(t *testing.T) {
	b := batch("text with token=abc", false)
	for _, value := range []string{"plain", "token=def and token=ghi"} {
		b.Fields = append(b.Fields, record.Field{Name: b.Append([]byte("f")), Value: b.Append([]byte(value))})
	}
	text, _ := redacted(t, []redact.Pattern{{Name: "token", Regex: `token=\w+`, Replace: "****"}}, b)
	if text != "text with ****" || string(b.Bytes(b.Fields[0].Value)) != "plain" || string(b.Bytes(b.Fields[1].Value)) != "**** and ****" {
		t.Errorf("%s, %s, %s", text, b.Bytes(b.Fields[0].Value), b.Bytes(b.Fields[1].Value))
	}
	if len(b.Deltas) != 1 || b.Deltas[0].Add != 3 {
		t.Errorf("deltas %v", b.Deltas)
	}
}

func TestFieldsOfSecrets(t *testing.T) {
	for _, escaped := range []bool{false, true} {
		good := func(patterns []redact.Pattern, b *record.Batch, want string, wantValues ...string) {
			t.Helper()
			text, values := redacted(t, patterns, b)
			if text != want || !slices.Equal(values, wantValues) {
				t.Errorf("escaped %v: %q, %q; want %q, %q", escaped, text, values, want, wantValues)
			}
		}
		token := []redact.Pattern{{Name: "token", Regex: `token=(\w)\w*`, Replace: "<$1>"}}
		good(token, batch(`GET "/a?token=secret&b=1" 200`, escaped, "/a?token=secret&b=1", "secret", "ret&b", `"`, "200"),
			`GET "/a?<s>&b=1" 200`, "/a?<s>&b=1", "<s>", "<s>&b", `"`, "200")
		good(token, batch(`x token=abc y token=def z`, escaped, "abc y token=def", "+def", "+other", "+token=u7"),
			`x <a> y <d> z`, "<a> y <d>", "<d>", "other", "<u>")
		two := []redact.Pattern{{Name: "card", Regex: `\d{16}`, Replace: "#"}, {Name: "quoted", Regex: `"[^"]*"`, Replace: ""}}
		good(two, batch(`a 1234567890123456 "b" c`, escaped, "1234567890123456", `"b"`, "c", "a"), `a #  c`, "#", "", "c", "a")
		good(two, batch(`"1234567890123456"`, escaped, "1234567890123456"), ``, "")
		password := []redact.Pattern{{Name: "password", Regex: `"password":"([^"\\]|\\.)*"`, Replace: "**"}}
		good(password, batch(`{"password":"a\"bc","x":1}`, escaped, `+a"bc`, "1"), `{**,"x":1}`, "**", "1")
		start := []redact.Pattern{{Name: "start", Regex: `^\d+$`, Replace: "n"}}
		good(start, batch(`id 17 "x"`, escaped, "17", "x"), `id 17 "x"`, "n", "x")
		good([]redact.Pattern{{Name: "all", Regex: `.+`, Replace: "gone"}}, batch(`a "b"`, escaped, "b", "a", "+"), "gone", "gone", "gone", "")
	}
}

func TestText(t *testing.T) {
	text, err := redact.Text([]redact.Pattern{{Name: "a", Regex: "a+", Replace: "-"}, {Name: "b", Regex: "(b)b", Replace: "$1"}})
	if err != nil || string(text([]byte("aaxbb"))) != "-xb" {
		t.Error(err)
	}
	if _, err := redact.Text([]redact.Pattern{{Name: "a", Regex: "("}}); err == nil {
		t.Error("a broken expression passes")
	}
}

// FuzzNoLeak checks that no digit of a secret gets through, in the text or a field, however
// the field lies to it, and that what lies apart from secrets stays.
func FuzzNoLeak(f *testing.F) {
	f.Add("x token=123 \"y\"", 3, 9, true)
	f.Add("token=1token=2", 0, 14, false)
	f.Add("00t\"000000000&", 3, 8, true)
	f.Fuzz(func(t *testing.T, text string, from, length int, escaped bool) {
		if from < 0 || length < 0 || from > len(text) || length > len(text)-from || !utf8.ValidString(text) {
			return
		}
		value := text[from : from+length]
		if !utf8.ValidString(value) {
			return
		}
		b := batch(text, escaped)
		body := b.Records[0].Body
		form := func(s string) uint32 {
			if escaped {
				return uint32(len(dockerjson.Escape(nil, []byte(s))))
			}
			return uint32(len(s))
		}
		b.Slots = []string{"field"}
		b.Values = []record.Span{{Off: body.Off + form(text[:from]), Len: form(value)}}
		re := regexp.MustCompile(`token=\d+`)
		got, values := redacted(t, []redact.Pattern{{Name: "token", Regex: `token=\d+`, Replace: "****"}}, b)
		if want := re.ReplaceAllString(text, "****"); got != want {
			t.Fatalf("%q became %q; want %q", text, got, want)
		}
		clear := value
		for _, at := range re.FindAllStringIndex(text, -1) {
			if at[0] < from+length && from < at[1] {
				clear = ""
			}
		}
		if clear == "" && value != "" && strings.Contains(value, "token=") && re.MatchString(values[0]) {
			t.Errorf("%q of %q became %q", value, text, values[0])
		}
		if clear != "" && !re.MatchString(clear) && values[0] != clear {
			t.Errorf("%q of %q became %q", value, text, values[0])
		}
	})
}

func TestNoAllocations(t *testing.T) {
	patterns := []redact.Pattern{{Name: "token", Regex: `token=\w+`}, {Name: "card", Regex: `\b\d{16}\b`}}
	stage, err := redact.New(patterns, []uint32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	line := stage(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	b := batch(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8"`, true, "200", "/a")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = line.Write(ctx, b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNothingToRedact(b *testing.B) {
	stage, err := redact.New([]redact.Pattern{{Name: "token", Regex: `token=\w+`}}, []uint32{1})
	if err != nil {
		b.Fatal(err)
	}
	line := stage(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	rec := batch(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8"`, true, "200", "/a")
	ctx := b.Context()
	for b.Loop() {
		_ = line.Write(ctx, rec)
	}
}

func TestValidate(t *testing.T) {
	for _, bad := range []redact.Pattern{{Regex: "x"}, {Name: "a", Regex: "("}, {Name: "a", Regex: "x*"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
