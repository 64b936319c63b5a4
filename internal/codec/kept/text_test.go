package kept_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// TestMarks: what is known of a line when it is made is what the line says.
func TestMarks(t *testing.T) {
	var a kept.Appender
	var made kept.Text
	for i, body := range []string{"", "plain", `a "quote" and \ more`, "\xff\x01", strings.Repeat("long ", 1000)} {
		for j, at := range []int64{moment, 0, -1, math.MinInt64, math.MaxInt64} {
			r := kept.Record{Time: at, Level: record.Level(i + 2*j), Body: []byte(body), Weight: uint32(j)}
			switch i {
			case 1:
				r.Flags = record.Stderr
			case 2:
				r.Fields = []kept.Field{{Name: []byte("status"), Value: []byte(`"200"`)}}
			case 3:
				r.Gap, r.GapBytes = "truncated", 3
			}
			a.AppendTo(&made, &r)
		}
	}
	read := kept.TextOf(made.Bytes)
	if !slices.Equal(made.Marks, read.Marks) {
		t.Errorf("made %+v\nread %+v", made.Marks, read.Marks)
	}
	rest := made.Bytes
	for _, m := range made.Marks {
		l, err := kept.Parse(rest[:m.Len-1])
		if err != nil || l.Time != m.Time || l.Level != m.Level || string(l.Body) != string(rest[m.Body:m.Rest]) || rest[m.Len-1] != '\n' {
			t.Errorf("%+v of %q: %+v, %v", m, rest[:m.Len], l, err)
		}
		rest = rest[m.Len:]
	}
}

// TestCut cuts at every byte: whole lines only, and nothing is lost.
func TestCut(t *testing.T) {
	var a kept.Appender
	var text kept.Text
	for i := range 5 {
		a.AppendTo(&text, &kept.Record{Time: moment, Body: bytes.Repeat([]byte("x"), i*3)})
	}
	for n := range len(text.Bytes) + 2 {
		want := 0 // the lines that begin in the first n bytes
		for line := range bytes.Lines(text.Bytes) {
			if want >= n {
				break
			}
			want += len(line)
		}
		head, rest := text.Cut(n)
		if len(head.Bytes) != want {
			t.Errorf("%d: %q", n, head.Bytes)
		}
		head.AddText(rest)
		if !bytes.Equal(head.Bytes, text.Bytes) || !slices.Equal(head.Marks, text.Marks) {
			t.Errorf("%d: %q", n, head.Bytes)
		}
	}
}

// FuzzText reads marks of what may be no lines at all.
func FuzzText(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte("\n\n"))
	f.Add([]byte(`{"time":"2026-11-21T05:06:07.123456789Z","level":"info","body":"text"}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		text := kept.TextOf(lines)
		rest := text.Bytes
		for _, m := range text.Marks {
			if m.Len == 0 || m.Body > m.Rest || m.Rest > m.Len {
				t.Fatalf("%+v", m)
			}
			rest = rest[m.Len:]
		}
		if len(rest) > 0 {
			t.Fatalf("%q is in no line", rest)
		}
	})
}
