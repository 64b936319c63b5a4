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

// Entries goes over the keys and values of a Dict, as Pairs does, and says what they are
// without a call for each question:
//
//	for e := v.Entries(); e.Next(); {
//		name := e.Key.Text
//	}
type Entries struct {
	// Key and Value are the present ones.
	Key, Value Entry

	d     *Decoder
	items []uint32 // of the present run, that are to come
	next  uint32   // run
	left  uint64   // items, from that on
}

// Entry is a key or a value.
type Entry struct {
	Kind Kind
	// Text is what Value.Text returns, of a Text and of Bytes.
	Text []byte
	// Placed is set if that stands in the pickle as it is, at Off.
	Placed bool
	Off    uint32

	n uint32
}

// Entries returns the entries of a Dict, none of any other value.
func (v Value) Entries() Entries {
	if v.Kind() != Dict {
		return Entries{}
	}
	return Entries{d: v.d, next: v.d.nodes[v.n].a, left: v.d.nodes[v.n].value}
}

// Of returns an entry as a Value.
func (e *Entries) Of(x *Entry) Value { return Value{e.d, x.n} }

// Next goes to the next entry. It returns false when there is none.
func (e *Entries) Next() bool {
	if items := e.items; len(items) >= 2 {
		e.items = items[2:]
		e.d.entry(&e.Key, items[0])
		e.d.entry(&e.Value, items[1])
		return true
	}
	return e.take(&e.Key) && e.take(&e.Value)
}

// take takes one item, for a pair that may be in two runs.
func (e *Entries) take(into *Entry) bool {
	for len(e.items) == 0 {
		if e.next == 0 || e.left == 0 {
			return false
		}
		r := &e.d.runs[e.next]
		e.items, e.next = e.d.items[r.start:][:min(uint64(r.n), e.left)], r.next
		e.left -= uint64(len(e.items))
	}
	e.d.entry(into, e.items[0])
	e.items = e.items[1:]
	return true
}

// entry makes an Entry of a node.
func (d *Decoder) entry(into *Entry, n uint32) {
	x := &d.nodes[n]
	into.n, into.Kind = n, x.kind
	switch {
	case x.kind != Text && x.kind != Bytes:
		into.Text, into.Placed = nil, false
	case x.mine:
		into.Text, into.Placed = d.arena[x.a:x.a+x.b], false
	default:
		into.Text, into.Placed, into.Off = d.src[x.a:x.a+x.b], true, x.a
	}
}

// Get returns what a Dict has for a key that is a text.
func (v Value) Get(key string) (value Value, ok bool) {
	if v.Kind() != Dict {
		return Value{}, false
	}
	if d, x := v.d, v.node(); x.a == x.b && x.value&1 == 0 { // set all at once, as most are
		items := d.items[d.runs[x.a].start:][:min(uint64(d.runs[x.a].n), x.value)]
		for i := len(items) - 2; i >= 0; i -= 2 {
			if kind := d.nodes[items[i]].kind; (kind == Text || kind == Bytes) && string(d.bytes(items[i])) == key {
				return Value{d, items[i+1]}, true
			}
		}
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
