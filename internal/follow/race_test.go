package follow

import (
	"fmt"
	"os"
	"runtime"
	"strings"
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

// TestCopiedWhileWritten has a writer that does not wait for the copying and truncating, so
// that lines may be lost in between. None may be doubled, and a loss has to be stated.
func TestCopiedWhileWritten(t *testing.T) {
	rotations := 200
	if testing.Short() {
		rotations = 30
	}
	w := newWorld(t)
	w.check(w.log.Look(w.now))
	var read, wrote atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
			w.write(1)
			wrote.Store(int64(w.next))
			for wrote.Load()-read.Load() > 300 && !over.Load() {
				runtime.Gosched()
			}
		}
		w.write(1)
		wrote.Store(-int64(w.next)) // the last
	})
	wg.Go(func() {
		for range rotations {
			for from := wrote.Load(); wrote.Load() < from+20; {
				runtime.Gosched()
			}
			w.copyTruncate()
		}
		over.Store(true)
	})
	times := map[int]int{}
	for last := 0; ; {
		w.now = w.now.Add(50 * time.Millisecond)
		w.check(w.log.Look(w.now))
		w.step()
		for _, line := range w.lines {
			n := lineNumber(line)
			if n < 0 && strings.HasPrefix(line, "line ") {
				continue // the copy ends within it, and the rest went with the truncation
			}
			last = n
			times[last]++
			if times[last] != 1 || last < 0 {
				t.Errorf("line %q was read %d times", line, times[last])
			}
		}
		if len(w.lines) > 0 {
			read.Store(int64(last))
		} else if n := wrote.Load(); n > 0 {
			read.Store(n) // the writer must not wait for lines that are lost
		}
		w.lines = w.lines[:0]
		if n := wrote.Load(); n < 0 && int64(last) == -n-1 {
			break
		}
	}
	wg.Wait()
	if lost := w.next - len(times); lost > 0 && len(w.gaps) == 0 {
		t.Errorf("%d lines are lost and nothing says so", lost)
	} else {
		t.Logf("%d of %d lines lost, %d gaps", lost, w.next, len(w.gaps))
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
