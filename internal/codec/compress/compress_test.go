package compress_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/compress"
)

// texts are blocks of several kinds and sizes.
func texts() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	var lines []byte
	for len(lines) < 1<<21 {
		lines = append(lines, `{"time":"2026-11-21T05:06:07.123456789Z","level":"info","body":"GET /`...)
		lines = append(lines, strings.Repeat("x", r.IntN(20))...)
		lines = append(lines, "\"}\n"...)
	}
	return [][]byte{nil, []byte("a"), lines[:100], lines[:1000], lines[:512<<10], lines[:1<<20], lines, random, make([]byte, 400_000)}
}

func TestFrame(t *testing.T) {
	{
		var enc compress.Encoder
		var dec compress.Decoder
		for _, text := range texts() {
			frame := enc.AppendFrame([]byte("before"), text)
			if string(frame[:6]) != "before" {
				t.Fatal("what was there is gone")
			}
			frame = frame[6:]
			if n, err := compress.FrameLen(append(frame[:len(frame):len(frame)], "after"...)); n != len(frame) || err != nil {
				t.Errorf("FrameLen of a frame of %d bytes = %d, %v", len(frame), n, err)
			}
			back, err := dec.AppendBlock([]byte("x"), frame, len(text))
			if err != nil || string(back) != "x"+string(text) {
				t.Errorf("%d bytes came back as %d bytes, %v", len(text), len(back), err)
			}
			if len(text) == 0 {
				continue
			}
			if _, err := dec.AppendBlock(nil, frame, len(text)-1); !errors.Is(err, compress.ErrTooLarge) {
				t.Errorf("one byte more than the limit: %v", err)
			}
			frame[len(frame)-1]++
			if _, err := dec.AppendBlock(nil, frame, len(text)); err == nil {
				t.Error("a wrong checksum was taken")
			}
			checked := compress.Decoder{Checked: true}
			if back, err := checked.AppendBlock(nil, frame, len(text)); err != nil || !bytes.Equal(back, text) {
				t.Errorf("without a look at the checksum: %d bytes, %v", len(back), err)
			}
		}
	}
}

func TestFrameLen(t *testing.T) {
	var enc compress.Encoder
	frame := enc.AppendFrame(nil, []byte(strings.Repeat("abcdefgh ", 40_000)))
	for n := range frame {
		if got, err := compress.FrameLen(frame[:n]); err != io.ErrUnexpectedEOF {
			t.Fatalf("FrameLen of the first %d bytes = %d, %v", n, got, err)
		}
	}
	good := func(in string, want int) {
		t.Helper()
		if n, err := compress.FrameLen([]byte(in)); n != want || err != nil {
			t.Errorf("FrameLen(%x) = %d, %v; want %d", in, n, err, want)
		}
	}
	bad := func(in string, want error) {
		t.Helper()
		if n, err := compress.FrameLen([]byte(in)); err != want {
			t.Errorf("FrameLen(%x) = %d, %v; want %v", in, n, err, want)
		}
	}
	const start = "\x28\xb5\x2f\xfd"
	good("\x50\x2a\x4d\x18\x02\x00\x00\x00abrest", 10) // skippable
	good("\x5f\x2a\x4d\x18\x00\x00\x00\x00", 8)
	bad("\x5f\x2a\x4d\x18\xff\xff\xff\xff", io.ErrUnexpectedEOF)
	bad("\x60\x2a\x4d\x18\x00\x00\x00\x00", compress.ErrFrame)
	bad("{\"time\":", compress.ErrFrame)
	bad("", io.ErrUnexpectedEOF)
	good(start+"\x20\x01"+"\x09\x00\x00a"+"tail", 10)                                  // one segment, one raw block
	good(start+"\x24\x05"+"\x2b\x00\x00a"+"\x01\x02\x03\x04tail", 14)                  // repeated byte, checksum
	good(start+"\x00\x00"+"\x01\x00\x00", 9)                                           // window, no content size
	good(start+"\x63\x01\x00\x00\x00\x00\x00"+"\x08\x00\x00a"+"\x01\x00\x00rest", 18)  // dictionary, 2 bytes of size
	good(start+"\xe0\x00\x00\x00\x00\x00\x00\x00\x00"+"\x01\x00\x00", 16)              // 8 bytes of size
	bad(start+"\x28\x01"+"\x09\x00\x00a", compress.ErrFrame)                           // reserved bit
	bad(start+"\x20\x01"+"\x0f\x00\x00a", compress.ErrFrame)                           // reserved block
	bad(start+"\x20\x01"+"\x01\x00\x11"+strings.Repeat("a", 1<<18), compress.ErrFrame) // block beyond 128 KiB
}

// TestHostile gives frames that promise much: no more than the limit may be taken for them.
func TestHostile(t *testing.T) {
	bad := func(frame string) {
		t.Helper()
		var dec compress.Decoder
		if out, err := dec.AppendBlock(nil, []byte(frame), 1<<20); err == nil || cap(out) > 2<<20 {
			t.Errorf("AppendBlock(%x) = %d bytes of %d, %v", frame, len(out), cap(out), err)
		}
	}
	const start = "\x28\xb5\x2f\xfd"
	bad(start + "\xe0\xff\xff\xff\xff\xff\xff\xff\xff" + "\x01\x00\x00") // 2^64-1 bytes
	bad(start + "\xe0\xff\xff\xff\xff\xff\xff\xff\x7f" + "\x01\x00\x00")
	bad(start + "\x00\xff" + "\x01\x00\x00")                                       // a window of 3.75 TB, no size
	bad(start + "\xa0\x00\x00\x10\x00" + "\x01\x00\x00")                           // 1 MiB that is not there
	bad(start + "\x20\x01" + strings.Repeat("\x02\x00\x10a", 40) + "\x01\x00\x00") // 40 blocks of 128 KiB for one byte
	bad(start + "\x21\x07\x01" + "\x09\x00\x00a")                                  // dictionary 7
	bad("\x50\x2a\x4d\x18\x00\x00\x00\x00")
	var enc compress.Encoder
	frame := enc.AppendFrame(nil, []byte("text"))
	bad(string(frame) + string(frame))
	bad(string(frame) + "x")

	huge := binary.AppendUvarint(nil, 1<<32-1)
	if out, err := compress.UncompressSnappy(nil, huge, 1<<20); !errors.Is(err, compress.ErrTooLarge) || cap(out) > 0 {
		t.Errorf("snappy of 4 GiB: %d bytes, %v", cap(out), err)
	}
	for _, in := range []string{"", "\xff\xff\xff\xff\xff\xff", "\x04", "\x04\x0cabcde", "\x05\x0cabcd", "\x04\x0cabc"} {
		if out, err := compress.UncompressSnappy([]byte("x"), []byte(in), 1<<20); err == nil || string(out) != "x" {
			t.Errorf("UncompressSnappy(%x) = %q, %v", in, out, err)
		}
	}
}

func TestSnappy(t *testing.T) {
	for _, text := range texts() {
		packed := compress.AppendSnappy([]byte("before"), text)
		if string(packed[:6]) != "before" {
			t.Fatal("what was there is gone")
		}
		back, err := compress.UncompressSnappy([]byte("x"), packed[6:], len(text))
		if err != nil || string(back) != "x"+string(text) {
			t.Errorf("%d bytes came back as %d bytes, %v", len(text), len(back), err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	text := texts()[4]
	var enc compress.Encoder
	var dec compress.Decoder
	frame, back := make([]byte, 0, 1<<20), make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(10, func() { frame = enc.AppendFrame(frame[:0], text) }); n > 0 {
		t.Errorf("packing: %v allocations", n)
	}
	// The library has pools of buffers, which the race detector empties at random: the run that
	// found them fullest counts.
	fewest := math.Inf(1)
	for range 20 {
		fewest = min(fewest, testing.AllocsPerRun(1, func() { back, _ = dec.AppendBlock(back[:0], frame, 1<<20) }))
	}
	if fewest > 4 {
		t.Errorf("unpacking: %v allocations", fewest)
	}
}

func FuzzAppendBlock(f *testing.F) {
	var enc compress.Encoder
	f.Add(enc.AppendFrame(nil, []byte("some text, some text, some text")))
	f.Add([]byte("\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00a"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x24\x05\x2b\x00\x00a\x01\x02\x03\x04"))
	f.Add([]byte("\x50\x2a\x4d\x18\x02\x00\x00\x00ab"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const maxBytes = 1 << 16
		var dec compress.Decoder
		out, err := dec.AppendBlock([]byte("x"), in, maxBytes)
		if out[0] != 'x' || len(out) > 1+maxBytes || err != nil && len(out) != 1 {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		n, lenErr := compress.FrameLen(in)
		if n > len(in) || err == nil && (lenErr != nil || n != len(in)) {
			t.Fatalf("FrameLen = %d, %v of %d bytes that unpack", n, lenErr, len(in))
		}
	})
}

func FuzzUncompressSnappy(f *testing.F) {
	f.Add(compress.AppendSnappy(nil, []byte("some text, some text, some text")))
	f.Add([]byte("\x04\x0cabcd"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := compress.UncompressSnappy([]byte("x"), in, 1<<16)
		if out[0] != 'x' || len(out) > 1+1<<16 {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		if err == nil {
			back, err := compress.UncompressSnappy(nil, compress.AppendSnappy(nil, out), 1<<17)
			if err != nil || !bytes.Equal(back, out) {
				t.Fatalf("%q came back as %q, %v", out, back, err)
			}
		}
	})
}
