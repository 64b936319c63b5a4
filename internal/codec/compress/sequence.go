package compress

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// sequence is a step of unpacking: lits bytes that stand for themselves, then a copy of
// match bytes from offset bytes back.
type sequence struct {
	lits   uint32
	match  uint32 // less minMatch
	offset uint32 // plus 3; or 1 to 3 for one of the last offsets
}

const minMatch = 3

// Codes of lengths (RFC 8878, section 3.1.1.3.2.1): small ones are their own codes, of
// larger ones the code gives the number of bits that follow.
const (
	ownLitCodes   = 64
	ownMatchCodes = 128
	litCodeStep   = 19 // what is added to the place of the highest bit, for larger lengths
	matchCodeStep = 36
)

var litCodes = [ownLitCodes]uint8{
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 20, 20, 21, 21, 21, 21,
	22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23,
	24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
}

var litBits = [maxCodes]uint8{
	16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
}

var matchCodes = func() (codes [ownMatchCodes]uint8) {
	for n := range uint8(ownMatchCodes) {
		switch {
		case n < 32:
			codes[n] = n
		case n < 40:
			codes[n] = 32 + (n-32)/2
		case n < 48:
			codes[n] = 36 + (n-40)/4
		case n < 64:
			codes[n] = 38 + (n-48)/8
		case n < 96:
			codes[n] = 40 + (n-64)/16
		default:
			codes[n] = 42
		}
	}
	return codes
}()

var matchBits = [maxCodes]uint8{
	32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
}

func litCode(n uint32) uint8 {
	if n < ownLitCodes {
		return litCodes[n]
	}
	return uint8(bits.Len32(n) - 1 + litCodeStep)
}

func matchCode(n uint32) uint8 {
	if n < ownMatchCodes {
		return matchCodes[n]
	}
	return uint8(bits.Len32(n) - 1 + matchCodeStep)
}

// sequenceCodes are the codes of one sequence.
type sequenceCodes struct{ lits, offset, match uint8 }

// sequences encodes the sequences of a block.
type sequences struct {
	list  []sequence
	codes []sequenceCodes

	lits, offsets, matches fse
}

const (
	modeSingle = 1
	modeTable  = 2
)

// append appends the block's part with the sequences.
func (s *sequences) append(dst []byte) []byte {
	n := len(s.list)
	switch {
	case n < 128:
		dst = append(dst, uint8(n))
	case n < 0x7f00:
		dst = append(dst, uint8(n>>8+128), uint8(n))
	default:
		dst = append(dst, 255, uint8(n-0x7f00), uint8((n-0x7f00)>>8))
	}
	if n == 0 {
		return dst
	}
	s.encode()
	dst = append(dst, s.lits.mode()<<6|s.offsets.mode()<<4|s.matches.mode()<<2)
	dst = s.lits.appendTable(dst)
	dst = s.offsets.appendTable(dst)
	dst = s.matches.appendTable(dst)
	return s.appendBits(dst)
}

// encode finds the codes and makes their tables.
func (s *sequences) encode() {
	s.lits.begin()
	s.offsets.begin()
	s.matches.begin()
	s.codes = slices.Grow(s.codes[:0], len(s.list))[:len(s.list)]
	for i := range s.list {
		q := &s.list[i]
		c := sequenceCodes{litCode(q.lits), uint8(bits.Len32(q.offset) - 1), matchCode(q.match)}
		s.codes[i] = c
		s.lits.count[c.lits]++
		s.offsets.count[c.offset]++
		s.matches.count[c.match]++
	}
	s.lits.maxLog, s.offsets.maxLog, s.matches.maxLog = 9, 8, 9
	s.lits.build(len(s.list))
	s.offsets.build(len(s.list))
	s.matches.build(len(s.list))
}

func (f *fse) mode() uint8 {
	if f.single >= 0 {
		return modeSingle
	}
	return modeTable
}

// maxUnwritten is how many bits may wait when three states follow, of 26 bits at most, and
// still all are in one word, which is not full. Few sequences have more.
const maxUnwritten = 63 - 26

// maxSequenceBytes is more than a sequence takes, with three codes and the bits after them.
const maxSequenceBytes = 11

// appendBits appends the codes and what follows each, from the last sequence to the first,
// since the decoder reads from the end.
func (s *sequences) appendBits(dst []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, (len(s.list)+2)*maxSequenceBytes)
	out := dst[n:cap(dst)]
	last := len(s.list) - 1
	q, c := s.list[last], s.codes[last]
	lits, offset, match := s.lits.first(c.lits), s.offsets.first(c.offset), s.matches.first(c.match)
	acc := uint64(q.lits) & (1<<litBits[c.lits] - 1)
	used := uint(litBits[c.lits])
	acc |= (uint64(q.match) & (1<<matchBits[c.match] - 1)) << used
	used += uint(matchBits[c.match])
	at := 0
	list, codes := s.list, s.codes[:len(s.list)]
	for i := last; ; {
		if used+uint(c.offset) > maxUnwritten {
			binary.LittleEndian.PutUint64(out[at:], acc)
			at += int(used >> 3)
			acc >>= used &^ 7
			used &= 7
		}
		acc |= (uint64(q.offset) & (1<<(c.offset&31) - 1)) << (used & 63)
		used += uint(c.offset)
		if i--; i < 0 {
			break
		}
		q, c = list[i], codes[i]
		acc, used = s.offsets.step(&offset, c.offset, acc, used)
		acc, used = s.matches.step(&match, c.match, acc, used)
		acc, used = s.lits.step(&lits, c.lits, acc, used)
		binary.LittleEndian.PutUint64(out[at:], acc)
		at += int(used >> 3)
		acc >>= used &^ 7
		used &= 7
		acc |= (uint64(q.lits) & (1<<(litBits[c.lits&(maxCodes-1)]&31) - 1)) << used
		used += uint(litBits[c.lits&(maxCodes-1)])
		acc |= (uint64(q.match) & (1<<(matchBits[c.match&(maxCodes-1)]&31) - 1)) << (used & 63)
		used += uint(matchBits[c.match&(maxCodes-1)])
	}
	w := bitWriter{acc, used}
	dst = w.flush(dst[:n+at])
	w.add(match&(1<<s.matches.log-1), s.matches.log)
	w.add(offset&(1<<s.offsets.log-1), s.offsets.log)
	w.add(lits&(1<<s.lits.log-1), s.lits.log)
	w.add(1, 1)
	return w.finish(dst)
}

// step adds the bits for a code to acc, which has used bits, and changes the state. It is
// written so that it is inlined, and the masks so that no shift or index needs a check.
func (f *fse) step(state *uint32, code uint8, acc uint64, used uint) (uint64, uint) {
	c := f.codes[code&(maxCodes-1)]
	s := *state
	n := (s + c.bits) >> 16 & 31
	acc |= uint64(s&(1<<n-1)) << (used & 63)
	*state = uint32(f.next[(s>>n+uint32(c.find))&(1<<maxTableLog-1)])
	return acc, used + uint(n)
}
