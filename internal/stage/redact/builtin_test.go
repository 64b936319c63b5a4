package redact_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/redact"
)

// builtin returns the patterns of these names.
func builtin(names ...string) []redact.Pattern {
	var patterns []redact.Pattern
	for _, name := range names {
		patterns = append(patterns, redact.Pattern{Builtin: name, Name: name, Replace: "****"})
	}
	return patterns
}

func TestBuiltin(t *testing.T) {
	for _, escaped := range []bool{false, true} {
		good := func(b *record.Batch, want string, wantValues ...string) {
			t.Helper()
			text, values := redacted(t, builtin("secrets", "cards", "emails"), b)
			if text != want || strings.Join(values, "|") != strings.Join(wantValues, "|") {
				t.Errorf("escaped %v: %q, %q; want %q, %q", escaped, text, values, want, wantValues)
			}
		}
		good(batch(`GET "/a?token=abc&b=1" 200`, escaped, "/a?token=abc&b=1", "abc", "b=1", `"`, "200"),
			`GET "/a?token=****&b=1" 200`, "/a?token=****&b=1", "****", "b=1", `"`, "200")
		good(batch("ann@example.org\npaid 4111 1111 1111 1111 at https://bob:pw@example.org/", escaped, "ann@example.org", "example", "1111 1111", "bob", "https://bob:pw@example.org/"),
			"****\npaid **** at https://bob:****@example.org/", "****", "****", "****", "bob", "https://bob:****@example.org/")
		// A copy that a parser unescaped: the value of the secret, and text with one in it.
		good(batch(`{"password":"a\"bc","m":"to x@y.org\n","n":1}`, escaped, `+a"bc`, "+to x@y.org\n", "+1"),
			`{"password":"****","m":"to ****\n","n":1}`, "****", "to ****\n", "1")
		// Only unescaping shows it.
		good(batch(`{"m":"pass\u0077ord=abc"}`, escaped, "+password=abc"), `{"m":"pass\u0077ord=abc"}`, "password=****")
		good(batch("nothing tokens: 12 <a@b>", escaped, "12"), "nothing tokens: 12 <a@b>", "12")
	}
}

func TestBuiltinCounts(t *testing.T) {
	b := batch(`a@b.org c@d.org password=x`, true)
	b.Fields = []record.Field{
		{Name: b.Append([]byte("user_password")), Value: b.Append([]byte("hunter2"))},
		{Name: b.Append([]byte("to")), Value: b.Append([]byte("e@f.org"))},
		{Name: b.Append([]byte("password")), Value: b.Append([]byte("****"))},
	}
	redacted(t, builtin("secrets", "emails"), b)
	want := []record.Delta{{Series: 1, Add: 2}, {Series: 2, Add: 3}}
	if len(b.Deltas) != 2 || b.Deltas[0] != want[0] || b.Deltas[1] != want[1] {
		t.Errorf("deltas %v, want %v", b.Deltas, want)
	}
	for i, want := range []string{"****", "****", "****"} {
		if got := string(b.Bytes(b.Fields[i].Value)); got != want {
			t.Errorf("field %d is %q", i, got)
		}
	}
}

// TestTwiceIsOnce: what another rule has redacted is not found again.
func TestTwiceIsOnce(t *testing.T) {
	patterns := builtin("secrets", "cards", "emails", "secrets", "cards", "emails")
	b := batch(`password=x {"token":"y"} https://u:p@h.org/ Authorization: Bearer z ann@example.org 378282246310005`, true)
	text, _ := redacted(t, patterns, b)
	if text != `password=**** {"token":"****"} https://u:****@h.org/ Authorization: Bearer **** **** ****` {
		t.Error(text)
	}
	for _, d := range b.Deltas {
		if d.Series > 3 {
			t.Errorf("series %d got %v", d.Series, d.Add)
		}
	}
}

func TestBuiltinText(t *testing.T) {
	text, err := redact.Text(append(builtin("emails"), redact.Pattern{Name: "a", Regex: "a+", Replace: "-"}))
	if err != nil || string(text([]byte("aa x@y.org"))) != "- ****" {
		t.Error(err)
	}
	if _, err := redact.Text(builtin("card")); err == nil {
		t.Error("there is a pattern named card")
	}
}

// FuzzBuiltin compares what the stage makes of a record with what plain searching makes of
// its plain text, and of each field.
func FuzzBuiltin(f *testing.F) {
	f.Add("GET /a?token=abc&b=1 4111111111111111", 5, 12, true)
	f.Add("x\npassword=\"a b\" u@example.org", 2, 20, true)
	f.Add(`{"token":"a\"b"} <&>`, 3, 9, false)
	f.Fuzz(func(t *testing.T, text string, from, length int, escaped bool) {
		if from < 0 || length <= 0 || from > len(text) || length > len(text)-from || !utf8.ValidString(text) || !utf8.ValidString(text[:from]) || !utf8.ValidString(text[from:from+length]) {
			return
		}
		b := batch(text, escaped)
		form := func(s string) uint32 {
			if escaped {
				return uint32(len(dockerjson.Escape(nil, []byte(s))))
			}
			return uint32(len(s))
		}
		b.Slots = []string{"field"}
		b.Values = []record.Span{{Off: b.Records[0].Body.Off + form(text[:from]), Len: form(text[from : from+length])}}
		for _, name := range secret.Names() {
			again := *b
			again.Records = append([]record.Record(nil), b.Records...)
			again.Values = append([]record.Span(nil), b.Values...)
			k, _ := secret.Named(name)
			got, values := redacted(t, builtin(name), &again)
			wantText, wantValue := covered(k, text, from, from+length)
			if got != wantText || values[0] != wantValue {
				t.Fatalf("%s in %q became %q, its part %q %q; want %q, %q", name, text, got, text[from:from+length], values[0], wantText, wantValue)
			}
		}
	})
}

// covered returns text, and its part from start to end, without places of k.
func covered(k secret.Kind, text string, start, end int) (all, part string) {
	at, changed := 0, false
	piece := func(from, to int) {
		all += text[from:to]
		if from, to = max(from, start), min(to, end); from < to {
			part += text[from:to]
		}
	}
	for _, p := range k.Append(nil, []byte(text)) {
		piece(at, p.Start)
		all += "****"
		if p.Start < end && start < p.End {
			part, changed = part+"****", true
		}
		at = p.End
	}
	piece(at, len(text))
	if !changed && all != text {
		// A part of a text with secrets is looked at by itself as well: cutting may make one.
		part, _ = covered(k, part, 0, len(part))
	}
	return all, part
}

const nginxLine = `172.18.0.5 - - [21/Nov/2026:05:06:07 +0000] "GET /api/v2/items/8c1d?page=3&sort=price HTTP/1.1" 200 5123 "https://shop.example.com/catalogue?ref=mail" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"`

func TestBuiltinNoAllocations(t *testing.T) {
	stage, err := redact.New(builtin("secrets", "cards", "emails"), []uint32{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	line := stage(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
	ctx := t.Context()
	for _, text := range []string{nginxLine, `ann@ "tokens": 4111 1111 1111 1112, token: null`} {
		for _, escaped := range []bool{false, true} {
			b := batch(text, escaped)
			if n := testing.AllocsPerRun(100, func() { _ = line.Write(ctx, b) }); n > 0 {
				t.Errorf("%v allocations for %s", n, text)
			}
		}
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for _, name := range append(secret.Names(), "secrets cards emails") {
		b.Run(name, func(b *testing.B) {
			patterns := builtin(strings.Fields(name)...)
			stage, err := redact.New(patterns, make([]uint32, len(patterns)))
			if err != nil {
				b.Fatal(err)
			}
			line := stage(flow.SinkFunc(func(context.Context, *record.Batch) error { return nil }))
			rec := batch(nginxLine, true, "200", "GET")
			ctx := b.Context()
			for b.Loop() {
				_ = line.Write(ctx, rec)
			}
		})
	}
}
