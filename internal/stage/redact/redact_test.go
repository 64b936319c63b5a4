package redact_test

import (
	"bytes"
	"context"
	"testing"

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

func TestValidate(t *testing.T) {
	for _, bad := range []redact.Pattern{{Regex: "x"}, {Name: "a", Regex: "("}, {Name: "a", Regex: "x*"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
