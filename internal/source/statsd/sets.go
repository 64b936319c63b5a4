package statsd

import (
	"sync"

	"github.com/weirlog/weir/internal/record"
)

// maxSetBytes bounds the different values of all sets between two flushes.
const maxSetBytes = 64 << 20

// setCost is about what a value takes beside its bytes.
const setCost = 48

// set is the values of one set since the last flush.
type set struct {
	values map[string]struct{}
	shown  int // how many there were at the last flush
}

// sets are the values of sets since the last flush.
type sets struct {
	mu     sync.Mutex // guards all below, and what targets have of sets
	active map[*target]bool
	bytes  int
}

// add takes a value.
func (s *sets) add(t *target, value []byte) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.set == nil {
		t.set = &set{values: map[string]struct{}{}}
	}
	if _, ok := t.set.values[string(value)]; ok {
		return counted
	}
	cost := len(value) + setCost
	if s.bytes+cost > maxSetBytes {
		return setFull
	}
	s.bytes += cost
	t.set.values[string(value)] = struct{}{}
	s.active[t] = true
	return counted
}

// flush appends how many values each set had, and forgets them.
func (s *sets) flush(dst []record.Delta) []record.Delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.active {
		if n := len(t.set.values); n != t.set.shown {
			dst = append(dst, record.Delta{Series: t.series.ID(), Cell: record.SetCell, Add: float64(n)})
			t.set.shown = n
		}
		if t.set.values = map[string]struct{}{}; t.set.shown == 0 {
			t.set = nil
			delete(s.active, t)
		}
	}
	s.bytes = 0
	return dst
}

// restore has sets of before the start become empty with the next flush: what they have is of
// an interval that is over.
func (s *sets) restore(targets []*target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		if n := int(t.series.Value()); n > 0 {
			t.set = &set{values: map[string]struct{}{}, shown: n}
			s.active[t] = true
		}
	}
}
