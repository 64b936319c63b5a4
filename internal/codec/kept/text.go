package kept

import (
	"bytes"
	"slices"
	"unsafe"

	"github.com/weirlog/weir/internal/record"
)

// Text is lines and where their parts are, so that who handles them later need not look.
// The zero value is empty. It is used by one goroutine at a time.
//
//	var text kept.Text
//	appender.AppendTo(&text, &record)
//	head, text := text.Cut(256 << 10)
type Text struct {
	Bytes []byte
	Marks []Mark // one for each line
}

// Mark says what a line has and where.
type Mark struct {
	// Time is what the line says, in Unix nanoseconds; 0 if it says none.
	Time int64
	// Len is how long the line is, with its newline.
	Len uint32
	// Body is where the body begins in the line, Rest where it ends. Behind a whole line's
	// body are its quote, what else is known, and a brace.
	Body, Rest uint32
	Level      record.Level
}

// AppendTo appends r to t as one line.
func (a *Appender) AppendTo(t *Text, r *Record) {
	start := len(t.Bytes)
	out, rest := a.append(t.Bytes, r)
	level := known(r.Level)
	t.Bytes = out
	t.Marks = append(t.Marks, Mark{
		Time: min(max(r.Time, minSecond*nanosPerUnit), maxSecond*nanosPerUnit+nanosPerUnit-1), Level: level,
		Len: uint32(len(out) - start), Body: uint32(timeAt + timeLen - 1 + len(afterTime[level])), Rest: uint32(rest - start),
	})
}

// TextOf returns lines that Append has made; of others, the parts are anywhere in them.
func TextOf(lines []byte) Text {
	t := Text{Bytes: slices.Clip(lines)}
	t.mark(lines)
	return t
}

// Add appends lines as TextOf takes them.
func (t *Text) Add(lines []byte) {
	t.Bytes = append(t.Bytes, lines...)
	t.mark(lines)
}

func (t *Text) mark(lines []byte) {
	var clock Clock
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n') + 1
		if n == 0 {
			n = len(lines)
		}
		line := bytes.TrimSuffix(lines[:n], newline)
		body, rest := BodyAt(line)
		t.Marks = append(t.Marks, Mark{Time: clock.TimeOf(line), Level: LevelOf(line), Len: uint32(n), Body: uint32(body), Rest: uint32(rest)})
		lines = lines[n:]
	}
}

var newline = []byte{'\n'}

// AddText appends what o has.
func (t *Text) AddText(o Text) {
	t.Bytes = append(t.Bytes, o.Bytes...)
	t.Marks = append(t.Marks, o.Marks...)
}

// Reset empties t and keeps its memory.
func (t *Text) Reset() { t.Bytes, t.Marks = t.Bytes[:0], t.Marks[:0] }

// Cap returns how much memory t has, in bytes.
func (t *Text) Cap() int { return cap(t.Bytes) + cap(t.Marks)*int(unsafe.Sizeof(Mark{})) }

// Cut returns the lines that begin in the first n bytes, and the others. Both are parts of t.
func (t Text) Cut(n int) (head, rest Text) {
	if n >= len(t.Bytes) {
		return t, Text{}
	}
	size, lines := 0, 0
	for ; size < n; lines++ {
		size += int(t.Marks[lines].Len)
	}
	return Text{t.Bytes[:size:size], slices.Clip(t.Marks[:lines])}, Text{t.Bytes[size:], t.Marks[lines:]}
}
