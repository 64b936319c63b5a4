package follow

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// half writes the first half of the next line, rest the other; as another write.
func (w *world) half() {
	w.t.Helper()
	_, err := io.WriteString(w.out, fmt.Sprintf("line %d of ", w.next))
	w.check(err)
}

func (w *world) rest() {
	w.t.Helper()
	_, err := io.WriteString(w.out, "the log, "+strings.Repeat("x", w.next%71)+"\n")
	w.check(err)
	w.next++
}

// calm makes it a minute ago that the log was written to.
func (w *world) calm() {
	w.t.Helper()
	in, err := os.Stat(w.path)
	w.check(err)
	then := in.ModTime().Add(-time.Minute)
	w.check(os.Chtimes(w.path, then, then))
	w.read()
}

// A writer with a buffer leaves half a line at the end of its file, and writes the rest
// after the file was copied and truncated: it is one line.
func TestHalfLineJoined(t *testing.T) {
	for restart := range 5 {
		for _, append := range []bool{true, false} {
			t.Run(fmt.Sprint(restart, append), func(t *testing.T) {
				w := newWorld(t)
				if !append { // then the file has a hole after it was truncated
					w.out.Close()
					f, err := os.OpenFile(w.path, os.O_WRONLY, 0)
					w.check(err)
					w.out = f
				}
				stop := func(i int) {
					if restart == i {
						w.restart()
					}
				}
				w.write(40)
				w.half()
				stop(1)
				w.read()
				w.calm()
				w.copyTruncate()
				w.read()
				stop(2)
				w.now = w.now.Add(time.Minute)
				w.read()
				if n := len(w.log.files); n != 2 || w.log.Pace(w.now) != 0 {
					t.Fatalf("%d files, pace %v", n, w.log.Pace(w.now))
				}
				stop(3)
				w.rest()
				w.read()
				stop(4)
				w.write(3)
				w.read()
				w.complete()
				if n := len(w.log.files); n != 1 {
					t.Errorf("%d files are open", n)
				}
			})
		}
	}
}

// What was consumed may be read again, also a line that is in two files.
func TestHalfLineReadAgain(t *testing.T) {
	w := newWorld(t)
	w.keepAll = true
	w.write(30)
	w.half()
	w.read()
	w.calm()
	w.copyTruncate()
	w.read()
	w.rest()
	w.write(3)
	w.read()
	w.complete()
	w.saved = w.log.AppendPosition(nil, 0)
	w.log.Close()
	all, at := w.lines, int64(0)
	for i, line := range all {
		w.lines = nil
		w.log = New(Options{Path: w.path})
		w.check(w.log.Resume(w.saved, at))
		w.read()
		w.log.Close()
		if !slices.Equal(w.lines, all[i:]) {
			t.Fatalf("again from line %d: %q", i, w.lines)
		}
		at += int64(len(line)) + 1
	}
}

// If it was written to just before, nobody knows whether the rest of the line was truncated
// away. Then the half is no line, and a gap is stated.
func TestHalfLineLost(t *testing.T) {
	for _, down := range []bool{false, true} {
		w := newWorld(t)
		w.write(40)
		w.read()
		w.half()
		if down {
			w.now = w.now.Add(time.Minute)
			w.read()
			w.restart()
		}
		b, err := os.ReadFile(w.path)
		w.check(err)
		w.check(os.WriteFile(w.path+".1", b, 0o644))
		w.rest()
		w.check(os.Truncate(w.path, 0))
		w.write(3)
		w.read()
		w.accounted()
		if !slices.Equal(w.gaps, []Gap{{-1, gapTruncated}}) {
			t.Errorf("down %v: gaps %v", down, w.gaps)
		}
	}
}

// When it is over, half a line that nothing goes on with is a whole one.
func TestHalfLineAtTheEnd(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	w.half()
	w.read()
	w.calm()
	w.copyTruncate()
	w.read()
	w.log.Finish()
	w.read()
	if len(w.lines) != 4 || w.lines[3] != "line 3 of " || len(w.gaps) > 0 {
		t.Errorf("read %q, gaps %v", w.lines, w.gaps)
	}
}

// Half a line that is too long to be joined is lost, with its size.
func TestHalfLineTooLong(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	half := strings.Repeat("y", MinBuffer/2+100)
	io.WriteString(w.out, half)
	w.read()
	w.calm()
	w.copyTruncate()
	io.WriteString(w.out, "\n")
	w.read()
	w.write(3)
	w.read()
	if !slices.Equal(w.gaps, []Gap{{int64(len(half)), gapTruncated}}) || len(w.lines) != 7 {
		t.Errorf("gaps %v, %d lines", w.gaps, len(w.lines))
	}
}

// Each of several copies made between two looks may lack something at its end.
func TestSeveralCopies(t *testing.T) {
	for _, down := range []bool{false, true} {
		w := newWorld(t)
		w.write(40)
		w.read()
		if down {
			w.restart()
		}
		for range 3 {
			w.write(20)
			b, err := os.ReadFile(w.path)
			w.check(err)
			w.shift("")
			w.check(os.WriteFile(w.path+".1", b, 0o644))
			w.write(2)
			w.check(os.Truncate(w.path, 0))
		}
		w.write(5)
		w.read()
		w.accounted()
		if len(w.gaps) != 3 {
			t.Errorf("down %v: gaps %v", down, w.gaps)
		}
	}
}

// A copy that lags far behind its original is not a file of its own.
func TestShortCopyAndNothingMore(t *testing.T) {
	w := newWorld(t)
	w.write(20)
	b, err := os.ReadFile(w.path)
	w.check(err)
	w.check(os.WriteFile(w.path+".1", b, 0o644))
	w.write(300)
	w.read()
	w.check(os.Truncate(w.path, 0))
	w.read()
	w.restart()
	w.read()
	w.now = w.now.Add(time.Minute)
	w.write(3)
	w.read()
	w.exact()
	if !slices.Equal(w.gaps, []Gap{{-1, gapTruncated}}) {
		t.Errorf("gaps %v", w.gaps)
	}
}
