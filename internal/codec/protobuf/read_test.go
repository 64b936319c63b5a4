package protobuf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

func TestReader(t *testing.T) {
	b := protobuf.AppendNumber(nil, 1, 150)
	b = protobuf.AppendSigned(b, 2, -3)
	b = protobuf.AppendFloat(b, 3, 1.5)
	b = protobuf.AppendFixed32(b, 4, 7)
	b = protobuf.AppendText(b, 5000, protobuf.AppendFixed(nil, 1, 9))
	r := protobuf.NewReader(b)
	next := func(number uint32, wire protobuf.Wire) {
		t.Helper()
		if !r.Next() || r.Number != number || r.Wire != wire {
			t.Fatalf("field %d, type %d, %v; want field %d, type %d", r.Number, r.Wire, r.Err(), number, wire)
		}
	}
	next(1, protobuf.Varint)
	if r.Value != 150 {
		t.Error(r.Value)
	}
	next(2, protobuf.Varint)
	if r.Signed() != -3 {
		t.Error(r.Signed())
	}
	next(3, protobuf.Fixed64)
	if r.Float() != 1.5 {
		t.Error(r.Float())
	}
	next(4, protobuf.Fixed32)
	if m := r.Message(); r.Value != 7 || m.Next() || m.Err() == nil {
		t.Error("a number is a message")
	}
	next(5000, protobuf.Sized)
	if m := r.Message(); !m.Next() || m.Number != 1 || m.Value != 9 || m.Next() || m.Err() != nil {
		t.Error(m)
	}
	if r.Next() || r.Err() != nil {
		t.Error("there is more")
	}
}

func TestReaderRefuses(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		r := protobuf.NewReader([]byte(text))
		for r.Next() {
		}
		var syntax *protobuf.SyntaxError
		if !errors.As(r.Err(), &syntax) || !strings.Contains(syntax.Error(), want) {
			t.Errorf("%q: %v; want %q", text, r.Err(), want)
		}
	}
	bad("\x00", "no field")
	bad("\x08", "does not end")
	bad("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "does not end")
	bad("\x09\x01", "does not end")
	bad("\x0d\x01", "does not end")
	bad("\x0a\x02x", "longer")
	bad("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer")
	bad("\x0b", "a type")
	bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "no field")
}

// FuzzReader: whatever the bytes are, it comes to an end within them.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x0a\x04\x08\x96\x01\x10"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		for r := protobuf.NewReader(text); r.Next(); n++ {
			m := r.Message()
			for m.Next() {
			}
		}
		if n > len(text) {
			t.Errorf("%d fields in %d bytes", n, len(text))
		}
	})
}
