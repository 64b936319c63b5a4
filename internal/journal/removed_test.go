package journal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
)

// told is a world whose journal has a ledger.
type told struct {
	*world
	log   bytes.Buffer
	state func() ledger.State
}

func openTold(t *testing.T, fs disk.Tree) *told {
	t.Helper()
	w := &told{world: &world{t: t, reg: metric.New()}}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	l, err := ledger.New(w.reg, log)
	if err != nil {
		t.Fatal(err)
	}
	c := l.Component("journal", "commits", "journal")
	w.state = c.State
	if w.journal, err = Open(Options{FS: fs, Registry: w.reg, Ledger: c, Log: log, FileBytes: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	w.claim()
	return w
}

// logged returns how often each end of the ledger's states was logged.
func (w *told) logged() (degraded, healthy int) {
	return strings.Count(w.log.String(), "degraded"), strings.Count(w.log.String(), "working again")
}

// TestDirectoryRemoved: whatever the journal was about when its directory went, the next
// sync makes it again with everything in it, and says so once.
func TestDirectoryRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for name, before := range map[string]func(w *told){
		"idle":               func(*told) {},
		"with lines":         func(w *told) { w.read("a", 2) },
		"with a commit":      func(w *told) { w.read("a", 2); w.write() },
		"with a generation":  func(w *told) { w.read("a", 2); w.journal.commit.offset = w.journal.commit.sizes[0] },
		"with a failed sync": func(w *told) { w.read("a", 2); w.journal.commit.stale = true },
		"with one file open": func(w *told) {
			l := &w.journal.commit
			l.files[1-l.current].Close()
			l.files[1-l.current], l.sizes[1-l.current] = nil, 0
			l.stale = true
		},
	} {
		var faulty disk.Faulty
		onDisk, err := disk.OS(dir)
		if err != nil {
			t.Fatal(err)
		}
		for kind, d := range map[string]struct {
			fs            disk.Tree
			remove, crash func()
		}{
			"faulty": {&faulty, faulty.RemoveAll, func() { faulty.Crash(func(int, int) int { return 0 }) }},
			"moved":  {onDisk, func() { _ = os.Rename(dir, t.TempDir()+"/away") }, func() {}},
			"OS":     {onDisk, func() { _ = os.RemoveAll(dir) }, func() {}},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				w := openTold(t, d.fs)
				w.read("a", 3)
				w.read("b", 1)
				w.journal.Store("sink", []byte("baseline"))
				if err := w.sync(); err != nil {
					t.Fatal(err)
				}
				d.remove()
				before(w)
				if err := w.sync(); err != nil {
					t.Fatal(err)
				}
				lines := w.check("a")
				if degraded, healthy := w.logged(); degraded != 1 || healthy != 1 || !w.state().Healthy || !strings.Contains(w.log.String(), "remedy=") {
					t.Errorf("degraded %d times, healthy %d times:\n%s", degraded, healthy, &w.log)
				}
				if _, err := d.fs.Lock(); !errors.Is(err, disk.ErrLocked) {
					t.Errorf("the directory is not locked: %v", err)
				}
				w.read("b", 1)
				w.sync()
				d.crash()
				w.journal.Close()
				v := openTold(t, d.fs)
				if strings.Contains(v.log.String(), "damaged") {
					t.Errorf("the next start misses something:\n%s", &v.log)
				}
				if a, b := v.check("a"), v.check("b"); a != lines || b != 2 || string(v.journal.Load("sink")) != "baseline" {
					t.Errorf("a = %d, b = %d came back, want %d, 2; state %q", a, b, lines, v.journal.Load("sink"))
				}
				v.journal.Close()
				d.remove()
			})
		}
	}
}

// TestDirectoryStaysAway: while the directory cannot be made again, counts go on, and the
// ledger says why, once.
func TestDirectoryStaysAway(t *testing.T) {
	var fs disk.Faulty
	var other func() error
	for name, c := range map[string]struct {
		away, back func()
		remedy     string
	}{
		"no access": {
			func() {
				fs.FailWith(func(op string) error { return map[bool]error{true: syscall.EACCES}[op == "lock" || op == "open"] })
			}, func() { fs.FailWith(nil) }, "write access",
		},
		"files fail": {
			func() { fs.FailWith(func(op string) error { return map[bool]error{true: disk.ErrFull}[op == "open"] }) },
			func() { fs.FailWith(nil) }, "make room",
		},
		"another weir": {
			func() {
				lock, err := fs.Lock()
				if err != nil {
					t.Fatal(err)
				}
				other = lock.Close
			}, func() { _ = other() }, "stop",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := openTold(t, &fs)
			lines := w.check("a")
			w.sync()
			fs.RemoveAll()
			c.away()
			for range 50 {
				w.read("a", 1)
				w.write()
				if w.sync() == nil {
					t.Fatal("sync succeeded")
				}
			}
			if degraded, _ := w.logged(); degraded != 2 || !strings.Contains(w.state().Remedy, c.remedy) { // it is gone; it cannot be made
				t.Errorf("remedy %q, %d changes:\n%s", w.state().Remedy, degraded, &w.log)
			}
			if n := len(w.journal.commit.unsynced); n > 4 {
				t.Errorf("%d deltas wait for one cell", n)
			}
			if got := int(w.lines.Series("a").Value()); got != lines {
				t.Errorf("%d lines are shown, %d are durable", got, lines)
			}
			c.back()
			if err := w.sync(); err != nil || !w.state().Healthy {
				t.Fatalf("the directory is back: %v, %+v", err, w.state())
			}
			fs.Crash(func(int, int) int { return 0 })
			v := open(t, &fs)
			if got := v.check("a"); got != lines+50 {
				t.Errorf("%d lines came back, want %d", got, lines+50)
			}
			v.journal.Close()
		})
	}
}

// TestDirectoryReplaced: what stands in the directory's place may be of a later generation.
func TestDirectoryReplaced(t *testing.T) {
	var fs, later disk.Faulty
	v := open(t, &later)
	for range 9 {
		v.read("a", 1)
		_ = v.journal.commit.begin(v.journal)
	}
	v.journal.Close()
	w := open(t, &fs)
	w.read("a", 3)
	w.sync()
	for _, name := range fileNames {
		fs.SetBytes(name, later.Bytes(name))
	}
	w.read("a", 1)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w = reopen(t, &fs, w)
	if got := w.check("a"); got != 4 {
		t.Errorf("%d lines came back, want 4", got)
	}
}

// TestNameCannotBeAsked: a sync whose files may be gone is not taken for done.
func TestNameCannotBeAsked(t *testing.T) {
	var fs disk.Faulty
	w := openTold(t, &fs)
	fs.FailWith(func(op string) error { return map[bool]error{true: syscall.EIO}[op == "linked"] })
	for range 3 {
		w.read("a", 1)
		if err := w.sync(); !errors.Is(err, syscall.EIO) || w.state().Healthy {
			t.Errorf("sync: %v, %+v", err, w.state())
		}
	}
	fs.FailWith(nil)
	if err := w.sync(); err != nil || w.check("a") != 3 || !w.state().Healthy {
		t.Errorf("sync: %v, %+v", err, w.state())
	}
}

// TestRemovalIsNoticedInTime has a journal with nothing to write, in fake time.
func TestRemovalIsNoticedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs disk.Faulty
		w := openTold(t, &fs)
		w.read("a", 3)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.journal.Run(ctx) }()
		time.Sleep(5 * time.Second)
		fs.RemoveAll()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if degraded, healthy := w.logged(); degraded != 1 || healthy != 1 || len(fs.Bytes(fileNames[0])) == 0 || len(fs.Bytes(fileNames[1])) == 0 {
			t.Errorf("degraded %d times, healthy %d times:\n%s", degraded, healthy, &w.log)
		}
		fs.RemoveAll()
		cancel()
		if err := <-ended; err != nil { // the last sync makes it again
			t.Fatal(err)
		}
		v := reopen(t, &fs, w.world)
		if got := v.check("a"); got != 3 {
			t.Errorf("%d lines came back, want 3", got)
		}
	})
}
