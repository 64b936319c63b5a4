package pickle_test

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/codec/pickle"
)

// records are the bodies of a capture: multipart messages with a count of parts, and each
// part's length and bytes.
func records(t testing.TB) (bodies [][]byte) {
	b, err := os.ReadFile("testdata/tutorial.frames")
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		parts := binary.BigEndian.Uint32(b)
		b = b[4:]
		for part := range parts {
			n := binary.BigEndian.Uint32(b)
			if part == 1 {
				bodies = append(bodies, b[4:4+n])
			}
			b = b[4+n:]
		}
	}
	return bodies
}

// BenchmarkRecord reads a record of Python's logging and writes it as JSON.
func BenchmarkRecord(b *testing.B) {
	bodies := records(b)
	var d pickle.Decoder
	var dst []byte
	bytes := 0
	for i := range b.N {
		body := bodies[i%len(bodies)]
		bytes += len(body)
		v, err := d.Decode(body)
		if err == nil {
			dst, err = v.AppendJSON(dst[:0], 1<<20)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(bytes / b.N))
}
