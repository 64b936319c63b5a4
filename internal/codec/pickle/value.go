package pickle

import (
	"iter"
	"math"
)

// Kind is what a Value is.
type Kind uint8

// The kinds. The zero Kind is Python's None.
const (
	None  Kind = iota
	Bool       // Int tells 0 or 1
	Int        // fits 64 bits
	Long       // does not; Text has its digits
	Float      // also a span of time, in seconds
	Text       // also a date, a time, a Decimal, a Fraction, a UUID, a path, an address of a network, a range, a complex number
	Bytes      // also a text of Python 2, whose encoding nobody knows
	Class      // a class or a function; Text has its name with its module
	List       // also a deque
	Tuple
	Set  // also a frozenset
	Dict // also an OrderedDict, a defaultdict, a Counter
	Object
)

func (k Kind) hasItems() bool { return k >= List }

// Value is a value of a pickle. It is valid until its Decoder reads the next one. The zero
// Value is None. Since a pickle can hold a list that has itself as an item, who follows
// items needs a bound.
type Value struct {
	d *Decoder
	n uint32
}

func (v Value) node() *node {
	if v.d == nil {
		return new(node)
	}
	return &v.d.nodes[v.n]
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.node().kind }

// Text returns the text of a Text, Bytes, Long or Class, nil of any other. That of a Text is
// UTF-8, where Python's lone halves of surrogate pairs are three bytes, as they are there.
func (v Value) Text() []byte {
	if v.d == nil {
		return nil
	}
	return v.d.bytes(v.n)
}

// Int returns the number of an Int or a Bool.
func (v Value) Int() (i int64, ok bool) {
	x := v.node()
	return int64(x.value), x.kind == Int || x.kind == Bool
}

// Float returns the number of a Float or an Int.
func (v Value) Float() (f float64, ok bool) {
	switch x := v.node(); x.kind {
	case Float:
		return math.Float64frombits(x.value), true
	case Int:
		return float64(int64(x.value)), true
	}
	return 0, false
}

// Items goes over the items of a List, Tuple or Set.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if k := v.Kind(); k == List || k == Tuple || k == Set {
			v.d.each(v.n, func(item uint32) bool { return yield(Value{v.d, item}) })
		}
	}
}

// Pairs goes over the keys and values of a Dict as they were set. A key that was set twice
// comes twice; the later value is Python's.
func (v Value) Pairs() iter.Seq2[Value, Value] {
	return func(yield func(key, value Value) bool) {
		if v.Kind() == Dict {
			v.d.eachPair(v.n, func(key, value uint32) bool { return yield(Value{v.d, key}, Value{v.d, value}) })
		}
	}
}

// Pair is a key of a Dict with its value.
type Pair struct {
	Key, Value Value
	// KeyKind and Kind are what they are.
	KeyKind, Kind Kind
	// KeyPlace and Place are where their texts stand in the pickle.
	KeyPlace, Place Place
}

// Place is where the text of a Text or of Bytes stands in the pickle.
type Place struct {
	Off, Len uint32
	OK       bool // it stands there as it is
}

// AppendPairs appends what Pairs goes over.
func (v Value) AppendPairs(dst []Pair) []Pair {
	if v.Kind() != Dict {
		return dst
	}
	d, key, have := v.d, uint32(0), false
	for r := d.nodes[v.n].a; r != 0; r = d.runs[r].next {
		for _, item := range d.items[d.runs[r].start:][:d.runs[r].n] {
			if have = !have; have {
				key = item
				continue
			}
			k, x := &d.nodes[key], &d.nodes[item]
			dst = append(dst, Pair{
				Key: Value{d, key}, Value: Value{d, item}, KeyKind: k.kind, Kind: x.kind, KeyPlace: k.place(), Place: x.place(),
			})
		}
	}
	return dst
}

func (x *node) place() Place {
	return Place{Off: x.a, Len: x.b, OK: (x.kind == Text || x.kind == Bytes) && !x.mine}
}

// Get returns what a Dict has for a key that is a text.
func (v Value) Get(key string) (value Value, ok bool) {
	if v.Kind() != Dict {
		return Value{}, false
	}
	v.d.eachPair(v.n, func(k, item uint32) bool {
		if kind := v.d.nodes[k].kind; (kind == Text || kind == Bytes) && string(v.d.bytes(k)) == key {
			value, ok = Value{v.d, item}, true
		}
		return true
	})
	return value, ok
}

// eachPair calls do with the keys and values of a dict until it returns false.
func (d *Decoder) eachPair(n uint32, do func(key, value uint32) bool) {
	key, have := uint32(0), false
	d.each(n, func(item uint32) bool {
		if have = !have; have {
			key = item
			return true
		}
		return do(key, item)
	})
}
