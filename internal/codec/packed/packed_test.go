package packed_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/weirlog/weir/internal/codec/packed"
)

// written is a value of each kind, as its owner would write it.
func written() []byte {
	b := []byte{7}
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.AppendUvarint(b, 300)
	b = append(binary.AppendUvarint(b, 3), "abc"...)
	b = append(binary.AppendUvarint(b, 2), "de"...)
	b = binary.LittleEndian.AppendUint32(b, 0xfedcba98)
	return binary.LittleEndian.AppendUint64(b, 0xfedcba9876543210)
}

type values struct {
	version     byte
	unsigned    uint64
	signed      int64
	most        uint64
	bytes, text string
	four        uint32
	eight       uint64
}

func take(r *packed.Reader) (v values) {
	v.version, v.unsigned, v.signed, v.most = r.Byte(), r.Uvarint(), r.Varint(), r.Most(300)
	v.bytes, v.text = string(r.Bytes()), r.Text()
	v.four, v.eight = r.Fixed32(), r.Fixed64()
	return v
}

func TestReader(t *testing.T) {
	r := packed.Reader{Rest: append(written(), "rest"...)}
	got := take(&r)
	if want := (values{7, math.MaxUint64, math.MinInt64, 300, "abc", "de", 0xfedcba98, 0xfedcba9876543210}); got != want || r.Failed() || string(r.Rest) != "rest" {
		t.Errorf("%+v, failed %v, rest %q", got, r.Failed(), r.Rest)
	}
	for n := range written() {
		r := packed.Reader{Rest: written()[:n]}
		if take(&r); !r.Failed() || r.Rest != nil {
			t.Errorf("of the first %d bytes: failed %v, rest %q", n, r.Failed(), r.Rest)
		}
	}
}

// TestRefused: what cannot be is refused, and nothing is taken after it.
func TestRefused(t *testing.T) {
	for what, r := range map[string]struct {
		text string
		take func(r *packed.Reader) bool // whether it took zero
	}{
		"above the most":           {"\x09rest", func(r *packed.Reader) bool { return r.Most(8) == 0 }},
		"more than there is":       {"\x05rest", func(r *packed.Reader) bool { return r.Count() == 0 }},
		"a text beyond the end":    {"\x05rest", func(r *packed.Reader) bool { return len(r.Bytes()) == 0 }},
		"a number of eleven":       {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", func(r *packed.Reader) bool { return r.Uvarint() == 0 }},
		"a signed one of eleven":   {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", func(r *packed.Reader) bool { return r.Varint() == 0 }},
		"what its owner takes not": {"rest", func(r *packed.Reader) bool { r.Fail(); return true }},
	} {
		p := packed.Reader{Rest: []byte(r.text)}
		if !r.take(&p) || !p.Failed() || p.Byte() != 0 || p.Uvarint() != 0 || p.Text() != "" {
			t.Errorf("%s: failed %v, rest %q", what, p.Failed(), p.Rest)
		}
	}
}

// TestBytesAreApart: appending to what was taken leaves the rest as it is.
func TestBytesAreApart(t *testing.T) {
	r := packed.Reader{Rest: []byte("\x01a\x01b")}
	_ = append(r.Bytes(), "xyz"...)
	if got := r.Text(); got != "b" {
		t.Errorf("%q", got)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written())
	f.Add([]byte{})
	f.Add([]byte("\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		r := packed.Reader{Rest: b}
		for len(r.Rest) > 0 {
			before := len(r.Rest)
			if n := len(r.Bytes()); n > before {
				t.Fatalf("%d bytes of %d", n, before)
			}
			take(&r)
			if len(r.Rest) >= before {
				t.Fatal("nothing was taken")
			}
		}
		if !bytes.Equal(given, b) {
			t.Fatal("what is read was changed")
		}
	})
}
