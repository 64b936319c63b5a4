package pipeline

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// finder finds where bytes at two places of a text are what they should be: candidates for
// the text. Eight places are looked at in one step, unless one of the bytes is so rare that
// looking for it alone is faster.
type finder struct {
	// one and two are bytes of the text, at is where the first of them is in it and gap how
	// far the second is behind it; one is less frequent.
	one, two byte
	at, gap  int
	// alone: one is rare, or all there is.
	alone bool
}

// newFinder returns the finder for a text that has its fixed bytes at places; free tells
// which places have none.
func newFinder(text []byte, free func(i int) bool) finder {
	one, two := -1, -1
	for i, c := range text {
		switch {
		case free != nil && free(i):
		case one < 0 || frequency(c) < frequency(text[one]):
			one, two = i, one
		case two < 0 || frequency(c) < frequency(text[two]):
			two = i
		}
	}
	f := finder{one: text[one], at: one, alone: two < 0 || frequency(text[one]) <= frequency(lastRare)}
	if two >= 0 {
		f.two, f.gap = text[two], two-one
	}
	return f
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// next returns the first place from a place on where the text may begin, -1 if there is
// none.
func (f *finder) next(b []byte, from int) int {
	if f.alone {
		if from+f.at >= len(b) {
			return -1
		}
		if i := bytes.IndexByte(b[from+f.at:], f.one); i >= 0 {
			return from + i
		}
		return -1
	}
	i := from + f.at // of the first byte
	if i+f.gap < 0 {
		i = -f.gap
	}
	one, two := ones*uint64(f.one), ones*uint64(f.two)
	last := len(b) - 8 - max(f.gap, 0)
	for ; i <= last; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:]) ^ one
		y := binary.LittleEndian.Uint64(b[i+f.gap:]) ^ two
		// The lowest mark of each is right; above it there may be some without reason.
		m := (x - ones) &^ x & (y - ones) &^ y & tops
		for ; m != 0; m &= m - 1 {
			if k := i + bits.TrailingZeros64(m)>>3; b[k] == f.one && b[k+f.gap] == f.two {
				return k - f.at
			}
		}
	}
	for ; i < len(b) && i+f.gap < len(b); i++ {
		if b[i] == f.one && b[i+f.gap] == f.two {
			return i - f.at
		}
	}
	return -1
}

// lastRare is the most frequent byte that is looked for alone: going from one to the next is
// faster than looking at everything as long as there are some dozens of bytes in between.
const lastRare = '3'

// frequency ranks how often a byte is met in logs.
func frequency(c byte) int { return int(frequencies[c]) }

// frequencies has 0 for bytes that are hardly ever met, and more for those that often are.
var frequencies = func() (rank [256]uint8) {
	const order = "~^`ZQJYVXKGWHUBFOqjzx#%&+!?@$*<>(){}|;NPRLDTMSICAEvkwgyb'[]=_hfup,d/ml.c:ns9876543" + "ria-ote210\" "
	for i := range order {
		rank[order[i]] = uint8(i + 1)
	}
	for c := 0x80; c < 0x100; c++ {
		rank[c] = 30
	}
	return rank
}()
