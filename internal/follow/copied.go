package follow

// The end of a copied file needs care. Copytruncate copies the file, then empties it, and
// what was written in between is gone: perhaps whole lines, perhaps the rest of the one
// that the copy ends within. So the last line of a copy is a line only if it has its end,
// and a gap is stated after it. But if the file had been quiet for a while, with just this
// content, then nothing came in between: its writer had written half a line, and writes the
// other half to the start of the emptied file. Then the two are one line.

// ending says how a file ends that is not written to any more.
type ending uint8

const (
	endWhole  ending = iota // as its writer left it
	endLost                 // of a copy: what came after it is lost, which is still to be stated
	endStated               // that was stated
	endJoins                // of a copy of a quiet file: its half line, if any, goes on in the next file
	endJoined               // it did, or there was none
	endings
)

// copied notes that the files are such copies.
func copied(files ...*file) {
	for _, f := range files {
		f.final, f.end = true, endLost
	}
}

func (f *file) isCopy() bool { return f.end != endWhole }

// markShort remembers the place of a copy that ends before what was read of the original:
// it must not be taken for a file of its own.
func (l *Log) markShort(at *place) error {
	if !at.ok || at.open || at.size == 0 {
		return nil
	}
	return l.markEntry(&entry{suffix: at.suffix, info: at.info, path: at.path})
}

// markEntry remembers a rotated file that is not to be read.
func (l *Log) markEntry(e *entry) error {
	c, in, err := openContent(e.path, e.id, e.packed)
	if absent(err) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer c.close()
	if head, ok := c.digestAt(0, int(min(in.size, headBytes))); ok {
		l.mark(mark{e.id, head})
	}
	return nil
}

// Learned tells, once, that the position holds something new that could not be found out
// again after a restart, though nothing was read.
func (l *Log) Learned() bool {
	learned := l.learned
	l.learned = false
	return learned
}

// joinable tells whether f ends with half a line that the next file goes on with, and
// nothing else of it is left to read.
func (f *file) joinable() bool {
	return f.open && f.end == endJoins && f.tried > f.off && f.exhausted()
}

// unstated tells whether it is still to be stated what is missing after a file that was
// read to its end.
func (f *file) unstated() bool {
	return f.end == endLost || f.end == endJoins && f.tried <= f.off
}

// endCopy states what is missing after a copied file. Of a compressed one nobody can tell
// whether it was copied or renamed, unless it ends within a line.
func (l *Log) endCopy(f *file) {
	if f.end == endJoins {
		f.end = endJoined
		return
	}
	f.end = endStated
	if f.gz == nil || f.tried > f.off {
		l.gap(-1, gapTruncated)
	}
}

// giveUp states the half line at the end of p as lost: it cannot be joined with its rest.
func (l *Log) giveUp(p *file) {
	p.end = endStated
	l.gap(p.tried-p.off, gapTruncated)
}

// unjoinable tells whether the half line that p ends with cannot be read together with
// what f begins with.
func (p *file) unjoinable(f *file, size int) bool {
	return p.joinable() && (f.isCopy() || p.tried-p.off > int64(size)/2)
}

// unjoined finds a half line that nothing will ever go on with, and makes it a whole one.
func (l *Log) unjoined() bool {
	for i, p := range l.files[:max(0, len(l.files)-1)] {
		if f := l.files[i+1]; f.final && !f.isCopy() && !f.unread() && p.joinable() {
			p.end, p.tried = endWhole, 0
			return true
		}
	}
	return false
}

// readJoined reads f behind the half line that p ends with.
func (l *Log) readJoined(p, f *file, buf []byte) (c Chunk, replaced bool, err error) {
	n := int(p.tried - p.off)
	c, replaced, err = l.readFile(f, buf[n:])
	if err != nil || len(c.Data) == 0 {
		return c, replaced, err
	}
	// The half line takes the place of the bytes before f's offset, which were compared.
	whole := buf[l.cur.before : l.cur.before+n+len(c.Data)]
	if got, err := p.readAt(whole[:n], p.off); err != nil || got < n {
		p.end = endLost
		l.cur = chunk{}
		return Chunk{}, false, err
	}
	l.cur.buf, l.cur.before, l.cur.joined = whole, n, p
	c.Data, c.First = whole, false
	return c, false, nil
}

// consumeJoined consumes n bytes of the last chunk, which begins with half a line of the
// file before.
func (l *Log) consumeJoined(n int) {
	c := &l.cur
	p, f := c.joined, c.file
	l.consumed(p, int64(c.before))
	p.before = tailDigest(c.buf[:c.before])
	p.end = endJoined
	l.consumed(f, int64(n-c.before))
	f.before = tailDigest(c.buf[c.before:n])
}

// readOn reads more of c from the next run: the file of the one before ends within a line.
func (l *Log) readOn(c *Chunk, next int, buf []byte) error {
	r := l.runs[next]
	size := nextAt(l.runs, next, l.pos) - r.at
	n := len(c.Data)
	if n == len(buf) || !r.file.open {
		return nil
	}
	got, err := r.file.readAt(buf[n:n+int(min(size, int64(len(buf)-n)))], r.off)
	if err != nil {
		return err
	}
	c.Data, c.Last = buf[:n+got], int64(got) == size
	l.cur.buf, l.cur.joined = c.Data, l.cur.file
	return nil
}

// tooLong handles a joined line that has no end within a whole buffer.
func (l *Log) tooLong() (n int64, ok bool, err error) {
	c := &l.cur
	if c.again {
		return int64(len(c.buf)), true, nil // it was shorter once
	}
	if c.joined.end = endLost; !l.owing {
		l.giveUp(c.joined)
	}
	l.cur = chunk{}
	return 0, false, nil
}
