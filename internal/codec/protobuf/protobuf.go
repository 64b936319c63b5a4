// Package protobuf writes and reads the fields of protobuf's messages, for the formats of
// Prometheus, Loki and OpenTelemetry that are made of them.
//
//	b, at := protobuf.Open(b, 4) // field 4 is a message
//	b = protobuf.AppendText(b, 1, "up")
//	b = protobuf.Close(b, at)
//
//	for r := protobuf.NewReader(b); r.Next(); {
//		m := r.Message() // if r.Number is 4
//	}
//
// Nothing is allocated but what the slice grows by. The package leaves out groups, which
// nobody uses any more, and what the messages mean.
package protobuf

import (
	"encoding/binary"
	"math"
	"slices"
)

// The wire types.
const (
	varint = 0
	fixed  = 1
	sized  = 2 // bytes with their length before them

	fixed32 = 5
)

// tag appends what a field begins with.
func tag(dst []byte, field uint32, wire byte) []byte {
	return binary.AppendUvarint(dst, uint64(field)<<3|uint64(wire))
}

// AppendNumber appends an integer, an enum or a bool; a negative int64 as its two's complement.
func AppendNumber(dst []byte, field uint32, n uint64) []byte {
	return binary.AppendUvarint(tag(dst, field, varint), n)
}

// AppendSigned appends a sint32 or sint64.
func AppendSigned(dst []byte, field uint32, n int64) []byte {
	return AppendRawSigned(tag(dst, field, varint), n)
}

// AppendRawSigned appends a sint64 of a packed field, which has no tag.
func AppendRawSigned(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

// AppendFixed appends a fixed64 or sfixed64.
func AppendFixed(dst []byte, field uint32, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(tag(dst, field, fixed), n)
}

// AppendFixed32 appends a fixed32.
func AppendFixed32(dst []byte, field uint32, n uint32) []byte {
	return binary.LittleEndian.AppendUint32(tag(dst, field, fixed32), n)
}

// AppendFloat appends a double.
func AppendFloat(dst []byte, field uint32, v float64) []byte {
	return AppendRawFloat(tag(dst, field, fixed), v)
}

// AppendRawFloat appends a double of a packed field, which has no tag.
func AppendRawFloat(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

// AppendText appends a text, or bytes.
func AppendText[T string | []byte](dst []byte, field uint32, text T) []byte {
	return append(binary.AppendUvarint(tag(dst, field, sized), uint64(len(text))), text...)
}

// Open begins a message, or a packed field. What is appended until Close is in it.
func Open(dst []byte, field uint32) (b []byte, at int) {
	return Begin(tag(dst, field, sized))
}

// Begin is Open for a message that stands by itself, with its length before it.
func Begin(dst []byte) (b []byte, at int) {
	return append(dst, 0), len(dst)
}

// Close ends what Open or Begin has begun: its length goes to where that said. Most messages
// are so short that the byte left for it is enough; else they move.
func Close(dst []byte, at int) []byte {
	n := uint64(len(dst) - at - 1)
	var length [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(length[:], n)
	if width > 1 {
		dst = slices.Grow(dst, width-1)[:len(dst)+width-1]
		copy(dst[at+width:], dst[at+1:])
	}
	copy(dst[at:], length[:width])
	return dst
}
