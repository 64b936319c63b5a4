package crawl

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/weirlog/weir/internal/codec/packed"
)

// idBytes is how much of an id's hash is kept: so much that nobody finds two ids with the
// same, even on purpose, to hide one of them.
const idBytes = 16

// maxSeen is how many ids a cursor remembers. They are in each commit, so there must be an
// end; what happens there is up to who adds them.
const maxSeen = 200_000

type idHash [idBytes]byte

// hashID returns the hash of an id. It is stored, so it must not change.
func hashID(id []byte) idHash {
	sum := sha256.Sum256(id)
	return idHash(sum[:idBytes])
}

// seen is a set of ids, each with the time of its record, in the order in which they came.
type seen struct {
	ids   map[idHash]int64 // to their times
	list  []seenID
	bytes []byte // the list as it is stored: it is in each commit and seldom changes but at its end
	last  int64  // the time that is stored last, from which the next one's is told
}

type seenID struct {
	time int64
	id   idHash
}

// has tells whether an id is there, and its time.
func (s *seen) has(id idHash) (time int64, ok bool) {
	time, ok = s.ids[id]
	return time, ok
}

func (s *seen) len() int { return len(s.list) }

func (s *seen) add(time int64, id idHash) {
	if s.ids == nil {
		s.ids = map[idHash]int64{}
	}
	s.ids[id] = time
	s.list = append(s.list, seenID{time, id})
	s.store(time, id)
}

func (s *seen) store(time int64, id idHash) {
	s.bytes = binary.AppendVarint(s.bytes, time-s.last)
	s.bytes = append(s.bytes, id[:]...)
	s.last = time
}

// before tells whether there is an id of a record before that time.
func (s *seen) before(time int64) bool {
	for i := range s.list {
		if s.list[i].time < time {
			return true
		}
	}
	return false
}

// prune forgets the ids of records before that time.
func (s *seen) prune(time int64) {
	if s.before(time) {
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

func (s *seen) clear() { s.keep(func(int) bool { return false }) }

// keep forgets all but some, by their place in the list. The memory of a long run is given
// back with its ids.
func (s *seen) keep(some func(i int) bool) {
	old := s.list
	var kept []seenID
	for i, e := range old {
		if some(i) {
			kept = append(kept, e)
		}
	}
	if len(kept) > len(old)/2 {
		for i, e := range old {
			if !some(i) {
				delete(s.ids, e.id)
			}
		}
	} else {
		s.ids = make(map[idHash]int64, len(kept))
		for _, e := range kept {
			s.ids[e.id] = e.time
		}
	}
	s.list, s.last = kept, 0
	s.bytes = make([]byte, 0, len(kept)*(idBytes+2))
	for _, e := range kept {
		s.store(e.time, e.id)
	}
}

// appendTo appends the number of ids, and for each the difference of its time to the one
// before, and its hash.
func (s *seen) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s.list)))
	return append(dst, s.bytes...)
}

// read is the reverse of appendTo.
func (s *seen) read(r *packed.Reader) {
	n := r.Count()
	if n > maxSeen {
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
