package archive

import (
	"errors"
	"fmt"

	"github.com/weirlog/weir/internal/disk"
)

// Flush writes what was sealed to its files. That for which the disk has no room waits for
// Retry; what it does not take for another reason is lost and stated by a gap in its stream.
// Counting goes on. The error is for telling the user.
func (a *Archive) Flush() error {
	var errs []error
	for _, s := range a.touched {
		if len(s.waiting) > 0 || !s.hasMeta {
			errs = append(errs, s.flush())
		}
	}
	return errors.Join(errs...)
}

// Show lets readers see what was added: the log that holds it is synced. It also writes
// tails to their files, without syncing them, for those who look at the files.
func (a *Archive) Show() {
	if len(a.touched) == 0 {
		return
	}
	late := a.touched[:0]
	for _, s := range a.touched {
		if a.opts.ReadOnly {
			s.show()
			continue
		}
		if len(s.waiting) > 0 {
			late = append(late, s) // what came before has to be shown first
			continue
		}
		if err := s.writeTail(); err != nil {
			a.refuse(disk.IsFull(err))
			a.opts.Log.Debug("tail stays in memory", "stream", s.ID(), "error", err)
		}
		s.show()
	}
	a.touched = late
	a.spill()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	close(a.changed)
	a.changed = make(chan struct{})
}

// show makes the present state visible.
func (s *Stream) show() {
	v := &visible{blocks: s.blocks[:len(s.blocks):len(s.blocks)], tail: s.tail.Head, tailFields: s.tail.counted.fields(), mem: s.tail.mem, memFrom: s.tail.from, next: s.next, begun: s.begun}
	s.shown = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visible = v
}

// spill gives the memory of tails back, when all together have too much of it: those that
// are on disk are read from there.
func (a *Archive) spill() {
	total := 0
	all := a.All()
	for _, s := range all {
		total += cap(s.tail.mem)
	}
	if total <= tailsBytes {
		return
	}
	for _, s := range all {
		if t := &s.tail; t.onDisk == t.Bytes && t.Bytes > 0 && s.shown {
			t.mem, t.from = nil, t.Bytes
			s.show()
		}
	}
}

// stale is a tail that is in a block or gone.
type stale struct {
	stream *Stream
	first  uint64
}

// Tidy says that the log is synced: files that it makes superfluous go, and what sinks have
// need not be there again after a crash.
func (a *Archive) Tidy() {
	a.keepDelivered()
	late := a.stale[:0]
	for _, t := range a.stale {
		if t.stream.showsFile(t.first) {
			late = append(late, t) // until the block is shown that it became
			continue
		}
		if err := a.opts.Tree.Remove(t.stream.dir + tailName(t.first)); err != nil {
			a.opts.Log.Warn("remove a tail that is in a block", "stream", t.stream.ID(), "error", err)
		}
	}
	a.stale = late
	a.mu.Lock() // so that none of them comes back meanwhile
	defer a.mu.Unlock()
	for _, dir := range a.evicted {
		if a.streams[dir] == nil {
			a.removeDir(dir)
		}
	}
	a.evicted = nil
}

// showsFile tells whether readers read the tail that begins with that record from its file.
func (s *Stream) showsFile(first uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visible.memFrom > 0 && s.visible.tail.First == first
}

// refuse notes, if so, that the disk has no room for text that is in the log. What waits for
// room is no more than the log has.
func (a *Archive) refuse(so bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if so && !a.refused {
		a.opts.Log.Warn("the disk is full: text waits in the commit log; what that has no room for is counted and not kept")
	}
	a.refused = a.refused || so
}

// roomAgain is how much free space a disk has to have, once it was full, for text to be kept
// again: as much as may wait for a commit, and its blocks' other files.
const roomAgain = 8 << 20

// Retry writes what the disk had no room for, and has text kept again once there is some.
// Like Show it is for when the log is synced.
func (a *Archive) Retry() {
	a.mu.Lock()
	refused := a.refused
	a.mu.Unlock()
	if !refused {
		return
	}
	for s := range a.dirty {
		s.touch()
		if s.flush() != nil || s.writeTail() != nil {
			return
		}
	}
	a.Show()
	if free, _, err := a.opts.Tree.Space(); err != nil || free < roomAgain {
		return
	}
	a.mu.Lock()
	a.refused = false
	a.mu.Unlock()
	a.opts.Log.Info("the disk has room again: text is kept")
}

// syncEach is up to how many segments are synced one by one; with more, one call for the
// whole file system is cheaper.
const syncEach = 32

// Checkpoint writes and syncs everything that was added, so that the log may forget it once
// it has the streams' States. What the disk does not take is lost.
func (a *Archive) Checkpoint() error {
	var errs []error
	files, names := 0, false
	for s := range a.dirty {
		if a.unsure {
			errs = append(errs, s.rewrite())
		}
		if err := s.flush(); err != nil {
			s.loseWaiting(err)
			errs = append(errs, err)
		}
		if !s.isDescribed() {
			if err := s.writeMeta(true); err != nil && !disk.IsFull(err) {
				return err
			}
		}
		if err := s.writeTail(); err != nil {
			s.loseTail("the disk does not take it", err)
			errs = append(errs, err)
		}
		files += len(s.unsynced) + 1
		names = names || s.newNames
	}
	if err := a.sync(files > syncEach, names); err != nil {
		a.unsure = true
		return errors.Join(append(errs, err)...)
	}
	a.unsure = false
	for s := range a.dirty {
		for _, g := range s.unsynced {
			g.synced = g.size
		}
		s.unsynced, s.newNames, s.tail.synced = nil, false, true
	}
	if len(errs) > 0 {
		a.opts.Log.Warn("kept text was not written", "error", errors.Join(errs...))
	}
	return nil
}

// rewrite writes again what was written since the last checkpoint. After a sync that failed
// the system takes it for written, whether it is or not.
func (s *Stream) rewrite() error {
	var errs []error
	for _, g := range s.unsynced {
		errs = append(errs, g.rewrite(s.a.opts.Tree, s.dir))
	}
	if t := &s.tail; t.onDisk > 0 {
		t.synced = false
		errs = append(errs, s.withTail(func(f disk.File) error { return copyOver(f, 0, int64(t.onDisk)) }))
	}
	return errors.Join(errs...)
}

func (a *Archive) sync(all, names bool) error {
	tree := a.opts.Tree
	if all {
		return tree.SyncAll()
	}
	for s := range a.dirty {
		for _, g := range s.unsynced {
			if err := g.sync(tree, s.dir); err != nil {
				return err
			}
			if !s.open || g != s.segments[len(s.segments)-1] {
				_ = g.close()
			}
		}
		if t := &s.tail; t.onDisk > 0 && !t.synced {
			if err := s.withTail(disk.File.Sync); err != nil {
				return fmt.Errorf("sync %s%s: %w", s.dir, tailName(t.First), err)
			}
		}
		if names && s.newNames {
			if err := tree.SyncNames(s.dir); err != nil {
				return err
			}
		}
	}
	if names {
		return tree.SyncNames("streams")
	}
	return nil
}

// Forgotten says that the log holds the States of the last Checkpoint, and nothing from
// before.
func (a *Archive) Forgotten() {
	for s := range a.dirty {
		if s.open { // the next block opens it again: few streams have one a generation
			_ = s.segments[len(s.segments)-1].close()
		}
	}
	clear(a.dirty)
}

// Vanish says that the data directory was removed with all that was in it. Streams go on
// with their numbers.
func (a *Archive) Vanish() {
	for _, s := range a.All() {
		n := s.tail.Records
		for i := range s.blocks {
			n += s.blocks[i].Records
		}
		s.closeSegment()
		s.blocks, s.segments, s.unsynced, s.described, s.hasMeta = nil, nil, nil, 0, false
		s.dropTail()
		if n > 0 {
			s.lose("the data directory was removed", n, nil)
		}
		s.touch()
	}
	a.stale, a.evicted = nil, nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past.forgetAll()
}
