package crawl

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/weirlog/weir/internal/codec/packed"
)

const (
	// idBytes is how much of an id's hash is kept: so much that nobody finds two ids with the
	// same, even on purpose, to hide one of them.
	idBytes = 16
	// maxSeen is how many ids a cursor remembers. What happens there is up to who adds them.
	maxSeen = 200_000
	// chunkIDs is how many ids are laid aside at once: all others are in every commit.
	chunkIDs = 4096
)

// timeless is the time of records that have none: their ids are not forgotten with a time.
const timeless = math.MaxInt64

type idHash [idBytes]byte

// hashID returns the hash of an id. It is stored, so it must not change.
func hashID(id []byte) idHash {
	sum := sha256.Sum256(id)
	return idHash(sum[:idBytes])
}

// seen is a set of ids, each with the time of its record, in the order in which they came. They
// are found by slots, since a map would hold each of them a second time.
type seen struct {
	list  []seenID
	slots []uint32 // places in list and 1, where an id's hash says or behind that; 0 is free
	seed  maphash.Seed

	// The first ones of the list may be laid aside, chunkIDs in each chunk, so that a long run
	// does not have all of its ids in each commit. Chunks never change; when ids are forgotten,
	// those that are left belong to a new generation, which has none at first.
	generation uint64
	aside      int // chunks
}

type seenID struct {
	time int64
	id   idHash
}

// has tells whether an id is there, and its time.
func (s *seen) has(id idHash) (time int64, ok bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	at := s.slots[s.slot(&id)]
	if at == 0 {
		return 0, false
	}
	return s.list[at-1].time, true
}

// slot returns where an id is, or would be. Not all slots are taken.
func (s *seen) slot(id *idHash) int {
	mask := len(s.slots) - 1
	for i := int(maphash.Bytes(s.seed, id[:])) & mask; ; i = (i + 1) & mask {
		if at := s.slots[i]; at == 0 || s.list[at-1].id == *id {
			return i
		}
	}
}

func (s *seen) len() int { return len(s.list) }

// add adds an id that is not there.
func (s *seen) add(time int64, id idHash) {
	if 4*len(s.list) >= 3*len(s.slots) {
		s.index(max(leastSlots, 2*len(s.slots)))
	}
	at := s.slot(&id)
	s.list = append(s.list, seenID{time, id})
	s.slots[at] = uint32(len(s.list))
}

// leastSlots is how many slots there are for few ids.
const leastSlots = 16

// index makes so many slots, a power of two.
func (s *seen) index(n int) {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
	}
	s.slots = make([]uint32, n)
	for i := range s.list {
		s.slots[s.slot(&s.list[i].id)] = uint32(i + 1)
	}
}

// prune forgets the ids of records before that time. Of many, some take as long to forget as
// all, so they wait until they are half of these.
func (s *seen) prune(time int64) {
	older := 0
	for i := range s.list {
		if s.list[i].time < time {
			older++
		}
	}
	if older > 0 && (len(s.list) < chunkIDs || 2*older >= len(s.list)) {
		s.keep(func(i int) bool { return s.list[i].time >= time })
	}
}

// newest forgets all but the n that came last, once there are twice as many.
func (s *seen) newest(n int) {
	if len(s.list) >= 2*n {
		from := len(s.list) - n
		s.keep(func(i int) bool { return i >= from })
	}
}

// keepTimeless forgets the ids of records without a time that are not among these. It tells
// whether there were any.
func (s *seen) keepTimeless(came map[idHash]bool) bool {
	gone := func(i int) bool { return s.list[i].time == timeless && !came[s.list[i].id] }
	for i := range s.list {
		if gone(i) {
			s.keep(func(i int) bool { return !gone(i) })
			return true
		}
	}
	return false
}

func (s *seen) clear() { s.keep(func(int) bool { return false }) }

// keep forgets all but some, by their place in the list. The memory of a long run is given
// back with its ids.
func (s *seen) keep(some func(i int) bool) {
	var kept []seenID
	for i, e := range s.list {
		if some(i) {
			kept = append(kept, e)
		}
	}
	s.list = kept
	slots := leastSlots
	for 3*slots < 4*len(kept)+4 {
		slots *= 2
	}
	s.index(slots)
	if s.aside > 0 {
		s.generation, s.aside = s.generation+1, 0
	}
}

// rest returns the ids that are not laid aside.
func (s *seen) rest() []seenID { return s.list[s.aside*chunkIDs:] }

// appendIDs appends the number of ids, and for each the difference of its time to the one
// before, and its hash.
func appendIDs(dst []byte, ids []seenID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	last := int64(0)
	for i := range ids {
		dst = binary.AppendVarint(dst, ids[i].time-last)
		dst = append(dst, ids[i].id[:]...)
		last = ids[i].time
	}
	return dst
}

// read adds what appendIDs has written.
func (s *seen) read(r *packed.Reader) {
	n := r.Count()
	if n > maxSeen-len(s.list) {
		r.Fail()
		return
	}
	time := int64(0)
	for range n {
		time += r.Varint()
		if len(r.Rest) < idBytes {
			r.Fail()
			return
		}
		id := idHash(r.Rest)
		r.Rest = r.Rest[idBytes:]
		if _, known := s.has(id); known {
			r.Fail()
			return
		}
		s.add(time, id)
	}
}
