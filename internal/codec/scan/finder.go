package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Constants for looking at eight bytes at once.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
	lows = ^uint64(tops)
)

// finder finds the first byte of a set. Most sets that patterns need are described by
// words: eight bytes are then tested without a branch, so that the processor need not
// guess how long a field is.
type finder struct {
	// stop is the set, for each byte.
	stop [256]bool
	how  how
	// Of words: the bytes below less, those that are eq1 or eq2, and, if high is not 0,
	// those from 0x80 on. Of outside: those not between less and eq1. All are eight times
	// the byte. The set may be smaller than what these say, below less.
	less, eq1, eq2, high uint64
	// single is the only member of the set, -1 when it has more.
	single int
}

type how uint8

const (
	byTable how = iota
	byWords
	byRange
	byNothing // the set is empty
)

func newFinder(stop [256]bool) finder {
	f := finder{stop: stop, single: -1}
	var small, others []byte // up to the space, and above
	free := 0
	firstFree, lastFree := -1, -1
	for b := range utf8.RuneSelf {
		if !stop[b] {
			if firstFree < 0 {
				firstFree = b
			}
			lastFree = b
			free++
		} else if b <= ' ' {
			small = append(small, byte(b))
		} else {
			others = append(others, byte(b))
		}
	}
	high := stop[0xFF]
	if high {
		f.high = tops
	}
	switch n := len(small) + len(others); {
	case n == 0 && !high:
		f.how = byNothing
	case n <= 2:
		f.how = byWords
		f.equal(append(small, others...))
		if n == 1 && !high {
			f.single = int(append(small, others...)[0])
		}
	case len(others) <= 2:
		f.how = byWords
		f.less = ones * uint64(small[len(small)-1]+1)
		f.equal(others)
	case high && free > 0 && lastFree-firstFree+1 == free:
		f.how = byRange
		f.less = ones * uint64(0x80-firstFree)
		f.eq1 = ones * uint64(0x7F-lastFree)
	}
	return f
}

// equal sets the bytes to look for, two at most. Without any it repeats what is looked for
// anyway.
func (f *finder) equal(bytes []byte) {
	a, b := byte(0xFF), byte(0xFF)
	switch len(bytes) {
	case 0:
		if f.less != 0 {
			a, b = 0, 0
		}
	case 1:
		a, b = bytes[0], bytes[0]
	case 2:
		a, b = bytes[0], bytes[1]
	}
	f.eq1, f.eq2 = ones*uint64(a), ones*uint64(b)
}

// word returns a word whose lowest set bit is the top of the first byte of x that may be in
// the set of words.
func (f *finder) word(x uint64) uint64 {
	y, z := x^f.eq1, x^f.eq2
	return ((x-f.less)&^x | (y-ones)&^y | (z-ones)&^z | x&f.high) & tops
}

// outside returns the same for byRange.
func (f *finder) outside(x uint64) uint64 {
	y := x & lows
	return (^(y + f.less) | (y + f.eq1) | x) & tops
}

// find returns the first place from i on where b has a byte of the set, end if there is
// none before it.
func (f *finder) find(b []byte, i, end int) int {
	switch f.how {
	case byNothing:
		return end
	case byWords:
		return f.findWords(b, i, end)
	case byRange:
		for ; i < end && i+8 <= len(b); i += 8 {
			if m := f.outside(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				return min(i+bits.TrailingZeros64(m)>>3, end)
			}
		}
	}
	for i < end && !f.stop[b[i]] {
		i++
	}
	return min(i, end)
}

func (f *finder) findWords(b []byte, i, end int) int {
	// A field of more than this is worth the call of a search with wider words.
	const long = 24
	far := end
	if f.single >= 0 {
		far = min(end, i+long)
	}
	for i < far && i+8 <= len(b) {
		m := f.word(binary.LittleEndian.Uint64(b[i:]))
		if m == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(m) >> 3; i >= end {
			return end
		}
		if f.stop[b[i]] {
			return i
		}
		i++
	}
	if i >= end {
		return end
	}
	if f.single >= 0 {
		if n := bytes.IndexByte(b[i:end], byte(f.single)); n >= 0 {
			return i + n
		}
		return end
	}
	for i < end && !f.stop[b[i]] {
		i++
	}
	return i
}
