package compress

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrFrame is returned for bytes that are not a zstd frame.
var ErrFrame = errors.New("not a zstd frame")

// The parts of a frame's format, RFC 8878, section 3.1.
const (
	magic          = 0xFD2FB528
	skippableMagic = 0x184D2A50 // and the fifteen numbers after it

	singleSegment = 1 << 5
	reservedBit   = 1 << 3
	checksumFlag  = 1 << 2

	maxBlockBytes = 128 << 10
)

const (
	blockRaw = iota
	blockRepeat
	blockCompressed
)

// frame is what can be told of a frame without unpacking it.
type frame struct {
	length     int    // of the frame, in bytes
	content    uint64 // how long the text is, if hasContent
	hasContent bool
	dictionary bool // it cannot be unpacked without one
	skippable  bool // it has no text at all
}

// FrameLen returns the length of the zstd frame that b starts with, by going through its
// headers: the text is not unpacked, nor its checksum looked at. A skippable frame is one
// too. The error is io.ErrUnexpectedEOF if b ends before the frame does, else ErrFrame.
func FrameLen(b []byte) (int, error) {
	f, err := parseFrame(b)
	if err != nil {
		return 0, err
	}
	return f.length, nil
}

// parseFrame goes through the headers of the frame that b starts with.
func parseFrame(b []byte) (frame, error) {
	if len(b) < 4 {
		return frame{}, io.ErrUnexpectedEOF
	}
	m := binary.LittleEndian.Uint32(b)
	if m&^0xf == skippableMagic {
		if len(b) < 8 {
			return frame{}, io.ErrUnexpectedEOF
		}
		size := uint64(binary.LittleEndian.Uint32(b[4:]))
		if size > uint64(len(b)-8) {
			return frame{}, io.ErrUnexpectedEOF
		}
		return frame{length: 8 + int(size), skippable: true}, nil
	}
	if m != magic {
		return frame{}, ErrFrame
	}
	f, checksum, err := parseHeader(b)
	if err != nil {
		return frame{}, err
	}
	return f, f.passBlocks(b, checksum)
}

// parseHeader reads a frame's header; length is then that of the header.
func parseHeader(b []byte) (f frame, checksum bool, err error) {
	if len(b) < 5 {
		return f, false, io.ErrUnexpectedEOF
	}
	flags := b[4]
	if flags&reservedBit != 0 {
		return f, false, ErrFrame
	}
	at := 5
	single := flags&singleSegment != 0
	if !single {
		at++ // the window's size
	}
	dictionary := [4]int{0, 1, 2, 4}[flags&3]
	content := [4]int{0, 2, 4, 8}[flags>>6]
	if content == 0 && single {
		content = 1
	}
	f.length = at + dictionary + content
	if len(b) < f.length {
		return frame{}, false, io.ErrUnexpectedEOF
	}
	f.dictionary = number(b[at:at+dictionary]) != 0
	f.hasContent = content > 0
	f.content = number(b[at+dictionary : f.length])
	if content == 2 {
		f.content += 256
	}
	return f, flags&checksumFlag != 0, nil
}

// passBlocks adds the frame's blocks, and its checksum, to its length.
func (f *frame) passBlocks(b []byte, checksum bool) error {
	for last := false; !last; {
		if len(b)-f.length < 3 {
			return io.ErrUnexpectedEOF
		}
		header := int(number(b[f.length : f.length+3]))
		last = header&1 != 0
		size := header >> 3
		if size > maxBlockBytes {
			return ErrFrame
		}
		switch header >> 1 & 3 {
		case blockRaw, blockCompressed:
		case blockRepeat:
			size = 1
		default:
			return ErrFrame
		}
		f.length += 3
		if len(b)-f.length < size {
			return io.ErrUnexpectedEOF
		}
		f.length += size
	}
	if checksum {
		f.length += 4
	}
	if f.length > len(b) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// number returns what up to eight bytes are, the lowest first.
func number(b []byte) (n uint64) {
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n
}
