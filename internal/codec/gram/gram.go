// Package gram makes small filters of blocks of text, which tell that a text is not in a
// block without reading it. A filter is a set of bits, one for the hash of each gram of the
// block; a block that lacks the bit of any gram of a needle cannot contain it.
//
//	var b gram.Builder
//	for _, body := range bodies {
//		b.Add(body)
//	}
//	filter = b.AppendFilter(filter[:0])
//	maybe := gram.NewQuery(needle, false).MayContain(filter)
//
// A gram is four consecutive bytes of a record's body in its escaped form, with upper and
// lower case made one. So any part of a text can be asked for, also of a word, in any
// language. Identifiers would fill a filter with grams that say little: of four hexadecimal
// digits there are 65,536, and a block has most of them. So a run of twelve or more digits,
// letters from a to f, and the characters - . / : counts differently: its grams are six bytes
// long, and every second of them, by its hash, is left out, of filters and of queries alike.
//
// A Builder belongs to one goroutine; a Query may be used by many. What a filter belongs to
// and where it is kept is not the package's business.
package gram

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// tableBits is for the largest filter: how many bits the number of one of its bits has.
	tableBits = 16
	tableLen  = 1 << tableBits
	// minFilterBytes is the smallest filter.
	minFilterBytes = 32
	// maxFill is how many of a thousand bits are set at most in a filter that could be larger.
	maxFill = 550

	// gramLen is how many bytes a gram of text has, idLen one of an identifier.
	gramLen = 4
	idLen   = 6
	// minRun is the least length of an identifier. In steps of five bytes there is always
	// one where eight bytes of it follow.
	minRun = 12
	step   = 5
)

const (
	ones  = 0x0101010101010101
	fold  = 0x20 * ones // makes lower case of letters, and does not hurt what else there is
	highs = 0x80 * ones
)

// Builder collects the grams of a block. The zero value is ready.
type Builder struct {
	// seen has a 1 for each gram's hash. A byte for a bit, because setting a byte needs no
	// look at the others; that makes Add twice as fast.
	seen [tableLen]byte
}

// Add takes a body in its escaped form.
func (b *Builder) Add(body []byte) {
	i := b.addText(body, 0)
	for i <= len(body)-8 {
		i = b.addText(body, b.addRun(body, i))
	}
	for ; i <= len(body)-gramLen; i++ {
		b.seen[hash(binary.LittleEndian.Uint32(body[i:])|fold&0xffffffff)] = 1
	}
}

// addText takes the grams from i on up to a place where eight bytes of an identifier follow,
// or less than eight bytes, and returns that.
func (b *Builder) addText(body []byte, i int) int {
	seen := &b.seen
	// Five grams begin in the first five of eight bytes.
	for ; i <= len(body)-8; i += step {
		w := binary.LittleEndian.Uint64(body[i:]) | fold
		if allID(w) {
			break
		}
		seen[hash(uint32(w))] = 1
		seen[hash(uint32(w>>8))] = 1
		seen[hash(uint32(w>>16))] = 1
		seen[hash(uint32(w>>24))] = 1
		seen[hash(uint32(w>>32))] = 1
	}
	return i
}

// addRun takes the run that eight bytes at i are in. The grams that begin before i are in
// already. It returns the place of the next gram that is not inside of the run.
func (b *Builder) addRun(body []byte, i int) (next int) {
	start, end := run(body, i)
	if end-start < minRun {
		for ; i <= end-gramLen; i++ {
			b.seen[hash(binary.LittleEndian.Uint32(body[i:])|fold&0xffffffff)] = 1
		}
		return i
	}
	// Three grams begin in the first three of eight bytes.
	for at := start; ; at += 8 - idLen + 1 {
		at = min(at, end-8)
		w := binary.LittleEndian.Uint64(body[at:]) | fold
		h, counts := idHash(w << 16)
		b.seen[h] |= counts
		h, counts = idHash(w >> 8 << 16)
		b.seen[h] |= counts
		h, counts = idHash(w >> 16 << 16)
		b.seen[h] |= counts
		if at == end-8 {
			return end - gramLen + 1
		}
	}
}

// run returns the bounds of the run that eight bytes at i are in. It begins at most five
// bytes before, else it would have been found there.
func run(body []byte, i int) (start, end int) {
	start, end = i, i+8
	if i >= 8 {
		others := ^idBytes(binary.LittleEndian.Uint64(body[i-8:])|fold) & highs
		start -= bits.LeadingZeros64(others) / 8
	}
	for i < 8 && start > 0 && isID[body[start-1]] {
		start--
	}
	for end <= len(body)-8 {
		others := ^idBytes(binary.LittleEndian.Uint64(body[end:])|fold) & highs
		end += bits.TrailingZeros64(others) / 8
		if others != 0 {
			return start, end
		}
	}
	for end < len(body) && isID[body[end]] {
		end++
	}
	return start, end
}

// hash returns the place of a gram, in lower case, in the largest filter.
func hash(gram uint32) uint32 { return gram * 0x9E3779B1 >> (32 - tableBits) }

// idHash returns the place of a gram of an identifier, in the upper six bytes of a number
// and in lower case, and 1 if it counts, else 0.
func idHash(gram uint64) (h uint32, counts byte) {
	gram *= 0x9E3779B97F4A7C15
	return uint32(gram >> (64 - tableBits)), byte(gram >> (63 - tableBits) & 1)
}

// idGram returns the gram of an identifier for idHash.
func idGram(b []byte) uint64 {
	w := uint64(binary.LittleEndian.Uint32(b))<<16 | uint64(binary.LittleEndian.Uint16(b[4:]))<<48
	return w | fold&^0xffff
}

// allID tells whether eight bytes, in lower case, are all such as identifiers have. With a
// byte beyond ASCII they are not, so what its addition carries to the next does not matter.
func allID(w uint64) bool { return (^inRanges(w)|w)&highs == 0 }

// idBytes returns the highest bit of each of eight bytes in lower case that identifiers have.
func idBytes(w uint64) uint64 { return inRanges(w&^highs) &^ w & highs }

// inRanges sets the highest bit of each byte from - to : (- . / and digits) or from a to f.
// Adding sets it for what is not below a range, and again for what is above.
func inRanges(w uint64) uint64 {
	const below, above = 0x80, 0x80 - 1
	return (w + (below-'-')*ones) ^ (w + (above-':')*ones) ^ (w + (below-'a')*ones) ^ (w + (above-'f')*ones)
}

// isID has the bytes that, in lower case, identifiers have.
var isID = func() (in [256]bool) {
	for c := range in {
		l := c | 0x20
		in[c] = l >= '-' && l <= ':' || l >= 'a' && l <= 'f'
	}
	return in
}()

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
	hashes []uint32
}

// NewQuery returns the question for a needle in its escaped form. With ignoreCase the needle
// is searched without regard to case: then grams are left out that could be written with
// other bytes, which are those with a k or an s (there are U+212A and U+017F) and those that
// are not ASCII.
func NewQuery(needle []byte, ignoreCase bool) *Query {
	q := &Query{}
	start, end := 0, 0 // of the run of an identifier's bytes that i is in
	for i := 0; i <= len(needle)-gramLen && len(q.hashes) < maxAsked; i++ {
		if i >= end {
			for start, end = i, i; end < len(needle) && isID[needle[end]]; end++ {
			}
		}
		switch long := end-start >= minRun; {
		case long && i+idLen <= end:
			if h, counts := idHash(idGram(needle[i:])); counts != 0 {
				q.ask(h)
			}
		case i+gramLen <= end && (long || start == 0 || end == len(needle)):
			// The run may be longer in the text, and then has no grams of four bytes.
		case !ignoreCase || folds(needle[i:i+gramLen]):
			q.ask(hash(binary.LittleEndian.Uint32(needle[i:]) | fold&0xffffffff))
		}
	}
	return q
}

// maxAsked is how many grams of a needle are asked for: more would not tell more.
const maxAsked = 128

func (q *Query) ask(h uint32) {
	if !slices.Contains(q.hashes, h) {
		q.hashes = append(q.hashes, h)
	}
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
