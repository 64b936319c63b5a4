// Package pickle reads Python's pickles, protocols 0 to 5, as data. A pickle is a program
// for a small machine that may call whatever Python can; this machine calls nothing. Values
// of the types that logs are made of become values; what else a pickle builds becomes an
// Object, which has the name of its class and what it would have been made from.
//
//	var d pickle.Decoder
//	v, err := d.Decode(body)
//	if err == nil {
//		line, err = v.AppendJSON(line[:0], 1<<20)
//	}
//
// The opcodes are those of Python's Lib/pickletools.py. A pickle may use a value many times, so
// what is done beyond going through its bytes once - values that are made of others, all that
// AppendJSON writes - is counted in bytes that are touched, and may be so many times as much
// as the pickle has. Memory is bounded by the length of the pickle. Where pickles come from,
// and what their keys mean, is not the package's business.
package pickle

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Error says where a pickle could not be read, and why.
type Error struct {
	// Offset is a place in the pickle, in bytes.
	Offset int
	// Reason is a short constant phrase, fit for counting.
	Reason string
}

// Error says why, and where.
func (e *Error) Error() string { return fmt.Sprintf("pickle: %s at byte %d", e.Reason, e.Offset) }

// Reasons of an Error.
const (
	Truncated   = "it ends too early"
	Unknown     = "an unknown opcode"
	Malformed   = "it does not follow the format"
	TooMany     = "it has too many values"
	TooDeep     = "it is nested too deep"
	TooLong     = "it is too long when written out"
	TooMuch     = "it takes too much work"
	Elsewhere   = "a part of it was sent elsewhere" // buffers out of band
	NotFinished = "it is too long"                  // more than an offset can tell
)

const (
	// maxNodes is how many values a pickle may have.
	maxNodes = 1 << 18
	// maxMarks is how many collections may be begun within each other, far more than can be
	// written out.
	maxMarks = 1 << 12
	// maxHeld is how much memory is kept for the next pickle, in bytes: enough for a thousand
	// values.
	maxHeld = 64 << 10
	// minArena is how long the texts may be that do not stand in a pickle; those of a long
	// one may be more.
	minArena = 64 << 10
	// maxBytes is the longest pickle.
	maxBytes = 1 << 30
	// nodeSize and runSize are how many bytes those take.
	nodeSize, runSize = 24, 12
	// minWork is how many bytes may be touched because of a pickle beyond those that it has,
	// and workPerByte how many more for each byte of it. 4 MiB are done with in a fraction of
	// a second.
	minWork     = 1 << 20
	workPerByte = 32
	// stepWork is what a step costs that touches no byte of a text.
	stepWork = 16
)

// Decoder reads pickles, one after the other. The zero value is ready. It belongs to one
// goroutine; it allocates only while a pickle is larger than those before.
type Decoder struct {
	src []byte
	at  int
	err *Error

	nodes []node
	items []uint32 // nodes that are in others
	runs  []run
	stack []uint32 // nodes
	marks []uint32 // heights of the stack
	memo  []uint32 // 1 more than nodes; 0 is nothing
	arena []byte   // texts that do not stand in the pickle as they are
	work  int      // bytes that may be touched yet

	places [maxPlaces]Place // for Flat
}

// node is a value.
type node struct {
	kind  Kind
	mine  bool   // the text is in the arena
	open  bool   // it is being written: to find it again within itself
	a, b  uint32 // where the text begins, and its length; or the first and the last run of items
	value uint64 // the number; or how many items there are
}

// run is a part of the chain of a node's items.
type run struct{ start, n, next uint32 }

// Decode reads one pickle. What follows it is passed over, as Python does. The value refers
// to src, and is valid until the next call.
func (d *Decoder) Decode(src []byte) (Value, error) {
	d.reset(src)
	if len(src) > maxBytes {
		d.fail(NotFinished)
	}
	for d.err == nil {
		d.frequent()
		if d.at == len(src) {
			d.fail(Truncated)
			break
		}
		op := src[d.at]
		d.at++
		if op == '.' {
			if n := d.pop(); d.err == nil {
				return Value{d, n}, nil
			}
			break
		}
		if do := opcodes[op]; do != nil {
			do(d)
		} else {
			d.fail(Unknown)
		}
	}
	return Value{}, d.err
}

const (
	// mostHead is how long an opcode is that frequent knows, without its text.
	mostHead = 9
	// ahead is for how many values frequent makes room.
	ahead = 256
)

// frequent does what opcodes has for those of which records have the most, one after the
// other without calls, up to one that it does not know or that is not as usual: of that it
// does nothing. A node is written where it stays: to copy one that was just written makes the
// processor wait.
func (d *Decoder) frequent() {
	src, at := d.src, d.at
	nodes, stack, memo := grown(d.nodes, ahead), grown(d.stack, ahead), grown(d.memo, ahead)
	floor, mostNodes, mostMemo := d.floor(), min(cap(nodes), maxNodes), min(cap(memo), len(src), maxNodes)
	for len(src)-at >= mostHead && len(nodes) < mostNodes && len(stack) < cap(stack) {
		kind, value, size := None, uint64(0), 1
		from, text := 0, 0
		switch op := src[at]; op {
		case 'q', 0x94: // BINPUT, MEMOIZE
			size = putSize(src[at:], len(memo))
			if size == 0 || len(stack) <= floor || len(memo) >= mostMemo {
				goto unusual
			}
			memo = append(memo, stack[len(stack)-1]+1)
			at += size
			continue
		case 'X', 0x8c: // BINUNICODE, SHORT_BINUNICODE
			kind, text, size = Text, int(src[at+1]), 2
			if op == 'X' {
				text, size = int(binary.LittleEndian.Uint32(src[at+1:])), 5
			}
			if from = at + size; text > len(src)-from {
				goto unusual
			}
		case 'N': // NONE
		case '}': // EMPTY_DICT
			kind = Dict
		case 'K': // BININT1
			kind, value, size = Int, uint64(src[at+1]), 2
		case 'M': // BININT2
			kind, value, size = Int, uint64(binary.LittleEndian.Uint16(src[at+1:])), 3
		case 'J': // BININT
			kind, value, size = Int, uint64(int64(int32(binary.LittleEndian.Uint32(src[at+1:])))), 5
		case 'G': // BINFLOAT
			kind, value, size = Float, binary.BigEndian.Uint64(src[at+1:]), 9
		default:
			goto unusual
		}
		n := len(nodes)
		nodes, stack = nodes[:n+1], stack[:len(stack)+1]
		x := &nodes[n]
		x.kind, x.mine, x.open, x.value = kind, false, false, value
		x.a, x.b = uint32(from), uint32(text)
		stack[len(stack)-1] = uint32(n)
		at += size + text
		if size = putSize(src[at:], len(memo)); kind == Text && size > 0 && len(memo) < mostMemo {
			memo = append(memo, uint32(n)+1) // what a text is followed by
			at += size
		}
	}
unusual:
	d.at, d.nodes, d.stack, d.memo = at, nodes, stack, memo
}

// putSize returns how long the opcode is that b begins with, if it puts into the memo what
// comes next there, at place i; else 0.
func putSize(b []byte, i int) int {
	switch {
	case len(b) >= 2 && b[0] == 'q' && int(b[1]) == i:
		return 2
	case len(b) > 0 && b[0] == 0x94:
		return 1
	}
	return 0
}

// Release forgets the pickle, and the memory that only a large one needs. Values are not valid
// any more.
func (d *Decoder) Release() {
	if d.Held() > maxHeld {
		*d = Decoder{}
	}
	d.src, d.err = nil, nil
}

// Held returns how many bytes of memory are kept for the next pickle.
func (d *Decoder) Held() int {
	return cap(d.nodes)*nodeSize + cap(d.runs)*runSize + 4*(cap(d.items)+cap(d.stack)+cap(d.marks)+cap(d.memo)) + cap(d.arena)
}

// spend is afford that ends the reading.
func (d *Decoder) spend(bytes int) bool {
	if !d.afford(bytes) {
		d.fail(TooMuch)
		return false
	}
	return true
}

// afford counts bytes that are touched, and a step. It returns false if they are too many.
func (d *Decoder) afford(bytes int) bool {
	d.work -= bytes + stepWork
	ok := d.work >= 0
	d.work = max(d.work, 0)
	return ok
}

func (d *Decoder) reset(src []byte) {
	if d.Held() > maxHeld {
		*d = Decoder{}
	}
	d.src, d.at, d.err, d.work = src, 0, nil, minWork+workPerByte*len(src)
	d.nodes = append(d.nodes[:0], node{}) // so that 0 is none, as it is for runs
	d.runs = append(d.runs[:0], run{})
	d.items, d.stack, d.marks, d.arena = d.items[:0], d.stack[:0], d.marks[:0], d.arena[:0]
	d.memo = d.memo[:0]
}

// fail ends the reading. The first reason stays.
func (d *Decoder) fail(reason string) {
	if d.err == nil {
		d.err = &Error{Offset: max(d.at-1, 0), Reason: reason}
	}
}

// take takes n bytes off the pickle; nil after a failure.
func (d *Decoder) take(n int) []byte {
	if n < 0 || n > len(d.src)-d.at {
		d.fail(Truncated)
		return nil
	}
	b := d.src[d.at : d.at+n : d.at+n]
	d.at += n
	return b
}

// number takes an unsigned number of n bytes, the lowest first.
func (d *Decoder) number(n int) (v uint64) {
	for i, c := range d.take(n) {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// length is number for what is yet to come, so at most what there is.
func (d *Decoder) length(n int) int {
	v := d.number(n)
	if v > uint64(len(d.src)-d.at) {
		d.fail(Truncated)
		return 0
	}
	return int(v)
}

// line takes what stands before the next line feed, and that.
func (d *Decoder) line() []byte {
	for i, c := range d.src[d.at:] {
		if c == '\n' {
			b := d.src[d.at : d.at+i]
			d.at += i + 1
			return b
		}
	}
	d.fail(Truncated)
	return nil
}

func (d *Decoder) add(n node) uint32 {
	if len(d.nodes) >= maxNodes {
		d.fail(TooMany)
		return 0
	}
	d.nodes = append(grown(d.nodes, 1), n)
	return uint32(len(d.nodes) - 1)
}

func (d *Decoder) push(n node) { d.stack = append(d.stack, d.add(n)) }

// floor is the height of the stack that the last mark has.
func (d *Decoder) floor() int {
	if len(d.marks) == 0 {
		return 0
	}
	return int(d.marks[len(d.marks)-1])
}

func (d *Decoder) pop() uint32 {
	if len(d.stack) <= d.floor() {
		d.fail(Malformed)
		return 0
	}
	n := d.stack[len(d.stack)-1]
	d.stack = d.stack[:len(d.stack)-1]
	return n
}

// top is the place of the topmost value of the stack, which stays there.
func (d *Decoder) top() *uint32 {
	if len(d.stack) <= d.floor() {
		d.fail(Malformed)
		return new(uint32)
	}
	return &d.stack[len(d.stack)-1]
}

// popMark takes what is above the last mark, which is valid until the next push.
func (d *Decoder) popMark() []uint32 {
	if len(d.marks) == 0 {
		d.fail(Malformed)
		return nil
	}
	at := d.floor()
	d.marks = d.marks[:len(d.marks)-1]
	above := d.stack[at:]
	d.stack = d.stack[:at]
	return above
}

// text returns the node of a text that stands in the pickle, which was just taken.
func (d *Decoder) text(kind Kind, b []byte) node {
	return node{kind: kind, a: uint32(d.at - len(b)), b: uint32(len(b))}
}

// made returns the node of the text that the arena has from the place from on. A pickle can
// have the same text made into another again and again, so there is a bound.
func (d *Decoder) made(kind Kind, from int) node {
	n := len(d.arena) - from
	if !d.room(0) || !d.spend(n) {
		d.arena, n = d.arena[:from], 0
	}
	return node{kind: kind, mine: true, a: uint32(from), b: uint32(n)}
}

// room tells whether the arena may have n bytes more. If not, it ends the reading.
func (d *Decoder) room(n int) bool {
	if n > minArena+4*len(d.src)-len(d.arena) {
		d.fail(TooLong)
		return false
	}
	return true
}

// unmade takes what was to be a text off the arena again, from the place from on.
func (d *Decoder) unmade(from int) (node, bool) {
	d.arena = d.arena[:from]
	return node{}, false
}

// bytes returns the text of a node that has one.
func (d *Decoder) bytes(n uint32) []byte {
	switch x := &d.nodes[n]; {
	case x.kind != Text && x.kind != Bytes && x.kind != Long && x.kind != Class:
		return nil
	case x.mine:
		return d.arena[x.a : x.a+x.b : x.a+x.b]
	default:
		return d.src[x.a : x.a+x.b : x.a+x.b]
	}
}

// grown returns s with room for n more. It doubles it, so that all the memory that a table has
// had is no more than twice what it has.
func grown[T any](s []T, n int) []T {
	if n <= cap(s)-len(s) {
		return s
	}
	return slices.Grow(s, max(n, len(s)))
}

// extend appends to the chain of items of a node.
func (d *Decoder) extend(n uint32, items []uint32) {
	x := &d.nodes[n]
	if len(items) == 0 || d.err != nil {
		return
	}
	start := uint32(len(d.items))
	if uint64(start)+uint64(len(items)) > 4*maxNodes {
		d.fail(TooMany)
		return
	}
	d.items = append(grown(d.items, len(items)), items...)
	x.value += uint64(len(items))
	if last := &d.runs[x.b]; x.b != 0 && last.start+last.n == start {
		last.n += uint32(len(items))
		return
	}
	d.runs = append(grown(d.runs, 1), run{start: start, n: uint32(len(items))})
	r := uint32(len(d.runs) - 1)
	if x.a == 0 {
		x.a = r
	} else {
		d.runs[x.b].next = r
	}
	x.b = r
}

// each calls do with the items of a node until it returns false. Two nodes may have runs in
// common, of which one has more than the other.
func (d *Decoder) each(n uint32, do func(item uint32) bool) {
	left := d.nodes[n].value
	for r := d.nodes[n].a; r != 0 && left > 0; r = d.runs[r].next {
		items := d.items[d.runs[r].start:][:min(uint64(d.runs[r].n), left)]
		left -= uint64(len(items))
		for _, item := range items {
			if !do(item) {
				return
			}
		}
	}
}

// item returns item i of a node, none if it has not so many.
func (d *Decoder) item(n uint32, i int) uint32 {
	if i >= d.count(n) {
		return 0
	}
	for r := d.nodes[n].a; r != 0; r = d.runs[r].next {
		if i < int(d.runs[r].n) {
			return d.items[int(d.runs[r].start)+i]
		}
		i -= int(d.runs[r].n)
	}
	return 0
}

func (d *Decoder) count(n uint32) int {
	if !d.nodes[n].kind.hasItems() {
		return 0
	}
	return int(d.nodes[n].value)
}
