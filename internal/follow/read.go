package follow

import (
	"bytes"
	"errors"
	"syscall"
)

// Chunk is bytes of one file, in order and without a hole after what was consumed before.
type Chunk struct {
	// Data is valid until the buffer given to Read is used again. It is empty when there
	// is nothing to read now.
	Data []byte
	// At is the logical position of Data's first byte.
	At int64
	// First says that Data begins with the first byte of a file.
	First bool
	// Last says that nothing follows in the file: a last line without its end is whole.
	Last bool
}

// chunk is what Read returned, and where from.
type chunk struct {
	file   *file
	buf    []byte // the bytes before off, and the data
	before int    // how many of buf are before the data
	off    int64  // in the file
	again  bool   // it was consumed before
	end    int64  // of what may be read again, as an offset in the file
	joined *file  // whose last, half line buf begins with, up to before; nil for none
}

// MinBuffer is the least useful size of a buffer for Read.
const MinBuffer = 2 * headBytes

// Unread tells whether Read may have something to return.
func (l *Log) Unread() bool {
	if l.at < l.pos {
		return true
	}
	for _, f := range l.files {
		if f.unread() {
			return true
		}
	}
	return len(l.gaps) > 0
}

// Read fills buf from the oldest file that has bytes which were not consumed; the caller
// then consumes what it can use. The first up to 256 bytes of buf serve to check that the
// file is what it was.
func (l *Log) Read(buf []byte) (Chunk, error) {
	l.cur = chunk{}
	if l.lost {
		return Chunk{}, nil
	}
	for l.at < l.pos {
		c, err := l.readAgain(buf)
		if err != nil || len(c.Data) > 0 {
			return c, err
		}
	}
	for i := 0; i < len(l.files); i++ {
		f := l.files[i]
		if !f.unread() {
			continue
		}
		if f.exhausted() { // a copy, and what is missing after it was not stated
			if l.owing {
				return Chunk{}, nil
			}
			l.endCopy(f)
			continue
		}
		if i > 0 && l.files[i-1].unjoinable(f, len(buf)) {
			if l.owing {
				return Chunk{}, nil
			}
			l.giveUp(l.files[i-1])
		}
		c, replaced, err := l.readNext(i, buf)
		if errors.Is(err, syscall.ESTALE) {
			f.close() // by a file server: the name leads to it again
			l.lost = true
		}
		if err != nil || len(c.Data) > 0 {
			return c, err
		}
		if i > 0 && l.files[i-1].unstated() {
			return Chunk{}, nil // it cannot be joined after all
		}
		if f.isCopy() && f.exhausted() {
			i-- // there is nothing left but to state what is missing
		}
		if replaced {
			if changed, err := l.replaced(f); !changed {
				return Chunk{}, err
			}
			i = -1 // it is another list
		}
	}
	if l.unjoined() {
		return l.Read(buf)
	}
	return Chunk{}, nil
}

// replaced handles a file that is not what it was, unless something is to be stated first.
// It reports whether the list of files has changed.
func (l *Log) replaced(f *file) (changed bool, err error) {
	if f.wary = true; l.owing {
		return false, nil
	}
	if err = l.truncated(f); err == errMoved {
		return false, nil
	}
	return err == nil, err
}

// readNext reads the file at index i, together with the half line before it that it goes on
// with.
func (l *Log) readNext(i int, buf []byte) (c Chunk, replaced bool, err error) {
	f := l.files[i]
	if i > 0 && l.files[i-1].joinable() {
		return l.readJoined(l.files[i-1], f, buf)
	}
	c, replaced, err = l.readFile(f, buf)
	if err == nil && f.isCopy() && l.cur.file == f && len(l.cur.buf) < len(buf) && bytes.IndexByte(c.Data, '\n') < 0 {
		l.Consume(0)
		c = Chunk{}
	}
	return c, replaced, err
}

// readFile reads f at its offset. It reports replaced when the bytes before the offset, or
// the first bytes, are not what they were.
func (l *Log) readFile(f *file, buf []byte) (c Chunk, replaced bool, err error) {
	nb := f.before.n
	n, err := f.readAt(buf, f.off-int64(nb))
	if err != nil {
		return Chunk{}, false, err
	}
	if n < nb || digestOf(buf[:nb]) != f.before {
		return Chunk{}, true, nil
	}
	data := buf[nb:n]
	f.wary = false
	if f.off == 0 && f.gz == nil && len(data) > 0 && data[0] == 0 {
		if l.skipTo(f, f.skipHole()); f.off > 0 {
			return l.readFile(f, buf)
		}
	}
	if f.blank() && len(data) > 0 && f.gz == nil && f == l.newest() && !f.final {
		f.stamp = 0 // written since the last look: the next one makes sure that it was not copied before
		return Chunk{}, false, nil
	}
	looked, end := f.seen, f.off+int64(len(data))
	f.seen = max(f.seen, end)
	if f.gz == nil && n < len(buf) {
		f.seen = end
	}
	if same, err := f.growHead(data); !same || err != nil {
		return Chunk{}, !same, err
	}
	f.compared(looked, end)
	atEnd := n < len(buf)
	if f.gz != nil && f.gz.end && f.gz.damaged != nil && atEnd {
		l.gap(-1, gapDamaged)
		f.gz.damaged = nil
	}
	l.cur = chunk{file: f, buf: buf[:n], before: nb, off: f.off}
	return Chunk{Data: data, At: l.pos, First: f.off == 0, Last: f.final && atEnd && !f.isCopy()}, false, nil
}

// compared notes that the content was compared, and found to reach to end or beyond, when
// the file had the given size at the last look.
func (f *file) compared(size, end int64) {
	if f.stamp != 0 && f.stamp != f.mtime {
		f.mtime, f.size = f.stamp, size
	}
	if end > f.size {
		f.size = -1
	}
}

// growHead extends the digest of the first bytes as long as the file is short, and tells
// whether those that were known are still the same.
func (f *file) growHead(data []byte) (same bool, err error) {
	if f.off > 0 {
		if f.head.n == headBytes || f.gz != nil || f.seen <= int64(f.head.n) {
			return true, nil
		}
		var head [headBytes]byte
		n, err := f.readAt(head[:], 0)
		if err != nil {
			return false, err
		}
		data = head[:n]
	}
	data = data[:min(len(data), headBytes)]
	if len(data) < f.head.n || digestOf(data[:f.head.n]) != f.head {
		return false, nil
	}
	f.head = digestOf(data)
	return true, nil
}

// readAgain reads bytes that were consumed, but whose records were held back.
func (l *Log) readAgain(buf []byte) (Chunk, error) {
	i := len(l.runs) - 1
	for i > 0 && l.runs[i].at > l.at {
		i--
	}
	r := l.runs[i]
	next := nextAt(l.runs, i, l.pos)
	off, end := r.off+l.at-r.at, r.off+next-r.at
	n := 0
	if r.file.open {
		var err error
		if n, err = r.file.readAt(buf[:min(int64(len(buf)), end-off)], off); err != nil {
			return Chunk{}, err
		}
	}
	if n == 0 {
		l.gap(next-l.at, gapRotated)
		l.at = next
		return Chunk{}, nil
	}
	l.cur = chunk{file: r.file, buf: buf[:n], off: off, again: true, end: end}
	c := Chunk{Data: buf[:n], At: l.at, First: off == 0, Last: off+int64(n) == end}
	if c.Last && r.file.end == endJoined && i+1 < len(l.runs) {
		return c, l.readOn(&c, i+1, buf)
	}
	return c, nil
}

// Consume says that the first n bytes of the last chunk are done with and that what is left
// of it holds no line end.
func (l *Log) Consume(n int) {
	c := &l.cur
	if c.file == nil {
		return
	}
	if c.again {
		l.at += int64(n)
		return
	}
	f := c.file
	f.tried = c.off + int64(len(c.buf)-c.before)
	switch {
	case n > 0 && c.joined != nil:
		l.consumeJoined(n)
	case n > 0:
		l.consumed(f, int64(n))
		f.before = tailDigest(c.buf[:c.before+n])
	}
	l.cur = chunk{}
}

// consumed moves the positions by n bytes of f.
func (l *Log) consumed(f *file, n int64) {
	if len(l.runs) == 0 || l.runs[len(l.runs)-1].file != f {
		l.runs = append(l.runs, run{file: f, at: l.pos, off: f.off})
	}
	f.off += n
	l.pos += n
	l.at = l.pos
	l.owing = true
}

// LineEnd looks beyond the last chunk, which has to be without a line end, for the next
// one. It returns the length of the line that the chunk begins, its end included, and false
// if that is still to come.
func (l *Log) LineEnd(scratch []byte) (n int64, ok bool, err error) {
	c := &l.cur
	if c.file == nil {
		return 0, false, nil
	}
	if c.joined != nil {
		return l.tooLong()
	}
	from := c.off + int64(len(c.buf)-c.before)
	if !c.again {
		from = max(from, c.file.tried)
	}
	for {
		p := scratch
		if c.again {
			p = p[:min(int64(len(p)), c.end-from)]
		}
		got, err := c.file.readAt(p, from)
		if err != nil {
			return 0, false, err
		}
		if i := bytes.IndexByte(p[:got], '\n'); i >= 0 {
			return from + int64(i) + 1 - c.off, true, nil
		}
		from += int64(got)
		if got == len(p) && !(c.again && from == c.end) {
			continue
		}
		if c.again || c.file.final && !c.file.isCopy() {
			return from - c.off, true, nil
		}
		c.file.tried = from
		c.file.seen = max(c.file.seen, from)
		return 0, false, nil
	}
}

// Skip consumes n bytes from the start of the last chunk, which may be more than it has.
func (l *Log) Skip(n int64) error {
	c := l.cur
	if c.file == nil {
		return nil
	}
	if c.again {
		l.at += n
		return nil
	}
	f := c.file
	nb := int(min(f.off+n, beforeBytes))
	before, ok := f.digestAt(f.off+n-int64(nb), nb)
	if !ok {
		f.wary = true // it was truncated this moment: the next read finds out
		return nil
	}
	l.consumed(f, n)
	f.before = before
	f.tried = f.off
	l.cur = chunk{}
	return nil
}
