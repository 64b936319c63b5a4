package metric

import (
	"cmp"
	"hash/maphash"
	"strings"
)

// Most families with a subject are named after it, app_hits_total after app.hits. Such a family is joint:
// its text is the subject and behind it what its name has more, app.hits_total. Other families' text is
// the name and behind it the subject.

// setText makes f the family of that name and subject.
func (f *Family) setText(name, subject string) {
	if f.joint = namedAfter(name, subject); f.joint {
		f.text, f.border = subject+name[len(subject):], uint16(len(subject))
	} else {
		f.text, f.border = name+subject, uint16(len(name))
	}
}

func namedAfter(name, subject string) bool {
	if subject == "" || len(subject) > len(name) {
		return false
	}
	for i := range len(subject) {
		if nameByte(subject[i]) != name[i] {
			return false
		}
	}
	return true
}

// nameByte returns what stands in a joint family's name for a byte of its subject.
func nameByte(c byte) byte {
	if c|0x20-'a' < 26 || c-'0' < 10 {
		return c
	}
	return '_'
}

// Name returns the family's name; AppendName does it without allocating.
func (f *Family) Name() string {
	if !f.joint {
		return f.text[:f.border]
	}
	return string(f.AppendName(make([]byte, 0, len(f.text))))
}

// AppendName appends the family's name to dst and returns it.
func (f *Family) AppendName(dst []byte) []byte {
	if !f.joint {
		return append(dst, f.text[:f.border]...)
	}
	at := len(dst)
	dst = append(dst, f.text...)
	subject := dst[at : at+int(f.border)]
	for i, c := range subject {
		subject[i] = nameByte(c)
	}
	return dst
}

// Subject returns the Subject that the family was made with.
func (f *Family) Subject() string {
	if f.joint {
		return f.text[:f.border]
	}
	return f.text[f.border:]
}

// nameLen returns how long the name is.
func (f *Family) nameLen() int {
	if f.joint {
		return len(f.text)
	}
	return int(f.border)
}

// nameAt returns a byte of the name.
func (f *Family) nameAt(i int) byte {
	c := f.text[i]
	if !f.joint || i >= int(f.border) {
		return c
	}
	return nameByte(c)
}

// compareNames compares the names of two families.
func compareNames(a, b *Family) int {
	if !a.joint && !b.joint {
		return strings.Compare(a.Name(), b.Name())
	}
	for i := range min(a.nameLen(), b.nameLen()) {
		if x, y := a.nameAt(i), b.nameAt(i); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(a.nameLen(), b.nameLen())
}

// hash is of the name.
func (f *Family) hash(seed maphash.Seed) uint64 {
	var room [128]byte
	return maphash.Bytes(seed, f.AppendName(room[:0]))
}

// is tells whether the name is a key given in two parts.
func (f *Family) is(key, more string) bool {
	if f.nameLen() != len(key)+len(more) {
		return false
	}
	if !f.joint {
		return f.text[:len(key)] == key && f.text[len(key):f.border] == more
	}
	for i := range len(key) {
		if f.nameAt(i) != key[i] {
			return false
		}
	}
	for i := range len(more) {
		if f.nameAt(len(key)+i) != more[i] {
			return false
		}
	}
	return true
}
