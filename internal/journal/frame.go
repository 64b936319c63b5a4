package journal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/weirlog/weir/internal/disk"
)

const (
	// maxWhole is how many series and deltas a frame may have that is made in one piece, and
	// maxWholeBytes how much state. What has more is made again for each use, since its bytes would
	// take more memory than the series, or as much as the state again.
	maxWhole      = 8 << 10
	maxWholeBytes = 1 << 20
	// pieceBytes is about how long the pieces are of one that has more.
	pieceBytes = 128 << 10
)

// frame is one that is about to be written.
type frame struct {
	change *change
	head   [frameHeader]byte
	size   int64
	whole  []byte // all of it; empty if it is made in pieces
	piece  []byte // scratch
}

// frame returns the frame with c as its payload. It holds until the next one, and while the cells
// of durable series stay as they are.
func (l *commitLog) frame(at link, c *change) *frame {
	f := &l.scratch
	if cap(f.whole) > maxScratch {
		f.whole = nil
	}
	f.change, f.whole = c, f.whole[:0]
	if len(c.defined)+len(c.deltas) <= maxWhole && c.stateBytes() <= maxWholeBytes {
		f.whole = appendFrame(f.whole, at, c)
		f.size = int64(len(f.whole))
		copy(f.head[:], f.whole)
		return f
	}
	n := 0
	_ = f.pieces(nil, func(b []byte) error { n += len(b); return nil })
	f.size = frameHeader + int64(n)
	putHead(f.head[:], at, n)
	sum := crc32.Update(at.before, castagnoli, f.head[:28])
	_ = f.pieces(nil, func(b []byte) error { sum = crc32.Update(sum, castagnoli, b); return nil })
	binary.LittleEndian.PutUint32(f.head[28:], sum)
	return f
}

// write writes f, from its beginning to its end.
func (f *frame) write(to disk.File, offset int64) error {
	if len(f.whole) > 0 {
		_, err := to.WriteAt(f.whole, offset)
		return err
	}
	return f.pieces(f.head[:], func(b []byte) error {
		_, err := to.WriteAt(b, offset)
		offset += int64(len(b))
		return err
	})
}

// pieces makes f's payload and calls visit for each piece of it, the first one behind start.
func (f *frame) pieces(start []byte, visit func([]byte) error) (err error) {
	f.piece = append(f.piece[:0], start...)
	f.piece = appendChangeIn(f.piece, f.change, func(b []byte) []byte {
		if len(b) < pieceBytes {
			return b
		}
		if err == nil {
			err = visit(b)
		}
		return b[:0]
	})
	if err == nil {
		err = visit(f.piece)
	}
	if cap(f.piece) > 2*pieceBytes {
		f.piece = nil
	}
	return err
}

// set is a set of numbers of series.
type set []uint64

// add adds n, and tells whether it was not there.
func (s *set) add(n uint32) bool {
	for int(n>>6) >= len(*s) {
		*s = append(*s, 0)
	}
	word, bit := &(*s)[n>>6], uint64(1)<<(n&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
