package follow

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Periods of a watcher.
const (
	// repairPeriod is how often every file is looked at whatever was notified.
	repairPeriod = 2 * time.Second
	// pollPeriod is how often files are looked at that cannot be notified of.
	pollPeriod = 220 * time.Millisecond
	// writePause is how long a watcher rests after writes: a busy file is rung for less than
	// five times a second, while the kernel folds its events into one. Rotation is not
	// subject to it. It is below 250 ms because a line has to be seen by then also by who
	// begins to wait for it in the middle of a pause.
	writePause = 220 * time.Millisecond
	// hurriedPeriod takes the place of both while somebody waits for what is written.
	hurriedPeriod = 50 * time.Millisecond
)

// WatchOptions say how a Watcher watches.
type WatchOptions struct {
	// Poll looks at all files in this period instead of being notified; zero means to poll
	// only where notification does not work, every 220 ms.
	Poll time.Duration
	// Polling, unless nil, is told once why files have to be polled.
	Polling func(reason string)
	// Hurry, unless nil, tells whether somebody waits for what is written to the files: then
	// they are rung for twenty times a second.
	Hurry func() bool
}

// A Watcher rings bells when files change. One watcher serves all logs of a source.
type Watcher struct {
	opt           WatchOptions
	changed       chan struct{} // holds a token when directories were added or are free to go
	moves, writes *inotify      // nil if nothing is notified
	said          sync.Once     // Polling was told

	mu   sync.Mutex // guards below
	dirs map[string]*watchedDir
	wds  map[int32]*watchedDir // by watch of moves, and negated of writes
}

// watchedDir is a directory with files that bells wait for.
type watchedDir struct {
	path     string
	names    map[string][]*Bell
	whole    []*Bell // of the directory itself
	state    dirState
	moveWD   int32
	writeWD  int32
	lastSeen info // belongs to Run: the last state that was seen
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
	return &Watcher{opt: opt, changed: make(chan struct{}, 1), dirs: map[string]*watchedDir{}, wds: map[int32]*watchedDir{}}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	if w.opt.Poll == 0 {
		if err := w.open(); err != nil {
			w.sayPolling(err.Error())
		} else {
			defer w.moves.close()
			defer w.writes.close()
			readers.Go(w.readMoves)
			readers.Go(func() { w.readWrites(ctx) })
		}
	}
	repair := time.NewTicker(repairPeriod)
	defer repair.Stop()
	poll := time.NewTicker(pollPeriod)
	defer poll.Stop()
	switch {
	case w.moves != nil:
		poll.Stop() // until a directory needs it
	case w.opt.Poll > 0:
		poll.Reset(w.opt.Poll)
	}
	for {
		polled := false
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			polled = w.update()
		case <-repair.C:
			polled = w.retry()
			w.look(func(d *watchedDir) bool { return d.state != dirPolled })
		case <-poll.C:
			w.look(func(d *watchedDir) bool { return d.state == dirPolled })
			poll.Reset(w.pollPeriod())
		}
		if polled && w.moves != nil {
			poll.Reset(w.pollPeriod())
		}
	}
}

// pollPeriod returns how soon to look again at files that are polled.
func (w *Watcher) pollPeriod() time.Duration {
	period := w.opt.Poll
	if period == 0 {
		period = pollPeriod
	}
	if w.hurried() {
		period = min(period, hurriedPeriod)
	}
	return period
}

func (w *Watcher) hurried() bool { return w.opt.Hurry != nil && w.opt.Hurry() }

// pause returns how long files that are written to all the time are not looked at.
func (w *Watcher) pause() time.Duration {
	if w.hurried() {
		return hurriedPeriod
	}
	return writePause
}

func (w *Watcher) open() error {
	moves, err := newInotify()
	if err != nil {
		return err
	}
	writes, err := newInotify()
	if err != nil {
		moves.close()
		return err
	}
	w.moves, w.writes = moves, writes
	return nil
}

// readMoves rings for what is created, removed and renamed, at once.
func (w *Watcher) readMoves() {
	for w.moves.read(w.moved) == nil {
	}
}

// readWrites rings for what is written to, and lets events pile up in between: less long
// while somebody waits for them.
func (w *Watcher) readWrites(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		if w.writes.read(w.written) != nil {
			return
		}
		pause.Reset(w.pause())
	}
}

func (w *Watcher) written(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.mask&syscall.IN_Q_OVERFLOW != 0 {
		w.ringAllLocked()
	} else if d := w.wds[-e.wd]; d != nil {
		d.ringName(e.name)
	}
}

func (w *Watcher) moved(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.mask&syscall.IN_Q_OVERFLOW != 0 {
		w.ringAllLocked()
		return
	}
	d := w.wds[e.wd]
	if d == nil {
		return
	}
	if e.mask&(syscall.IN_DELETE_SELF|syscall.IN_MOVE_SELF|syscall.IN_UNMOUNT|syscall.IN_IGNORED) != 0 {
		d.state = dirMissing
	}
	d.ringName(e.name)
	if e.mask&syscall.IN_ATTRIB == 0 {
		for _, b := range d.whole {
			b.Ring()
		}
	}
}

func (d *watchedDir) ringName(name []byte) {
	for _, b := range d.names[string(name)] {
		b.Ring()
	}
}

func (w *Watcher) ringAllLocked() {
	for _, d := range w.dirs {
		for _, b := range d.whole {
			b.Ring()
		}
		for _, bells := range d.names {
			for _, b := range bells {
				b.Ring()
			}
		}
	}
}

// update begins to watch new directories and ends it for those without bells. It returns
// whether any has to be polled.
func (w *Watcher) update() (polled bool) {
	var fresh, gone []*watchedDir
	w.mu.Lock()
	for path, d := range w.dirs {
		switch {
		case len(d.names) == 0 && len(d.whole) == 0:
			delete(w.dirs, path)
			gone = append(gone, d)
		case d.state == dirNew:
			fresh = append(fresh, d)
		}
	}
	for _, d := range gone {
		w.unlinkLocked(d)
	}
	w.mu.Unlock()
	for _, d := range gone {
		w.end(d)
	}
	return w.begin(fresh)
}

func (w *Watcher) unlinkLocked(d *watchedDir) {
	if w.wds[d.moveWD] == d {
		delete(w.wds, d.moveWD)
	}
	if w.wds[-d.writeWD] == d {
		delete(w.wds, -d.writeWD)
	}
}

func (w *Watcher) end(d *watchedDir) {
	if w.moves != nil && d.moveWD != 0 {
		w.moves.remove(d.moveWD)
		w.writes.remove(d.writeWD)
	}
}

// retry tries again to watch the directories that were not there.
func (w *Watcher) retry() (polled bool) {
	w.mu.Lock()
	var missing []*watchedDir
	for _, d := range w.dirs {
		if d.state == dirMissing {
			missing = append(missing, d)
			w.unlinkLocked(d)
		}
	}
	w.mu.Unlock()
	for _, d := range missing {
		w.end(d)
	}
	return w.begin(missing)
}

func (w *Watcher) begin(dirs []*watchedDir) (polled bool) {
	for _, d := range dirs {
		moveWD, writeWD, state := w.beginOne(d.path)
		w.mu.Lock()
		d.state, d.moveWD, d.writeWD = state, moveWD, writeWD
		if state == dirNotified {
			w.wds[moveWD] = d
			w.wds[-writeWD] = d
		}
		w.mu.Unlock()
		polled = polled || state == dirPolled
		w.look(func(o *watchedDir) bool { return o == d }) // what happened before
	}
	return polled
}

func (w *Watcher) beginOne(path string) (moveWD, writeWD int32, state dirState) {
	if w.moves == nil {
		return 0, 0, dirPolled
	}
	if name := remoteFS(path); name != "" {
		w.sayPolling(path + " is on " + name + ", which does not tell of changes")
		return 0, 0, dirPolled
	}
	moveWD, err := w.moves.add(path, moveMask)
	if err == nil {
		if writeWD, err = w.writes.add(path, writeMask); err == nil {
			return moveWD, writeWD, dirNotified
		}
		w.moves.remove(moveWD)
	}
	if absent(err) {
		return 0, 0, dirMissing
	}
	w.sayPolling("watch " + path + ": " + err.Error())
	return 0, 0, dirPolled
}

func (w *Watcher) sayPolling(reason string) {
	w.said.Do(func() {
		if w.opt.Polling != nil {
			w.opt.Polling(reason)
		}
	})
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
		if is, _ := stat(b.path); is != b.lastSeen {
			b.lastSeen = is
			b.Ring()
		}
	}
	for _, d := range dirs {
		if is, _ := stat(d.path); is != d.lastSeen {
			d.lastSeen = is
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

// canonical is dir without symbolic links: one directory must have one name, because the
// kernel has one watch for it.
func canonical(dir string) string {
	if d, err := filepath.EvalSymlinks(dir); err == nil {
		return d
	}
	return filepath.Clean(dir)
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

// without removes b from bells.
func without(bells []*Bell, b *Bell) []*Bell {
	return slices.DeleteFunc(bells, func(o *Bell) bool { return o == b })
}
