package gram_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/codec/gram"
)

// bodies returns the lines of a web server's log as Docker escapes them.
func bodies(tb testing.TB) (lines [][]byte, size int64) {
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

// BenchmarkAdd is a block of one MiB and its filter.
func BenchmarkAdd(b *testing.B) {
	lines, size := bodies(b)
	repeat := int(1 << 20 / size)
	var builder gram.Builder
	filter := make([]byte, 0, 8192)
	b.SetBytes(int64(repeat) * size)
	for b.Loop() {
		for range repeat {
			for _, line := range lines {
				builder.Add(line)
			}
		}
		filter = builder.AppendFilter(filter[:0])
	}
}

func BenchmarkMayContain(b *testing.B) {
	lines, _ := bodies(b)
	var builder gram.Builder
	for _, line := range lines {
		builder.Add(line)
	}
	filter := builder.AppendFilter(nil)
	q := gram.NewQuery(lines[len(lines)/2][20:60], false)
	for b.Loop() {
		if !q.MayContain(filter) {
			b.Fatal("a part of a line is missing")
		}
	}
}
