package compress

import "math/bits"

// fse encodes one kind of the three codes of sequences, by finite state entropy (RFC 8878,
// section 4.1): how often a code comes decides how many of a table's states are its own.
type fse struct {
	maxLog uint // the largest table that the format allows for the kind

	count  [maxCodes]uint32
	share  [maxCodes]uint32 // how many states each code has
	log    uint             // the table has 1<<log states
	single int              // the only code there is, or -1

	next  [1 << maxTableLog]uint16 // states, in the order of their codes
	codes [maxCodes]fseCode
	cell  [1 << maxTableLog]uint8 // the code of each state
}

// fseCode is what encoding a code needs: from state s it takes (s+bits)>>16 bits off, and
// goes on to next[s>>those bits + find].
type fseCode struct {
	bits uint32
	find int32
}

const (
	maxTableLog = 9
	minTableLog = 5
	maxCodes    = 64 // there are 53; a power of two is indexed without a check
)

// begin forgets the counts.
func (f *fse) begin() { f.count = [maxCodes]uint32{} }

// build makes the table for the counts, whose sum is total.
func (f *fse) build(total int) {
	distinct, last := 0, 0
	for c, n := range &f.count {
		if n > 0 {
			distinct, last = distinct+1, c
		}
	}
	f.single = -1
	if distinct == 1 {
		// One state that takes no bits.
		f.single, f.log = last, 0
		f.next[0], f.codes[last] = 0, fseCode{}
		return
	}
	f.log = uint(max(bits.Len(uint(total-1))-3, bits.Len(uint(distinct-1)), minTableLog))
	f.log = min(f.log, f.maxLog)
	f.divide(uint32(total))
	f.spread()
	f.index()
}

// divide shares the states out to the codes in proportion to their counts, one at least.
func (f *fse) divide(total uint32) {
	size := uint32(1) << f.log
	rest, largest := int(size), 0
	for c, n := range &f.count {
		f.share[c] = 0
		if n == 0 {
			continue
		}
		f.share[c] = max(1, uint32((uint64(n)*uint64(size)+uint64(total/2))/uint64(total)))
		rest -= int(f.share[c])
		if f.share[c] > f.share[largest] {
			largest = c
		}
	}
	for ; rest < 0; rest++ {
		for c, n := range &f.share {
			if n > f.share[largest] {
				largest = c
			}
		}
		f.share[largest]--
	}
	f.share[largest] += uint32(rest)
}

// spread gives each state its code, in the order that the decoder uses.
func (f *fse) spread() {
	size := uint32(1) << f.log
	step := size>>1 + size>>3 + 3
	at := uint32(0)
	for c, n := range &f.share {
		for range n {
			f.cell[at] = uint8(c)
			at = (at + step) & (size - 1)
		}
	}
}

// index prepares next and codes.
func (f *fse) index() {
	size := uint32(1) << f.log
	var from [maxCodes]uint32
	sum := uint32(0)
	for c, n := range &f.share {
		from[c] = sum
		switch {
		case n == 0:
		case n == 1:
			f.codes[c] = fseCode{uint32(f.log)<<16 - size, int32(sum) - 1}
		default:
			most := uint32(f.log) - uint32(bits.Len32(n-1)-1)
			f.codes[c] = fseCode{most<<16 - n<<most, int32(sum) - int32(n)}
		}
		sum += n
	}
	for s := range size {
		c := f.cell[s]
		f.next[from[c]] = uint16(size + s)
		from[c]++
	}
}

// first returns the state that stands for a code alone.
func (f *fse) first(code uint8) uint32 {
	if f.single >= 0 {
		return 0
	}
	c := f.codes[code]
	n := (c.bits + 1<<15) >> 16
	return uint32(f.next[int32((n<<16-c.bits)>>n)+c.find])
}

// appendTable appends the shares, from which the decoder makes the same table.
func (f *fse) appendTable(dst []byte) []byte {
	if f.single >= 0 {
		return append(dst, uint8(f.single))
	}
	var w bitWriter
	w.add(uint32(f.log-minTableLog), 4)
	rest, width := uint32(1)<<f.log+1, f.log+1
	for c := 0; rest > 1; {
		n := f.share[c]
		c++
		threshold := uint32(1) << (width - 1)
		most := 2*threshold - 1 - rest
		rest -= n
		v, size := n+1, width
		if v >= threshold {
			v += most
		}
		if v < most {
			size--
		}
		w.add(v, size)
		dst = w.flush(dst)
		if n == 0 {
			c = f.skip(&w, c)
			dst = w.flush(dst)
		}
		for width > 1 && rest < 1<<(width-1) {
			width--
		}
	}
	return w.finish(dst)
}

// skip writes how many codes without a state follow one, and returns the next that has one.
func (f *fse) skip(w *bitWriter, c int) int {
	for f.share[c] == 0 && f.share[c+1] == 0 && f.share[c+2] == 0 {
		w.add(3, 2)
		c += 3
	}
	n := uint32(0)
	for f.share[c] == 0 {
		n++
		c++
	}
	w.add(n, 2)
	return c
}

// bitWriter collects bits, from the lowest on.
type bitWriter struct {
	bits uint64
	n    uint
}

func (w *bitWriter) add(v uint32, n uint) {
	w.bits |= uint64(v) << w.n
	w.n += n
}

// flush appends the whole bytes that there are.
func (w *bitWriter) flush(dst []byte) []byte {
	for ; w.n >= 8; w.n -= 8 {
		dst = append(dst, byte(w.bits))
		w.bits >>= 8
	}
	return dst
}

// finish appends all bits, with zeros up to the whole byte.
func (w *bitWriter) finish(dst []byte) []byte {
	dst = w.flush(dst)
	if w.n > 0 {
		dst = append(dst, byte(w.bits))
	}
	return dst
}
