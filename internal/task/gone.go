package task

import "hash/maphash"

// maxGone is how many tasks are counted that a table has forgotten; it takes 8 to 16 bytes for
// each.
const maxGone = 2 << 20

// gone is a set of the tasks that a table has forgotten, as hashes. The zero value is empty.
type gone struct {
	slots []uint64 // 0 is free; their number is a power of two
	len   int
}

func hashID(seed maphash.Seed, id taskID) uint64 {
	if h := maphash.Bytes(seed, id[:]); h != 0 {
		return h
	}
	return 1
}

// slot returns where a hash is, or would be.
func (g *gone) slot(h uint64) *uint64 {
	mask := uint64(len(g.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if s := &g.slots[i]; *s == h || *s == 0 {
			return s
		}
	}
}

func (g *gone) has(h uint64) bool { return g.len > 0 && *g.slot(h) == h }

// add enters a hash that is not there.
func (g *gone) add(h uint64) {
	if g.len >= len(g.slots)/8*7 {
		before := g.slots
		g.slots = make([]uint64, max(1<<10, 2*len(before)))
		for _, h := range before {
			if h != 0 {
				*g.slot(h) = h
			}
		}
	}
	*g.slot(h) = h
	g.len++
}
