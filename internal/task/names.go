package task

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
