package faulttest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// Rules count each numbered line in a series of its own, so that a lost line is a series
// that is not there and a doubled one a series of 2, and keep its text.
const Rules = `rules:
  - match: '{}'
    parse: {regex: '^n=(?P<n>\d+) crc=(?P<crc>[0-9a-f]{8}) '}
    count: [{name: lines, by: [n, crc], max_series: 1000000}]
    keep: {size: 100MiB}
`

// Line returns numbered line n, with a checksum over its number and text, and its newline.
func Line(n int) []byte {
	text := fmt.Sprintf("payload %0*d", n%97, n)
	sum := crc32.ChecksumIEEE([]byte(strconv.Itoa(n) + text))
	return fmt.Appendf(nil, "n=%d crc=%08x %s\n", n, sum, text)
}

func checksum(n int) string { return string(Line(n)[len("n= crc=")+len(strconv.Itoa(n)):][:8]) }

// Writer writes numbered lines to a file that it rotates.
type Writer struct {
	t    testing.TB
	path string
	file *os.File
	next int
	// Keep is how many rotated files there are at most; 0 means 5.
	Keep int
	// Rotations counts them.
	Rotations int
	wrap      func(line []byte) []byte
}

// NewWriter makes the file in dir and returns its writer.
func NewWriter(t testing.TB, path string) *Writer {
	w := &Writer{t: t, path: path, Keep: 5}
	w.open(os.O_CREATE | os.O_APPEND)
	t.Cleanup(func() { w.file.Close() })
	return w
}

// Wrap makes every line pass f, as Docker wraps lines in JSON.
func (w *Writer) Wrap(f func(line []byte) []byte) { w.wrap = f }

func (w *Writer) open(flags int) {
	f, err := os.OpenFile(w.path, os.O_WRONLY|flags, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	w.file = f
}

// Write writes the next n lines, each with one system call, some in two halves.
func (w *Writer) Write(n int) {
	for range n {
		line := Line(w.next)
		if w.wrap != nil {
			line = w.wrap(line)
		}
		half := 0
		if w.next%11 == 0 {
			half = len(line) / 2
			w.put(line[:half])
		}
		w.put(line[half:])
		w.next++
	}
}

func (w *Writer) put(b []byte) {
	if _, err := w.file.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// Written returns how many lines there are.
func (w *Writer) Written() int { return w.next }

// Rename rotates as logrotate and dockerd do: .4 to .5, …, the file to .1, a new file.
func (w *Writer) Rename() { w.shift(""); w.recreate() }

func (w *Writer) recreate() {
	w.rename(w.path, w.path+".1")
	w.file.Close()
	w.open(os.O_CREATE | os.O_APPEND)
	w.Rotations++
}

// RenameAndCompress does the same with all but the newest rotated file compressed.
func (w *Writer) RenameAndCompress() {
	w.shift(".gz")
	if _, err := os.Stat(w.path + ".1"); err == nil {
		w.compress(w.path+".1", w.path+".2.gz")
	}
	w.recreate()
}

// CopyTruncate copies the file to .1 and empties it in place.
func (w *Writer) CopyTruncate() {
	w.shift("")
	content, err := os.ReadFile(w.path)
	if err == nil {
		err = os.WriteFile(w.path+".1", content, 0o644)
	}
	if err = errors.Join(err, w.file.Truncate(0)); err != nil {
		w.t.Fatal(err)
	}
	w.Rotations++
}

// Recreate removes the file and makes a new one, as a rotation that keeps one file does.
func (w *Writer) Recreate() {
	if err := os.Remove(w.path); err != nil {
		w.t.Fatal(err)
	}
	w.file.Close()
	w.open(os.O_CREATE | os.O_APPEND)
	w.Rotations++
}

// shift makes room for .1, or for .2 of compressed files.
func (w *Writer) shift(ext string) {
	first := 1
	if ext != "" {
		first = 2
	}
	for i := w.Keep; i >= first; i-- {
		from := fmt.Sprintf("%s.%d%s", w.path, i, ext)
		if i == w.Keep {
			if err := os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
				w.t.Fatal(err)
			}
			continue
		}
		w.rename(from, fmt.Sprintf("%s.%d%s", w.path, i+1, ext))
	}
}

func (w *Writer) rename(from, to string) {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
}

func (w *Writer) compress(from, to string) {
	in, err := os.Open(from)
	if err != nil {
		w.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to + ".tmp")
	if err != nil {
		w.t.Fatal(err)
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Close(), os.Rename(to+".tmp", to), os.Remove(from)); err != nil {
		w.t.Fatal(err)
	}
}

// Result is what became of the numbered lines.
type Result struct {
	Written, Lost, Doubled int
	// Foreign counts lines whose checksum does not fit their number: never written so.
	Foreign int
	// Gaps is how many losses weir stated.
	Gaps int
	// KeptLost and KeptDoubled are about the text: lines that were counted and are not kept,
	// and lines that are kept twice.
	KeptLost, KeptDoubled int
	// Example names a few lines that were lost or doubled.
	Example string
}

var keptLine = regexp.MustCompile(`(?m)^n=(\d+) crc=([0-9a-f]{8}) `)

// cat returns the text that is kept.
func (w *Weir) cat() []byte {
	w.t.Helper()
	cmd := exec.Command(Binary(w.t), "journal", "cat", "-c", w.config)
	cmd.Env = append(os.Environ(), w.env...)
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("weir journal cat: %v", err)
	}
	return out
}

// Kept adds to r what became of the text of the lines, as weir journal finds it.
func (w *Weir) Kept(r *Result) {
	w.t.Helper()
	times := make([]int, r.Written)
	for _, m := range keptLine.FindAllSubmatch(w.cat(), -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil || n >= r.Written || string(m[2]) != checksum(n) {
			r.Foreign++
			continue
		}
		times[n]++
	}
	for n, c := range times {
		if c == 0 {
			r.KeptLost++
		} else {
			r.KeptDoubled += c - 1
		}
		if c != 1 && len(r.Example) < 60 {
			r.Example += fmt.Sprintf(" %d kept %d×", n, c)
		}
	}
}

// notKept is what a gap record says of lines that were counted and not kept.
var notKept = regexp.MustCompile(`(?m)^(\d+) records were counted and not kept`)

// Missed returns how many lines the kept text states to be counted and not kept.
func (w *Weir) Missed() (n int) {
	w.t.Helper()
	for _, m := range notKept.FindAllSubmatch(w.cat(), -1) {
		k, err := strconv.Atoi(string(m[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		n += k
	}
	return n
}

var numbered = regexp.MustCompile(`^lines_total\{.*crc="([0-9a-f]+)".*\}$`)
var number = regexp.MustCompile(`[{,]n="(\d+)"`)

// Settle waits until weir has counted as many lines as were written, or nothing more comes
// for some seconds, and returns what became of each.
func (w *Weir) Settle(written int) Result {
	w.t.Helper()
	var samples map[string]float64
	last, since := -1.0, time.Now()
	WaitFor(w.t, "the counts to settle", func() bool {
		s, err := w.Metrics()
		if err != nil {
			return false
		}
		samples = s
		counted := Sum(samples, "lines_total")
		if counted != last {
			last, since = counted, time.Now()
		}
		quiet := 8 * time.Second
		if counted == float64(written) {
			quiet = 2500 * time.Millisecond // a line counted twice may still come
		}
		<-time.After(200 * time.Millisecond)
		return time.Since(since) > quiet
	})
	return Check(samples, written)
}

// Check compares the series of Rules with the lines that were written.
func Check(samples map[string]float64, written int) Result {
	r := Result{Written: written, Gaps: int(Sum(samples, "weir_source_gaps_total"))}
	times := make([]int, written)
	for series, v := range samples {
		crc, num := numbered.FindStringSubmatch(series), number.FindStringSubmatch(series)
		if crc == nil || num == nil {
			continue
		}
		n, err := strconv.Atoi(num[1])
		if err != nil || n >= written || crc[1] != checksum(n) {
			r.Foreign += int(v)
			continue
		}
		times[n] += int(v)
	}
	for n, c := range times {
		switch {
		case c == 0:
			r.Lost++
		case c > 1:
			r.Doubled += c - 1
		}
		if c != 1 && len(r.Example) < 60 {
			r.Example += fmt.Sprintf(" %d×%d", n, c)
		}
	}
	return r
}
