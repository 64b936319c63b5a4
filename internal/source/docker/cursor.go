package docker

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/weirlog/weir/internal/codec/packed"
)

// maxMarks is how many of the last records a cursor remembers.
const maxMarks = 32

// hashedBytes is how much of a record's text tells it from others of the same nanosecond.
const hashedBytes = 256

// mark is what a cursor keeps of one record.
type mark struct {
	hash uint32
	size int64 // of the record, in logical positions
}

// cursor is how far the log of one container was read, in terms that hold however it is
// read: through the API, where only order, time and content identify a record, or from the
// file, which has offsets.
type cursor struct {
	pos  int64 // the logical position after the last record
	time int64 // of the last record, Unix nanoseconds
	run  int64 // how many records in a row had that time; the pieces of a long line do
	// since is what the first record must not be older than, while there are no marks.
	since int64
	// ended says that the container had ended and everything was read.
	ended bool

	marks [maxMarks]mark // the last n records in a ring that ends before head
	n     int
	head  int

	// Of a log that is read from its file: the file's own position, its path, and what to
	// add to the file's logical positions to get ours.
	file  []byte
	path  string
	shift int64
}

// add moves the cursor over a record. Without a time, 0, it has that of the one before.
func (c *cursor) add(time int64, m mark) {
	if time == 0 {
		time = c.time
	}
	if c.n == 0 || time != c.time {
		c.run = 0
	}
	c.run++
	c.time = time
	c.pos += m.size
	c.marks[c.head] = m
	c.head = (c.head + 1) % maxMarks
	c.n = min(c.n+1, maxMarks)
}

// grow moves the cursor over what is no record, and belongs to the one before.
func (c *cursor) grow(size int64) {
	c.pos += size
	if c.n > 0 {
		c.marks[(c.head-1+maxMarks)%maxMarks].size += size
	}
}

// anchor sets the cursor on position at of the file, where the last records begin at starts.
// Those are going to be read again; they get positions behind all that were given out.
func (c *cursor) anchor(at int64, starts []int64) {
	begin := at
	if len(starts) > 0 {
		begin = starts[0]
	}
	c.shift = c.pos - begin
	c.pos = at + c.shift
	end := at
	for i := range min(c.n, len(starts)) {
		start := starts[len(starts)-1-i]
		c.marks[(c.head-1-i+2*maxMarks)%maxMarks].size = end - start
		end = start
	}
}

// back returns the i-th last mark; 0 is the last.
func (c *cursor) back(i int) mark {
	return c.marks[(c.head-1-i+2*maxMarks)%maxMarks]
}

// recordHash identifies a record by its time, sub-stream and how its text begins. It is
// stored, so it must not change.
func recordHash(time int64, stderr bool, text []byte) uint32 {
	h := crc32.Update(0, castagnoli, text[:min(len(text), hashedBytes)])
	t := uint64(time) << 1
	if stderr {
		t |= 1
	}
	t *= 0x9e3779b97f4a7c15 // spreads the bits that change over the upper half
	return h ^ uint32(t>>32)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// held returns how many of the last records have to be read again because a stage did not
// let go of the one at position resume, or of one after it. exact is false when that goes
// beyond what the cursor can tell.
func (c *cursor) held(resume int64) (records int, exact bool) {
	start := c.pos
	for i := range c.n {
		if start <= resume {
			return i, true
		}
		start -= c.back(i).size
	}
	if start <= resume {
		return c.n, true
	}
	// Through the API every record is one position long; what came before may be of a file.
	if c.path == "" && c.n > 0 && start-resume <= maxHeld {
		return c.n + int(start-resume), true
	}
	return c.n, false
}

// maxHeld bounds how many records are read again because they were held back.
const maxHeld = 1 << 13

// cursorVersion begins an encoded cursor.
const cursorVersion = 1

// Bits of an encoded cursor.
const (
	flagEnded = 1 << iota
	flagFile
)

// Bounds of an encoded cursor.
const (
	maxPathBytes     = 4096
	maxPositionBytes = 64 << 10
)

var errCursor = errors.New("the position is damaged or of a newer version")

// appendTo appends the encoded cursor: the version, flags, numbers as varints, the marks
// from the oldest on, and for a file its path and position.
func (c *cursor) appendTo(dst []byte) []byte {
	var flags byte
	if c.ended {
		flags |= flagEnded
	}
	if c.path != "" {
		flags |= flagFile
	}
	dst = append(dst, cursorVersion, flags)
	for _, v := range [...]int64{c.pos, c.time, c.run, c.since} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = append(dst, byte(c.n))
	for i := c.n - 1; i >= 0; i-- {
		m := c.back(i)
		dst = binary.LittleEndian.AppendUint32(dst, m.hash)
		dst = binary.AppendVarint(dst, m.size)
	}
	if c.path == "" {
		return dst
	}
	dst = binary.AppendVarint(dst, c.shift)
	dst = binary.AppendUvarint(dst, uint64(len(c.path)))
	dst = append(dst, c.path...)
	return append(dst, c.file...)
}

// decodeCursor is the reverse of appendTo.
func decodeCursor(b []byte) (cursor, error) {
	var c cursor
	if len(b) < 2 || b[0] != cursorVersion || b[1] > flagEnded|flagFile {
		return c, errCursor
	}
	c.ended = b[1]&flagEnded != 0
	d := decoder{packed.Reader{Rest: b[2:]}}
	c.pos, c.time, c.run, c.since = d.position(), d.Varint(), d.Varint(), d.Varint()
	n := d.Byte()
	if d.Failed() || n > maxMarks || c.run < 0 {
		return cursor{}, errCursor
	}
	for range n {
		c.marks[c.head] = mark{hash: d.Fixed32(), size: d.position()}
		c.head = (c.head + 1) % maxMarks
		c.n++
	}
	if b[1]&flagFile != 0 {
		c.shift = d.Varint()
		c.path = d.Text()
		c.file = append(c.file, d.Rest...)
		if c.path == "" || len(c.path) > maxPathBytes || len(c.file) > maxPositionBytes || c.shift > maxPosition || c.shift < -maxPosition {
			return cursor{}, errCursor
		}
		d.Rest = nil
	}
	if d.Failed() || len(d.Rest) > 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

// maxPosition keeps sums of positions from overflowing.
const maxPosition = math.MaxInt64 / 8

// decoder takes what a cursor is made of.
type decoder struct{ packed.Reader }

func (d *decoder) position() int64 {
	v := d.Varint()
	if v < 0 || v > maxPosition {
		d.Fail()
		return 0
	}
	return v
}
