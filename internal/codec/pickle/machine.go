package pickle

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// opcodes has what each does to the machine, but for STOP, at which reading ends.
var opcodes = [256]func(*Decoder){
	// the machine
	'(':  (*Decoder).mark,
	'0':  (*Decoder).popOne,
	'1':  func(d *Decoder) { d.popMark() },
	'2':  func(d *Decoder) { d.again(*d.top()) },
	'p':  func(d *Decoder) { d.put(d.decimal()) },
	'q':  func(d *Decoder) { d.put(d.number(1)) },
	'r':  func(d *Decoder) { d.put(d.number(4)) },
	0x94: func(d *Decoder) { d.put(uint64(len(d.memo))) }, // MEMOIZE
	'g':  func(d *Decoder) { d.get(d.decimal()) },
	'h':  func(d *Decoder) { d.get(d.number(1)) },
	'j':  func(d *Decoder) { d.get(d.number(4)) },
	0x80: (*Decoder).protocol,
	0x95: func(d *Decoder) { d.length(8) }, // FRAME

	// numbers
	'N':  func(d *Decoder) { d.push(node{kind: None}) },
	0x88: func(d *Decoder) { d.push(node{kind: Bool, value: 1}) },
	0x89: func(d *Decoder) { d.push(node{kind: Bool}) },
	'I':  (*Decoder).intLine,
	'L':  func(d *Decoder) { d.longLine(bytes.TrimSuffix(d.line(), []byte("L"))) },
	'J':  func(d *Decoder) { d.pushInt(int64(int32(d.number(4)))) },
	'K':  func(d *Decoder) { d.pushInt(int64(d.number(1))) },
	'M':  func(d *Decoder) { d.pushInt(int64(d.number(2))) },
	0x8a: func(d *Decoder) { d.long(d.length(1)) },
	0x8b: func(d *Decoder) { d.long(d.length(4)) },
	'F':  (*Decoder).floatLine,
	'G':  (*Decoder).float,

	// texts
	'S':  (*Decoder).stringLine,
	'T':  func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(4)))) },
	'U':  func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(1)))) },
	'V':  (*Decoder).unicodeLine,
	'X':  func(d *Decoder) { d.push(d.text(Text, d.take(d.length(4)))) },
	0x8c: func(d *Decoder) { d.push(d.text(Text, d.take(d.length(1)))) },
	0x8d: func(d *Decoder) { d.push(d.text(Text, d.take(d.length(8)))) },
	'B':  func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(4)))) },
	'C':  func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(1)))) },
	0x8e: func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(8)))) },
	0x96: func(d *Decoder) { d.push(d.text(Bytes, d.take(d.length(8)))) },
	0x97: func(d *Decoder) { d.fail(Elsewhere) },
	0x98: func(d *Decoder) { d.fail(Elsewhere) },

	// collections
	']':  func(d *Decoder) { d.push(node{kind: List}) },
	'l':  func(d *Decoder) { d.collect(List, d.popMark()) },
	'a':  func(d *Decoder) { d.onto(d.some(1)) },
	'e':  func(d *Decoder) { d.onto(d.popMark()) },
	')':  func(d *Decoder) { d.push(node{kind: Tuple}) },
	't':  func(d *Decoder) { d.collect(Tuple, d.popMark()) },
	0x85: func(d *Decoder) { d.collect(Tuple, d.some(1)) },
	0x86: func(d *Decoder) { d.collect(Tuple, d.some(2)) },
	0x87: func(d *Decoder) { d.collect(Tuple, d.some(3)) },
	'}':  func(d *Decoder) { d.push(node{kind: Dict}) },
	'd':  func(d *Decoder) { d.collect(Dict, d.popMark()) },
	's':  func(d *Decoder) { d.into(d.some(2)) },
	'u':  func(d *Decoder) { d.into(d.popMark()) },
	0x8f: func(d *Decoder) { d.push(node{kind: Set}) },
	0x90: func(d *Decoder) { d.onto(d.popMark()) },
	0x91: func(d *Decoder) { d.collect(Set, d.popMark()) },

	// objects
	'c':  func(d *Decoder) { d.class(d.line(), d.line()) },
	0x93: (*Decoder).stackClass,
	'i':  (*Decoder).inst,
	'o':  (*Decoder).obj,
	'R':  (*Decoder).reduce,
	0x81: (*Decoder).reduce, // NEWOBJ: the same class and arguments
	0x92: (*Decoder).newWithKeywords,
	'b':  (*Decoder).build,
	'P':  (*Decoder).persistentLine,
	'Q':  func(d *Decoder) { d.persistent(d.pop()) },
	0x82: func(d *Decoder) { d.extension(d.number(1)) },
	0x83: func(d *Decoder) { d.extension(d.number(2)) },
	0x84: func(d *Decoder) { d.extension(d.number(4)) },
}

// popOne takes a value off the stack, or the mark that is there.
func (d *Decoder) popOne() {
	if n := len(d.marks); n > 0 && len(d.stack) == d.floor() {
		d.marks = d.marks[:n-1]
		return
	}
	d.pop()
}

func (d *Decoder) protocol() {
	if d.number(1) > 5 {
		d.fail(Unknown)
	}
}

// decimal takes a line that is the number of a memo.
func (d *Decoder) decimal() uint64 {
	v, err := strconv.ParseUint(string(d.line()), 10, 32)
	if err != nil {
		d.fail(Malformed)
	}
	return v
}

// put remembers the topmost value. Picklers number them from 0 on, so no number need be larger
// than the pickle, or than how many values there may be.
func (d *Decoder) put(i uint64) {
	if i > uint64(len(d.src)) || i > maxNodes {
		d.fail(Malformed)
		return
	}
	if n := int(i) + 1; n > len(d.memo) {
		from := len(d.memo)
		d.memo = slices.Grow(d.memo, n-from)[:n]
		clear(d.memo[from:])
	}
	d.memo[i] = *d.top() + 1
}

func (d *Decoder) get(i uint64) {
	if i >= uint64(len(d.memo)) || d.memo[i] == 0 {
		d.fail(Malformed)
		return
	}
	d.again(d.memo[i] - 1)
}

// mark marks the height of the stack. As deep as there are marks will be the collections.
func (d *Decoder) mark() {
	if len(d.marks) >= maxMarks {
		d.fail(TooDeep)
		return
	}
	d.marks = append(d.marks, uint32(len(d.stack)))
}

// again pushes a value that there is already.
func (d *Decoder) again(n uint32) {
	if len(d.stack) >= maxNodes {
		d.fail(TooMany)
		return
	}
	d.stack = append(d.stack, n)
}

func (d *Decoder) pushInt(v int64) { d.push(node{kind: Int, value: uint64(v)}) }

// intLine takes a number in digits; 00 and 01 were the truth values once.
func (d *Decoder) intLine() {
	switch line := d.line(); string(line) {
	case "00":
		d.push(node{kind: Bool})
	case "01":
		d.push(node{kind: Bool, value: 1})
	default:
		d.longLine(line)
	}
}

func (d *Decoder) longLine(digits []byte) {
	if v, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
		d.pushInt(v)
		return
	}
	from := len(d.arena)
	if d.arena = appendDigits(d.arena, digits); len(d.arena) == from {
		d.fail(Malformed)
		return
	}
	d.push(d.made(Long, from))
}

// appendDigits appends a whole number of any length without zeros in front, nothing if it is
// none.
func appendDigits(dst, digits []byte) []byte {
	rest := bytes.TrimPrefix(digits, []byte("-"))
	for _, c := range rest {
		if c < '0' || c > '9' {
			return dst
		}
	}
	rest = bytes.TrimLeft(rest, "0")
	if len(rest) == 0 {
		return dst // what is small has been read
	}
	if digits[0] == '-' {
		dst = append(dst, '-')
	}
	return append(dst, rest...)
}

// long takes a number of n bytes, the lowest first, in two's complement.
func (d *Decoder) long(n int) {
	b := d.take(n)
	if len(b) <= 8 {
		d.pushInt(signed(b))
		return
	}
	if len(b) > maxLong {
		d.fail(TooLong)
		return
	}
	from := len(d.arena)
	d.arena = appendLong(d.arena, b)
	d.push(d.made(Long, from))
}

func (d *Decoder) floatLine() {
	line := d.line()
	v, err := strconv.ParseFloat(string(line), 64)
	if err != nil && !math.IsInf(v, 0) {
		d.fail(Malformed)
		return
	}
	d.push(node{kind: Float, value: math.Float64bits(v)})
}

func (d *Decoder) float() {
	if b := d.take(8); b != nil {
		d.push(node{kind: Float, value: binary.BigEndian.Uint64(b)})
	}
}

// stringLine takes a text in quotes as Python 2 writes it, with escapes.
func (d *Decoder) stringLine() {
	line := bytes.TrimRight(d.line(), " \t\r")
	if len(line) < 2 || line[0] != line[len(line)-1] || line[0] != '\'' && line[0] != '"' {
		d.fail(Malformed)
		return
	}
	from := len(d.arena)
	d.arena = unquote(d.arena, line[1:len(line)-1])
	d.push(d.made(Bytes, from))
}

// unicodeLine takes a text of Latin-1 with \uXXXX and \UXXXXXXXX for what else there is.
func (d *Decoder) unicodeLine() {
	line := d.line()
	from := len(d.arena)
	for len(line) > 0 {
		c := line[0]
		size := 0
		if c == '\\' && len(line) > 1 && line[1]|0x20 == 'u' {
			if size = 4; line[1] == 'U' {
				size = 8
			}
		}
		if size == 0 || len(line) < 2+size {
			d.arena = utf8.AppendRune(d.arena, rune(c))
			line = line[1:]
			continue
		}
		v, err := strconv.ParseUint(string(line[2:2+size]), 16, 32)
		if err != nil || v > utf8.MaxRune {
			d.fail(Malformed)
			return
		}
		d.arena = appendRune(d.arena, rune(v))
		line = line[2+size:]
	}
	d.push(d.made(Text, from))
}

// some takes n values off the stack.
func (d *Decoder) some(n int) []uint32 {
	if len(d.stack)-d.floor() < n {
		d.fail(Malformed)
		return nil
	}
	at := len(d.stack) - n
	taken := d.stack[at:]
	d.stack = d.stack[:at]
	return taken
}

// collect pushes a collection of values.
func (d *Decoder) collect(kind Kind, items []uint32) {
	if kind == Dict && len(items)%2 != 0 {
		d.fail(Malformed)
		return
	}
	n := d.add(node{kind: kind})
	d.extend(n, items)
	d.stack = append(d.stack, n)
}

// onto appends values to the list that is topmost then, or what is like one.
func (d *Decoder) onto(items []uint32) {
	n := *d.top()
	switch d.nodes[n].kind {
	case List, Set:
		d.extend(n, items)
	case Object:
		d.extend(d.part(n, listPart, List), items)
	default:
		d.fail(Malformed)
	}
}

// into sets keys and values of the dict that is topmost then, or what is like one.
func (d *Decoder) into(items []uint32) {
	if len(items)%2 != 0 {
		d.fail(Malformed)
		return
	}
	n := *d.top()
	switch d.nodes[n].kind {
	case Dict:
		d.extend(n, items)
	case Object:
		d.extend(d.part(n, dictPart, Dict), items)
	default:
		d.fail(Malformed)
	}
}
