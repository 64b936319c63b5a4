package pickle

import (
	"encoding/hex"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleName is the name of a class without the modules of what is built in, which Python 2
// and 3 call differently.
func simpleName(name []byte) []byte {
	for _, module := range [...]string{"builtins.", "__builtin__.", "exceptions."} {
		if len(name) >= len(module) && string(name[:len(module)]) == module {
			return name[len(module):]
		}
	}
	return name
}

// maxKnownName is longer than the names of all classes that are known.
const maxKnownName = 64

// construct returns the value that a call makes, if the class and the arguments are known.
// Else it leaves the arena as it was.
func (d *Decoder) construct(class []byte, args uint32) (n node, ok bool) {
	first := d.item(args, 0)
	switch string(class) {
	case "set", "frozenset":
		return d.like(Set, args, first)
	case "list", "collections.deque":
		return d.like(List, args, first)
	case "dict", "collections.OrderedDict", "collections.Counter":
		return d.dict(args, first)
	case "collections.defaultdict":
		return node{kind: Dict}, true // its items are set one by one
	case "bytes", "bytearray", "_codecs.encode":
		return d.encoded(args, first)
	case "complex":
		return d.complex(first, d.item(args, 1))
	case "range", "xrange":
		return d.numbers("range(", args)
	case "decimal.Decimal", "ipaddress.IPv4Network", "ipaddress.IPv6Network":
		return d.asText(first)
	case "fractions.Fraction":
		return d.fraction(first, d.item(args, 1))
	case "ipaddress.IPv4Address":
		return d.address(first, 4)
	case "ipaddress.IPv6Address":
		return d.address(first, 16)
	case "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib._local.PosixPath", "pathlib._local.PurePosixPath":
		return d.path(args, '/')
	case "pathlib.WindowsPath", "pathlib.PureWindowsPath", "pathlib._local.WindowsPath", "pathlib._local.PureWindowsPath":
		return d.path(args, '\\')
	}
	return d.constructTime(class, args)
}

// like returns a collection with the items of the only argument, empty without one.
func (d *Decoder) like(kind Kind, args, first uint32) (node, bool) {
	if d.count(args) == 0 {
		return node{kind: kind}, true
	}
	x := d.nodes[first]
	return node{kind: kind, a: x.a, b: x.b, value: x.value}, x.kind == List || x.kind == Tuple || x.kind == Set
}

// dict returns the dict of an argument that is one, or a list of pairs.
func (d *Decoder) dict(args, first uint32) (node, bool) {
	if d.count(args) == 0 {
		return node{kind: Dict}, true
	}
	x := d.nodes[first]
	switch x.kind {
	case Dict:
		return x, true
	case List:
		if !d.spend(stepWork * d.count(first)) {
			return node{}, false
		}
		pairs := d.add(node{kind: Dict})
		d.each(first, func(pair uint32) bool {
			if d.count(pair) != 2 {
				pairs = 0
				return false
			}
			d.extend(pairs, []uint32{d.item(pair, 0), d.item(pair, 1)})
			return true
		})
		return d.nodes[pairs], pairs != 0
	}
	return node{}, false
}

// encoded returns bytes that travel as they are, or as a text of their Latin-1 characters.
func (d *Decoder) encoded(args, first uint32) (node, bool) {
	if d.count(args) == 0 {
		return node{kind: Bytes}, true
	}
	x := d.nodes[first]
	if x.kind == Bytes {
		return x, true
	}
	rest := d.bytes(first)
	if x.kind != Text || !isLatin1(d.bytes(d.item(args, 1))) || !d.spend(runeWork*len(rest)) || !d.room(len(rest)) {
		return node{}, false
	}
	from := len(d.arena)
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		if r > 0xff {
			return d.unmade(from)
		}
		d.arena = append(d.arena, byte(r))
		rest = rest[size:]
	}
	return d.made(Bytes, from), true
}

// runeWork is how much longer it takes to look at a letter than to copy it.
const runeWork = 4

// isLatin1 tells whether a codec is that, in one of the ways to write it.
func isLatin1(name []byte) bool {
	const max = len("-latin-1-")
	return len(name) <= max && strings.ReplaceAll(strings.ToLower(string(name)), "-", "") == "latin1"
}

func (d *Decoder) complex(re, im uint32) (node, bool) {
	if d.nodes[re].kind != Float || d.nodes[im].kind != Float {
		return node{}, false
	}
	from := len(d.arena)
	d.arena = strconv.AppendFloat(append(d.arena, '('), math.Float64frombits(d.nodes[re].value), 'g', -1, 64)
	at := len(d.arena)
	d.arena = strconv.AppendFloat(append(d.arena, '+'), math.Float64frombits(d.nodes[im].value), 'g', -1, 64)
	if next := d.arena[at+1]; next == '-' || next == '+' {
		d.arena = append(d.arena[:at], d.arena[at+1:]...)
	}
	d.arena = append(d.arena, "j)"...)
	return d.made(Text, from), true
}

// numbers returns a text with the arguments, which are small numbers.
func (d *Decoder) numbers(before string, args uint32) (n node, ok bool) {
	from, ok := len(d.arena), d.count(args) <= 3
	if !ok {
		return node{}, false
	}
	d.arena = append(d.arena, before...)
	d.each(args, func(item uint32) bool {
		if d.arena[len(d.arena)-1] != '(' {
			d.arena = append(d.arena, ", "...)
		}
		ok = ok && d.nodes[item].kind == Int
		d.arena = strconv.AppendInt(d.arena, int64(d.nodes[item].value), 10)
		return ok
	})
	d.arena = append(d.arena, ')')
	if !ok {
		return d.unmade(from)
	}
	return d.made(Text, from), true
}

// asText returns a text that is the argument.
func (d *Decoder) asText(first uint32) (node, bool) {
	x := d.nodes[first]
	ok := x.kind == Text || x.kind == Bytes && d.spend(int(x.b)) && utf8.Valid(d.bytes(first))
	x.kind = Text
	return x, ok
}

// maxPathParts is of how many parts a path is put together.
const maxPathParts = 256

// path returns the path of its parts.
func (d *Decoder) path(args uint32, between byte) (n node, ok bool) {
	from, ok := len(d.arena), d.count(args) <= maxPathParts
	if !ok {
		return node{}, false
	}
	d.each(args, func(part uint32) bool {
		if _, ok = d.asText(part); ok {
			ok = d.room(len(d.bytes(part))+1) && d.spend(len(d.bytes(part)))
		}
		if !ok {
			return false
		}
		if n := len(d.arena); n > from && d.arena[n-1] != between {
			d.arena = append(d.arena, between)
		}
		d.arena = append(d.arena, d.bytes(part)...)
		return true
	})
	if !ok {
		return d.unmade(from)
	}
	if len(d.arena) == from {
		d.arena = append(d.arena, '.')
	}
	return d.made(Text, from), true
}

// fraction returns a fraction of two numbers, or the text of one, as Python 3.10 wrote it.
func (d *Decoder) fraction(first, second uint32) (node, bool) {
	if d.nodes[second].kind == None {
		return d.asText(first)
	}
	from := len(d.arena)
	for i, part := range [...]uint32{first, second} {
		if k := d.nodes[part].kind; k != Int && k != Long || !d.room(len(d.bytes(part))) || !d.spend(len(d.bytes(part))) {
			return d.unmade(from)
		}
		if i > 0 {
			d.arena = append(d.arena, '/')
		}
		d.arena = d.appendScalar(d.arena, part)
	}
	return d.made(Text, from), true
}

// address returns the address of a network that is a number of so many bytes.
func (d *Decoder) address(number uint32, size int) (node, bool) {
	b, ok := d.unsigned(number)
	if !ok || !allZero(b[:16-size]) {
		return node{}, false
	}
	from := len(d.arena)
	ip, _ := netip.AddrFromSlice(b[16-size:])
	d.arena = ip.AppendTo(d.arena)
	return d.made(Text, from), true
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// unsigned returns a number of at most 16 bytes, the highest first.
func (d *Decoder) unsigned(n uint32) (b [16]byte, ok bool) {
	v := new(big.Int)
	switch x := &d.nodes[n]; {
	case x.kind == Int:
		v.SetInt64(int64(x.value))
	case x.kind == Long && x.b < 40:
		v.SetString(string(d.bytes(n)), 10)
	default:
		return b, false
	}
	if v.Sign() < 0 || v.BitLen() > 128 {
		return b, false
	}
	v.FillBytes(b[:])
	return b, true
}

// uuid returns the UUID of a state, which has it as one number.
func (d *Decoder) uuid(state uint32) (n node, ok bool) {
	if d.count(state) > 8 {
		return node{}, false
	}
	number, found := Value{d, state}.Get("int")
	if !found {
		return node{}, false
	}
	b, ok := d.unsigned(number.n)
	if !ok {
		return node{}, false
	}
	from := len(d.arena)
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		start := [...]int{0, 4, 6, 8, 10}[i]
		if i > 0 {
			d.arena = append(d.arena, '-')
		}
		d.arena = hex.AppendEncode(d.arena, b[start:end])
	}
	return d.made(Text, from), true
}

// maxLong is how many bytes a number may have: to write it in digits takes longer than in
// proportion. Python has such a bound as well.
const maxLong = 2048

// appendLong appends the digits of a number, the lowest byte first, in two's complement.
func appendLong(dst, b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v.Append(dst, 10)
}
