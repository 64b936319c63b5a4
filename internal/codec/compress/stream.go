package compress

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// streamWindow is how far back a stream may refer, which is how much memory it takes: what
// HTTP permits (RFC 9659).
const streamWindow = 8 << 20

// Stream unpacks a stream of zstd frames while it is read. It must be closed.
type Stream struct{ zstd *zstd.Decoder }

// NewStream returns what src unpacks to. How much that is may be bounded by who reads.
func NewStream(src io.Reader) (*Stream, error) {
	d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(streamWindow))
	if err != nil {
		return nil, fmt.Errorf("unpack zstd: %w", err)
	}
	return &Stream{d}, nil
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.zstd.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("unpack zstd: %w", err)
	}
	return n, err
}

// Close gives the memory back. The source is not closed.
func (s *Stream) Close() error {
	s.zstd.Close()
	return nil
}
