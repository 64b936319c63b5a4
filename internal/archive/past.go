package archive

import (
	"slices"
	"strings"
)

// maxPast is how many streams without text are remembered. Each has a file of its own.
const maxPast = 4096

// forgetAtOnce is how many streams one look at the bounds forgets: each is synced.
const forgetAtOnce = 16

// past remembers the numbers behind the last records of streams that have no text any more,
// by directory: whoever has read up to there goes on when the stream comes back. Of too many
// those with the smallest numbers are forgotten: streams that may be such ones begin behind
// all of them, so that nothing of them is taken for something that was read.
type past map[string]uint64

// add remembers a stream, and returns the directory of one that is forgotten for it, or "".
func (p past) add(dir string, next uint64) (dropped string) {
	p[dir] = next
	if len(p) <= maxPast {
		return ""
	}
	dropped = p.least()
	delete(p, dropped)
	return dropped
}

// take returns the number that a stream begins with, and does not remember it further.
func (p past) take(dir string) uint64 {
	next, ok := p[dir]
	delete(p, dir)
	if !ok && len(p) >= maxPast/2 {
		return p[p.least()]
	}
	return max(next, 1)
}

func (p past) least() string {
	least := ""
	for dir, next := range p {
		if least == "" || next < p[least] {
			least = dir
		}
	}
	return least
}

// begin makes a stream that is new here go on with the numbers that it had.
func (s *Stream) begin(next uint64) {
	if next > 1 {
		s.next, s.begun, s.gone = next, next, next
		s.tail.start(next)
		s.visible = &visible{next: next}
	}
}

// recall tells whether a directory is that of a stream of the past: it has no text.
func (a *Archive) recall(dir string) bool {
	names, err := a.opts.Tree.List(strings.TrimSuffix(dir, "/"))
	if err != nil || slices.ContainsFunc(names, isText) {
		return false
	}
	s := a.describedBy(dir)
	if !s.hasMeta || s.begun <= 1 {
		return false
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
	if old := a.past.add(dir, next); old != "" && !a.opts.ReadOnly {
		a.removeDir(old)
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

// forget lets go a stream that has no text any more and that nobody writes to, and tells
// whether it did. What stays is its description, with its number.
func (a *Archive) forget(s *Stream) bool {
	if len(s.segments) > 0 || s.tail.Bytes > 0 || len(s.waiting) > 0 || !s.shown || a.dirty[s] || a.owed[s] || s.writers.Load() > 0 {
		return false
	}
	a.mu.Lock() // so that nobody can begin to write to it
	defer a.mu.Unlock()
	if s.writers.Load() > 0 {
		return false
	}
	if s.next > 1 && (s.begun != s.next || !s.hasMeta) {
		s.begun = s.next
		err := s.writeMeta(true)
		if err == nil {
			err = a.opts.Tree.SyncNames(s.dir)
		}
		if err != nil {
			s.begun = 0 // to be tried again
			a.opts.Log.Warn("forget a stream without text", "stream", s.ID(), "error", err)
			return false
		}
	}
	delete(a.streams, s.dir)
	if s.next > 1 {
		a.bury(s.dir, s.next)
	} else {
		a.removeDir(s.dir)
	}
	return true
}
