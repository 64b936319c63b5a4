package metric

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Series is one set of label values of a family, and its cells: one for a counter or a
// gauge; for a histogram a count for each bucket (not cumulative), one for +Inf, and the sum.
// Those of a native histogram are in native.go; ReadNative has what they come to.
// Nothing of it but cells and changed is written once it can be found.
type Series struct {
	family  *Family // nil: no family has claimed it
	detail  *detail // nil: it has no label values, and one cell
	value   atomic.Uint64
	created int64         // Unix microseconds
	changed atomic.Uint32 // Unix seconds of the last change
	id      uint32        // durable number; 0 when volatile
}

// detail is what a series has that is more than a value.
type detail struct {
	joined string // label values, as by joinValues; the durable identity where no family has claimed it
	more   *more  // nil: it has one cell
}

// more is what a histogram has; the many other series have no room for it.
type more struct {
	cells  []atomic.Uint64 // those behind the first; all are the bits of a float64
	sparse *sparse         // the buckets of a native histogram
}

// fill makes s a series of f with so many cells, which are zero. The registry is locked.
func (s *Series) fill(f *Family, joined string, cells int) {
	s.family = f
	if joined == "" && cells == 1 {
		return
	}
	s.detail = &detail{joined: joined}
	if cells > 1 {
		s.detail.more = &more{cells: make([]atomic.Uint64, cells-1)}
		if f != nil && f.shape.desc.Native != nil {
			s.detail.more.sparse = &sparse{most: f.maxBucketsLocked()}
		}
	}
}

func (s *Series) key() string {
	if s.detail == nil {
		return ""
	}
	return s.detail.joined
}

// hash is of the key.
func (s *Series) hash(seed maphash.Seed) uint64 { return maphash.String(seed, s.key()) }

// is tells whether the key is one given in two parts.
func (s *Series) is(key, more string) bool {
	k := s.key()
	return len(k) == len(key)+len(more) && k[:len(key)] == key && k[len(key):] == more
}

// cell returns cell i, which there must be.
func (s *Series) cell(i int) *atomic.Uint64 {
	if i == 0 {
		return &s.value
	}
	return &s.detail.more.cells[i-1]
}

// IsOverflow tells whether s is its family's overflow series.
func (s *Series) IsOverflow() bool { return s.key() == overflowKey }

// Values returns the label values, in the order of Desc.Labels; nil for the overflow series.
func (s *Series) Values() []string {
	key := s.key()
	switch {
	case key == overflowKey:
		return nil
	case key == "" && len(s.family.shape.desc.Labels) == 0:
		return []string{}
	}
	return strings.Split(key, separator)
}

// Family returns the family of s; nil while a restored series is not claimed.
func (s *Series) Family() *Family { return s.family }

// ID returns the durable number of s, for a record.Delta; 0 when it is volatile, or made
// after its family was forgotten.
func (s *Series) ID() uint32 { return s.id }

// Add adds v to a volatile counter or gauge.
func (s *Series) Add(v float64) {
	s.addCell(0, v)
	s.touch()
}

// Set sets a volatile gauge.
func (s *Series) Set(v float64) {
	s.value.Store(math.Float64bits(v))
	s.touch()
}

// Observe counts v in a volatile histogram: in the first bucket whose limit it does not
// pass, and in the sum.
func (s *Series) Observe(v float64) {
	if n := s.native(); n != nil {
		s.observeNative(n, v)
		s.touch()
		return
	}
	limits := s.family.shape.desc.Buckets
	i, _ := slices.BinarySearch(limits, v)
	s.addCell(i, 1)
	s.addCell(len(limits)+1, v)
	s.touch()
}

func (s *Series) touch() { s.changed.Store(uint32(time.Now().Unix())) }

// Value returns the counter's or gauge's value; for a histogram the count of its first bucket.
func (s *Series) Value() float64 { return s.Cell(0) }

// Cells returns how many cells s has, buckets of a native histogram left out.
func (s *Series) Cells() int {
	if s.detail == nil || s.detail.more == nil {
		return 1
	}
	return 1 + len(s.detail.more.cells)
}

// Cell returns the value of one cell.
func (s *Series) Cell(i int) float64 {
	bits := s.cell(i).Load()
	if bits == unset {
		return 0
	}
	return math.Float64frombits(bits)
}

// unset are the bits of a gauge that was made for a delta that is not applied yet: a NaN that no
// arithmetic comes to.
const unset = 0x7ff8_0000_5e70_0ff5

// IsUnset tells whether s is a durable gauge with labels of its own that has no value yet. As 0 it
// would be shown for what it never was.
func (s *Series) IsUnset() bool { return s.value.Load() == unset }

// Changed returns when s last changed.
func (s *Series) Changed() time.Time { return time.Unix(int64(s.changed.Load()), 0) }

// Created returns when counting of s began, to the microsecond.
func (s *Series) Created() time.Time { return time.UnixMicro(s.created) }

func (s *Series) addCell(i int, v float64) {
	c := s.cell(i)
	for {
		old := c.Load()
		if c.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}
