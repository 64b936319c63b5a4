package statsd

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// kindBits of a series' hash are its kind.
	kindBits = 3
	kindMask = 1<<kindBits - 1
	// fewStripes and manyStripes are how many cells a counter has, each a cache line: where
	// there are few processors, and where there are more than four.
	fewStripes, manyStripes = 8, 16
	// maxAdd is the largest amount that is added to a cell: 2^38 of them fit in it.
	maxAdd = 1 << 24
	// dead is what the cells of a counter hold once it is no longer looked at. Whoever
	// finds a sum below half of it has added to a counter that is gone.
	dead = -1 << 62
	// maxMembers is how much of a set is kept between two flushes.
	maxMembers = 1000
	// idleFlushes is how often a series is flushed without news before it may go.
	idleFlushes = 10
)

// aggregate adds up counters, and keeps the last value of gauges and the members of sets,
// until the sender comes for them.
//
// A counter is found and raised without a lock: its series is in a table that is replaced,
// never changed, when it grows, and an amount is added atomically to one of several cells,
// so that goroutines on different processors do not write to the same cache line. A series
// that goes has its cells set to dead first, so that an amount that comes too late is
// noticed by whoever adds it, who then makes the series again.
type aggregate struct {
	queue   *queue
	seed    maphash.Seed
	stripes uint64 // number of cells less one, a power of two less one
	max     int
	pack    bool // timers too
	room    int  // for the values of packed timers

	front [1 << slotBits]atomic.Pointer[series]
	table atomic.Pointer[table]

	// mu is held to make and to remove series.
	mu     sync.Mutex
	held   int
	closed bool
}

// table holds series by hash, open addressing. Only empty slots are written to.
type table struct {
	slots []atomic.Pointer[series]
}

func newAggregate(o settings, q *queue, processors int) *aggregate {
	a := &aggregate{queue: q, seed: maphash.MakeSeed(), stripes: fewStripes - 1, max: o.MaxSeries, pack: o.PackTimers, room: min(o.PacketSize, maxLine)}
	if processors > 4 {
		a.stripes = manyStripes - 1
	}
	a.table.Store(newTable(64))
	return a
}

func newTable(slots int) *table { return &table{make([]atomic.Pointer[series], slots)} }

// series returns the series of a metric, or nil if there are too many or the client is
// closed. It may be gone, which the operations on it tell; then make makes it again.
func (a *aggregate) series(s *scope, k kind, name string, tags []string) *series {
	front := &a.front[slot(s, k, name, tags)]
	if found := front.Load(); found != nil && found.is(s, k, name, tags) {
		return found
	}
	found := a.table.Load().find(a.hash(s, k, name, tags), s, name, tags)
	if found == nil {
		found = a.make(s, k, name, tags)
	}
	if found != nil {
		front.Store(found)
	}
	return found
}

func (a *aggregate) hash(s *scope, k kind, name string, tags []string) uint64 {
	return hash(a.seed, s, name, tags)&^uint64(kindMask) | uint64(k)
}

// make returns the series of a metric from the newest table, or makes it.
func (a *aggregate) make(s *scope, k kind, name string, tags []string) *series {
	hash := a.hash(s, k, name, tags)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	t := a.table.Load()
	if found := t.find(hash, s, name, tags); found != nil {
		return found
	}
	if a.held >= a.max {
		return nil
	}
	text, ok := newText(s, k, name, tags)
	if !ok {
		return nil
	}
	e := &series{text: text, hash: hash}
	if k == counter {
		e.cells = make([]cell, a.stripes+1)
	}
	if a.held++; a.held*2 > len(t.slots) {
		larger := newTable(2 * len(t.slots))
		for i := range t.slots {
			if old := t.slots[i].Load(); old != nil {
				larger.put(old)
			}
		}
		t = larger
	}
	t.put(e)
	a.table.Store(t)
	return e
}

func (t *table) find(hash uint64, s *scope, name string, tags []string) *series {
	mask := uint64(len(t.slots) - 1)
	for i := hash >> kindBits & mask; ; i = (i + 1) & mask {
		found := t.slots[i].Load()
		if found == nil || found.hash == hash && found.is(s, kind(hash&kindMask), name, tags) {
			return found
		}
	}
}

// put adds a series to a table that has room.
func (t *table) put(s *series) {
	mask := uint64(len(t.slots) - 1)
	i := s.hash >> kindBits & mask
	for t.slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].Store(s)
}

// count adds n to a counter, and says whether that was possible.
func (a *aggregate) count(s *scope, name string, tags []string, n int64) bool {
	if n >= maxAdd || n <= -maxAdd {
		return false
	}
	e := a.series(s, counter, name, tags)
	for e != nil && !e.add(stripe()&a.stripes, n) {
		e = a.make(s, counter, name, tags)
	}
	return e != nil
}

// stripe returns a number that differs between goroutines and mostly stays the same for
// one: it comes from where its stack is.
func stripe() uint64 {
	var here byte
	return uint64(uintptr(unsafe.Pointer(&here))>>13) * 0x9e3779b97f4a7c15 >> 56
}

// note records r, and says whether that was possible.
func (a *aggregate) note(s *scope, k kind, m metric, r reading) bool {
	e := a.series(s, k, m.name, m.tags)
	for e != nil {
		switch e.note(r, a) {
		case noted:
			return true
		case refused:
			return false
		}
		e = a.make(s, k, m.name, m.tags)
	}
	return false
}

// metric is what a caller names.
type metric struct {
	name string
	tags []string
}

// flush puts what has come since the last flush into hand, series by series, and calls sent
// after each; it stops when that fails. Series without news for some time go if there are
// many of them.
func (a *aggregate) flush(hand *queue, sent func() error) error {
	t := a.table.Load()
	idle := 0
	for i := range t.slots {
		e := t.slots[i].Load()
		if e == nil {
			continue
		}
		if !e.flush(hand, false) {
			if e.idle++; e.idle >= idleFlushes {
				idle++
			}
			continue
		}
		e.idle = 0
		if err := sent(); err != nil {
			return err
		}
	}
	if idle > 0 && idle >= min(a.max, len(t.slots)/2)/4 {
		a.remove(hand, idleFlushes)
	}
	return nil
}

// remove takes away the series that have had no news in some flushes. What came to them in
// the meantime goes into hand.
func (a *aggregate) remove(hand *queue, flushes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removeLocked(hand, flushes)
}

func (a *aggregate) removeLocked(hand *queue, flushes int) {
	old := a.table.Load()
	kept := newTable(len(old.slots))
	a.held = 0
	for i := range old.slots {
		e := old.slots[i].Load()
		switch {
		case e == nil:
		case e.idle >= flushes:
			e.flush(hand, true)
		default:
			kept.put(e)
			a.held++
		}
	}
	a.table.Store(kept)
}

// close puts all there is into hand and lets nothing more in.
func (a *aggregate) close(hand *queue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true // or series would be made again that nobody looks at
	a.removeLocked(hand, 0)
}

// size returns the number of series.
func (a *aggregate) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}
