// Package level says how severe each record is: from the mapping of the Docker collector
// that weir replaces, from a field, or from the words of the line.
//
//	line := level.New(cfg, mapping, slots, labels)(next)
//
// A stage belongs to one line and is called by one goroutine at a time. It sets Record.Level
// and nothing else; a level that a source has set already stays unless the configuration
// names a field. That a record is of standard error says nothing about its level.
package level

import (
	"context"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Config says where the level of a record stands.
type Config struct {
	// Field is the extracted field that holds the level: a word, a number of pino or
	// bunyan, or a syslog severity. Default: the first of level, severity, lvl,
	// log.level, loglevel, levelname, priority that a record has. The words of the line
	// decide where a record has no such field.
	Field string `yaml:"field"`
}

// Fields returns the fields that are looked at where the configuration names none.
func Fields() []string {
	return []string{"level", "severity", "lvl", "log.level", "loglevel", "levelname", "priority"}
}

// New returns the stage of a stream with these labels, whose records have these slots.
// mapping may be nil; where it applies to the stream's container it alone decides.
func New(c Config, mapping *Mapping, slots []string, labels record.Labels) flow.Stage {
	s := &stage{}
	if mapping != nil {
		s.words = mapping.of(labels.Get("container"))
	}
	names := Fields()
	if c.Field != "" {
		names = []string{c.Field}
		s.named = true
	}
	for _, name := range names {
		if i := slices.Index(slots, name); i >= 0 {
			s.slots = append(s.slots, i)
		}
	}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				s.set(b, i)
			}
			return next.Write(ctx, b)
		})
	}
}

type stage struct {
	words *words // of the collector's mapping; nil: none applies
	slots []int
	named bool
	plain []byte // scratch
}

func (s *stage) set(b *record.Batch, i int) {
	r := &b.Records[i]
	if s.words != nil {
		r.Level = s.fromWords(b, r)
		return
	}
	if r.Level != record.LevelUnknown && !s.named {
		return
	}
	row := b.Row(i)
	for _, slot := range s.slots {
		v := b.Bytes(row[slot])
		if l := severity.FromValue(v); l != record.LevelUnknown || s.named && len(v) > 0 {
			r.Level = l
			return
		}
	}
	r.Level = severity.FromLine(s.beginning(b, r))
}

// fromWords asks the collector's mapping. Escaped text is made plain only if it holds a
// keyword at all.
func (s *stage) fromWords(b *record.Batch, r *record.Record) record.Level {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped == 0 {
		return s.words.level(text)
	}
	if !s.words.mayMatch(text) {
		return record.LevelInfo
	}
	s.plain = dockerjson.Unescape(s.plain[:0], text)
	l := s.words.level(s.plain)
	if cap(s.plain) > maxScratch {
		s.plain = nil
	}
	return l
}

// maxScratch is how much memory a line keeps for its next long record.
const maxScratch = 16 << 10

// searched is how much of escaped text is made plain for severity.FromLine, which does not
// look at more.
const searched = 4096

// besideWords is where a control character matters to the words of a line: those that
// severity.FromLine looks at are in its first 200 bytes, unless it is an object.
const besideWords = 200 + len(`\u001b`)

// beginning returns the text of r for severity.FromLine, valid until the next call. Words
// and quotes need no unescaping, but tabs and the colors of terminals do, which stand as
// \u0009 and \u001b right before a level.
func (s *stage) beginning(b *record.Batch, r *record.Record) []byte {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped == 0 {
		return text
	}
	text = text[:min(len(text), searched)]
	near := besideWords
	if len(text) > 0 && text[0] == '{' {
		near = searched / 8
	}
	if hasControl(text[:min(len(text), near)]) {
		s.plain = dockerjson.Unescape(s.plain[:0], text)
		return s.plain
	}
	return text
}

// hasControl tells whether escaped text has a control character as \u00xx. It looks at
// sixteen bytes at once, and for each at the byte before.
func hasControl(text []byte) bool {
	i := 0
	for ; len(text)-i >= 17; i += 16 {
		p := (*[17]byte)(text[i:])
		first := unicodeEscapes(binary.LittleEndian.Uint64(p[0:]), binary.LittleEndian.Uint64(p[1:]))
		second := unicodeEscapes(binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[9:]))
		for ; first != 0; first &= first - 1 {
			if isControl(text, i+bits.TrailingZeros64(first)/8) {
				return true
			}
		}
		for ; second != 0; second &= second - 1 {
			if isControl(text, i+8+bits.TrailingZeros64(second)/8) {
				return true
			}
		}
	}
	for ; i < len(text); i++ {
		if isControl(text, i) {
			return true
		}
	}
	return false
}

const ones, tops = 0x0101010101010101, 0x8080808080808080

// unicodeEscapes returns the highest bit at least of the bytes of next that are the u of an
// escape, if before has a backslash there. Of what commonly follows one, only u is odd.
func unicodeEscapes(before, next uint64) uint64 {
	x := before ^ '\\'*ones
	return (x - ones) &^ x & (next << 7) & tops
}

// isControl tells whether a control character stands at place i, as \u00xx.
func isControl(text []byte, i int) bool {
	return len(text)-i > 4 && string(text[i:i+4]) == `\u00` && text[i+4]|1 == '1'
}

// FromText returns the level that the words of a plain line say.
func FromText(line []byte) record.Level { return severity.FromLine(line) }
