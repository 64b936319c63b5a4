package statsd

import (
	"sync"

	"github.com/weirlog/weir/internal/metric"
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
	mu     sync.Mutex              // guards all below
	active map[*metric.Series]*set // those that have values, or have shown some
	bytes  int
}

// add takes a value of a series.
func (s *sets) add(series *metric.Series, value []byte) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.active[series]
	if one != nil {
		if _, ok := one.values[string(value)]; ok {
			return counted
		}
	}
	cost := len(value) + setCost
	if s.bytes+cost > maxSetBytes {
		return setFull
	}
	s.bytes += cost
	if one == nil {
		one = &set{values: map[string]struct{}{}}
		s.active[series] = one
	}
	one.values[string(value)] = struct{}{}
	return counted
}

// flush appends how many values each set had, and forgets them.
func (s *sets) flush(dst []record.Delta) []record.Delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	for series, one := range s.active {
		if n := len(one.values); n != one.shown {
			dst = append(dst, record.Delta{Series: series.ID(), Cell: record.SetCell, Add: float64(n)})
			one.shown = n
		}
		if one.values = map[string]struct{}{}; one.shown == 0 {
			delete(s.active, series)
		}
	}
	s.bytes = 0
	return dst
}

// restore has sets of before the start become empty with the next flush: what they have is of
// an interval that is over.
func (s *sets) restore(all []*metric.Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, series := range all {
		if n := int(series.Value()); n > 0 {
			s.active[series] = &set{values: map[string]struct{}{}, shown: n}
		}
	}
}
