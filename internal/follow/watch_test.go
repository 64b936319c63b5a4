package follow

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// watching starts a watcher and returns it with a function that waits until b is rung.
func watching(t *testing.T, opt WatchOptions) (*Watcher, func(b *Bell)) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	w := NewWatcher(opt)
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w, func(b *Bell) {
		t.Helper()
		if err := b.Wait(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("x")
	f.Close()
}

func TestBellRings(t *testing.T) {
	for name, opt := range map[string]WatchOptions{"notified": {}, "polled": {Poll: time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			touch(t, path)
			w, rung := watching(t, opt)
			b := w.File(path)
			d := w.Dirs(dir)
			rung(b) // watching has begun
			rung(d)
			touch(t, path)
			rung(b)
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			rung(b)
			rung(d)
			touch(t, path)
			rung(b)
			b.Close()
			d.Close()
		})
	}
}

func TestBellFollowsLink(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	target := filepath.Join(b, "real.log")
	link := filepath.Join(a, "link.log")
	touch(t, target)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	w, rung := watching(t, WatchOptions{})
	bell := w.File(link)
	bell.Target(target)
	rung(bell)
	touch(t, target)
	rung(bell)
	bell.Close()
	d := w.Dirs(a, b)
	rung(d)
	d.SetDirs(b)
	d.SetDirs()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.dirs); n > 2 {
		t.Errorf("%d directories", n)
	}
}

func TestDirectoryAppearsLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	w, rung := watching(t, WatchOptions{})
	b := w.File(filepath.Join(dir, "app.log"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(dir, "app.log"))
	rung(b)
}

func TestWaitEnds(t *testing.T) {
	b := NewWatcher(WatchOptions{}).File("/nowhere/at/all")
	if err := b.Wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
	b.Ring()
	b.Ring()
	if err := b.Wait(t.Context(), 0); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Wait(ctx, 0); err == nil {
		t.Error("waited for nothing")
	}
}

// TestHurry: files are looked at more often while somebody waits for what is written.
func TestHurry(t *testing.T) {
	var waits atomic.Bool
	w, _ := watching(t, WatchOptions{Hurry: waits.Load})
	if got := w.pause(); got != writePause {
		t.Errorf("a pause of %v although nobody waits", got)
	}
	waits.Store(true)
	if got := w.pause(); got != hurriedPeriod {
		t.Errorf("a pause of %v although somebody waits", got)
	}
}
