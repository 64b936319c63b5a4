package protobuf_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

// TestBytes holds the bytes against protobuf's own examples and what its definition says.
func TestBytes(t *testing.T) {
	check := func(got []byte, want string) {
		t.Helper()
		if text := hex.EncodeToString(got); text != want {
			t.Errorf("%s; want %s", text, want)
		}
	}
	check(protobuf.AppendNumber(nil, 1, 150), "089601")
	check(protobuf.AppendText(nil, 2, "testing"), "120774657374696e67")
	check(protobuf.AppendSigned(nil, 1, -1), "0801")
	check(protobuf.AppendSigned(nil, 1, 1), "0802")
	check(protobuf.AppendFloat(nil, 16, 1), "8101"+"000000000000f03f")
	b, at := protobuf.Open(nil, 3)
	check(protobuf.Close(protobuf.AppendNumber(b, 1, 150), at), "1a03089601")
	b, at = protobuf.Open(nil, 6) // packed
	check(protobuf.Close(binary.AppendUvarint(binary.AppendUvarint(append(b, 3), 270), 86942), at), "3206"+"03"+"8e02"+"9ea705")
}

// TestNested has messages whose lengths take one to three bytes, within one another.
func TestNested(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1 << 20} {
		text := bytes.Repeat([]byte("x"), n)
		inner := protobuf.AppendText(nil, 1, text)
		want := append(binary.AppendUvarint([]byte{0x12}, uint64(len(inner))), inner...)
		want = append(binary.AppendUvarint(nil, uint64(len(want))), want...)
		b, outer := protobuf.Begin([]byte("before"))
		b, at := protobuf.Open(b, 2)
		b = protobuf.Close(protobuf.Close(protobuf.AppendText(b, 1, text), at), outer)
		if !bytes.Equal(b, append([]byte("before"), want...)) {
			t.Errorf("%d bytes: %x; want %x", n, b[:min(len(b), 40)], want[:min(len(want), 40)])
		}
	}
}

// FuzzFields reads what was written as the definition of the format says.
func FuzzFields(f *testing.F) {
	f.Add(uint32(1), uint64(1), int64(-1), 1.5, "x")
	f.Add(uint32(1<<29-1), uint64(math.MaxUint64), int64(math.MinInt64), math.NaN(), "")
	f.Fuzz(func(t *testing.T, field uint32, n uint64, s int64, v float64, text string) {
		field = max(field%(1<<29), 1)
		b, at := protobuf.Begin(nil)
		b = protobuf.AppendNumber(b, field, n)
		b = protobuf.AppendSigned(b, field, s)
		b = protobuf.AppendFloat(b, field, v)
		b = protobuf.AppendText(b, field, text)
		b = protobuf.Close(b, at)
		number := func() uint64 {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				t.Fatalf("no number at %x", b)
			}
			b = b[n:]
			return x
		}
		if size := number(); size != uint64(len(b)) {
			t.Fatalf("length %d of %d", size, len(b))
		}
		for _, wire := range []uint64{0, 0, 1, 2} {
			if got := number(); got != uint64(field)<<3|wire {
				t.Fatalf("tag %x", got)
			}
			switch wire {
			case 0:
				got := number()
				if got != n && int64(got>>1)^-int64(got&1) != s {
					t.Fatalf("%d; want %d or %d", got, n, s)
				}
			case 1:
				if binary.LittleEndian.Uint64(b) != math.Float64bits(v) {
					t.Fatalf("%x; want %v", b[:8], v)
				}
				b = b[8:]
			case 2:
				if size := number(); size != uint64(len(b)) || string(b) != text {
					t.Fatalf("%q; want %q", b, text)
				}
			}
		}
	})
}
