package statsd

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/metric"
)

// table finds what the values of a series are added up in, by the bytes that stand for the
// series in a line: two lines that are written in the same way are the same series. Other ways
// to write it have slots of their own, with the same target. Nothing is allocated to find one.
type table struct {
	seed    maphash.Seed
	index   []place  // open addressing; a power of two, at most three quarters full
	slots   []slot   // in the order in which they came
	touched []uint32 // slots with something that was not taken yet
}

// place is one of the index: the slot's number plus one, and a part of its hash.
type place struct{ hash, slot uint32 }

// slot adds up values between two commits.
type slot struct {
	key     string // name as it stands in the line, then the tags behind the metric
	target  *target
	cells   []float64     // of a histogram: what its series gets
	native  *metric.Tally // of a native histogram, whose sum is sum
	scale   float64       // of values, to the unit of the series
	sum     float64       // of a counter, or what is added to a gauge
	level   float64       // what a gauge is set to, before sum
	head    uint32        // bytes of key that are the name
	used    uint32        // tick of the last value
	typ     wire.Type
	fate    fate // what becomes of its lines
	touched bool
	set     bool // level is
}

func newTable() table { return table{seed: maphash.MakeSeed(), index: make([]place, 64)} }

func (t *table) hash(head, behind []byte, typ wire.Type) uint32 {
	h := maphash.Bytes(t.seed, head)
	if len(behind) > 0 {
		h = bits.RotateLeft64(h, 21) ^ maphash.Bytes(t.seed, behind)
	}
	h += uint64(typ) * 0x9e3779b97f4a7c15
	return uint32(h>>32) ^ uint32(h)
}

// find returns the number of a series' slot, or -1.
func (t *table) find(head, behind []byte, typ wire.Type) int {
	h := t.hash(head, behind, typ)
	mask := uint32(len(t.index) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		p := t.index[i]
		if p.slot == 0 {
			return -1
		}
		if p.hash != h {
			continue
		}
		s := &t.slots[p.slot-1]
		if s.typ == typ && int(s.head) == len(head) && len(s.key) == len(head)+len(behind) &&
			s.key[:len(head)] == string(head) && s.key[len(head):] == string(behind) {
			return int(p.slot - 1)
		}
	}
}

// add makes a slot for a series that find did not find. Pointers to other slots are no more valid.
func (t *table) add(head, behind []byte, typ wire.Type) int {
	if len(t.slots)*4 >= len(t.index)*3 {
		t.grow(2 * len(t.index))
	}
	var key strings.Builder
	key.Grow(len(head) + len(behind))
	key.Write(head)
	key.Write(behind)
	t.slots = append(t.slots, slot{key: key.String(), head: uint32(len(head)), typ: typ})
	t.put(t.hash(head, behind, typ), uint32(len(t.slots)))
	return len(t.slots) - 1
}

func (t *table) put(h, number uint32) {
	mask := uint32(len(t.index) - 1)
	i := h & mask
	for t.index[i].slot != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = place{h, number}
}

func (t *table) grow(size int) {
	old := t.index
	t.index = make([]place, size)
	for _, p := range old {
		if p.slot != 0 {
			t.put(p.hash, p.slot)
		}
	}
}

// touch notes that slot n has something to take.
func (t *table) touch(n int, tick uint32) {
	s := &t.slots[n]
	s.used = tick
	if !s.touched {
		s.touched = true
		t.touched = append(t.touched, uint32(n))
	}
}

// expire removes the slots that drop says.
func (t *table) expire(drop func(s *slot) bool) {
	n := len(t.slots)
	if t.slots = slices.DeleteFunc(t.slots, func(s slot) bool { return drop(&s) }); len(t.slots) == n {
		return
	}
	size := 64
	for len(t.slots)*4 >= size*3 {
		size *= 2
	}
	if t.slots = slices.Clip(t.slots); size < len(t.index) {
		t.slots = slices.Clone(t.slots)
	}
	t.index, t.touched = make([]place, size), t.touched[:0]
	for i := range t.slots {
		s := &t.slots[i]
		if s.touched {
			t.touched = append(t.touched, uint32(i))
		}
		t.put(t.hash([]byte(s.key[:s.head]), []byte(s.key[s.head:]), s.typ), uint32(i+1))
	}
}
