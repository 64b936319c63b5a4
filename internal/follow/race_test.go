package follow

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rotator writes and rotates in a goroutine of its own, as fast as it can without deleting
// what was not read.
type rotator struct {
	w     *world
	keep  int
	lines int
	read  atomic.Int64
	wrote atomic.Int64
	over  atomic.Bool
	stop  atomic.Bool
}

func (r *rotator) run(rotations int, rotate func()) {
	defer r.over.Store(true)
	for range rotations {
		if r.stop.Load() {
			return
		}
		for range r.lines {
			r.w.write(1)
		}
		r.wrote.Store(int64(r.w.next))
		for r.wrote.Load()-r.read.Load() >= int64(r.lines*(r.keep-2)) {
			if r.stop.Load() {
				return
			}
			runtime.Gosched()
		}
		rotate()
	}
	r.w.write(1)
	r.wrote.Store(int64(r.w.next))
}

// TestRotatedWhileLooking rotates at any moment of a look. The lines of one writer have to
// come in order.
func TestRotatedWhileLooking(t *testing.T) {
	rotations := 150
	if testing.Short() {
		rotations = 50
	}
	if n := os.Getenv("ROT"); n != "" {
		fmt.Sscan(n, &rotations)
	}
	for name, rotate := range map[string]func(*world){"rename": (*world).rename, "copy": (*world).copyTruncate} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprint(name, restarts), func(t *testing.T) {
				w := newWorld(t)
				r := &rotator{w: w, keep: 12, lines: 5}
				w.check(w.log.Look(w.now))
				var wg sync.WaitGroup
				wg.Go(func() { r.run(rotations, func() { rotate(w) }) })
				next := 0
				for i := 0; !r.over.Load() || int64(next) < r.wrote.Load(); i++ {
					before := fmt.Sprint(describe(w))
					w.now = w.now.Add(50 * time.Millisecond)
					w.check(w.log.Look(w.now))
					looked := fmt.Sprint(describe(w))
					w.step()
					for _, line := range w.lines {
						if n := lineNumber(line); n != next {
							r.stop.Store(true)
							wg.Wait()
							t.Fatalf("line %d after %d\nbefore the look%s\nafter%s\nnow%s", n, next-1, before, looked, describe(w))
						}
						next++
					}
					w.lines = w.lines[:0]
					r.read.Store(int64(next))
					if restarts && i%7 == 0 {
						w.restart()
					}
				}
				wg.Wait()
			})
		}
	}
}

func describe(w *world) string {
	s := ""
	for _, f := range w.log.files {
		s += fmt.Sprintf("\n   ino %d open %v off %d seen %d final %v done %v head %d gz %v wary %v", f.id.ino, f.open, f.off, f.seen, f.final, f.done, f.head.n, f.gz != nil, f.wary)
	}
	return s
}

// heedless writes without waiting for the copying and truncating that goes on beside it, so
// that lines are lost in between, and copies end within a line.
type heedless struct {
	w     *world
	read  atomic.Int64
	wrote atomic.Int64 // below zero once it is all
	over  atomic.Bool
}

func (h *heedless) run(rotations int) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for !h.over.Load() {
			h.w.write(1)
			h.wrote.Store(int64(h.w.next))
			for h.wrote.Load()-h.read.Load() > 300 && !h.over.Load() {
				runtime.Gosched()
			}
		}
	})
	for range rotations {
		for from := h.wrote.Load(); h.wrote.Load() < from+20 && !h.over.Load(); {
			runtime.Gosched()
		}
		h.w.copyTruncate()
	}
	h.over.Store(true)
	wg.Wait()
	h.w.write(1)
	h.wrote.Store(-int64(h.w.next))
}

// TestCopiedWhileWritten copies and truncates under a writer. What is read are whole lines,
// each once and in order, and wherever some are missing a gap was stated in just that place.
func TestCopiedWhileWritten(t *testing.T) {
	rotations := 200
	if testing.Short() {
		rotations = 30
	}
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprint("restarts", restarts), func(t *testing.T) {
			w := newWorld(t)
			w.copies = [][]byte{}
			w.now = time.Now() // how long the writer was quiet is a matter of real time here
			w.check(w.log.Look(w.now))
			h := heedless{w: w}
			var wg sync.WaitGroup
			wg.Go(func() { h.run(rotations) })
			last := int64(-1)
			for i := 0; ; i++ {
				w.now = time.Now()
				w.check(w.log.Look(w.now))
				progress := w.step() > 0
				n := h.wrote.Load()
				if progress {
					last = int64(lineNumber(w.lines[len(w.lines)-1]))
					h.read.Store(last)
				} else if n > 0 {
					h.read.Store(n) // the writer must not wait for lines that are lost
				}
				if n < 0 && n == -last-1 {
					break
				}
				if restarts && i%7 == 0 {
					w.restart()
				}
			}
			wg.Wait()
			w.accounted()
			if len(w.gaps) > rotations {
				t.Errorf("%d gaps for %d rotations", len(w.gaps), rotations)
			}
			t.Logf("%d of %d lines lost, %d gaps", w.next-len(w.lines), w.next, len(w.gaps))
		})
	}
}

// A log that is found between the two steps of its rotation begins with the rotated file.
func TestBeginBetweenSteps(t *testing.T) {
	w := newWorld(t)
	w.write(5)
	w.check(os.Rename(w.path, w.path+".1"))
	w.check(w.log.Begin(Start{Older: true}, w.now))
	w.reopen()
	w.write(5)
	w.read()
	w.complete()
}
