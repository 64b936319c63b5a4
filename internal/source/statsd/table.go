package statsd

import (
	"hash/maphash"
	"math/bits"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/metric"
)

// table finds what the values of a series are added up in, by the bytes that stand for the
// series in a line: two lines that are written in the same way are the same series. Other ways
// to write it have slots of their own, of the same series. Nothing is allocated to find one.
type table struct {
	seed    maphash.Seed
	index   []place            // open addressing; a power of two, at most seven eighths full
	pages   []*[pageSlots]slot // the slots, in the order in which they came
	n       int                // how many there are
	wides   []*wide            // by number; nil where one has gone
	unused  []uint32           // numbers of those
	shared  []string           // names that stand before several keys
	sharing map[string]uint32  // and which these are
	touched []uint32           // slots with something that was not taken yet
}

// pageSlots is how many slots are together: where there are many, none is ever moved for want of room.
const (
	pageBits  = 9
	pageSlots = 1 << pageBits
)

// place is one of the index: the slot's number plus one, and a part of its hash.
type place struct{ hash, slot uint32 }

// slot adds up values between two commits.
type slot struct {
	key     string         // name as it stands in the line, if head says so, then the tags behind the metric
	series  *metric.Series // that its lines are counted in
	sum     float64        // of a counter; what a gauge is set to, or changed by
	wide    uint32         // 0: there is none
	head    uint32         // bytes of key that are the name; or sharedHead and which of the shared ones that is
	used    uint32         // tick of the last value
	typ     wire.Type
	fate    fate // what becomes of its lines
	touched bool
	set     bool // sum is what a gauge is set to
}

// sharedHead is set in the head of a slot whose name is not in its key.
const sharedHead = 1 << 31

// wide is what a slot has that needs more than a sum.
type wide struct {
	cells  []float64 // of a histogram: what its series gets
	limits []float64 // its buckets
	// native is not nil for a native histogram; tally has its buckets.
	native  *metric.Native
	tally   metric.Tally
	summary *summary // of a timer where percentiles are asked for
	scale   float64  // of values, to the unit of the series
}

func newTable() table {
	return table{seed: maphash.MakeSeed(), index: make([]place, 64), wides: make([]*wide, 1)}
}

// at returns slot n.
func (t *table) at(n int) *slot { return &t.pages[n>>pageBits][n&(pageSlots-1)] }

func (t *table) hash(head, behind []byte, typ wire.Type) uint32 {
	h := maphash.Bytes(t.seed, head)
	if len(behind) > 0 {
		h = mix(h, maphash.Bytes(t.seed, behind))
	}
	return fold(h, typ)
}

// hashOf is hash of what s stands for.
func (t *table) hashOf(s *slot) uint32 {
	name, behind := t.parts(s)
	h := maphash.String(t.seed, name)
	if behind != "" {
		h = mix(h, maphash.String(t.seed, behind))
	}
	return fold(h, s.typ)
}

// parts returns what s stands for: the name and the tags behind the metric.
func (t *table) parts(s *slot) (name, behind string) {
	if s.head&sharedHead != 0 {
		return t.shared[s.head&^sharedHead], s.key
	}
	return s.key[:s.head], s.key[s.head:]
}

// head returns the head of a slot: of one whose key begins with a name of so many bytes, or of one
// with that name before its key.
func (t *table) head(size int, name string) uint32 {
	if name == "" {
		return uint32(size)
	}
	n, ok := t.sharing[name]
	if !ok {
		if t.sharing == nil {
			t.sharing = map[string]uint32{}
		}
		n = uint32(len(t.shared))
		t.shared, t.sharing[name] = append(t.shared, name), n
	}
	return sharedHead | n
}

func mix(head, behind uint64) uint64 { return bits.RotateLeft64(head, 21) ^ behind }

func fold(h uint64, typ wire.Type) uint32 {
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
		s := t.at(int(p.slot - 1))
		if name, rest := t.parts(s); s.typ == typ && name == string(head) && rest == string(behind) {
			return int(p.slot - 1)
		}
	}
}

// add makes a slot for a series that find did not find.
func (t *table) add(key string, head uint32, typ wire.Type) int {
	if full(t.n, len(t.index)) {
		t.grow(2 * len(t.index))
	}
	if t.n == len(t.pages)*pageSlots {
		t.pages = append(t.pages, new([pageSlots]slot))
	}
	t.n++
	s := t.at(t.n - 1)
	*s = slot{key: key, head: head, typ: typ}
	t.put(t.hashOf(s), uint32(t.n))
	return t.n - 1
}

// full tells whether n slots leave no room for one more in an index.
func full(n, size int) bool { return n*8 >= size*7 }

// widen gives s a wide.
func (t *table) widen(s *slot, w *wide) {
	if last := len(t.unused) - 1; last >= 0 {
		s.wide, t.unused = t.unused[last], t.unused[:last]
		t.wides[s.wide] = w
		return
	}
	s.wide = uint32(len(t.wides))
	t.wides = append(t.wides, w)
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
	s := t.at(n)
	s.used = tick
	if !s.touched {
		s.touched = true
		t.touched = append(t.touched, uint32(n))
	}
}

// expire removes the slots that drop says.
func (t *table) expire(drop func(s *slot) bool) {
	left := 0
	for i := range t.n {
		s := t.at(i)
		if drop(s) {
			if s.wide > 0 {
				t.wides[s.wide] = nil
				t.unused = append(t.unused, s.wide)
			}
			continue
		}
		if left < i {
			*t.at(left) = *s
		}
		left++
	}
	if left == t.n {
		return
	}
	for i := left; i < t.n; i++ {
		*t.at(i) = slot{}
	}
	t.n = left
	pages := (left + pageSlots - 1) / pageSlots
	clear(t.pages[pages:])
	t.pages = t.pages[:pages]
	size := 64
	for full(t.n, size) {
		size *= 2
	}
	t.index, t.touched = make([]place, size), t.touched[:0]
	shared := t.shared
	t.shared, t.sharing = nil, nil
	for i := range t.n {
		s := t.at(i)
		if s.head&sharedHead != 0 {
			s.head = t.head(0, shared[s.head&^sharedHead])
		}
		if s.touched {
			t.touched = append(t.touched, uint32(i))
		}
		t.put(t.hashOf(s), uint32(i+1))
	}
}
