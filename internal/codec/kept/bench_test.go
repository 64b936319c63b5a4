package kept_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// escapedBodies returns the lines of a web server's log as Docker escapes them.
func escapedBodies(tb testing.TB) (lines [][]byte, size int64) {
	tb.Helper()
	text, err := os.ReadFile("../scan/testdata/docker.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
	}
	return lines, int64(len(text))
}

// block returns the same lines as kept records.
func block(tb testing.TB) []byte {
	lines, _ := escapedBodies(tb)
	var a kept.Appender
	var out []byte
	for i, line := range lines {
		out = a.Append(out, &kept.Record{Time: moment + int64(i)*1e6, Level: record.LevelInfo, Flags: record.Escaped, Body: line})
	}
	return out
}

func benchmarkAppend(b *testing.B, flags record.Flags) {
	lines, size := escapedBodies(b)
	if flags&record.Escaped == 0 {
		for i, line := range lines {
			lines[i] = kept.Unescape(nil, line)
		}
	}
	var a kept.Appender
	out := make([]byte, 0, 2*size)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		for i, line := range lines {
			out = a.Append(out, &kept.Record{Time: moment + int64(i)*1e6, Level: record.LevelInfo, Flags: flags, Body: line})
		}
	}
}

func BenchmarkAppendEscaped(b *testing.B) { benchmarkAppend(b, record.Escaped) }
func BenchmarkAppendPlain(b *testing.B)   { benchmarkAppend(b, 0) }

func BenchmarkParse(b *testing.B) {
	text := block(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for line := range kept.Lines(text) {
			if _, err := kept.Parse(line); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkBodyOf(b *testing.B) {
	text := block(b)
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		for line := range kept.Lines(text) {
			n += len(kept.BodyOf(line))
		}
	}
}

func BenchmarkTimeOf(b *testing.B) {
	line, _, _ := bytes.Cut(block(b), []byte("\n"))
	for b.Loop() {
		if kept.TimeOf(line) != moment {
			b.Fatal("another time")
		}
	}
}

func BenchmarkClock(b *testing.B) {
	line, _, _ := bytes.Cut(block(b), []byte("\n"))
	var clock kept.Clock
	for b.Loop() {
		if clock.TimeOf(line) != moment {
			b.Fatal("another time")
		}
	}
}

func BenchmarkNeedle(b *testing.B) {
	text := block(b)
	absent := kept.NewNeedle([]byte(`POST /nowhere`))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if line, _ := absent.NextLine(text, 0); line != nil {
			b.Fatal("found")
		}
	}
}
