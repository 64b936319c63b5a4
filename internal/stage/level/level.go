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
	"slices"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/jsontext"
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

// hasControl tells whether escaped text has a control character as \u00xx.
func hasControl(text []byte) bool {
	for i := 0; ; i++ {
		if i = jsontext.NextUnicode(text, i); i < 0 {
			return false
		}
		if isControl(text, i) {
			return true
		}
	}
}

// isControl tells whether a control character stands at place i, as \u00xx.
func isControl(text []byte, i int) bool {
	return len(text)-i > 4 && string(text[i:i+4]) == `\u00` && text[i+4]|1 == '1'
}

// FromText returns the level that the words of a plain line say.
func FromText(line []byte) record.Level { return severity.FromLine(line) }
