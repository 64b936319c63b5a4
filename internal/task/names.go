package task

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// names finds what is known under a name. A record has two dozen of keys, so this is what
// most of reading one was.
type names struct {
	buckets [256]uint16 // the place of the first in list of those with that hash, plus one
	list    []named
}

type named struct {
	name string
	spot spot
	next uint16 // the next of the same hash, plus one
}

// hashName returns a number that most names have alone. The name is not empty.
func hashName(name []byte) uint8 {
	n := len(name)
	return uint8(n)*31 ^ name[0]*7 ^ name[n-1]*13 ^ name[n/2]
}

// add enters a name, unless it is known.
func (t *names) add(name string, s spot) {
	key := []byte(name)
	if _, ok := t.find(key); ok || name == "" {
		return
	}
	b := &t.buckets[hashName(key)]
	t.list = append(t.list, named{name, s, *b})
	*b = uint16(len(t.list))
}

// find returns what is known under a name. None is known to a nil table.
func (t *names) find(name []byte) (spot, bool) {
	if len(name) == 0 || t == nil {
		return spot{}, false
	}
	for at := t.buckets[hashName(name)]; at > 0; {
		n := &t.list[at-1]
		if n.name == string(name) {
			return n.spot, true
		}
		at = n.next
	}
	return spot{}, false
}

// keys are those of the JSON before, inner ones in their places among the others: most records
// of a stream have the same in the same order, and then a key is known when its bytes are the
// same up to the value.
type keys struct {
	list []key
	at   int // how many the present text has had
	odd  key // one beyond maxKeys
}

// key is a key of an object, and what is known under it.
type key struct {
	text   []byte // from its first quote to its value
	size   int    // of the name, which begins behind the quote
	known  *names // where it was looked up
	spot   spot
	wanted bool
}

func (k *key) name() []byte { return k.text[1 : 1+k.size] }

const (
	maxKeys    = 64
	maxKeyText = 128
)

// next goes over the next key of an object, up to its value; nil if there is none. It is
// valid until the one after that.
func (t *keys) next(scan *jsontext.Scanner, known *names) *key {
	i := t.at
	t.at++
	if i < len(t.list) {
		if k := &t.list[i]; k.known == known && bytes.HasPrefix(scan.Text[scan.At:], k.text) {
			scan.At += len(k.text)
			scan.Space()
			return k
		}
	}
	from := scan.At
	if !scan.Take('"') {
		return nil
	}
	name, _, ok := scan.Inside()
	scan.Space()
	if !ok || !scan.Take(':') {
		return nil
	}
	scan.Space()
	k := &t.odd
	if scan.At-from <= maxKeyText && i < maxKeys && i <= len(t.list) {
		if i == len(t.list) {
			t.list = append(t.list, key{})
		}
		k = &t.list[i]
	}
	k.text, k.size, k.known = append(k.text[:0], scan.Text[from:scan.At]...), len(name), known
	k.spot, k.wanted = known.find(name)
	return k
}
