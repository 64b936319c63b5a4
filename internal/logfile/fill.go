package logfile

import (
	"bytes"
	"slices"

	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/record"
)

const (
	// fillBytes is how much is read into a batch.
	fillBytes = 256 << 10
	// arenaBytes leaves room for what stages append, so that the arena does not move.
	arenaBytes = fillBytes + 64<<10
	// leastRoom is the room below which a batch is full.
	leastRoom = 16 << 10
	// scratchBytes is the buffer for looking for the end of a line that is too long.
	scratchBytes = 64 << 10
)

// fill reads into b what there is, up to a batch. It returns whether b has to be written.
func (t *Tail) fill(b *record.Batch) (bool, error) {
	from := t.log.Pos()
	b.Arena = slices.Grow(b.Arena, arenaBytes)
	t.gaps(b) // that a look noticed
	var err error
	for len(b.Arena) <= fillBytes-leastRoom {
		before := t.log.Pos()
		if err = t.chunk(b, fillBytes-len(b.Arena)); err != nil || t.log.Pos() == before {
			break
		}
	}
	t.gaps(b) // that the first read noticed: later ones leave it to the next batch
	t.position(b)
	return t.log.Learned() || t.log.Pos() != from || len(b.Gaps) > 0, err
}

// gaps adds to b the losses that come before its first record.
func (t *Tail) gaps(b *record.Batch) {
	for _, g := range t.log.Gaps() {
		b.Gaps = append(b.Gaps, record.Gap{Bytes: g.Bytes, Reason: g.Reason})
	}
}

// position sets what the commit of b makes durable.
func (t *Tail) position(b *record.Batch) {
	src := append(b.Position.Source[:0], positionVersion, byte(t.format))
	b.Position.Source = t.log.AppendPosition(src, t.low)
	pos := t.log.Pos()
	b.Position.Resume = [2]int64{max(t.resume[0], pos), max(t.resume[1], pos)}
}

// chunk reads up to size bytes behind b's arena and makes records of the whole lines.
func (t *Tail) chunk(b *record.Batch, size int) error {
	start := len(b.Arena)
	buf := b.Arena[start : start+size : start+size]
	c, err := t.log.Read(buf)
	if err != nil || len(c.Data) == 0 {
		return err
	}
	off := start + cap(buf) - cap(c.Data)
	end := bytes.LastIndexByte(c.Data, '\n') + 1
	if c.Last {
		end = len(c.Data)
	}
	if end == 0 {
		if off+len(c.Data) < start+size {
			t.log.Consume(0) // half a line
			return nil
		}
		return t.long(b, c, size)
	}
	if t.opt.Format == Auto && (t.format == Auto || c.First) {
		t.format = detectWhole(c.Data[:end])
	}
	t.split(b, c.Data[:end], off, c.At)
	b.Arena = b.Arena[:off+end]
	t.log.Consume(end)
	return nil
}

// detectWhole is detect for data that may be a single line without its end.
func detectWhole(data []byte) Format {
	if f := detect(data); f != Auto {
		return f
	}
	return Raw
}

// split makes records of lines, which lie at off in the arena and at the logical position
// at. Only the last may lack its line end.
func (t *Tail) split(b *record.Batch, lines []byte, off int, at int64) {
	format, skip := t.format, max(t.resume[0], t.resume[1])
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n')
		next := n + 1
		if n < 0 {
			n, next = len(lines), len(lines)
		}
		line := lines[:n]
		r := record.Record{Start: at, End: at + int64(next)}
		if n > t.opt.MaxLineBytes {
			line = line[:t.opt.MaxLineBytes]
			r.Flags = record.Cut
			t.cut()
		} else if n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if bad := parse(format, line, off, &r); bad != "" {
			t.bad(bad, line)
		} else if at >= skip || at >= t.resume[r.Flags.Sub()] {
			b.Records = append(b.Records, r)
		}
		lines = lines[next:]
		off += next
		at = r.End
	}
}

// long handles a line that is longer than the room that c was read into. It gets the room
// for a longest line in a batch of its own; the rest of a longer one is skipped.
func (t *Tail) long(b *record.Batch, c follow.Chunk, size int) error {
	if len(b.Arena) > 0 {
		return nil // the next batch begins with it
	}
	if want := t.opt.MaxLineBytes + follow.MinBuffer; size < want {
		b.Arena = slices.Grow(b.Arena, want)
		return t.chunk(b, want)
	}
	n, ok, err := t.log.LineEnd(make([]byte, scratchBytes))
	if err != nil || !ok {
		return err
	}
	if t.opt.Format == Auto && t.format == Auto {
		t.format = Raw
	}
	off, line := size-cap(c.Data), c.Data[:t.opt.MaxLineBytes]
	r := record.Record{Start: c.At, End: c.At + n, Flags: record.Cut}
	if bad := parse(t.format, line, off, &r); bad != "" {
		t.bad(bad, line)
	} else if r.Start >= t.resume[r.Flags.Sub()] {
		b.Records = append(b.Records, r)
	}
	t.cut()
	b.Arena = b.Arena[:off+len(line)]
	return t.log.Skip(n)
}

func (t *Tail) cut() {
	t.opt.Ledger.Dropped("rest of a long line", 1)
}

func (t *Tail) bad(reason string, line []byte) {
	t.opt.Ledger.Bad(reason, line)
}
