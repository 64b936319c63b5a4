package metric

import "hash/maphash"

// keyed is what an index finds by its key.
type keyed interface {
	*Family | *Series
	hash(seed maphash.Seed) uint64
	is(key, more string) bool // it has the key that these two parts make
}

// index finds families or series by their keys. It takes a third of the memory of a map, as
// the keys are where they belong already. The zero index is empty.
type index[T keyed] struct {
	seed   maphash.Seed
	places []T // open addressing; a power of two, at most seven eighths full
	n      int
}

// home returns the place that a key, given in two parts, belongs in.
func (x *index[T]) home(key, more string) int {
	if more == "" {
		return int(maphash.String(x.seed, key)) & (len(x.places) - 1)
	}
	var h maphash.Hash
	h.SetSeed(x.seed)
	_, _ = h.WriteString(key) // never fails
	_, _ = h.WriteString(more)
	return int(h.Sum64()) & (len(x.places) - 1)
}

func (x *index[T]) homeOf(v T) int { return int(v.hash(x.seed)) & (len(x.places) - 1) }

// get returns what has the key, given in two parts; nil if nothing does.
func (x *index[T]) get(key, more string) (none T) {
	if x.n == 0 {
		return none
	}
	for i := x.home(key, more); ; i = (i + 1) & (len(x.places) - 1) {
		v := x.places[i]
		if v == none {
			return none
		}
		if v.is(key, more) {
			return v
		}
	}
}

// put adds v, whose key nothing else has.
func (x *index[T]) put(v T) {
	if (x.n+1)*8 > len(x.places)*7 {
		x.resize(max(8, 2*len(x.places)))
	}
	x.n++
	x.place(v)
}

func (x *index[T]) place(v T) {
	var none T
	i := x.homeOf(v)
	for x.places[i] != none {
		i = (i + 1) & (len(x.places) - 1)
	}
	x.places[i] = v
}

func (x *index[T]) resize(size int) {
	if x.places == nil {
		x.seed = maphash.MakeSeed()
	}
	var none T
	old := x.places
	x.places = make([]T, size)
	for _, v := range old {
		if v != none {
			x.place(v)
		}
	}
}

// remove takes out v, which is in it.
func (x *index[T]) remove(v T) {
	mask := len(x.places) - 1
	i := x.homeOf(v)
	for x.places[i] != v {
		i = (i + 1) & mask
	}
	// What stands behind it must stay where get comes by.
	var none T
	for j := i; ; {
		x.places[i] = none
		for {
			if j = (j + 1) & mask; x.places[j] == none {
				if x.n--; len(x.places) > 64 && x.n < len(x.places)/8 {
					x.resize(len(x.places) / 4)
				}
				return
			}
			if home := x.homeOf(x.places[j]); (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		x.places[i] = x.places[j]
		i = j
	}
}
