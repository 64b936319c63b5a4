package protobuf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Wire is how the value of a field is written.
type Wire byte

// The wire types that are read.
const (
	Varint  Wire = varint
	Fixed64 Wire = fixed
	Sized   Wire = sized
	Fixed32 Wire = fixed32
)

// A SyntaxError says where a message stops making sense.
type SyntaxError struct {
	// Offset is in bytes, from the beginning of the outermost message.
	Offset int
	// Message says what was wrong there.
	Message string
}

// Error returns the message with the place.
func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Message) }

// Reader goes through the fields of a message. Of a field, Number, Wire and Value or Bytes are
// what Next has found; Bytes is a part of the text. It belongs to one goroutine.
type Reader struct {
	// Number is that of the present field.
	Number uint32
	// Wire is how its value is written.
	Wire Wire
	// Value is that of a number: the bits of a fixed one, a varint as it is.
	Value uint64
	// Bytes is the value of a sized field.
	Bytes []byte

	text    []byte
	at, end int
	from    int // where Bytes begins
	err     error
}

// NewReader returns a reader of a whole message.
func NewReader(text []byte) Reader { return Reader{text: text, end: len(text)} }

// Message returns a reader of the present field, which is a message. If it is none, that
// reader has an error.
func (r *Reader) Message() Reader {
	m := Reader{text: r.text, at: r.from, end: r.from + len(r.Bytes)}
	if r.Wire != Sized {
		m.at, m.end = r.at, r.at
		m.fail(r.at, "a number stands where a message should")
	}
	return m
}

// Err returns what is wrong, a *SyntaxError, once Next has returned false.
func (r *Reader) Err() error { return r.err }

// Wrong returns an error at the present field, or at the end of what was read, for whoever knows what the
// message means.
func (r *Reader) Wrong(message string) error {
	if r.Wire == Sized {
		return &SyntaxError{Offset: r.from, Message: message}
	}
	return &SyntaxError{Offset: r.at, Message: message}
}

func (r *Reader) fail(at int, message string) bool {
	if r.err == nil {
		r.err = &SyntaxError{Offset: at, Message: message}
	}
	return false
}

// Next goes on to the next field. False says that there is none, or that something is wrong.
func (r *Reader) Next() bool {
	if r.at >= r.end || r.err != nil {
		return false
	}
	// Nearly all fields are texts and messages of less than 128 bytes with a number below 16.
	if head := r.text[r.at:r.end]; len(head) > 1 && head[0]&0x87 == byte(Sized) && head[0] > byte(Sized) && int(head[1]) <= len(head)-2 && head[1] < 0x80 {
		r.Number, r.Wire = uint32(head[0]>>3), Sized
		r.from = r.at + 2
		r.at = r.from + int(head[1])
		r.Bytes = head[2 : 2+int(head[1]) : 2+int(head[1])]
		return true
	}
	return r.next()
}

// next is Next for any field.
func (r *Reader) next() bool {
	from := r.at
	var tag uint64
	if !r.varint(&tag) {
		return false
	}
	if r.Number = uint32(tag >> 3); tag>>3 == 0 || tag>>3 > math.MaxInt32 {
		return r.fail(from, "no field of protobuf begins like this")
	}
	r.Wire, r.Bytes = Wire(tag&7), nil
	switch r.Wire {
	case Varint:
		return r.varint(&r.Value)
	case Fixed64:
		if r.end-r.at < 8 {
			return r.fail(r.at, "a number that does not end")
		}
		r.Value = binary.LittleEndian.Uint64(r.text[r.at:])
		r.at += 8
	case Fixed32:
		if r.end-r.at < 4 {
			return r.fail(r.at, "a number that does not end")
		}
		r.Value = uint64(binary.LittleEndian.Uint32(r.text[r.at:]))
		r.at += 4
	case Sized:
		return r.sized()
	default:
		return r.fail(from, "a field of a type that protobuf does not have")
	}
	return true
}

func (r *Reader) sized() bool {
	var n uint64
	if !r.varint(&n) {
		return false
	}
	if n > uint64(r.end-r.at) {
		return r.fail(r.at, "a field that is longer than what it is in")
	}
	r.from = r.at
	r.at += int(n)
	r.Bytes = r.text[r.from:r.at:r.at]
	return true
}

func (r *Reader) varint(v *uint64) bool {
	if b := r.text[r.at:r.end]; len(b) > 0 && b[0] < 0x80 {
		*v = uint64(b[0])
		r.at++
		return true
	}
	n, width := binary.Uvarint(r.text[r.at:r.end])
	if width <= 0 {
		return r.fail(r.at, "a number that does not end")
	}
	*v = n
	r.at += width
	return true
}

// Float returns the present field, which is a double.
func (r *Reader) Float() float64 { return math.Float64frombits(r.Value) }

// Signed returns the present field, which is a sint32 or sint64.
func (r *Reader) Signed() int64 { return int64(r.Value>>1) ^ -int64(r.Value&1) }
