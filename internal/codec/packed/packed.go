// Package packed takes numbers and texts off the front of the bytes that weir's own files
// and cursors are packed of.
//
//	r := packed.Reader{Rest: b}
//	id, size := r.Uvarint(), r.Most(maxSize)
//	if r.Failed() || len(r.Rest) > 0 {
//		return errFormat
//	}
//
// They are written with the standard library: binary.AppendUvarint, AppendVarint, and the
// like. What the bytes mean, and which version of them it is, is their owner's business.
package packed

import "encoding/binary"

// Reader takes values off the front of Rest. Once one is not there, or does not fit, the
// reader has failed: it returns zeros, and nothing is left of Rest. So it is enough to ask
// once, at the end. It belongs to one goroutine.
type Reader struct {
	// Rest is what was not taken yet.
	Rest []byte

	failed bool
}

// Failed tells whether a value was not there or did not fit.
func (r *Reader) Failed() bool { return r.failed }

// Fail makes the reader one that has failed: for a value that its owner does not take.
func (r *Reader) Fail() { r.failed, r.Rest = true, nil }

// Byte takes one byte.
func (r *Reader) Byte() byte {
	if len(r.Rest) == 0 {
		r.Fail()
		return 0
	}
	b := r.Rest[0]
	r.Rest = r.Rest[1:]
	return b
}

// Uvarint takes a number as binary.AppendUvarint writes it.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Varint takes a number as binary.AppendVarint writes it.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.Rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Most takes a number as Uvarint does; it fails if that is above most.
func (r *Reader) Most(most uint64) uint64 {
	v := r.Uvarint()
	if v > most {
		r.Fail()
		return 0
	}
	return v
}

// Count takes a number of things of at least one byte each, so never more than there are
// bytes left.
func (r *Reader) Count() int {
	v := r.Uvarint()
	if v > uint64(len(r.Rest)) {
		r.Fail()
		return 0
	}
	return int(v)
}

// Bytes takes a length, as Count does, and as many bytes, which are a part of Rest.
func (r *Reader) Bytes() []byte { return r.take(r.Count()) }

// Text is like Bytes, and returns a copy.
func (r *Reader) Text() string { return string(r.Bytes()) }

// Fixed32 takes four bytes, the lowest first.
func (r *Reader) Fixed32() uint32 {
	if len(r.Rest) < 4 {
		r.Fail()
		return 0
	}
	return binary.LittleEndian.Uint32(r.take(4))
}

// Fixed64 takes eight bytes, the lowest first.
func (r *Reader) Fixed64() uint64 {
	if len(r.Rest) < 8 {
		r.Fail()
		return 0
	}
	return binary.LittleEndian.Uint64(r.take(8))
}

// take takes n bytes, which are there. What is appended to them does not overwrite Rest.
func (r *Reader) take(n int) []byte {
	b := r.Rest[:n:n]
	r.Rest = r.Rest[n:]
	return b
}
