package redact_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/redact"
)

// A key is written in pieces, so that nothing that scans sources takes it for real.
const (
	keyBegin = "-----BEGIN RSA " + "PRIVATE KEY-----"
	keyEnd   = "-----END RSA " + "PRIVATE KEY-----"
	keyLine  = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MaLQ+Xh0Wq3xQd1h"
)

// TestKeyOverLines: each line of a private key is replaced, and no other, wherever a batch ends.
func TestKeyOverLines(t *testing.T) {
	lines := func(text string) []string { return strings.Split(text, "\n") }
	for name, c := range map[string]struct{ in, want []string }{
		"one":           {lines("a\n" + keyBegin + "\n" + keyLine + "\n" + keyLine + "\r\nAb+/=\n" + keyEnd + "\ndone\n" + keyLine), lines("a\n****\n****\n****\n****\n" + keyEnd + "\ndone\n" + keyLine)},
		"others within": {lines("key " + keyBegin + "\n" + keyLine + "\nGET /a 200\ndone\n" + keyLine + "\nAb==\n" + keyEnd + "\nOK"), lines("key ****\n****\nGET /a 200\ndone\n****\n****\n" + keyEnd + "\nOK")},
		"no end":        {slices.Concat([]string{keyBegin}, slices.Repeat([]string{keyLine}, 202)), slices.Concat(slices.Repeat([]string{"****"}, 201), []string{keyLine, keyLine})},
		"two":           {lines(keyBegin + "\nAb\n" + keyEnd + keyBegin + "\nAb\n" + keyEnd + "\nAb"), lines("****\n****\n" + keyEnd + "****\n****\n" + keyEnd + "\nAb")},
		"in one record": {[]string{keyBegin + "\n" + keyLine + "\n" + keyEnd, keyLine}, []string{"****", keyLine}},
		"public":        {lines(strings.ReplaceAll(keyBegin, "PRIVATE", "PUBLIC") + "\n" + keyLine), lines(strings.ReplaceAll(keyBegin, "PRIVATE", "PUBLIC") + "\n" + keyLine)},
	} {
		for _, size := range []int{1, 2, 1000} {
			for _, escaped := range []bool{false, true} {
				if got := throughBatches(t, c.in, size, escaped); !slices.Equal(got, c.want) {
					t.Errorf("%s, batches of %d, escaped %v: %q; want %q", name, size, escaped, got, c.want)
				}
			}
		}
	}
}

// throughBatches returns lines after the builtin secrets, batches of which have that size.
// Each has a field, which is the first byte of the line and becomes as the line does.
func throughBatches(t *testing.T, lines []string, size int, escaped bool) (clean []string) {
	t.Helper()
	stage, err := redact.New(builtin("emails", "secrets"), []uint32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	line := stage(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		for i, r := range b.Records {
			text, first := string(b.Bytes(r.Body)), string(b.Bytes(b.Row(i)[0]))
			if strings.HasPrefix(text, "****") != (first == "****") {
				t.Errorf("the first byte of %q is %q", text, first)
			}
			if r.Flags&record.Escaped != 0 {
				text = string(dockerjson.Unescape(nil, b.Bytes(r.Body)))
			}
			clean = append(clean, text)
		}
		return nil
	}))
	slots := []string{"first"}
	for chunk := range slices.Chunk(lines, size) {
		b := &record.Batch{Slots: slots}
		for _, l := range chunk {
			r := record.Record{Body: b.Append([]byte(l))}
			if escaped {
				r = record.Record{Body: b.Append(dockerjson.Escape(nil, []byte(l))), Flags: record.Escaped}
			}
			b.Records = append(b.Records, r)
			b.Values = append(b.Values, record.Span{Off: r.Body.Off, Len: 1})
		}
		if err := line.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return clean
}
