package archive

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// builder makes the Head of a block as its records come in.
type builder struct {
	Head
	counted fieldCounter
	last    int64     // the time of the last record
	rest    []byte    // what followed the last body that anything followed, with its newline
	said    kept.Line // what it says; its fields are parts of it
}

// start begins with the block whose first record has that number.
func (b *builder) start(first uint64) {
	b.Head = Head{First: first, Sorted: true}
	b.counted.reset()
}

// add counts the lines of text, which may be of any kind, and returns how many there are.
func (b *builder) add(text []byte) (n int) {
	b.Bytes += len(text)
	for line := range kept.Lines(text) {
		n++
		if l, err := kept.Parse(line); err == nil {
			b.note(&l, nil)
		} else {
			b.Gaps++ // only damage makes such a line
		}
	}
	return n
}

// take is add for text that a kept.Appender wrote: it does not look for what is known of it.
// The bodies go to the filter as well, if there is one.
func (b *builder) take(t kept.Text, filter *gram.Builder) {
	b.Bytes += len(t.Bytes)
	rest := t.Bytes
	for i := range t.Marks {
		m := &t.Marks[i]
		line := rest[:m.Len]
		rest = rest[m.Len:]
		l, err := b.after(line[m.Rest:])
		if err != nil {
			b.Gaps++
			continue
		}
		l.Time, l.Level, l.Body = m.Time, m.Level, line[m.Body:m.Rest]
		b.note(&l, filter)
		if filter != nil {
			filter.Add(l.Body)
		}
	}
}

// maxRest is how much of what followed a body is remembered.
const maxRest = 256

// after reads what follows a body, up to the newline. Most lines of a stream end as the one
// before.
func (b *builder) after(rest []byte) (kept.Line, error) {
	if string(rest) == string(b.rest) && len(rest) > 0 {
		return b.said, nil
	}
	if string(rest) == "\"}\n" {
		return kept.Line{}, nil
	}
	if len(rest) > maxRest {
		return kept.Written(bytes.TrimSuffix(rest, newline), 0)
	}
	b.rest = append(b.rest[:0], rest...)
	var err error
	if b.said, err = kept.Written(bytes.TrimSuffix(b.rest, newline), 0); err != nil {
		b.rest = b.rest[:0]
	}
	return b.said, err
}

var newline = []byte{'\n'}

// note counts a line. The fields that say which task it belongs to go to the filter as well,
// if there is one.
func (b *builder) note(l *kept.Line, filter *gram.Builder) {
	if b.Records+b.Gaps == 0 {
		b.MinTime, b.MaxTime = l.Time, l.Time
	} else if l.Time < b.last {
		b.Sorted = false
	}
	b.last = l.Time
	b.MinTime, b.MaxTime = min(b.MinTime, l.Time), max(b.MaxTime, l.Time)
	if len(l.Gap) > 0 {
		b.Gaps++
		return
	}
	b.Records++
	b.Levels[min(l.Level, record.LevelFatal)]++
	b.BodyBytes += kept.TextLen(l.Body)
	b.Weighted = b.Weighted || l.Weight > 1
	b.counted.countAll(l, filter)
}

// sound tells whether a line is a record.
func sound(line []byte) bool {
	if len(line) == 0 || line[len(line)-1] != '\n' {
		return false
	}
	_, err := kept.Parse(line[:len(line)-1])
	return err == nil
}

// AppendGap appends a gap record: something of the stream was lost before weir could read
// it, or left out by a filter.
func AppendGap(dst []byte, now int64, g record.Gap) []byte {
	body := "lost an unknown amount of text: " + g.Reason
	switch {
	case g.Records > 0:
		body = fmt.Sprintf("left out %d records: %s", g.Records, g.Reason)
	case g.Bytes >= 0:
		body = fmt.Sprintf("lost %d bytes: %s", g.Bytes, g.Reason)
	}
	return appendGapLine(dst, &kept.Record{Time: now, Level: record.LevelWarn, Body: []byte(body), Gap: g.Reason, GapBytes: g.Bytes})
}

func appendGapLine(dst []byte, r *kept.Record) []byte {
	var a kept.Appender
	return a.Append(dst, r)
}

// appendGap appends a gap record of now.
func appendGap(dst []byte, reason string, bytes int64) []byte {
	return AppendGap(dst, time.Now().UnixNano(), record.Gap{Bytes: bytes, Reason: reason})
}

// appendMissed appends the gap record for records that were counted and not kept.
func appendMissed(dst []byte, records uint64) []byte {
	body := strconv.FormatUint(records, 10) + " records were counted and not kept: the disk was full or failed"
	return appendGapLine(dst, &kept.Record{Time: time.Now().UnixNano(), Level: record.LevelWarn, Body: []byte(body), Gap: "not kept", GapBytes: -1})
}
