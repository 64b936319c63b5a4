package compress

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// Encoder packs blocks. The zero value is ready.
//
// It finds what repeats in the way that lines of logs do. Lines are made of fields, and
// what a field has after a delimiter tells well where the same text was last: so it looks
// for a copy only where a field begins, not at each byte, and it compares 16 bytes before
// it is content with six. That takes half the time of the library's fastest level and packs
// as well as its third; text without fields is packed a little worse.
type Encoder struct {
	// long has, for 16 bytes, the last two places where they began, the later one in its
	// lower half, and short, for six bytes, the last place. That is 0 if there was none:
	// what stands at 0 is compared like all that is found.
	long  [1 << longBits]uint64
	short [1 << shortBits]uint32

	src  []byte
	reps [2]int // the last two offsets
	lits []byte
	seqs sequences
	huff huff0.Scratch
}

const (
	longBits  = 15
	shortBits = 14

	// margin is how much of the end of a frame is not searched, so that no look ahead goes
	// beyond it.
	margin = 24
	// maxSkip is how far the search goes without a delimiter.
	maxSkip = 48
	// hurry is after how many bytes without a copy the search passes over one more each time.
	hurry = 256
)

// AppendFrame appends src as one zstd frame that tells its length and has a checksum. It is
// made for some hundred KiB at once: a frame is unpacked as a whole.
func (e *Encoder) AppendFrame(dst, src []byte) []byte {
	dst = appendHeader(dst, len(src))
	clear(e.long[:])
	clear(e.short[:])
	e.src, e.reps = src, [2]int{1, 4}
	e.huff.Reuse = huff0.ReusePolicyNone
	for at := 0; ; at += maxBlockBytes {
		end := min(at+maxBlockBytes, len(src))
		last := end == len(src)
		dst = e.appendBlock(dst, at, end)
		if last {
			break
		}
	}
	e.src = nil
	return binary.LittleEndian.AppendUint32(dst, uint32(xxh64(src)))
}

// appendHeader appends the header of a frame of n bytes: one segment, with a checksum.
func appendHeader(dst []byte, n int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	switch {
	case n < 256:
		return append(dst, singleSegment|checksumFlag, uint8(n))
	case n < 256+1<<16:
		dst = append(dst, 1<<6|singleSegment|checksumFlag)
		return binary.LittleEndian.AppendUint16(dst, uint16(n-256))
	}
	dst = append(dst, 2<<6|singleSegment|checksumFlag)
	return binary.LittleEndian.AppendUint32(dst, uint32(n))
}

// appendBlock appends the block of src[from:to], packed if that makes it smaller.
func (e *Encoder) appendBlock(dst []byte, from, to int) []byte {
	last := 0
	if to == len(e.src) {
		last = 1
	}
	start := len(dst)
	reps := e.reps
	dst = append(dst, 0, 0, 0)
	e.search(from, to)
	dst = e.appendLiterals(dst)
	dst = e.seqs.append(dst)
	size, kind := len(dst)-start-3, blockCompressed
	if size >= to-from {
		dst = append(dst[:start+3], e.src[from:to]...)
		size, kind = to-from, blockRaw
		// The decoder has seen neither the offsets nor the tree of what is not there.
		e.reps = reps
		e.huff.Reuse = huff0.ReusePolicyNone
	}
	header := size<<3 | kind<<1 | last
	dst[start], dst[start+1], dst[start+2] = byte(header), byte(header>>8), byte(header>>16)
	return dst
}

// search finds the sequences of src[from:to], and the literals between them.
func (e *Encoder) search(from, to int) {
	b := e.src
	e.seqs.list = e.seqs.list[:0]
	lits := slices.Grow(e.lits[:0], to-from+shortRun)
	s, lit := max(from, 1), from // lit is where the literals begin that have no sequence yet
	limit := min(to, len(b)-margin)
	for s < limit {
		t, n := e.copyAt(b, s, to)
		if n == 0 {
			s = nextField(b, s+(s-lit)/hurry, limit)
			continue
		}
		for s > lit && t > 0 && b[s-1] == b[t-1] {
			s, t, n = s-1, t-1, n+1
		}
		lits = appendRun(lits, b[lit:], s-lit)
		e.seqs.list = append(e.seqs.list, sequence{uint32(s - lit), uint32(n - minMatch), e.offset(s-t, s-lit)})
		s += n
		lit = s
	}
	e.lits = append(lits, b[lit:to]...)
}

// shortRun is how many literals are copied at once.
const shortRun = 16

// appendRun appends the first n bytes of b. Most runs are short, and there is room for what
// is copied of them too much.
func appendRun(lits, b []byte, n int) []byte {
	at := len(lits)
	if n > shortRun || len(b) < shortRun || cap(lits)-at < shortRun {
		return append(lits, b[:n]...)
	}
	out := lits[at : at+shortRun]
	binary.LittleEndian.PutUint64(out, binary.LittleEndian.Uint64(b))
	binary.LittleEndian.PutUint64(out[8:], binary.LittleEndian.Uint64(b[8:]))
	return lits[:at+n]
}

// copyAt returns where the text of b at s, which is not 0, was before and how many bytes of
// it, up to the place to; n is 0 if nowhere.
func (e *Encoder) copyAt(b []byte, s, to int) (t, n int) {
	w, v := binary.LittleEndian.Uint64(b[s:]), binary.LittleEndian.Uint64(b[s+8:])
	long := &e.long[(w*0xCF1BBCDCB7A56463^v)*0x9E3779B97F4A7C15>>(64-longBits)]
	short := &e.short[(w<<16)*0x9E3779B97F4A7C15>>(64-shortBits)]
	last, six := *long, int(*short)
	*long, *short = last<<32|uint64(s), uint32(s)
	near, rep := int(uint32(last)), s-e.reps[0]
	again := binary.LittleEndian.Uint64(b[rep:]) ^ w
	if binary.LittleEndian.Uint64(b[near:]) != w {
		if t, n = shortCopy(again, binary.LittleEndian.Uint64(b[six:])^w, rep, six); n == 8 {
			n += same(b[:to], s+8, t+8)
		}
	} else {
		t, n = near, 8+same(b[:to], s+8, near+8)
		if again == 0 && rep != near {
			if m := 8 + same(b[:to], s+8, rep+8); m+1 >= n {
				t, n = rep, m
			}
		}
		// The other can only be better if it goes on where the first ends.
		far := int(last >> 32)
		if s+n+2 <= to && binary.LittleEndian.Uint64(b[far:]) == w && binary.LittleEndian.Uint16(b[far+n:]) == binary.LittleEndian.Uint16(b[s+n:]) {
			if m := 8 + same(b[:to], s+8, far+8); m > n+1 {
				t, n = far, m
			}
		}
	}
	if n = min(n, to-s); n < minMatch { // cut short by the end of the block
		return 0, 0
	}
	return t, n
}

// shortCopy chooses between a copy at the last offset, of four bytes at least, and one that
// was found by six bytes: again and found have zeros where eight bytes are the same. It
// does so without a branch for each question, since nobody can foresee the answers.
func shortCopy(again, found uint64, rep, six int) (t, n int) {
	t, n = rep, bits.TrailingZeros64(again)/8
	if n < 4 {
		n = 0
	}
	m := bits.TrailingZeros64(found) / 8
	if m < 6 {
		m = 0
	}
	if m > n+1 {
		t, n = six, m
	}
	return t, n
}

// same returns how many bytes at s and at t, which is before s, are the same.
func same(b []byte, s, t int) int {
	start := s
	for ; s <= len(b)-8; s, t = s+8, t+8 {
		if x := binary.LittleEndian.Uint64(b[s:]) ^ binary.LittleEndian.Uint64(b[t:]); x != 0 {
			return s - start + bits.TrailingZeros64(x)/8
		}
	}
	for ; s < len(b) && b[s] == b[t]; s, t = s+1, t+1 {
	}
	return s - start
}

// nextField returns where the field after the one at s begins: after the next delimiter.
// Most fields end within the eight bytes that are looked at first.
func nextField(b []byte, s, limit int) int {
	if s >= limit {
		return limit
	}
	if end := delimiters(binary.LittleEndian.Uint64(b[s:])); end != 0 {
		return s + bits.TrailingZeros64(end)/8 + 1
	}
	limit = min(limit, s+maxSkip)
	for s += 8; s < limit && inField[b[s]]; s++ {
	}
	return s + 1
}

const ones, tops = 0x0101010101010101, 0x8080808080808080

// delimiters returns the highest bit of each of eight bytes that is not in inField.
func delimiters(w uint64) uint64 {
	c := w &^ tops
	l := c | 0x20*ones // letters in lower case
	letters := (l + (0x80-'a')*ones) &^ (l + (0x80-'z'-1)*ones)
	digits := (c + (0x80-'0')*ones) &^ (c + (0x80-'9'-1)*ones)
	return (^(letters | digits) | w) & tops
}

// inField has the bytes that are not delimiters: ASCII letters and digits.
var inField = func() (in [256]bool) {
	for c := range in {
		in[c] = c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	return in
}()

// offset returns the number for an offset after lits literals, and remembers the offset as
// the decoder does: 1 is the last one and 2 the one before; without literals, 1 is the one
// before.
func (e *Encoder) offset(off, lits int) uint32 {
	switch {
	case off == e.reps[0] && lits > 0:
		return 1
	case off == e.reps[1]:
		e.reps[0], e.reps[1] = off, e.reps[0]
		if lits > 0 {
			return 2
		}
		return 1
	}
	e.reps[0], e.reps[1] = off, e.reps[0]
	return uint32(off + 3)
}

// Kinds of literals.
const (
	litsRaw      = 0
	litsSingle   = 1
	litsPacked   = 2
	litsSameTree = 3
)

// appendLiterals appends the block's part with the literals.
func (e *Encoder) appendLiterals(dst []byte) []byte {
	var packed []byte
	var reused bool
	n := len(e.lits)
	err := huff0.ErrIncompressible
	sizes := uint(18) // the bits of each size in the header
	switch {
	case n >= 1<<14:
		packed, reused, err = huff0.Compress4X(e.lits, &e.huff)
	case n >= 1024:
		sizes = 14
		packed, reused, err = huff0.Compress4X(e.lits, &e.huff)
	case n >= 32:
		sizes = 10
		packed, reused, err = huff0.Compress1X(e.lits, &e.huff)
	}
	switch {
	case err == huff0.ErrUseRLE:
		return append(appendLiteralsHeader(dst, litsSingle, n), e.lits[0])
	case err != nil || len(packed) >= n:
		if err == nil {
			e.huff.Reuse = huff0.ReusePolicyNone // the decoder does not see the tree
		}
		return append(appendLiteralsHeader(dst, litsRaw, n), e.lits...)
	}
	kind := uint64(litsPacked)
	if reused {
		kind = litsSameTree
	}
	e.huff.Reuse = huff0.ReusePolicyAllow
	format := uint64(sizes-6) / 4 // 0: one stream; 2, 3: four
	if sizes == 10 {
		format = 0
	}
	header := kind | format<<2 | uint64(n)<<4 | uint64(len(packed))<<(4+sizes)
	for bytes := (4 + 2*sizes + 7) / 8; bytes > 0; bytes-- {
		dst = append(dst, byte(header))
		header >>= 8
	}
	return append(dst, packed...)
}

// appendLiteralsHeader appends the header of literals that are not packed.
func appendLiteralsHeader(dst []byte, kind uint8, n int) []byte {
	switch {
	case n < 32:
		return append(dst, kind|uint8(n)<<3)
	case n < 4096:
		return append(dst, kind|1<<2|uint8(n)<<4, uint8(n>>4))
	}
	return append(dst, kind|3<<2|uint8(n)<<4, uint8(n>>4), uint8(n>>12))
}

// AppendStored appends src as one zstd frame without packing it.
func AppendStored(dst, src []byte) []byte {
	dst = appendHeader(dst, len(src))
	for rest := src; ; {
		n, last := min(len(rest), maxBlockBytes), 0
		if n == len(rest) {
			last = 1
		}
		header := n<<3 | blockRaw<<1 | last
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16))
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; last == 1 {
			return binary.LittleEndian.AppendUint32(dst, uint32(xxh64(src)))
		}
	}
}
