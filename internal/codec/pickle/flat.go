package pickle

import (
	"encoding/binary"
	"math"
)

// Pair is a key of a dictionary and its value.
type Pair struct {
	// Key is the key, a text.
	Key Place
	// Kind is what the value is: None, Bool, Int, Float or Text.
	Kind Kind
	// Inner is set if the pair is one of the inner dictionary.
	Inner bool
	// Value is the value of a Text.
	Value Place
	// Number is the value of a Bool or an Int as an int64 has it, and that of a Float as a
	// float64 has it.
	Number uint64
}

// Place is where a text stands in a pickle.
type Place struct{ Off, Len uint32 }

// Of returns the text in its pickle.
func (p Place) Of(src []byte) []byte { return src[p.Off : p.Off+p.Len : p.Off+p.Len] }

// notText is in the memo for what is none.
const notText = math.MaxUint32

// maxPlaces is how much of a memo Flat knows: as much as opcodes of two bytes can tell.
const maxPlaces = 256

// Flat appends the pairs of the dictionary that src is, as Pairs has them, if it is one of plain
// values as picklers write it, which most records are. It does so without the machine, since
// that takes longer. The pairs of a dictionary that is the value of the key inner stand in its
// place. It returns false of all other pickles, those with mistakes included, which are for
// Decode.
func (d *Decoder) Flat(dst []Pair, src []byte, inner string) (pairs []Pair, ok bool) {
	if len(src) > maxBytes {
		return dst, false
	}
	r := flat{src: src, places: &d.places, pairs: dst, most: len(dst) + maxPlaces}
	at := r.dict(r.head())
	if r.op(at) != '(' {
		return dst, false
	}
	at++
	for at < len(src) && src[at] != 'u' {
		if len(r.pairs) >= r.most {
			return r.pairs[:len(dst)], false
		}
		var key Place
		if key, at = r.text(at); r.op(at) == '}' && string(key.Of(src)) == inner {
			at = r.inner(at)
		} else {
			at = r.value(at, key, false)
		}
	}
	if r.op(at+1) != '.' {
		return r.pairs[:len(dst)], false
	}
	return r.pairs, true
}

// flat is one Flat. Its functions take the place of an opcode and return that of the next one,
// which is behind the end if something is not as usual.
type flat struct {
	src    []byte
	pairs  []Pair
	most   int
	places *[maxPlaces]Place // the memo
	put    int               // how many of them there are
}

// unusual is a place behind every end.
const unusual = math.MaxInt32

// op returns the opcode at a place, 0 if there is none.
func (r *flat) op(at int) byte {
	if at < len(r.src) {
		return r.src[at]
	}
	return 0
}

// head goes over what a pickle begins with.
func (r *flat) head() int {
	if len(r.src) < 2 || r.src[0] != 0x80 || r.src[1] > 5 { // PROTO
		return unusual
	}
	if len(r.src) < 11 || r.src[2] != 0x95 { // FRAME
		return 2
	}
	if binary.LittleEndian.Uint64(r.src[3:]) > uint64(len(r.src)-11) {
		return unusual
	}
	return 11
}

// dict takes an empty dictionary.
func (r *flat) dict(at int) int {
	if r.op(at) != '}' {
		return unusual
	}
	return r.memo(at+1, Place{Off: notText})
}

// inner takes a dictionary that has pairs: one, or more of them between a mark and SETITEMS.
func (r *flat) inner(at int) int {
	at = r.dict(at)
	many, end := r.op(at) == '(', byte('s')
	if many {
		at++
		end = 'u'
	}
	for at < len(r.src) && r.src[at] != end {
		if len(r.pairs) >= r.most {
			return unusual
		}
		var key Place
		key, at = r.text(at)
		at = r.value(at, key, true)
		if !many && r.op(at) != end {
			return unusual
		}
	}
	return at + 1
}

// memo goes over an opcode that puts what comes before it into the memo, if there is one.
func (r *flat) memo(at int, p Place) int {
	switch op := r.op(at); {
	case op == 'q' && r.op(at+1) == byte(r.put) && r.put < maxPlaces && at+1 < len(r.src): // BINPUT
		at += 2
	case op == 0x94 && r.put < maxPlaces: // MEMOIZE
		at++
	case op == 'q', op == 0x94:
		return unusual
	default:
		return at
	}
	r.places[r.put] = p
	r.put++
	return at
}

// text takes a text.
func (r *flat) text(at int) (p Place, next int) {
	src, head, n := r.src, 2, 0
	switch r.op(at) {
	case 'X': // BINUNICODE
		if head = 5; len(src)-at < head {
			return p, unusual
		}
		n = int(binary.LittleEndian.Uint32(src[at+1:]))
	case 0x8c: // SHORT_BINUNICODE
		if len(src)-at < head {
			return p, unusual
		}
		n = int(src[at+1])
	case 'h': // BINGET
		i := int(r.op(at + 1))
		if len(src)-at < head || i >= r.put || r.places[i].Off == notText {
			return p, unusual
		}
		return r.places[i], at + 2
	default:
		return p, unusual
	}
	if at += head; n > len(src)-at {
		return p, unusual
	}
	p = Place{uint32(at), uint32(n)}
	return p, r.memo(at+n, p)
}

// value takes the value of a key.
func (r *flat) value(at int, key Place, inner bool) int {
	src := r.src
	if len(src)-at < 1 {
		return unusual
	}
	kind, number, size := None, uint64(0), 1
	switch op := src[at]; op {
	case 'X', 0x8c, 'h':
		value, next := r.text(at)
		r.add(key, Text, inner).Value = value
		return next
	case 'N': // NONE
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		kind, number = Bool, uint64(0x89-op)
	default:
		if size = numberSize(src[at:]); size == 0 || size > len(src)-at {
			return unusual
		}
		kind, number = readNumber(src[at : at+size])
	}
	r.add(key, kind, inner).Number = number
	return at + size
}

// add adds a pair without its value. It is written where it stays: to copy what was just
// written makes the processor wait.
func (r *flat) add(key Place, kind Kind, inner bool) *Pair {
	r.pairs = append(r.pairs, Pair{})
	p := &r.pairs[len(r.pairs)-1]
	p.Key, p.Kind, p.Inner = key, kind, inner
	return p
}

// numberSize returns how long the opcode of a number is that b begins with, 0 if it is of
// another kind.
func numberSize(b []byte) int {
	switch b[0] {
	case 'K': // BININT1
		return 2
	case 'M': // BININT2
		return 3
	case 'J': // BININT
		return 5
	case 'G': // BINFLOAT
		return 9
	case 0x8a: // LONG1
		if len(b) > 1 && b[1] <= 8 {
			return 2 + int(b[1])
		}
	}
	return 0
}

// readNumber reads an opcode of which numberSize knows the length, which b has.
func readNumber(b []byte) (Kind, uint64) {
	switch b[0] {
	case 'K':
		return Int, uint64(b[1])
	case 'M':
		return Int, uint64(binary.LittleEndian.Uint16(b[1:]))
	case 'J':
		return Int, uint64(int64(int32(binary.LittleEndian.Uint32(b[1:]))))
	case 'G':
		return Float, binary.BigEndian.Uint64(b[1:])
	}
	return Int, uint64(signed(b[2:]))
}

// signed reads a number of at most eight bytes, the lowest first, in two's complement.
func signed(b []byte) int64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1] >= 0x80 {
		v |= ^uint64(0) << (8 * n)
	}
	return int64(v)
}
