package scan

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

// dataset returns an arena with the lines of testdata, as Docker escapes them or plain.
func dataset(tb testing.TB, escaped bool) (arena []byte, bodies []record.Span) {
	tb.Helper()
	text, err := os.ReadFile("testdata/docker.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		off := len(arena)
		line = bytes.TrimSuffix(line, []byte("\n"))
		if escaped {
			arena = append(arena, line...)
		} else {
			arena = append(arena, unescape(tb, line)...)
		}
		bodies = append(bodies, record.Span{Off: uint32(off), Len: uint32(len(arena) - off)})
		arena = append(arena, `\n","stream":"stdout","time":"2026-11-20T18:00:00.000489695Z"}`...)
	}
	return arena, bodies
}

func nginxRegex(tb testing.TB) string {
	tb.Helper()
	expr, err := os.ReadFile("testdata/nginx.regex")
	if err != nil {
		tb.Fatal(err)
	}
	return string(bytes.TrimSpace(expr))
}

func benchmark(b *testing.B, expr string, escaped bool) {
	p, err := Compile(expr)
	if err != nil {
		b.Fatal(err)
	}
	arena, bodies := dataset(b, escaped)
	row := make([]record.Span, len(p.Names()))
	matched, i := 0, 0
	b.SetBytes(int64(len(arena) / len(bodies)))
	b.ReportAllocs()
	for b.Loop() {
		if p.Match(row, arena, bodies[i], escaped) == Matched {
			matched++
		}
		if i++; i == len(bodies) {
			i = 0
		}
	}
	if matched == 0 {
		b.Error("nothing matched")
	}
}

func BenchmarkNginxEscaped(b *testing.B) { benchmark(b, nginxRegex(b), true) }
func BenchmarkNginxPlain(b *testing.B)   { benchmark(b, nginxRegex(b), false) }

// BenchmarkNginxRegexp is what the same costs with package regexp.
func BenchmarkNginxRegexp(b *testing.B) {
	re := regexp.MustCompile(nginxRegex(b))
	arena, bodies := dataset(b, false)
	i := 0
	for b.Loop() {
		re.FindSubmatchIndex(arena[bodies[i].Off : bodies[i].Off+bodies[i].Len])
		if i++; i == len(bodies) {
			i = 0
		}
	}
}
