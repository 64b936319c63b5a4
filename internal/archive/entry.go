package archive

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/weirlog/weir/internal/codec/packed"
)

// An index file is one entry a block: the length of its payload and the payload's CRC-32C,
// four bytes each, little endian, then the payload. It begins with the version. The fields
// are its end: in version 1 they cannot be too many, and have no byte that says so.
const (
	entryHeader  = 8
	entryVersion = 2
	maxEntry     = 1 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errEntry   = errors.New("no whole index entry here")
)

// block is a Head and where the block is.
type block struct {
	Head
	segment    *segment
	frameAt    int64
	frameBytes int
	frameSum   uint32 // CRC-32C of the frame
	gramsAt    int64
	gramsBytes int
	gramsSum   uint32
	written    int64  // when it was sealed, Unix milliseconds
	frame      []byte // of a block that is in no file: only where the archive is read-only
	fields     []byte // its Fields, as appendFields makes them
	unheld     bool   // they are only in the index
	entryAt    int64  // where in it
	entryBytes int
}

const (
	entrySorted = 1 << iota
	entryWeighted
)

// appendEntry appends the index entry of b.
func appendEntry(dst []byte, b *block) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, entryHeader)...)
	dst = append(dst, entryVersion)
	flags := uint64(0)
	if b.Sorted {
		flags |= entrySorted
	}
	if b.Weighted {
		flags |= entryWeighted
	}
	dst = binary.AppendUvarint(dst, flags)
	for _, v := range []uint64{
		b.First, uint64(b.Records), uint64(b.Gaps), uint64(b.Bytes), uint64(b.BodyBytes),
		uint64(b.frameAt), uint64(b.frameBytes), uint64(b.frameSum),
		uint64(b.gramsAt), uint64(b.gramsBytes), uint64(b.gramsSum),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, v := range []int64{b.MinTime, b.MaxTime, b.written} {
		dst = binary.AppendVarint(dst, v)
	}
	for _, n := range b.Levels {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = append(dst, b.fields...)
	payload := dst[start+entryHeader:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// parseEntry decodes the entry at the start of b, and returns how long it is.
func parseEntry(b []byte) (e block, n int, err error) {
	if len(b) < entryHeader {
		return e, 0, errEntry
	}
	size := binary.LittleEndian.Uint32(b)
	if size > maxEntry || int(size) > len(b)-entryHeader {
		return e, 0, errEntry
	}
	n = entryHeader + int(size)
	payload := b[entryHeader:n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) || size == 0 || payload[0] == 0 || payload[0] > entryVersion {
		return e, 0, errEntry
	}
	r := reader{packed.Reader{Rest: payload[1:]}}
	flags := r.Uvarint()
	e.Sorted, e.Weighted = flags&entrySorted != 0, flags&entryWeighted != 0
	e.First, e.Records, e.Gaps = r.Uvarint(), r.int(), r.int()
	e.Bytes, e.BodyBytes = r.int(), r.int()
	e.frameAt, e.frameBytes, e.frameSum = r.offset(), r.int(), r.uint32()
	e.gramsAt, e.gramsBytes, e.gramsSum = r.offset(), r.int(), r.uint32()
	e.MinTime, e.MaxTime, e.written = r.Varint(), r.Varint(), r.Varint()
	for i := range e.Levels {
		e.Levels[i] = r.int()
	}
	if r.Failed() {
		return block{}, 0, errEntry
	}
	if payload[0] == 1 {
		e.fields = []byte{0}
	}
	e.fields = append(e.fields, r.Rest...)
	return e, n, nil
}

// reader takes what entries, states, and parts of the log are made of.
type reader struct{ packed.Reader }

// int returns a number that fits four bytes.
func (r *reader) int() int { return int(r.Most(math.MaxInt32)) }

func (r *reader) uint32() uint32 { return uint32(r.Most(math.MaxUint32)) }

// offset returns a place in a file.
func (r *reader) offset() int64 { return int64(r.Most(math.MaxInt64 / 2)) }
