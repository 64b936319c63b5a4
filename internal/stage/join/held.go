package join

import (
	"bytes"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// held is a record that may go on. Its text is in the batch at hand, or, once it is carried
// to another batch, in a buffer of its own.
type held struct {
	active  bool
	open    bool // the rest of its last line is missing
	alone   bool // it is one line, and goes when that is whole
	carried bool // the text is in buf, not in the batch
	touched bool // in this batch
	rec     record.Record
	buf     []byte
	lines   int
	last    time.Time // when it was touched last
}

// hold makes r, a record of the batch at hand, the held one.
func (h *held) hold(r record.Record) {
	*h = held{active: true, open: r.Flags&record.Partial != 0, touched: true, rec: r, lines: 1}
}

func (h *held) drop() { *h = held{} }

// line is a record that may become a line of the held one. Its text is in the batch at hand,
// or, once it is carried to another batch, in a buffer of its own.
type line struct {
	rec     record.Record
	carried bool
	buf     []byte
}

// maxWaitingBytes bounds the text of a line that waits.
const maxWaitingBytes = 4 << 10

// record returns the line as a record of b.
func (l *line) record(b *record.Batch) record.Record {
	if l.carried {
		l.rec.Body = b.Append(l.buf)
	}
	return l.rec
}

// wait puts r, a record of the batch at hand, behind the held one.
func (u *sub) wait(r record.Record) {
	u.waiting = append(u.waiting, line{rec: r})
	u.touched = true
}

// take makes the lines that wait ones of the held record.
func (s *stage) take(b *record.Batch, u *sub) {
	lines := u.waiting
	u.waiting = u.waiting[:0]
	for i := range lines {
		s.place(b, u, lines[i].record(b), goesOn)
		lines[i] = line{}
	}
}

// count returns how many records are held back.
func (u *sub) count() int {
	if !u.active {
		return 0
	}
	return 1 + len(u.waiting)
}

// emit puts what is held, if anything, into b.
func (u *sub) emit(b *record.Batch) {
	if !u.active {
		return
	}
	if u.carried {
		u.rec.Body = b.Append(u.buf)
	}
	u.rec.Flags &^= record.Partial
	b.Records = append(b.Records, u.rec)
	u.drop()
	for i := range u.waiting {
		b.Records = append(b.Records, u.waiting[i].record(b))
		u.waiting[i] = line{}
	}
	u.waiting = u.waiting[:0]
}

// flush emits what is held; nothing goes on from it.
func (u *sub) flush(b *record.Batch) {
	u.emit(b)
	u.forget()
}

// forget drops what is held.
func (u *sub) forget() {
	u.drop()
	u.waiting = u.waiting[:0]
	if u.grouping != nil {
		u.grouping.reset()
	}
}

// rest ends the work on a batch: what has waited too long goes, else it is carried over.
func (u *sub) rest(b *record.Batch, now time.Time, timeout time.Duration) {
	if !u.active {
		return
	}
	if u.touched {
		u.last, u.touched = now, false
	}
	if u.open {
		timeout = pieceTimeout
	}
	if now.Sub(u.last) >= timeout {
		u.flush(b)
		return
	}
	if !u.carried {
		u.buf = append(u.buf, b.Bytes(u.rec.Body)...)
		u.carried = true
	}
	for i := range u.waiting {
		if l := &u.waiting[i]; !l.carried {
			l.buf = append(l.buf, b.Bytes(l.rec.Body)...)
			l.carried = true
		}
	}
}

func (h *held) size() int {
	if h.carried {
		return len(h.buf)
	}
	return int(h.rec.Body.Len)
}

// extend adds r to what is held: as its next line, or as the next piece of its last one.
func (s *stage) extend(b *record.Batch, u *sub, r record.Record, line bool) {
	u.touched = true
	u.open = r.Flags&record.Partial != 0
	u.rec.End = r.End
	if u.rec.Flags&record.Cut != 0 && !line {
		return // the text would go on behind a hole
	}
	u.rec.Flags |= r.Flags & record.Cut
	text := b.Bytes(r.Body)
	switch was, is := u.rec.Flags&record.Escaped != 0, r.Flags&record.Escaped != 0; {
	case was && !is:
		s.escaped = dockerjson.Escape(s.escaped[:0], text)
		text = s.escaped
	case is && !was:
		s.escape(b, u)
	}
	if !u.carried {
		if end := u.rec.Body.Off + u.rec.Body.Len; int(end) != len(b.Arena) {
			u.rec.Body = b.Append(b.Bytes(u.rec.Body))
		}
	}
	if line {
		if u.rec.Flags&record.Escaped != 0 {
			u.append(b, []byte(`\n`))
		} else {
			u.append(b, []byte("\n"))
		}
	}
	u.append(b, text)
	s.cut(b, u)
}

// append adds text, which may be of b's arena. The held text is the last of the arena, or
// carried.
func (h *held) append(b *record.Batch, text []byte) {
	if h.carried {
		h.buf = append(h.buf, text...)
		return
	}
	b.Arena = append(b.Arena, text...)
	h.rec.Body.Len += uint32(len(text))
}

// escape turns held plain text into escaped text, because the rest of it is.
func (s *stage) escape(b *record.Batch, u *sub) {
	u.rec.Flags |= record.Escaped
	if u.carried {
		s.escaped = dockerjson.Escape(s.escaped[:0], u.buf)
		u.buf = append(u.buf[:0], s.escaped...)
		return
	}
	s.escaped = dockerjson.Escape(s.escaped[:0], b.Bytes(u.rec.Body))
	u.rec.Body = b.Append(s.escaped)
}

// cut takes off what is held beyond the limit.
func (s *stage) cut(b *record.Batch, u *sub) {
	if u.size() <= s.maxBytes {
		return
	}
	u.rec.Flags |= record.Cut
	text := u.buf
	if !u.carried {
		text = b.Bytes(u.rec.Body)
	}
	text = whole(text, s.maxBytes, u.rec.Flags&record.Escaped != 0)
	if u.carried {
		u.buf = text
	} else {
		u.rec.Body.Len = uint32(len(text))
	}
}

// longestEscape is \u0009.
const longestEscape = 6

// whole returns the first n bytes of text, or a little less where they would end within an
// escape or a character.
func whole(text []byte, n int, escaped bool) []byte {
	if escaped {
		from := max(0, n-longestEscape)
		if i := bytes.LastIndexByte(text[from:n], '\\'); i >= 0 {
			start := from + i
			if jsontext.Escaped(text[:start]) {
				start-- // the second backslash of a pair
			}
			length := 2
			if start+1 < len(text) && text[start+1] == 'u' {
				length = longestEscape
			}
			if start+length > n {
				return text[:start]
			}
		}
	}
	for end := n; end > 0 && end > n-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:n] // not UTF-8
}
