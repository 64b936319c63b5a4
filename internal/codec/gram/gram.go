// Package gram makes small filters of blocks of text, which tell that a text is not in a
// block without reading it. A gram is four consecutive bytes of a record's body in its
// escaped form, with upper and lower case made one. A filter is a set of bits, one for the
// hash of each gram of the block; a block that lacks the bit of any gram of a needle cannot
// contain it.
//
//	var b gram.Builder
//	for _, body := range bodies {
//		b.Add(body)
//	}
//	filter = b.AppendFilter(filter[:0])
//	maybe := gram.NewQuery(needle, false).MayContain(filter)
//
// Grams serve any part of a text, also of a word, in any language. Identifiers in
// hexadecimal would fill a filter with grams that say little, so most of theirs are left
// out, of filters and of queries alike.
//
// A Builder belongs to one goroutine; a Query may be used by many. What a filter belongs to
// and where it is kept is not the package's business.
package gram

import (
	"encoding/binary"
	"math/bits"
)

const (
	tableBits = 16
	tableLen  = 1 << tableBits
	// minFilterBytes is the smallest filter.
	minFilterBytes = 32
	// maxFill is how many of a thousand bits are set at most in a filter that could be larger.
	maxFill = 550
)

// Builder collects the grams of a block. The zero value is ready.
type Builder struct {
	seen [tableLen]byte // 1 for a gram's hash
}

// Add takes a body in its escaped form.
func (b *Builder) Add(body []byte) {
	for i := 0; i+4 <= len(body); i++ {
		h, ok := hash(binary.LittleEndian.Uint32(body[i:]))
		if ok {
			b.seen[h] = 1
		}
	}
}

// hash returns the place of a gram in the largest filter, and whether it counts. What
// decides that are other bits than those of the place: else the grams of identifiers would
// crowd in a quarter of the places.
func hash(gram uint32) (h uint16, ok bool) {
	gram |= 0x20202020
	product := gram * 0x9E3779B1
	return uint16(product >> 16), product>>14&3 == 0 || !allHex(gram)
}

// allHex tells whether the four bytes of a gram in lower case are hexadecimal digits.
func allHex(gram uint32) bool {
	const ones, high = 0x01010101, 0x80808080
	low := gram &^ high
	digit := (low + (0x80-'0')*ones) &^ (low + (0x80-'9'-1)*ones)
	letter := (low + (0x80-'a')*ones) &^ (low + (0x80-'f'-1)*ones)
	return (digit|letter)&^gram&high == high
}

// AppendFilter appends the filter of the bodies that were added, and forgets them. Its
// length is a power of two from 32 bytes to 8 KiB, so large that about half of its bits
// are set at most.
func (b *Builder) AppendFilter(dst []byte) []byte {
	start := len(dst)
	for i := 0; i < tableLen; i += 8 {
		w := binary.LittleEndian.Uint64(b.seen[i:])
		dst = append(dst, byte(w*0x0102040810204080>>56))
	}
	clear(b.seen[:])
	f := dst[start:]
	for len(f) > minFilterBytes {
		half := len(f) / 2
		set := 0
		for i := 0; i < half; i += 8 {
			set += bits.OnesCount64(binary.LittleEndian.Uint64(f[i:]) | binary.LittleEndian.Uint64(f[half+i:]))
		}
		if set*1000 > half*8*maxFill {
			break
		}
		for i := range half {
			f[i] |= f[half+i]
		}
		f = f[:half]
	}
	return dst[:start+len(f)]
}

// Query asks filters for one needle. The zero value may be contained in everything.
type Query struct {
	hashes []uint16
}

// NewQuery returns the question for a needle in its escaped form. With fold the needle is
// searched without regard to case: then grams are left out that could be written with
// other bytes, which are those with a k or an s (there are U+212A and U+017F) and those
// that are not ASCII.
func NewQuery(needle []byte, fold bool) *Query {
	q := &Query{}
	var asked [tableLen / 64]uint64
	for i := 0; i+4 <= len(needle); i++ {
		h, ok := hash(binary.LittleEndian.Uint32(needle[i:]))
		if !ok || fold && !folds(needle[i:i+4]) || asked[h>>6]>>(h&63)&1 != 0 {
			continue
		}
		asked[h>>6] |= 1 << (h & 63)
		q.hashes = append(q.hashes, h)
	}
	return q
}

// folds tells whether a gram with its case folded covers every way to write it.
func folds(gram []byte) bool {
	for _, c := range gram {
		if c >= 0x80 || c|0x20 == 'k' || c|0x20 == 's' {
			return false
		}
	}
	return true
}

// MayContain tells whether the block of filter can contain the needle. What is not a
// filter rules nothing out.
func (q *Query) MayContain(filter []byte) bool {
	n := len(filter)
	if n < minFilterBytes || n > tableLen/8 || n&(n-1) != 0 {
		return true
	}
	for _, h := range q.hashes {
		at := int(h) & (n*8 - 1)
		if filter[at>>3]>>(at&7)&1 == 0 {
			return false
		}
	}
	return true
}
