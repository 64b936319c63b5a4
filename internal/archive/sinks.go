package archive

import (
	"slices"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
)

// cutEvery is for how long a tail holds text that no sink wants any more, while more comes.
const cutEvery = 10 * time.Second

// delivery is what sinks have of a stream that is kept for them alone. Guarded by Stream.mu.
type delivery struct {
	until []string          // those sinks; none: the text is kept for its own sake
	told  map[string]uint64 // by sink, the record after the last that it says it has
	taken uint64            // what all of them have, as a commit says that is not synced yet
	next  uint64            // what all of them have, durably
}

// Until says that the text is kept only for these sinks: what all of them have goes. None:
// it is kept for its own sake.
func (s *Stream) Until(sinks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := &s.delivery; !slices.Equal(d.until, sinks) {
		d.until, d.taken, d.next = slices.Clone(sinks), 0, 0
	}
	if len(sinks) > 0 {
		s.a.cleared.Store(true) // a process before may have left some
	}
}

// Delivered says that a sink has all records before next, and has stored that it does.
func (s *Stream) Delivered(sink string, next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivery.told == nil {
		s.delivery.told = map[string]uint64{}
	}
	s.delivery.told[sink] = next
}

// TakeDelivered notes what sinks have said: what they have stored is in the commit that is
// being made. Only once that is durable, as Tidy says, text may go for it: else a crash would
// bring the sink back to before and leave nothing for it to read.
func (a *Archive) TakeDelivered() {
	for _, s := range a.All() {
		s.mu.Lock()
		if d := &s.delivery; len(d.until) > 0 {
			d.taken = d.told[d.until[0]]
			for _, sink := range d.until[1:] {
				d.taken = min(d.taken, d.told[sink])
			}
		}
		s.mu.Unlock()
	}
}

// keepDelivered makes what was taken durable.
func (a *Archive) keepDelivered() {
	for _, s := range a.All() {
		s.mu.Lock()
		s.delivery.next = s.delivery.taken
		s.mu.Unlock()
	}
}

// unwanted returns the record before which nobody wants any, 0 if the text is kept for its
// own sake.
func (s *Stream) unwanted() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delivery.next
}

// clear removes text before a record that nobody wants any more: whole segments, and, with
// the next commit, what there is of the tail.
func (s *Stream) clear(before uint64, now time.Time) {
	for len(s.segments) > 0 && s.endOf(s.segments[0]) <= before {
		s.removeOldest()
		s.a.cleared.Store(true)
	}
	old := now.Sub(time.UnixMilli(s.tail.since)) >= cutEvery
	if s.tail.Bytes > 0 && (before >= s.next || before > s.tail.First && old) {
		s.a.owed[s] = true
	}
}

// Clear removes, as Retain does, the text that was kept for sinks which have it now.
func (a *Archive) Clear() {
	now := time.Now()
	for _, s := range a.All() {
		s.clear(s.unwanted(), now)
	}
}

// Cleared tells whether text may have gone, since the last call, that was kept for sinks
// alone: files that had it before have it still.
func (a *Archive) Cleared() bool { return a.cleared.Swap(false) }

// cutTail takes from the tail the records before one, and appends to dst what a log has to hold.
func (s *Stream) cutTail(dst []byte, before uint64) []byte {
	text, err := s.tailText()
	if err != nil {
		s.loseTail(tailUnread, err)
		return dst
	}
	gone := 0
	for line := range kept.Lines(text) {
		if s.tail.First+uint64(gone) == before {
			break
		}
		gone++
		text = text[len(line)+1:]
	}
	s.a.count(func(st *Stats) { st.Removed += uint64(gone) })
	s.a.cleared.Store(true)
	s.touch()
	s.restart(before, text)
	return appendRest(dst, before, text)
}

// restart makes text, which begins with record first, the tail.
func (s *Stream) restart(first uint64, text []byte) {
	s.dropTail()
	s.next = first
	s.tail.start(first)
	if len(text) > 0 {
		s.grow(nil, kept.TextOf(text))
	}
}
