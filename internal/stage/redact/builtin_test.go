package redact_test

import (
	"context"
	"encoding/json"
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

// named returns a batch whose fields have names.
func named(b *record.Batch, names ...string) *record.Batch {
	b.Slots = names
	return b
}

// TestNamedFields: a field that is named as a secret is one, for whatever stands around it.
func TestNamedFields(t *testing.T) {
	for _, escaped := range []bool{false, true} {
		good := func(b *record.Batch, hits float64, want string, wantValues ...string) {
			t.Helper()
			text, values := redacted(t, builtin("emails", "secrets"), b)
			if text != want || strings.Join(values, "|") != strings.Join(wantValues, "|") {
				t.Errorf("escaped %v: %q, %q; want %q, %q", escaped, text, values, want, wantValues)
			}
			n := 0.0
			for _, d := range b.Deltas {
				n += d.Add
			}
			if n != hits {
				t.Errorf("escaped %v: %q: %v replacements are counted, want %v", escaped, want, n, hits)
			}
		}
		good(named(batch("login bob hunter2", escaped, "bob", "hunter2"), "user", "password"), 1, "login bob ****", "bob", "****")
		good(named(batch(`say "hunter2" to bob 7`, escaped, "hunter2", "bob", "7", `say "`, `" to`), "api_key", "user", "n", "a", "b"), 1,
			`say "****" to bob 7`, "****", "bob", "7", `say "`, `" to`)
		good(named(batch("x hunter2 x", escaped, "hunter2", "unter"), "token", "part"), 1, "x **** x", "****", "****")
		good(named(batch("to ann@example.org", escaped, "ann@example.org", "ann"), "secret", "name"), 1, "to ****", "****", "****")
		good(named(batch("to bob, ann@example.org", escaped, "bob, ann@example.org"), "secret"), 2, "to ****", "****")
		good(named(batch("password=hunter2", escaped, "hunter2"), "password"), 1, "password=****", "****")
		good(named(batch("null - []", escaped, "null", "-", "[]", "+", "+****"), "password", "token", "secret", "pwd", "passwd"), 0, "null - []", "null", "-", "[]", "", "****")
		// Keys with escapes: the field is hidden, and in the text where it is a piece of that.
		good(named(batch(`{"\u0070assword":"hunter2"}`, escaped, "hunter2"), "password"), 1, `{"\u0070assword":"****"}`, "****")
		good(named(batch(`{"\u0070assword":1234}`, escaped, "1234"), "password"), 1, `{"\u0070assword":"****"}`, "****")
		good(named(batch(`{"\u0070assword":"a\"b"}`, escaped, `+a"b`), "password"), 1, `{"\u0070assword":"****"}`, "****")
		good(named(batch(`{"a\\":"","\u0070assword":"a\u0062\n","x":"cut\`, escaped, "+ab\n"), "password"), 1, `{"a\\":"","\u0070assword":"****","x":"cut\`, "****")
		good(named(batch(`{"password":["abc"],"x":[1]}`, escaped, `["abc"]`, "[1]"), "password", "x"), 1, `{"password":"****","x":[1]}`, "****", "[1]")
		good(named(batch(`{"password":{"old":"abc"},"x":1}`, escaped, `{"old":"abc"}`, "abc", "1"), "password", "password.old", "x"), 1, `{"password":"****","x":1}`, "****", "****", "1")
	}
}

// TestStaysJSON: what was JSON is JSON.
func TestStaysJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"pin_token":1234,"a":-1}`:                       `{"pin_token":"****","a":-1}`,
		`{"password" : 1.5e3}`:                            `{"password" : "****"}`,
		`{"password":true}`:                               `{"password":true}`,
		`{"password":[{"a":"]"}],"b":[]}`:                 `{"password":"****","b":[]}`,
		`{"m":"{\"api_key\":12,\"b\":[\"token\"]}"}`:      `{"m":"{\"api_key\":\"****\",\"b\":[\"token\"]}"}`,
		`{"email":"x\nann@example.org\n"}`:                `{"email":"x****\n"}`,
		`{"email":"\tann@example.org"}`:                   `{"email":"****"}`,
		`{"a":"\nghp_16C7e42F292c6912E7710c838347Ae178"}`: `{"a":"\n****"}`,
	} {
		got, _ := redacted(t, builtin("secrets", "emails"), batch(text, true))
		if got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s; want %s", text, got, want)
		}
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
	f.Add(`{"token":[1,"a"],"b":1}`, 9, 7, true)
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

// FuzzNamed: of a field that is named as a secret nothing is left, whatever it is a piece of.
func FuzzNamed(f *testing.F) {
	f.Add("login bob hunter2", 10, 7, true)
	f.Add(`{"\\u0070assword" : 1234, "token":[1]}`, 18, 4, false)
	f.Add(`a token=b "password":{"c":1}`, 5, 20, true)
	f.Fuzz(func(t *testing.T, text string, from, length int, escaped bool) {
		if from < 0 || length <= 0 || from > len(text) || length > len(text)-from || !utf8.ValidString(text[:from]) || !utf8.ValidString(text[from:from+length]) || !utf8.ValidString(text[from+length:]) {
			return
		}
		value := text[from : from+length]
		b := batch(text, escaped)
		form := func(s string) uint32 {
			if escaped {
				return uint32(len(dockerjson.Escape(nil, []byte(s))))
			}
			return uint32(len(s))
		}
		b.Slots = []string{"password"}
		b.Values = []record.Span{{Off: b.Records[0].Body.Off + form(text[:from]), Len: form(value)}}
		got, values := redacted(t, builtin("secrets"), b)
		if values[0] != "****" && !secret.IsHarmless([]byte(value)) {
			t.Fatalf("%q of %q became %q", value, text, values[0])
		}
		if !secret.IsHarmless([]byte(value)) && !strings.Contains(got, "****") {
			t.Fatalf("%q became %q", text, got)
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
		mark := ""
		if p.Quote > 0 {
			mark = strings.Repeat(`\`, p.Quote-1) + `"`
		}
		all += mark + "****" + mark
		if p.Start < end && start < p.End {
			if changed = true; p.Start <= start && end <= p.End {
				mark = "" // the value alone
			}
			part += mark + "****" + mark
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
	for _, text := range []string{nginxLine, `ann@ "tokens": 4111 1111 1111 1112, token: null -`} {
		for _, escaped := range []bool{false, true} {
			b := named(batch(text, escaped, "-", "+null"), "the_name_of_this_field_is_longer_than_others_password", "token")
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
