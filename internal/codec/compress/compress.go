// Package compress packs and unpacks blocks of bytes: zstd for the text that the journal
// keeps, snappy for what Loki's clients push. It owns the choice of libraries and settings,
// so that every file says one thing: ordinary zstd, which any tool reads.
//
//	var enc compress.Encoder
//	file = enc.AppendFrame(file, block)
//	n, err := compress.FrameLen(file)
//	var dec compress.Decoder
//	text, err = dec.AppendBlock(text[:0], file[:n], maxBytes)
//
// Frames are unpacked by a library, and packed by code of our own (encoder.go finds what
// repeats, sequence.go and fse.go write it down; literals are the library's again): on a
// million lines of a web server, 443 MB, that takes 1.2 CPU seconds for 64 MB, where the
// library's levels take 1.5 for 72 MB and 2.9 for 64 MB.
//
// Nothing here starts a goroutine. An Encoder or a Decoder keeps its memory for the next
// call and serves one goroutine at a time; functions may be called concurrently. What is
// unpacked may be hostile: its size is known and compared with the caller's bound before
// memory is taken for it.
//
// Of streams there is zstd alone: whoever needs gzip has it in the standard library.
package compress

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// ErrTooLarge is wrapped by the error for what would be larger than the caller's bound.
var ErrTooLarge = errors.New("unpacked it is larger than the limit")

// Decoder unpacks what an Encoder has packed. The zero value is ready.
type Decoder struct {
	// Checked says that the caller has compared each frame with a checksum of its own: then
	// that of the frame is not looked at, which takes a tenth of the time. It must be set
	// before the first block.
	Checked bool
	zstd    *zstd.Decoder
}

// decoderSlack is how much room behind the text lets the decoder write without looking at
// every step whether it still may.
const decoderSlack = 64

// AppendBlock appends the text that is packed in frame, which is one zstd frame and
// nothing else. The frame must tell the length of its text, and need no dictionary. If it
// has more than maxBytes, nothing is unpacked and the error is ErrTooLarge.
func (d *Decoder) AppendBlock(dst, frame []byte, maxBytes int) ([]byte, error) {
	h, err := parseFrame(frame)
	switch {
	case err != nil:
		return dst, err
	case h.length != len(frame):
		return dst, fmt.Errorf("%d bytes follow the zstd frame", len(frame)-h.length)
	case h.skippable || !h.hasContent:
		return dst, errors.New("the zstd frame does not tell the length of its text")
	case h.dictionary:
		return dst, errors.New("the zstd frame needs a dictionary")
	case h.content > uint64(max(maxBytes, 0)):
		return dst, fmt.Errorf("zstd frame of %d bytes: %w (%d bytes)", h.content, ErrTooLarge, maxBytes)
	}
	if d.zstd == nil {
		// An error could only come from an option, and these are constants.
		d.zstd, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.IgnoreChecksum(d.Checked))
	}
	n := len(dst)
	dst = slices.Grow(dst, int(h.content)+decoderSlack)
	out, err := d.zstd.DecodeAll(frame, dst)
	if err != nil {
		return dst[:n], fmt.Errorf("unpack zstd frame: %w", err)
	}
	return out, nil
}

// UncompressSnappy appends the text of src, one snappy block without framing as Loki's
// push has it. If it has more than maxBytes, nothing is unpacked and the error is
// ErrTooLarge.
func UncompressSnappy(dst, src []byte, maxBytes int) ([]byte, error) {
	size, err := snappy.DecodedLen(src)
	if err != nil {
		return dst, fmt.Errorf("unpack snappy block: %w", err)
	}
	if size > maxBytes {
		return dst, fmt.Errorf("snappy block of %d bytes: %w (%d bytes)", size, ErrTooLarge, maxBytes)
	}
	n := len(dst)
	dst = slices.Grow(dst, size)
	if _, err = snappy.Decode(dst[n:n+size], src); err != nil {
		return dst, fmt.Errorf("unpack snappy block: %w", err)
	}
	return dst[:n+size], nil
}

// AppendSnappy appends src as one snappy block without framing. It packs as snappy itself
// does: the library's stronger way keeps almost 2 MB for the next call.
func AppendSnappy(dst, src []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, max(snappy.MaxEncodedLen(len(src)), 0))
	packed := s2.EncodeSnappy(dst[n:cap(dst)], src)
	return append(dst, packed...)
}
