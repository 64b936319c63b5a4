package follow

import (
	"context"
	"path/filepath"
	"slices"
	"time"
)

// Bell is rung when a file or directory may have changed.
type Bell struct {
	w     *Watcher
	path  string
	rung  chan struct{} // holds a token when it was rung
	timer *time.Timer   // belongs to Wait

	at     []*watchedDir // guarded by w.mu
	target string        // guarded by w.mu: the name of the file where it lies

	lastSeen info // belongs to Run: the last state that was seen
}

// File returns a bell for the file at path, which need not exist.
func (w *Watcher) File(path string) *Bell {
	b := &Bell{w: w, path: path, rung: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	b.addLocked(path)
	return b
}

// Dirs returns a bell for the entries of directories: it is rung when one is created,
// removed or renamed.
func (w *Watcher) Dirs(paths ...string) *Bell {
	b := &Bell{w: w, rung: make(chan struct{}, 1)}
	b.SetDirs(paths...)
	return b
}

// SetDirs replaces the directories of a bell made by Dirs.
func (b *Bell) SetDirs(paths ...string) {
	dirs := make([]string, len(paths))
	for i, p := range paths {
		dirs[i] = canonical(p)
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	old := b.at
	b.at = nil
	for _, path := range dirs {
		d := b.w.dirLocked(path)
		b.at = append(b.at, d)
		if !slices.Contains(d.whole, b) {
			d.whole = append(d.whole, b)
			b.Ring() // something may have appeared before
		}
	}
	for _, d := range old {
		if !slices.Contains(b.at, d) {
			d.whole = without(d.whole, b)
			b.w.wake()
		}
	}
}

func (b *Bell) addLocked(path string) {
	d := b.w.dirLocked(canonical(filepath.Dir(path)))
	name := filepath.Base(path)
	d.names[name] = append(d.names[name], b)
	b.at = append(b.at, d)
}

// Target adds the file that the bell's path leads to, if that is a symbolic link.
func (b *Bell) Target(path string) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if path == b.path || path == b.target {
		return
	}
	b.removeLocked()
	b.target = path
	b.addLocked(b.path)
	b.addLocked(path)
}

// Close ends the bell.
func (b *Bell) Close() {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.removeLocked()
	b.w.wake()
}

func (b *Bell) removeLocked() {
	for _, d := range b.at {
		d.whole = without(d.whole, b)
		for _, path := range []string{b.path, b.target} {
			name := filepath.Base(path)
			if rest := without(d.names[name], b); len(rest) > 0 {
				d.names[name] = rest
			} else {
				delete(d.names, name)
			}
		}
	}
	b.at = nil
}

// Ring wakes who waits for the bell, now or next.
func (b *Bell) Ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// Wait returns when the bell was rung since the last Wait, after at most that long unless
// most is zero, or with ctx's error.
func (b *Bell) Wait(ctx context.Context, most time.Duration) error {
	var over <-chan time.Time
	if most > 0 {
		if b.timer == nil {
			b.timer = time.NewTimer(most)
		} else {
			b.timer.Reset(most)
		}
		defer b.timer.Stop()
		over = b.timer.C
	}
	select {
	case <-b.rung:
	case <-over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
