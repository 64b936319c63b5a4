package archive

import (
	"time"
)

// retainEvery is how often the bounds are looked at.
const retainEvery = time.Second

// age returns how long a stream's text is kept; zero: for ever.
func (a *Archive) age(s *Stream) time.Duration {
	age := s.bound().Age
	if total := a.opts.Total.Age; total > 0 && (age == 0 || total < age) {
		return total
	}
	return age
}

// Retain removes the oldest segments of streams that have more than they may, and of the
// streams that have the oldest text while all together have too much. It looks at the free
// space as well. It does nothing when called again within a second.
func (a *Archive) Retain(now time.Time) {
	if since := now.Sub(a.retired); since >= 0 && since < retainEvery {
		return
	}
	a.retired = now
	a.watchSpace()
	a.mend()
	all := a.All()
	total := int64(0)
	for _, s := range all {
		s.retain(now)
		total += s.onDisk()
		if s.missed.Load() > 0 {
			a.owed[s] = true
		}
	}
	for bound := a.opts.Total.Size; bound > 0 && total > bound; {
		s := oldest(all)
		if s == nil {
			break
		}
		before := s.onDisk()
		s.removeOldest()
		total -= before - s.onDisk()
	}
	a.over = 0
	if bound := a.opts.Total.Size; bound > 0 {
		a.over = max(0, total-bound) // there are only tails: Due makes blocks of them, which can go
	}
	for i, n := 0, 0; i < len(all) && n < forgetAtOnce; i++ {
		if s := all[i]; s.isIdle() {
			a.forget(s)
			n++
		}
	}
}

// watchSpace compares the free space with the floor.
func (a *Archive) watchSpace() {
	free, _, err := a.opts.Tree.Space()
	if err != nil {
		return // whatever the disk does next will tell
	}
	full := free < a.opts.Floor
	a.mu.Lock()
	was := a.full
	a.full = full
	a.mu.Unlock()
	switch {
	case full && !was:
		a.opts.Log.Warn("the disk has less free space than the floor: text is counted and not kept", "free_bytes", free, "floor_bytes", a.opts.Floor)
	case was && !full:
		a.opts.Log.Info("the disk has free space again: text is kept", "free_bytes", free)
	}
}

// onDisk returns the bytes of the stream's files.
func (s *Stream) onDisk() int64 {
	n := int64(s.tail.Bytes)
	for _, g := range s.segments {
		n += g.bytes()
	}
	return n
}

// retain keeps one stream in its bounds.
func (s *Stream) retain(now time.Time) {
	age := s.a.age(s)
	for age > 0 && len(s.segments) > 0 {
		g := s.segments[0]
		if s.open && len(s.segments) == 1 {
			if now.UnixMilli()-g.began < (age / parts).Milliseconds() {
				break
			}
			s.closeSegment()
		}
		if now.UnixMilli()-g.last <= age.Milliseconds() {
			break
		}
		s.removeOldest()
	}
	s.clear(s.unwanted(), now)
	// One segment stays: a line alone may be larger than the bound.
	for size := s.bound().Size; size > 0 && s.onDisk() > size && len(s.segments) > 1; {
		s.removeOldest()
	}
}

// endOf returns the record after a segment's last.
func (s *Stream) endOf(g *segment) uint64 {
	end := g.first
	for i := range s.blocks {
		if b := &s.blocks[i]; b.segment == g {
			end = b.end()
		}
	}
	return end
}

// oldest returns the stream whose first segment ended first.
func oldest(all []*Stream) *Stream {
	var found *Stream
	for _, s := range all {
		if len(s.segments) > 0 && (found == nil || s.segments[0].last < found.segments[0].last) {
			found = s
		}
	}
	return found
}

// removeOldest removes the first segment.
func (s *Stream) removeOldest() {
	g := s.segments[0]
	if len(s.segments) == 1 {
		s.closeSegment()
	}
	n := 0
	for n < len(s.blocks) && s.blocks[n].segment == g {
		n++
	}
	if n > 0 {
		s.gone, s.a.owed[s] = s.blocks[n-1].end(), true
	}
	s.blocks = s.blocks[n:]
	s.segments = s.segments[1:]
	for i, u := range s.unsynced {
		if u == g {
			s.unsynced = append(s.unsynced[:i:i], s.unsynced[i+1:]...)
			break
		}
	}
	s.hide(n)
	s.a.count(func(st *Stats) { st.Removed += g.records })
	if err := g.remove(s.a.opts.Tree, s.dir); err != nil {
		s.a.opts.Log.Warn("remove kept text that is over its bound", "stream", s.ID(), "error", err)
	}
}

// hide takes the first n blocks from what readers see.
func (s *Stream) hide(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := *s.visible
	v.blocks = v.blocks[min(n, len(v.blocks)):]
	s.visible = &v
}

// count changes the statistics.
func (a *Archive) count(change func(st *Stats)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.stats)
}
