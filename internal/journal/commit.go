package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

var fileNames = [2]string{"commit-0.weir", "commit-1.weir"}

// errGone means that commits go to files that nobody can find any more.
var errGone = errors.New("the data directory, or a file in it, was removed or replaced")

// commitLog is the two files. Nothing in it is locked: one goroutine at a time uses it.
type commitLog struct {
	files    [2]disk.File
	sizes    [2]int64 // reserved
	used     [2]int64 // how much of them may hold anything
	current  int      // the file that is appended to
	at       link     // of the next frame
	offset   int64    // where it goes
	lastSync time.Time
	// stale is set by a failed write or sync: what the current file holds is in doubt, and
	// the next commit is a snapshot in the other one.
	stale bool
	// gone is set when a file has lost its name: both are made again before the next commit.
	gone bool
	// unsynced are the deltas that were taken from pending and are not in the registry, in
	// the order in which recovery would add them: in another one the rounding of sums, and
	// so what is shown, could differ from what comes back.
	unsynced  []record.Delta
	exemplars map[cell]metric.Exemplar // those that the registry has not got yet
	written   bool                     // something was written since the last sync
	marked    bool                     // a mark was written since the last commit
	series    set                      // those that the current file defines
	forgotten uint64                   // how many the registry had forgotten at the last snapshot
	taken     change                   // scratch
	archive   *archive.Archive
	described map[*archive.Stream]bool // those that the current file tells the definition of
	scratch   frame
	floor     uint64      // what the archive's was at the last look
	strained  atomic.Bool // it has so much that a full disk should bring no more text
	unclean   bool        // it has text that nobody wants any more
	damaged   bool        // durable commits were missing when it was opened
	cleaned   time.Time   // when it was last rid of such
}

// open recovers j's state and begins a new generation.
func (l *commitLog) open(j *Journal) error {
	l.described = map[*archive.Stream]bool{}
	l.exemplars = map[cell]metric.Exemplar{}
	best, err := l.recover(j)
	if err != nil {
		return err
	}
	if l.files[best].Sync() == nil { // then what it makes superfluous may go, and makes room
		l.archive.Tidy()
	}
	l.current = best // begin writes the other one
	switch err := l.begin(j); {
	case disk.IsFull(err):
		// What was recovered stands. Reading and counting go on, commits once there is room.
		l.archive.Show()
		_ = l.note(j, err)
		return nil
	case err != nil:
		return fmt.Errorf("write the first commit: %w", err)
	}
	if err := l.prepare(j, 1-l.current, l.offset); err != nil && !disk.IsFull(err) {
		return err
	}
	if l.damaged { // commits of generations that are unknown now must not be taken for later ones
		l.unclean = true
		l.cleanNow(j, time.Now())
	}
	return nil
}

func (l *commitLog) close() error {
	var errs []error
	for i, f := range l.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
		l.files[i], l.sizes[i] = nil, 0
	}
	return errors.Join(errs...)
}

// tick writes what is pending, and syncs when it is time.
func (l *commitLog) tick(j *Journal, now time.Time) {
	due := now.Sub(l.lastSync) >= j.opts.SyncEvery || now.Before(l.lastSync)
	if l.stale && !due {
		return // the disk fails: try again at the slower pace
	}
	// An error is in the ledger already, and what it kept from the disk is tried again.
	if due {
		l.lastSync = now
		err := l.sync(j)
		l.archive.Retain(now)
		if floor := l.archive.Floor(); floor != l.floor {
			l.floor = floor
			j.Store(floorKey, binary.AppendUvarint(nil, floor))
		}
		if err == nil {
			l.archive.Retry()
			_ = l.note(j, nil) // there may be room for text again, or no longer
			l.clean(j, now)
		}
	} else {
		_ = l.write(j)
	}
}

// finish is the last sync, after which no text is left that nobody wants.
func (l *commitLog) finish(j *Journal) error {
	err := l.sync(j)
	if err == nil {
		l.archive.Clear()
		err = l.sync(j)
	}
	if err == nil {
		l.unclean = l.archive.Cleared() || l.unclean
		l.cleanNow(j, time.Now())
	}
	return err
}

// relieve writes what waits at once, so that who waits for room can go on.
func (l *commitLog) relieve(j *Journal) {
	if !l.stale { // else the tick tries again, at its pace
		_ = l.write(j)
	}
}

// write appends one frame with what is pending, if anything is.
func (l *commitLog) write(j *Journal) error {
	if l.stale {
		l.merge()
		return l.note(j, l.begin(j))
	}
	if j.opts.Registry.Forgotten() != l.forgotten {
		return l.note(j, l.begin(j)) // else a restart would bring them back
	}
	if !l.take(j, nil) {
		return nil
	}
	f := l.frame(l.at, &l.taken)
	if l.offset+f.size > l.sizes[l.current] {
		return l.note(j, l.begin(j))
	}
	if err := f.write(l.files[l.current], l.offset); err != nil {
		l.stale = true
		return l.note(j, fmt.Errorf("write %s: %w", fileNames[l.current], err))
	}
	l.advance(f)
	l.written, l.marked = true, false
	if err := l.archive.Flush(); err != nil && j.opts.Ledger != nil {
		j.opts.Ledger.Event("text not kept")
	}
	return nil
}

// advance goes behind a frame, which was written.
func (l *commitLog) advance(f *frame) {
	l.offset += f.size
	l.used[l.current] = max(l.used[l.current], l.offset)
	l.strained.Store(l.offset > l.sizes[l.current]/2) // when it begins anew, what waits for room is lost
	l.at = l.at.next(f.head[:])
}

// sync writes what is pending, makes it durable and raises the registry.
func (l *commitLog) sync(j *Journal) error {
	err := l.syncOnce(j)
	if errors.Is(err, errGone) {
		err = l.syncOnce(j) // at once, in new files: it may be the last sync
	}
	return err
}

func (l *commitLog) syncOnce(j *Journal) error {
	if err := l.write(j); err != nil {
		return err
	}
	if err := l.settle(l.current, l.written); err != nil {
		return l.note(j, err)
	}
	if !l.written {
		l.mark()
		return nil
	}
	l.written, l.at.synced = false, true
	l.raise(j)
	return l.note(j, nil)
}

// settle makes what was written to file i durable, if anything was, in a file that the
// next start will find: syncs of a file that was removed succeed for ever.
func (l *commitLog) settle(i int, written bool) error {
	if written {
		if err := l.files[i].Sync(); err != nil {
			l.stale = true // what a failed sync left behind cannot be known
			return fmt.Errorf("sync %s: %w", fileNames[i], err)
		}
	}
	switch linked, err := l.files[i].Linked(); {
	case err != nil:
		l.stale = true
		return fmt.Errorf("look for %s: %w", fileNames[i], err)
	case !linked:
		l.stale, l.gone = true, true
		return errGone
	}
	return nil
}

// remake makes the directory and its files again, and takes the lock again. What is there
// instead may have any generation.
func (l *commitLog) remake(j *Journal) error {
	_ = l.close() // nobody can read them any more
	if j.lock != nil {
		_ = j.lock.Close()
		j.lock = nil
	}
	lock, err := j.opts.FS.Lock()
	if err != nil {
		return fmt.Errorf("make the data directory again: %w", err)
	}
	j.lock = lock
	l.archive.Vanish()
	before := l.at.generation
	found, best, err := l.load(j)
	if err == nil {
		err = j.opts.FS.SyncDir()
	}
	if err != nil {
		return fmt.Errorf("make the data directory again: %w", err)
	}
	l.current = best
	if found[0].used || found[1].used {
		l.at.generation = max(l.at.generation, before)
	} // else it is the first, of which nobody misses the one before
	l.gone = false
	return nil
}

// take moves what is pending into l.taken and l.unsynced, and tells whether there was any.
// Where all is given it gets, in the same instant, every position and state.
func (l *commitLog) take(j *Journal, all *change) bool {
	c := &l.taken
	c.reset()
	j.mu.Lock()
	j.takeLocked(c)
	synced := len(l.unsynced)
	l.unsynced = j.deltas.moveTo(l.unsynced)
	c.deltas = l.unsynced[synced:]
	l.archive.TakeDelivered()
	if all != nil {
		j.copyLocked(all)
	}
	j.mu.Unlock()
	l.addTexts(j, c)
	for _, d := range c.deltas {
		if l.series.add(d.Series) {
			if s := j.opts.Registry.Durable(d.Series); s != nil {
				c.defined = append(c.defined, s) // with its value still without anything unsynced: this is its first delta
			}
		}
	}
	return len(c.positions)+len(c.deltas)+len(c.states)+len(c.kept) > 0
}

// begin writes a snapshot of everything, with what is pending, to the other file under a
// new generation, and goes on there.
func (l *commitLog) begin(j *Journal) error {
	l.stale = true // until it is done
	again := l.gone
	if again {
		if err := l.remake(j); err != nil {
			return err
		}
	} else if err := l.settle(l.current, false); err != nil {
		return err
	}
	l.archive.Next(l.id(j), l.at.generation+1)
	snapshot, err := l.snapshot(j)
	if err != nil {
		return err
	}
	first := link{generation: l.at.generation + 1}
	f := l.frame(first, snapshot)
	next := 1 - l.current
	if err := l.prepare(j, next, f.size); err != nil {
		return err
	}
	if err := f.write(l.files[next], 0); err != nil {
		return fmt.Errorf("write %s: %w", fileNames[next], err)
	}
	if err := l.settle(next, true); err != nil {
		return err
	}
	l.current, l.at, l.offset = next, first, 0
	l.advance(f)
	l.stale, l.written, l.marked, l.at.synced = false, false, false, true
	l.raise(j)
	l.archive.Forgotten()
	if again { // reserve the other's space too; if there is none, its turn will tell
		_ = l.prepare(j, 1-l.current, l.offset)
	}
	return nil
}

// identity is the key of the state that tells this log from those of other directories.
const identity = "journal"

// floorKey is the key of the state that has the archive's Floor.
const floorKey = "journal/floor"

// id returns the log's identity, which is made once.
func (l *commitLog) id(j *Journal) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.states[identity]) == 0 {
		j.states[identity] = []byte(rand.Text())
	}
	return string(j.states[identity])
}

// cleanEvery is for how long the log may have text that nobody wants any more.
const cleanEvery = time.Minute

// clean rids the files of text that was kept for sinks which have it now: both get a new
// snapshot, which has no text, and zeros behind it.
func (l *commitLog) clean(j *Journal, now time.Time) {
	l.unclean = l.archive.Cleared() || l.unclean
	if since := now.Sub(l.cleaned); since >= 0 && since < cleanEvery {
		return
	}
	l.cleanNow(j, now)
}

// cleanNow does nothing on a full disk: what waits for room would be lost.
func (l *commitLog) cleanNow(j *Journal, now time.Time) {
	if !l.unclean || l.archive.Full() {
		return
	}
	l.cleaned = now
	for range l.files {
		if l.note(j, l.begin(j)) != nil || l.note(j, l.zero()) != nil {
			return // again in a minute
		}
	}
	l.unclean = false
}

// zero overwrites what is behind the frames of the current file.
func (l *commitLog) zero() error {
	zeros := make([]byte, min(1<<20, l.used[l.current]-l.offset))
	for at := l.offset; at < l.used[l.current]; at += int64(len(zeros)) {
		n := min(int64(len(zeros)), l.used[l.current]-at)
		if _, err := l.files[l.current].WriteAt(zeros[:n], at); err != nil {
			return fmt.Errorf("clear %s: %w", fileNames[l.current], err)
		}
	}
	l.used[l.current] = l.offset
	return l.settle(l.current, true)
}

// prepare opens file i and reserves its space: room for commits behind a snapshot of that
// many bytes, or, on a full disk, what the file has, as long as the snapshot fits.
func (l *commitLog) prepare(j *Journal, i int, snapshot int64) error {
	if l.files[i] == nil {
		f, err := j.opts.FS.Open(fileNames[i])
		if err != nil {
			return err
		}
		l.files[i] = f
		if err := j.opts.FS.SyncDir(); err != nil {
			return err
		}
	}
	size := max(j.opts.FileBytes, 4*snapshot)
	if l.sizes[i] >= size {
		return nil
	}
	err := l.files[i].Allocate(size)
	if err != nil {
		if has, sizeErr := l.files[i].Size(); sizeErr == nil && has >= snapshot {
			size, err = has, l.files[i].Allocate(has) // it may be sparse
		}
	}
	if err != nil {
		return fmt.Errorf("reserve space for %s: %w", fileNames[i], err)
	}
	l.sizes[i] = size
	return nil
}

// raise gives the registry what was made durable.
func (l *commitLog) raise(j *Journal) {
	if len(l.unsynced) > 0 {
		j.opts.Registry.Apply(l.unsynced)
		l.taken.deltas = nil // they are a part of these
	}
	if len(l.exemplars) > 0 {
		j.opts.Registry.Exemplify(maps.Values(l.exemplars))
		clear(l.exemplars)
	}
	l.archive.Show()
	l.archive.Tidy()
	j.mu.Lock()
	defer j.mu.Unlock()
	l.unsynced = j.deltas.keep(emptied(l.unsynced))
	j.showLocked()
}

// merge adds up what waits for a disk that fails, so that it grows with the number of
// cells and not with the time that takes. A snapshot comes next, so the order is free.
func (l *commitLog) merge() {
	var all sums
	for _, d := range l.unsynced {
		all.add(d)
	}
	l.unsynced = all.list
}

// snapshot takes what is pending and returns the whole state as one change: what the
// registry shows plus what is not synced yet, every position, every state, and what the
// files of kept text hold, which are durable then.
func (l *commitLog) snapshot(j *Journal) (*change, error) {
	c := new(change)
	l.take(j, c)
	clear(l.described)
	if err := l.archive.Checkpoint(); err != nil {
		return nil, fmt.Errorf("sync kept text: %w", err)
	}
	for _, s := range l.archive.All() {
		st, err := s.AppendState(nil)
		if err != nil {
			return nil, err
		}
		c.files = append(c.files, stateDef{s.ID(), st})
	}
	l.forgotten = j.opts.Registry.Forgotten() // before the series: at worst it is done again
	c.defined = j.opts.Registry.Durables(nil)
	clear(l.series)
	for _, s := range c.defined {
		l.series.add(s.ID())
	}
	c.deltas = l.unsynced
	return c, nil
}

// note tells the ledger how the disk fares, and returns err.
func (l *commitLog) note(j *Journal, err error) error {
	if j.opts.Ledger == nil {
		return err
	}
	switch {
	case err == nil && l.archive.Full():
		j.opts.Ledger.Degraded("the disk of data_dir is full, or has less free space than journal.free: text is counted and not kept", "make room, or lower journal.free or journal.size; what is missing is stated in its stream")
		return nil
	case err == nil:
		j.opts.Ledger.Healthy()
		return nil
	}
	j.opts.Ledger.Event("commit failed")
	j.opts.Ledger.Degraded("commit: "+err.Error(), remedy(err))
	return err
}

func remedy(err error) string {
	switch {
	case errors.Is(err, errGone):
		return "find out what removes or replaces data_dir; weir makes it again, with all counts and positions"
	case errors.Is(err, disk.ErrLocked):
		return "stop the other weir, or give each its own data_dir; counts go on and are committed when the directory is free"
	}
	return "make room on the disk of data_dir, or give weir write access to it; counts go on and are committed when it works again"
}
