// Package level says how severe each record is: from the mapping of the Docker collector
// that weir replaces, from a field, or from the words of the line.
//
//	line := level.New(cfg, mapping, slots, labels)(next)
//
// A stage belongs to one line. It sets Record.Level and nothing else; a level that a source
// has set already stays unless the configuration names a field.
package level

import (
	"context"
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
	// log.level, loglevel, levelname, priority that a record has, else the words of its
	// line.
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
		r.Level = s.words.level(s.text(b, r))
		return
	}
	if r.Level != record.LevelUnknown && !s.named {
		return
	}
	row := b.Row(i)
	for _, slot := range s.slots {
		if l := severity.FromValue(b.Bytes(row[slot])); l != record.LevelUnknown {
			r.Level = l
			return
		}
	}
	if !s.named {
		// The words of a level need no unescaping, wherever they stand.
		r.Level = severity.FromLine(b.Bytes(r.Body))
	}
}

// text returns the plain text of r, valid until the next call.
func (s *stage) text(b *record.Batch, r *record.Record) []byte {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped == 0 {
		return text
	}
	s.plain = dockerjson.Unescape(s.plain[:0], text)
	return s.plain
}

// FromText returns the level that the words of a plain line say.
func FromText(line []byte) record.Level { return severity.FromLine(line) }
