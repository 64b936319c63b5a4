package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

var fileNames = [2]string{"commit-0.weir", "commit-1.weir"}

// commitLog is the two files. Nothing in it is locked: one goroutine at a time uses it.
type commitLog struct {
	files      [2]disk.File
	sizes      [2]int64 // reserved
	current    int      // the file that is appended to
	generation uint64
	sequence   uint64 // of the next frame
	offset     int64  // where it goes
	lastSync   time.Time
	// stale is set by a failed write or sync: what the current file holds is in doubt, and
	// the next commit is a snapshot in the other one.
	stale bool
	// unsynced are the deltas that were taken from pending and are not in the registry.
	unsynced map[cell]float64
	written  bool // something was written since the last sync
	series   map[uint32]bool
	taken    change // scratch
	buf      []byte // scratch
}

// open recovers j's state and begins a new generation.
func (l *commitLog) open(j *Journal) error {
	l.unsynced = map[cell]float64{}
	l.series = map[uint32]bool{}
	best, err := l.recover(j)
	if err != nil {
		return err
	}
	l.current = best // begin writes the other one
	if err := l.begin(j); err != nil {
		return fmt.Errorf("write the first commit: %w", err)
	}
	return nil
}

func (l *commitLog) close() error {
	var errs []error
	for _, f := range l.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
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
		_ = l.sync(j)
	} else {
		_ = l.write(j)
	}
}

// write appends one frame with what is pending, if anything is.
func (l *commitLog) write(j *Journal) error {
	if l.stale {
		return l.note(j, l.begin(j))
	}
	if !l.take(j, nil) {
		return nil
	}
	l.buf = appendFrame(l.buf[:0], l.generation, l.sequence, &l.taken)
	if l.offset+int64(len(l.buf)) > l.sizes[l.current] {
		return l.note(j, l.begin(j))
	}
	if _, err := l.files[l.current].WriteAt(l.buf, l.offset); err != nil {
		l.stale = true
		return l.note(j, fmt.Errorf("write %s: %w", fileNames[l.current], err))
	}
	l.offset += int64(len(l.buf))
	l.sequence++
	l.written = true
	return nil
}

// sync writes what is pending, makes it durable and raises the registry.
func (l *commitLog) sync(j *Journal) error {
	if err := l.write(j); err != nil {
		return err
	}
	if !l.written {
		return nil
	}
	if err := l.files[l.current].Sync(); err != nil {
		l.stale = true // what a failed sync left behind cannot be known
		return l.note(j, fmt.Errorf("sync %s: %w", fileNames[l.current], err))
	}
	l.written = false
	l.raise(j)
	return l.note(j, nil)
}

// take moves what is pending into l.taken and l.unsynced, and tells whether there was any.
// Where all is given it gets, in the same instant, every position and state.
func (l *commitLog) take(j *Journal, all *change) bool {
	c := &l.taken
	c.inputs, c.positions, c.series = c.inputs[:0], c.positions[:0], c.series[:0]
	c.deltas, c.states = c.deltas[:0], c.states[:0]
	j.mu.Lock()
	j.takeLocked(c)
	if all != nil {
		j.copyLocked(all)
	}
	j.mu.Unlock()
	for _, d := range c.deltas {
		if !l.series[d.Series] {
			l.define(j, d.Series)
		}
		l.unsynced[cell{d.Series, d.Cell}] += d.Add
	}
	return len(c.positions)+len(c.deltas)+len(c.states) > 0
}

// define adds the definition of a series to the commit that first counts it. Its value in
// the registry is still without anything unsynced, since this is its first delta.
func (l *commitLog) define(j *Journal, id uint32) {
	l.series[id] = true
	if s, ok := j.opts.Registry.Describe(id); ok {
		l.taken.series = append(l.taken.series, s)
	}
}

// begin writes a snapshot of everything, with what is pending, to the other file under a
// new generation, and goes on there.
func (l *commitLog) begin(j *Journal) error {
	snapshot := l.snapshot(j)
	buf := appendFrame(nil, l.generation+1, 0, snapshot)
	next := 1 - l.current
	if err := l.prepare(j, next, max(j.opts.FileBytes, 4*int64(len(buf)))); err != nil {
		l.stale = true
		return err
	}
	f := l.files[next]
	if _, err := f.WriteAt(buf, 0); err != nil {
		l.stale = true
		return fmt.Errorf("write %s: %w", fileNames[next], err)
	}
	if err := f.Sync(); err != nil {
		l.stale = true
		return fmt.Errorf("sync %s: %w", fileNames[next], err)
	}
	l.current, l.generation, l.sequence, l.offset = next, l.generation+1, 1, int64(len(buf))
	l.stale, l.written = false, false
	l.raise(j)
	return nil
}

// prepare opens file i and reserves its space.
func (l *commitLog) prepare(j *Journal, i int, size int64) error {
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
	if l.sizes[i] >= size {
		return nil
	}
	if err := l.files[i].Allocate(size); err != nil {
		return fmt.Errorf("reserve %d bytes for %s: %w", size, fileNames[i], err)
	}
	l.sizes[i] = size
	return nil
}

// raise gives the registry what was made durable.
func (l *commitLog) raise(j *Journal) {
	if len(l.unsynced) == 0 {
		return
	}
	deltas := l.taken.deltas[:0]
	for k, v := range l.unsynced {
		deltas = append(deltas, record.Delta{Series: k.series, Cell: k.cell, Add: v})
	}
	clear(l.unsynced)
	j.opts.Registry.Apply(deltas)
	l.taken.deltas = deltas[:0]
}

// snapshot takes what is pending and returns the whole state as one change: what the
// registry shows plus what is not synced yet, every position, every state.
func (l *commitLog) snapshot(j *Journal) *change {
	c := new(change)
	l.take(j, c)
	c.series = j.opts.Registry.Snapshot()
	clear(l.series)
	for i := range c.series {
		s := &c.series[i]
		l.series[s.ID] = true
		for k := range s.Cells {
			s.Cells[k] += l.unsynced[cell{s.ID, uint32(k)}]
		}
	}
	return c
}

// note tells the ledger how the disk fares, and returns err.
func (l *commitLog) note(j *Journal, err error) error {
	if j.opts.Ledger == nil {
		return err
	}
	if err == nil {
		j.opts.Ledger.Healthy()
		return nil
	}
	j.opts.Ledger.Event("commit failed")
	j.opts.Ledger.Degraded("commit: "+err.Error(), "make room on the disk of data_dir, or give weir write access to it; counts go on and are committed when it works again")
	return err
}
