package follow

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Periods of a watcher.
const (
	// repairPeriod is how often every file is looked at whatever was notified.
	repairPeriod = 2 * time.Second
	// pollPeriod is how often files are looked at that cannot be notified of.
	pollPeriod = 250 * time.Millisecond
	// pause is how long a watcher rests after it rang: a busy file is rung for ten times a
	// second, while the kernel folds its events into one.
	pause = 100 * time.Millisecond
	// hotPause is the same while files are being rotated, for that many may be in a second.
	hotPause = 5 * time.Millisecond
	hotTime  = time.Second
	// grace is how long a watcher waits for the next of the events that happened together.
	grace = 200 * time.Microsecond
)

// WatchOptions say how a Watcher watches.
type WatchOptions struct {
	// Poll looks at all files in this period instead of being notified; zero means to poll
	// only where notification does not work, every 250 ms.
	Poll time.Duration
	// Polling, unless nil, is told once why files have to be polled.
	Polling func(reason string)
}

// A Watcher rings bells when files change. One watcher serves all logs of a source.
type Watcher struct {
	opt     WatchOptions
	changed chan struct{} // holds a token when directories were added or are free to go
	notify  *fsnotify.Watcher
	hot     time.Time // when a file was last created, renamed or removed
	said    bool      // Polling was told

	mu   sync.Mutex // guards below
	dirs map[string]*watchedDir
}

// watchedDir is a directory with files that bells wait for.
type watchedDir struct {
	path  string
	names map[string][]*Bell
	whole []*Bell // of the directory itself
	state dirState
	was   info // belongs to Run: the last state that was seen
}

type dirState uint8

const (
	dirNew dirState = iota
	dirNotified
	dirPolled  // no notification is to be had
	dirMissing // or gone: tried again at the next repair
)

// NewWatcher returns a watcher that does nothing until Run.
func NewWatcher(opt WatchOptions) *Watcher {
	return &Watcher{opt: opt, changed: make(chan struct{}, 1), dirs: map[string]*watchedDir{}}
}

// Bell is rung when a file or directory may have changed.
type Bell struct {
	w     *Watcher
	path  string
	rung  chan struct{} // holds a token when it was rung
	timer *time.Timer   // belongs to Wait

	at     []*watchedDir // guarded by w.mu
	target string        // guarded by w.mu: the name of the file where it lies

	was info // belongs to Run: the last state that was seen
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
		}
	}
	for _, d := range old {
		if !slices.Contains(b.at, d) {
			d.whole = slices.DeleteFunc(d.whole, func(o *Bell) bool { return o == b })
			b.w.wake()
		}
	}
}

// canonical is dir without symbolic links: one directory must have one name, because the
// kernel has one watch for it.
func canonical(dir string) string {
	if d, err := filepath.EvalSymlinks(dir); err == nil {
		return d
	}
	return filepath.Clean(dir)
}

func (b *Bell) addLocked(path string) {
	d := b.w.dirLocked(canonical(filepath.Dir(path)))
	name := filepath.Base(path)
	d.names[name] = append(d.names[name], b)
	b.at = append(b.at, d)
}

func (w *Watcher) dirLocked(path string) *watchedDir {
	d := w.dirs[path]
	if d == nil {
		d = &watchedDir{path: path, names: map[string][]*Bell{}}
		w.dirs[path] = d
		w.wake()
	}
	return d
}

func (w *Watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
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
	is := func(o *Bell) bool { return o == b }
	for _, d := range b.at {
		d.whole = slices.DeleteFunc(d.whole, is)
		for _, path := range []string{b.path, b.target} {
			name := filepath.Base(path)
			if rest := slices.DeleteFunc(d.names[name], is); len(rest) > 0 {
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

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var events chan fsnotify.Event
	var errs chan error
	if w.opt.Poll == 0 {
		n, err := fsnotify.NewWatcher()
		if err == nil {
			w.notify, events, errs = n, n.Events, n.Errors
			defer n.Close()
		} else {
			w.sayPolling(err.Error())
		}
	}
	repair := time.NewTicker(repairPeriod)
	defer repair.Stop()
	poll := time.NewTicker(cmpOr(w.opt.Poll, pollPeriod))
	defer poll.Stop()
	if w.notify != nil {
		poll.Stop() // until a directory needs it
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			if w.update() {
				poll.Reset(pollPeriod)
			}
		case ev := <-events:
			w.handle(ev)
			w.drain(events)
			if !w.rest(ctx) {
				return nil
			}
		case err := <-errs:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.sayPolling(err.Error())
			}
			w.look(func(*watchedDir) bool { return true })
		case <-repair.C:
			if w.retry() {
				poll.Reset(pollPeriod)
			}
			w.look(func(d *watchedDir) bool { return d.state != dirPolled })
		case <-poll.C:
			w.look(func(d *watchedDir) bool { return d.state == dirPolled })
		}
	}
}

func cmpOr(a, b time.Duration) time.Duration {
	if a > 0 {
		return a
	}
	return b
}

// rest waits until the kernel has folded what happens now.
func (w *Watcher) rest(ctx context.Context) bool {
	d := pause
	if time.Since(w.hot) < hotTime {
		d = hotPause
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// drain handles the events that are there already. They come one by one, so a moment
// without one tells that there are no more.
func (w *Watcher) drain(events <-chan fsnotify.Event) {
	t := time.NewTimer(grace)
	defer t.Stop()
	for range 10000 {
		select {
		case ev := <-events:
			w.handle(ev)
			t.Reset(grace)
		case <-t.C:
			return
		}
	}
}

// handle rings the bells of an event.
func (w *Watcher) handle(ev fsnotify.Event) {
	dir, name := filepath.Split(ev.Name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.dirs[ev.Name]; d != nil && ev.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
		d.state = dirMissing
	}
	d := w.dirs[filepath.Clean(dir)]
	if d == nil {
		return
	}
	bells := d.names[name]
	for _, b := range bells {
		b.Ring()
	}
	if ev.Op&(fsnotify.Create|fsnotify.Remove|fsnotify.Rename) == 0 {
		return
	}
	if len(bells) > 0 {
		w.hot = time.Now()
	}
	for _, b := range d.whole {
		b.Ring()
	}
}

// update begins to watch new directories and ends it for those without bells. It returns
// whether any has to be polled.
func (w *Watcher) update() (polled bool) {
	w.mu.Lock()
	var fresh []*watchedDir
	var gone []string
	for path, d := range w.dirs {
		switch {
		case len(d.names) == 0 && len(d.whole) == 0:
			delete(w.dirs, path)
			if d.state == dirNotified {
				gone = append(gone, path)
			}
		case d.state == dirNew:
			fresh = append(fresh, d)
		}
	}
	w.mu.Unlock()
	for _, path := range gone {
		w.notify.Remove(path) // it may be gone itself
	}
	return w.begin(fresh)
}

// retry tries again to watch the directories that were not there.
func (w *Watcher) retry() (polled bool) {
	w.mu.Lock()
	var missing []*watchedDir
	for _, d := range w.dirs {
		if d.state == dirMissing {
			missing = append(missing, d)
		}
	}
	w.mu.Unlock()
	return w.begin(missing)
}

func (w *Watcher) begin(dirs []*watchedDir) (polled bool) {
	for _, d := range dirs {
		state := w.beginOne(d.path)
		polled = polled || state == dirPolled
		w.mu.Lock()
		d.state = state
		w.mu.Unlock()
		if state == dirNotified {
			w.look(func(o *watchedDir) bool { return o == d }) // what happened before
		}
	}
	return polled
}

func (w *Watcher) beginOne(path string) dirState {
	if w.notify == nil {
		return dirPolled
	}
	if name := remoteFS(path); name != "" {
		w.sayPolling(path + " is on " + name + ", which does not tell of changes")
		return dirPolled
	}
	err := w.notify.Add(path)
	switch {
	case err == nil:
		return dirNotified
	case absent(err):
		return dirMissing
	}
	w.sayPolling("watch " + path + ": " + err.Error())
	return dirPolled
}

func (w *Watcher) sayPolling(reason string) {
	if !w.said && w.opt.Polling != nil {
		w.opt.Polling(reason)
	}
	w.said = true
}

// look rings the bells of files in the chosen directories that are not as they were.
func (w *Watcher) look(chosen func(*watchedDir) bool) {
	var bells []*Bell
	var dirs []*watchedDir
	w.mu.Lock()
	for _, d := range w.dirs {
		if !chosen(d) {
			continue
		}
		if len(d.whole) > 0 {
			dirs = append(dirs, d)
		}
		for _, bs := range d.names {
			bells = append(bells, bs...)
		}
	}
	w.mu.Unlock()
	for _, b := range bells {
		if is, _ := stat(b.path); is != b.was {
			b.was = is
			b.Ring()
		}
	}
	for _, d := range dirs {
		if is, _ := stat(d.path); is != d.was {
			d.was = is
			w.ringWhole(d)
		}
	}
}

func (w *Watcher) ringWhole(d *watchedDir) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range d.whole {
		b.Ring()
	}
}
