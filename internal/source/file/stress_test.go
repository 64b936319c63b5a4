package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// traffic writes numbered lines into a log and rotates it as fast as it can, but for not
// deleting what was not read: then nothing may be lost or doubled.
type traffic struct {
	h       *house
	path    string
	written atomic.Int64
	keep    int // rotated files
	lines   int // a file
}

func (w *traffic) read() int64 {
	if l := w.h.lines.lines["app/"+w.path]; l != nil {
		return int64(len(l.records))
	}
	return 0
}

func (w *traffic) write(f *os.File) error {
	for range w.lines {
		if _, err := fmt.Fprintf(f, "line %d %s\n", w.written.Load(), strings.Repeat("x", int(w.written.Load()%61))); err != nil {
			return err
		}
		w.written.Add(1)
	}
	return nil
}

// renaming writes, shifts and creates, as Docker and logrotate do.
func (w *traffic) renaming(rotations int) error {
	for range rotations {
		f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		err = w.write(f)
		f.Close()
		if err != nil {
			return err
		}
		w.h.until(func() bool { return w.written.Load()-w.read() < int64(w.lines*(w.keep-2)) })
		for i := w.keep; i > 0; i-- {
			os.Rename(fmt.Sprintf("%s.%d", w.path, i-1), fmt.Sprintf("%s.%d", w.path, i))
		}
		if err := os.Rename(w.path, w.path+".1"); err != nil {
			return err
		}
	}
	return nil
}

// copying copies and truncates between the lines of one writer.
func (w *traffic) copying(rotations int) error {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for range rotations {
		if err := w.write(f); err != nil {
			return err
		}
		w.h.until(func() bool { return w.written.Load()-w.read() < int64(w.lines*(w.keep-2)) })
		for i := w.keep; i > 0; i-- {
			os.Rename(fmt.Sprintf("%s.%d", w.path, i-1), fmt.Sprintf("%s.%d", w.path, i))
		}
		b, err := os.ReadFile(w.path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(w.path+".1", b, 0o644); err != nil {
			return err
		}
		if err := os.Truncate(w.path, 0); err != nil {
			return err
		}
	}
	return w.write(f)
}

// TestRotationUnderWay rotates while the source reads, and is stopped and started again.
func TestRotationUnderWay(t *testing.T) {
	rotations := 300
	if testing.Short() {
		rotations = 50
	}
	for name, rotate := range map[string]func(*traffic, int) error{"renamed": (*traffic).renaming, "copied": (*traffic).copying} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "*.log")
			w := &traffic{h: h, path: filepath.Join(h.dir, "a.log"), keep: 12, lines: 40}
			stop := h.start()
			var writing sync.WaitGroup
			done := false // guarded by the lines
			writing.Go(func() {
				if err := rotate(w, rotations); err != nil {
					t.Error(err)
				}
				h.lines.change(func() { done = true })
			})
			for next, over := int64(500), false; !over; next += 1500 {
				h.until(func() bool {
					over = done
					return done || w.read() > next
				})
				if !over {
					stop()
					stop = h.start()
				}
			}
			writing.Wait()
			last := fmt.Sprintf("line %d ", w.written.Load()-1)
			h.until(func() bool {
				rs := h.lines.lines["app/"+w.path].records
				return strings.HasPrefix(rs[len(rs)-1], last)
			})
			stop()
			t.Log(len(h.lines.lines["app/"+w.path].gaps), "gaps")
			check(t, h.lines.lines["app/"+w.path].records, int(w.written.Load()))
		})
	}
}

func check(t *testing.T, records []string, n int) {
	t.Helper()
	times, bad := make([]int, n), 0
	for _, r := range records {
		var i int
		var rest string
		if k, _ := fmt.Sscanf(r, "line %d %s", &i, &rest); k < 1 || i >= n || len(rest) != i%61 {
			t.Fatalf("strange line %q", r)
		}
		times[i]++
	}
	for i, k := range times {
		if k != 1 && (i == 0 || times[i-1] != k) {
			t.Errorf("line %d and perhaps more were read %d times", i, k)
			bad++
			if bad == 20 {
				t.FailNow()
			}
		}
	}
}
