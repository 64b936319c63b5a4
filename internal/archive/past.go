package archive

import (
	"errors"
	"slices"
	"strings"
)

// maxPast is how many streams without text are remembered. Each has a file of its own.
const maxPast = 4096

// forgetAtOnce is how many streams one look at the bounds forgets: each is synced.
const forgetAtOnce = 16

// past remembers the numbers behind the last records of streams that have no text any more:
// whoever has read up to there goes on when the stream comes back. Of too many those with the
// smallest numbers are forgotten. A stream that may be such a one begins behind all that were,
// so that nothing of it is taken for something that was read.
type past struct {
	next  map[string]uint64 // by directory
	floor uint64            // the largest number that was forgotten
}

// add remembers a stream, and returns the directory of one that is forgotten for it, or "".
func (p *past) add(dir string, next uint64) (dropped string) {
	if p.next == nil {
		p.next = map[string]uint64{}
	}
	p.next[dir] = next
	if len(p.next) <= maxPast {
		return ""
	}
	for dir, next := range p.next {
		if dropped == "" || next < p.next[dropped] {
			dropped = dir
		}
	}
	p.floor = max(p.floor, p.next[dropped])
	delete(p.next, dropped)
	return dropped
}

// take returns the number that a stream begins with, and does not remember it further.
func (p *past) take(dir string) uint64 {
	next, ok := p.next[dir]
	delete(p.next, dir)
	if !ok {
		next = p.floor
	}
	return max(next, 1)
}

// forgetAll is for when their files are gone.
func (p *past) forgetAll() {
	for _, next := range p.next {
		p.floor = max(p.floor, next)
	}
	p.next = nil
}

// Floor returns the number that is above those of all streams that were forgotten. The log
// has to remember it.
func (a *Archive) Floor() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.past.floor
}

// Remembers tells whether a stream is there, or where it ended: if not, it begins behind all
// numbers that were when it comes back, and whoever has read it need not remember it either.
func (a *Archive) Remembers(id string) bool {
	dir := dirOf(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	_, was := a.past.next[dir]
	return was || a.streams[dir] != nil
}

// begin makes a stream that is new here begin with that number.
func (s *Stream) begin(next uint64) {
	s.next, s.begun, s.gone, s.fresh = next, next, next, true
	s.tail.start(next)
	s.visible = &visible{next: next, begun: next}
}

// recall tells whether a directory is that of a stream of the past: it has no text.
func (a *Archive) recall(dir string) bool {
	names, err := a.opts.Tree.List(strings.TrimSuffix(dir, "/"))
	if err != nil || slices.ContainsFunc(names, isText) {
		return false
	}
	s := a.describedBy(dir)
	if s.begun <= 1 {
		return false
	}
	if !s.hasMeta {
		a.damage(dir+metaName, 0, errors.New("it is of a stream without text, whose number is taken from it all the same"))
		if !a.opts.ReadOnly && s.writeMeta(false) != nil {
			a.opts.Log.Debug("describe a stream without text later", "directory", dir)
		}
	}
	a.bury(dir, s.begun)
	return true
}

// isText tells whether a file of that name has text.
func isText(name string) bool {
	_, ext, ok := parseName(name)
	return ok && (ext == dataExt || ext == tailExt)
}

// bury remembers a stream, if need be in place of another.
func (a *Archive) bury(dir string, next uint64) {
	if old := a.past.add(dir, next); old != "" {
		a.evicted = append(a.evicted, old)
	}
}

// removeDir removes the directory of a stream without text. What weir did not put there, or
// has set aside, stays.
func (a *Archive) removeDir(dir string) {
	err := a.opts.Tree.Remove(dir + metaName)
	if names, _ := a.opts.Tree.List(strings.TrimSuffix(dir, "/")); err == nil && len(names) == 0 {
		err = a.opts.Tree.Remove(strings.TrimSuffix(dir, "/"))
	}
	if err != nil {
		a.opts.Log.Warn("remove a stream without text", "directory", dir, "error", err)
	}
}

// isIdle tells whether a stream has no text any more, and nobody writes to it.
func (s *Stream) isIdle() bool {
	return len(s.segments) == 0 && s.tail.Bytes == 0 && len(s.waiting) == 0 && s.shown &&
		!s.a.dirty[s] && !s.a.owed[s] && s.writers.Load() == 0
}

// forget lets go an idle stream. What stays is its description, with its number.
func (a *Archive) forget(s *Stream) {
	if s.next > 1 && (s.begun != s.next || !s.hasMeta) {
		was := s.begun
		s.begun = s.next
		err := s.writeMeta(true)
		if err == nil {
			err = a.opts.Tree.SyncNames(s.dir)
		}
		if err != nil {
			s.begun = was // to be tried again
			a.opts.Log.Debug("forget a stream without text later", "stream", s.ID(), "error", err)
			return
		}
	}
	a.mu.Lock() // so that nobody can begin to write to it
	defer a.mu.Unlock()
	if s.writers.Load() > 0 {
		return
	}
	delete(a.streams, s.dir)
	if s.next > 1 {
		a.bury(s.dir, s.next)
	} else {
		a.removeDir(s.dir)
	}
}
