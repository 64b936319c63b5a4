package follow

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a directory with an application that writes numbered lines to app.log, what is
// done to its files, and a Log that follows it. Time moves only when a test says so.
type world struct {
	t    *testing.T
	path string
	out  *os.File // the application's
	next int      // number of the next line

	log   *Log
	now   time.Time
	buf   []byte
	lines []string // as read
	gaps  []Gap
	gapAt []int  // how many lines had been read when each gap was stated
	saved []byte // position as of the last restart

	copies  [][]byte // what copyTruncate saved, if it is not nil
	keepAll bool     // what was consumed may be asked for again
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "app.log"), now: time.Unix(1_800_000_000, 0), buf: make([]byte, MinBuffer)}
	w.reopen()
	w.log = New(Options{Path: w.path})
	t.Cleanup(func() { w.log.Close(); w.out.Close() })
	return w
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

func (w *world) reopen() {
	w.t.Helper()
	if w.out != nil {
		w.out.Close()
	}
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	w.check(err)
	w.out = f
}

func (w *world) write(n int) {
	w.t.Helper()
	var b []byte
	for range n {
		b = fmt.Appendf(b, "line %d of the log, %s\n", w.next, strings.Repeat("x", w.next%71))
		w.next++
	}
	_, err := w.out.Write(b)
	w.check(err)
}

func (w *world) shift(suffix string) {
	for i := 30; i >= 1; i-- {
		os.Rename(fmt.Sprintf("%s.%d%s", w.path, i, suffix), fmt.Sprintf("%s.%d%s", w.path, i+1, suffix))
	}
}

func (w *world) rename() {
	w.t.Helper()
	w.shift(".gz")
	w.shift("")
	w.check(os.Rename(w.path, w.path+".1"))
	w.reopen()
}

func (w *world) copyTruncate() {
	w.t.Helper()
	w.shift(".gz")
	w.shift("")
	b, err := os.ReadFile(w.path)
	w.check(err)
	w.check(os.WriteFile(w.path+".1", b, 0o644))
	w.check(os.Truncate(w.path, 0))
	if w.copies != nil {
		w.copies = append(w.copies, b)
	}
}

func (w *world) gzip(name string) {
	w.t.Helper()
	b, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return
	}
	w.check(err)
	in, err := os.Stat(name)
	w.check(err)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	zw.Write(b)
	w.check(zw.Close())
	w.check(os.WriteFile(name+".gz", packed.Bytes(), 0o644))
	w.check(os.Chtimes(name+".gz", in.ModTime(), in.ModTime()))
	w.check(os.Remove(name))
}

// read reads all there is now: until two looks in a row find nothing.
func (w *world) read() {
	w.t.Helper()
	for range 1000 {
		w.check(w.log.Look(w.now))
		quiet := w.step() == 0
		if again := w.step() == 0; quiet && again {
			return
		}
	}
	w.t.Fatal("there is always more")
}

// step reads one chunk and returns how many bytes it consumed.
func (w *world) step() int {
	w.t.Helper()
	before := w.log.Pos()
	c, err := w.log.Read(w.buf)
	w.check(err)
	for _, g := range w.log.Gaps() {
		w.gaps = append(w.gaps, g)
		w.gapAt = append(w.gapAt, len(w.lines))
	}
	if len(c.Data) > 0 && c.At != before {
		if len(w.gaps) == 0 {
			w.t.Fatalf("read from %d, consumed to %d", c.At, before)
		}
	}
	n := bytes.LastIndexByte(c.Data, '\n') + 1
	if c.Last {
		n = len(c.Data)
	}
	for line := range strings.Lines(string(c.Data[:n])) {
		w.lines = append(w.lines, strings.TrimSuffix(line, "\n"))
	}
	w.log.Consume(n)
	if !w.keepAll {
		w.log.Keep(w.log.Pos())
	}
	return n
}

// restart forgets all but the position.
func (w *world) restart() {
	w.t.Helper()
	pos := w.log.Pos()
	w.saved = w.log.AppendPosition(nil, pos)
	w.log.Close()
	w.log = New(Options{Path: w.path})
	w.check(w.log.Resume(w.saved, pos))
}

// complete checks that every line was read once, in order, and that no loss was claimed.
func (w *world) complete() {
	w.t.Helper()
	w.exact()
	if !slices.IsSortedFunc(w.lines, func(a, b string) int { return lineNumber(a) - lineNumber(b) }) {
		w.t.Error("lines are out of order")
	}
	if len(w.gaps) > 0 {
		w.t.Errorf("gaps %v", w.gaps)
	}
}

// accounted checks that every line is a whole one, that they are in order, each once, and
// that a gap was stated in each place where some are missing, none of them in a copy.
func (w *world) accounted() {
	w.t.Helper()
	last := -1
	read := map[string]bool{}
	for i, line := range w.lines {
		n := lineNumber(line)
		read[line] = true
		if n <= last {
			w.t.Fatalf("%q after line %d", line, last)
		}
		if n > last+1 && !slices.Contains(w.gapAt, i) {
			w.t.Fatalf("line %d after line %d, and no gap is stated there", n, last)
		}
		last = n
	}
	if last != w.next-1 {
		w.t.Fatalf("line %d is the last of %d", last, w.next)
	}
	for _, b := range w.copies {
		for line := range strings.Lines(string(b)) {
			if whole, ok := strings.CutSuffix(line, "\n"); ok && !read[whole] {
				w.t.Fatalf("%q is lost, and there is a copy of it", whole)
			}
		}
	}
}

func (w *world) exact() {
	w.t.Helper()
	times := make([]int, w.next)
	for _, line := range w.lines {
		if n := lineNumber(line); n >= 0 && n < w.next {
			times[n]++
		} else {
			w.t.Errorf("strange line %q", line)
		}
	}
	for n, k := range times {
		if k != 1 && (n == 0 || times[n-1] != k) {
			w.t.Errorf("line %d and perhaps more were read %d times", n, k)
		}
	}
	if w.t.Failed() {
		for _, f := range w.log.files {
			w.t.Logf("file %s open %v off %d seen %d final %v", f.path, f.open, f.off, f.seen, f.final)
		}
		w.t.FailNow()
	}
}

func lineNumber(line string) int {
	var n int
	var rest string
	if k, _ := fmt.Sscanf(line, "line %d of the log, %s", &n, &rest); k < 1 || len(rest) != n%71 {
		return -1
	}
	return n
}
