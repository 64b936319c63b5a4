package compress

import (
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// leastWindow is the window that every reader of zstd should be able to remember.
const leastWindow = 8 << 20

// Reader unpacks a stream of zstd frames, as HTTP has them, which need not tell how much they
// hold. It belongs to one goroutine.
type Reader struct{ zstd *zstd.Decoder }

// NewReader returns a reader of texts of at most maxBytes. Whoever reads one has to stop there.
func NewReader(maxBytes int) *Reader {
	// An error could only come from an option, and these are within their bounds.
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(max(maxBytes, leastWindow))))
	return &Reader{d}
}

// Reset begins another stream.
func (r *Reader) Reset(from io.Reader) error { return r.zstd.Reset(from) }

// Read implements io.Reader. Its error is ErrTooLarge for a frame that says that it has more
// than it may.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.zstd.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = ErrTooLarge
	}
	return n, err
}
