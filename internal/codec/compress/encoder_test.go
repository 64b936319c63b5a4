package compress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// checkFrame checks that what e makes of text is unpacked to it by a decoder of others, its
// checksum included.
func checkFrame(t *testing.T, e *Encoder, text []byte) (frame []byte) {
	t.Helper()
	frame = e.AppendFrame(nil, text)
	if n, err := FrameLen(frame); n != len(frame) || err != nil {
		t.Fatalf("FrameLen of a frame of %d bytes = %d, %v", len(frame), n, err)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	back, err := d.DecodeAll(frame, nil)
	if err != nil || !bytes.Equal(back, text) {
		t.Fatalf("%d bytes, %.60q, came back as %d bytes, %v", len(text), text, len(back), err)
	}
	if most := len(text) + 20 + 3*(len(text)/maxBlockBytes+1); len(frame) > most {
		t.Fatalf("%d bytes make a frame of %d", len(text), len(frame))
	}
	return frame
}

// pieces makes text of n bytes from parts: noise, words, runs of one byte, and copies of
// what is there already.
func pieces(r *rand.Rand, n int) []byte {
	kinds := 1 + r.IntN(5)
	longest := 1 << r.IntN(18)
	var b []byte
	for len(b) < n {
		size := 1 + r.IntN(longest)
		switch r.IntN(kinds) {
		case 0:
			at := r.IntN(len(b) + 1)
			for i := 0; i < size && at+i < len(b); i++ {
				b = append(b, b[at+i])
			}
			b = append(b, "\" /=\n"[r.IntN(5)])
		case 1:
			b = append(b, fmt.Sprintf(" %d %x", r.IntN(10), r.IntN(1<<16))...)
		case 2:
			b = append(b, bytes.Repeat([]byte{byte(r.IntN(256))}, size)...)
		case 3:
			for range size {
				b = append(b, byte(r.Uint32()))
			}
		case 4:
			b = append(b, strings.Repeat("status=200 ", size/10)...)
		}
	}
	return b[:n]
}

func TestAppendFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var e Encoder
	for n := range 300 {
		checkFrame(t, &e, pieces(r, n))
	}
	for _, n := range []int{255 + 1<<16, 256 + 1<<16, maxBlockBytes - 1, maxBlockBytes, maxBlockBytes + 1, 1 << 20} {
		checkFrame(t, &e, pieces(r, n))
		checkFrame(t, &e, make([]byte, n))
	}
	for range 50 {
		checkFrame(t, &e, pieces(r, r.IntN(400_000)))
	}
	// Blocks that stay as they are between others: the decoder must not be thought to know
	// the offsets and the tree that were made for them.
	var mixed []byte
	for i := range 6 {
		text := pieces(r, maxBlockBytes)
		for j := range text {
			if i%3 == 1 {
				text[j] = byte(r.Uint32())
			}
		}
		mixed = append(mixed, text...)
	}
	checkFrame(t, &e, mixed)
	copy(mixed[maxBlockBytes*4:], mixed[maxBlockBytes:2*maxBlockBytes])
	checkFrame(t, &e, mixed)
}

// TestRatio holds the encoder against the library's levels on what it is made for.
func TestRatio(t *testing.T) {
	text, err := os.ReadFile("../scan/testdata/docker.txt")
	if err != nil {
		t.Fatal(err)
	}
	// Lines as of a longer log: with times and identifiers of their own.
	r := rand.New(rand.NewPCG(1, 2))
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	var b []byte
	for i := 0; len(b) < 512<<10; i++ {
		b = fmt.Appendf(b, `{"time":"2026-11-21T05:%02d:%02d.%09dZ","level":"info","body":"%s rid=%016x"}`+"\n",
			i/60%60, i%60, r.IntN(1e9), lines[r.IntN(len(lines))], r.Uint64())
	}
	var e Encoder
	ours := len(checkFrame(t, &e, b))
	library := func(level zstd.EncoderLevel) int {
		k, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = k.Close() }()
		return len(k.EncodeAll(b, nil))
	}
	if fastest := library(zstd.SpeedFastest); ours > fastest*93/100 {
		t.Errorf("%d bytes; the library's fastest level makes %d", ours, fastest)
	}
}

// TestManySequences makes a block with more sequences than search finds in any: their number
// then has three bytes.
func TestManySequences(t *testing.T) {
	for _, n := range []int{1, 2, 127, 128, 0x7eff, 0x7f00, 0x7f01, 40_000} {
		var s sequences
		s.list = append(s.list, sequence{lits: 1, match: 0, offset: 1 + 3})
		for len(s.list) < n {
			s.list = append(s.list, sequence{lits: 0, match: uint32(len(s.list) % 2), offset: 1 + 3})
		}
		size := 1
		for _, q := range s.list {
			size += int(q.match) + minMatch
		}
		if size > maxBlockBytes {
			s.list = s.list[:0]
			size = 1
			for len(s.list) < n {
				s.list = append(s.list, sequence{lits: uint32(1 - min(len(s.list), 1)), offset: 1 + 3})
				size += minMatch
			}
		}
		block := s.append([]byte{1 << 3, 'a'}) // one literal, as it is
		text := bytes.Repeat([]byte{'a'}, size)
		frame := appendHeader(nil, size)
		header := len(block)<<3 | blockCompressed<<1 | 1
		frame = append(frame, byte(header), byte(header>>8), byte(header>>16))
		frame = append(frame, block...)
		frame = binary.LittleEndian.AppendUint32(frame, uint32(xxh64(text)))
		var d Decoder
		if back, err := d.AppendBlock(nil, frame, size); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%d sequences: %d bytes, %v; want %d", n, len(back), err, size)
		}
	}
}

// TestFarCopies has offsets, copies and literals with as many bits as a large frame can have.
func TestFarCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	text := make([]byte, 3<<20)
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	half := len(text) / 2
	for at := half; at < len(text)-70_000; at += r.IntN(70_000) {
		n := r.IntN(40)
		if r.IntN(4) == 0 {
			n = r.IntN(70_000)
		}
		from := r.IntN(half - n)
		copy(text[at:at+n], text[from:])
		at += n
	}
	var e Encoder
	checkFrame(t, &e, text)
}

// TestCodes holds the codes of lengths against the ranges that they stand for.
func TestCodes(t *testing.T) {
	check := func(kind string, code func(uint32) uint8, extra *[maxCodes]uint8) {
		next := uint32(0)
		for c := uint8(0); next < maxBlockBytes; c++ {
			last := next + 1<<extra[c] - 1
			if first := code(next); first != c || code(last) != c {
				t.Errorf("%s: %d to %d have the codes %d and %d; want %d", kind, next, last, first, code(last), c)
			}
			if next&(1<<extra[c]-1) != 0 && next >= 64 {
				t.Errorf("%s: code %d begins at %d", kind, c, next)
			}
			next = last + 1
		}
	}
	check("literals", litCode, &litBits)
	check("matches", matchCode, &matchBits)
}

func TestXXH64(t *testing.T) {
	good := func(in string, want uint64) {
		t.Helper()
		if got := xxh64([]byte(in)); got != want {
			t.Errorf("xxh64(%q) = %x; want %x", in, got, want)
		}
	}
	good("", 0xef46db3751d8e999)
	good("a", 0xd24ec4f1a98c6e5b)
	good("abc", 0x44bc2cf5ad770999)
}

// TestDelimiters compares the delimiters of eight bytes with what each byte is by itself.
func TestDelimiters(t *testing.T) {
	for c := range 256 {
		for _, other := range []byte{0, ' ', 'a', '0', 0x7f, 0x80, 0xff} {
			for i := range 8 {
				b := bytes.Repeat([]byte{other}, 8)
				b[i] = byte(c)
				var want uint64
				for k, c := range b {
					if !inField[c] {
						want |= 0x80 << (8 * k)
					}
				}
				if got := delimiters(binary.LittleEndian.Uint64(b)); got != want {
					t.Fatalf("delimiters of %q = %x, want %x", b, got, want)
				}
			}
		}
	}
}

// FuzzAppendFrame puts text together as the input says.
func FuzzAppendFrame(f *testing.F) {
	f.Add([]byte("GET /index.html 200\nGET /index.htm 404\n"), uint16(100), uint64(1))
	f.Add([]byte("\x00"), uint16(60000), uint64(2))
	f.Add([]byte(`{"time":"2026-11-21T05:06:07Z","body":"x"}`), uint16(5000), uint64(3))
	var e Encoder
	f.Fuzz(func(t *testing.T, seed []byte, n uint16, random uint64) {
		r := rand.New(rand.NewPCG(random, 1))
		text := bytes.Clone(seed)
		for len(text) < 4*int(n) && len(seed) > 0 {
			from := r.IntN(len(text))
			text = append(text, text[from:min(len(text), from+1+r.IntN(1+int(random%997)))]...)
			text = append(text, seed[:r.IntN(len(seed)+1)]...)
			if random%5 == 0 {
				text = append(text, byte(r.Uint32()))
			}
		}
		checkFrame(t, &e, text)
	})
}

func BenchmarkAppendFrame(b *testing.B) {
	text, err := os.ReadFile("../scan/testdata/docker.txt")
	if err != nil {
		b.Fatal(err)
	}
	var e Encoder
	frame := make([]byte, 0, 2*len(text))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		frame = e.AppendFrame(frame[:0], text)
	}
	b.ReportMetric(float64(len(frame))/float64(len(text)), "packed/plain")
}

// TestStored: a frame that is not packed is one all the same.
func TestStored(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 70_000, 128 << 10, 128<<10 + 1, 600_000} {
		src := bytes.Repeat([]byte("abcdefg\n"), n/8+1)[:n]
		frame := AppendStored([]byte("x"), src)[1:]
		var d Decoder
		got, err := d.AppendBlock(nil, frame, n)
		if err != nil || !bytes.Equal(got, src) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
		if size, err := FrameLen(frame); size != len(frame) || err != nil {
			t.Errorf("FrameLen = %d, %v; want %d", size, err, len(frame))
		}
	}
}
