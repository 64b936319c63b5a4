// Package join makes whole records of what inputs give in parts: the pieces that Docker and
// CRI cut long messages into, and, where asked, lines that are one record, such as stack
// traces.
//
//	stage, err := join.New(join.Config{Preset: "auto"})
//	line := stage(next)
//
// A record that may go on is held back: its text is kept beside the batches, the batch's
// resume position is lowered to its start, and Batch.Held asks the source for empty batches,
// so that it can be let go when nothing follows. Nothing held needs to be stored: it is read
// again after a restart. Standard output and standard error are joined each by itself.
//
// A stage belongs to one line and is called by one goroutine at a time.
package join

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Config says which lines are one record. Pieces of one line are always joined.
type Config struct {
	// Preset joins stack traces, and the line that announces them: java, python, go,
	// ruby, dotnet, node, or auto for all of these. Default: none.
	Preset string `yaml:"preset"`
	// Start is a regular expression (RE2) that matches the first line of a record; lines
	// that do not match belong to the record before. Default: none.
	Start string `yaml:"start"`
	// Continue is a regular expression (RE2) that matches the lines of a record after its
	// first. With start as well, a line that matches neither is a record of its own.
	// Default: none.
	Continue string `yaml:"continue"`
	// Timeout is how long an unfinished record waits for its next line, in which it does
	// not appear anywhere. Zero means the default, 1s. Pieces of one line wait for 5s.
	Timeout time.Duration `yaml:"timeout"`
	// MaxLines is the most lines of one record; what follows begins another. Zero means
	// the default, 500.
	MaxLines int `yaml:"max_lines"`
	// MaxBytes is the most text of one record; a line that would exceed it begins another
	// record, and a single line that is longer loses its end. Zero means the default, 1MiB.
	MaxBytes config.Bytes `yaml:"max_bytes"`
}

// Default returns the configuration that joins nothing but pieces.
func Default() Config {
	return Config{Timeout: time.Second, MaxLines: 500, MaxBytes: 1 << 20}
}

// SetDefaults sets what Default returns.
func (c *Config) SetDefaults() { *c = Default() }

// pieceTimeout is how long a line waits for its next piece. The writer of the line takes a
// pause, or is gone; sources give what is held at the end of an input a little longer.
const pieceTimeout = 5 * time.Second

// maxTimeout keeps a typing mistake from holding records for ever.
const maxTimeout = 5 * time.Minute

// leastBytes and mostBytes bound MaxBytes: a record must fit into a batch.
const (
	leastBytes = 1 << 10
	mostBytes  = 64 << 20
)

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	wrong := func(key, format string, args ...any) {
		problems = append(problems, &config.Problem{Key: key, Message: fmt.Sprintf(format, args...)})
	}
	if _, ok := presets[c.Preset]; !ok && c.Preset != "" {
		wrong("preset", "%q is no preset; use java, python, go, ruby, dotnet, node or auto", c.Preset)
	}
	if c.Preset != "" && (c.Start != "" || c.Continue != "") {
		wrong("preset", "give a preset, or start and continue, not both")
	}
	if _, err := regexp.Compile(c.Start); err != nil {
		wrong("start", "%v", err)
	}
	if _, err := regexp.Compile(c.Continue); err != nil {
		wrong("continue", "%v", err)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		wrong("timeout", "give a time up to %s", config.FormatDuration(maxTimeout))
	}
	if c.MaxLines < 0 {
		wrong("max_lines", "give a number of lines, as in 500")
	}
	if c.MaxBytes != 0 && (c.MaxBytes < leastBytes || c.MaxBytes > mostBytes) {
		wrong("max_bytes", "give a size from %s to %s", config.Bytes(leastBytes), config.Bytes(mostBytes))
	}
	return config.Join(problems...)
}

// New returns the stage of c.
func New(c Config) (flow.Stage, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	d := Default()
	if c.Timeout == 0 {
		c.Timeout = d.Timeout
	}
	if c.MaxLines == 0 {
		c.MaxLines = d.MaxLines
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = d.MaxBytes
	}
	return func(next flow.Sink) flow.Sink {
		s := &stage{next: next, timeout: c.Timeout, maxLines: c.MaxLines, maxBytes: int(c.MaxBytes), judged: int(c.MaxBytes)}
		if c.Preset != "" {
			s.judged = judged
		}
		for sub := range s.subs {
			s.subs[sub].grouping = newGrouping(c)
		}
		return s
	}, nil
}

// stage is the sink of a line before which records are joined.
type stage struct {
	next     flow.Sink
	timeout  time.Duration
	maxLines int
	maxBytes int
	judged   int    // how much of a line decides where it belongs
	subs     [2]sub // by sub-stream
	plain    []byte // scratch for text without escapes
	escaped  []byte // scratch for text with escapes
}

// sub is what a sub-stream's records have come to.
type sub struct {
	held
	grouping grouping // nil: every line is a record
	waiting  []line   // behind the held record, and part of it if what follows is
}

// Write joins what belongs together in b and what is held back, and passes the rest on.
func (s *stage) Write(ctx context.Context, b *record.Batch) error {
	if s.subs[0].grouping == nil && !s.subs[0].active && !s.subs[1].active && !anyPartial(b.Records) {
		return s.next.Write(ctx, b)
	}
	s.join(b)
	if err := s.next.Write(ctx, b); err != nil {
		// The batch does not count, so everything since the last commit comes again.
		for i := range s.subs {
			s.subs[i].forget()
		}
		return err
	}
	return nil
}

func anyPartial(records []record.Record) bool {
	var flags record.Flags
	for i := range records {
		flags |= records[i].Flags
	}
	return flags&record.Partial != 0
}

// join puts the records of b together in place. What is held from before can put as many
// records more into b than it had; room for these is made in front.
func (s *stage) join(b *record.Batch) {
	n, room := len(b.Records), s.subs[0].count()+s.subs[1].count()
	for range room {
		b.Records = append(b.Records, record.Record{})
	}
	copy(b.Records[room:], b.Records[:n])
	in := b.Records[room:]
	b.Records = b.Records[:0]
	if len(b.Gaps) > 0 {
		for i := range s.subs {
			s.subs[i].flush(b) // its rest may be in the gap
		}
	}
	for i := range in {
		r := in[i]
		s.add(b, &s.subs[r.Flags.Sub()], r)
	}
	now := time.Now()
	for i := range s.subs {
		s.subs[i].rest(b, now, s.timeout)
		if s.subs[i].active {
			b.Position.Resume[i] = s.subs[i].rec.Start
			b.Held = true
		}
	}
	if cap(s.plain)+cap(s.escaped) > maxScratch {
		s.plain, s.escaped = nil, nil
	}
}

// maxScratch is how much memory a line keeps for its next long record.
const maxScratch = 16 << 10

// add takes one record of b.
func (s *stage) add(b *record.Batch, u *sub, r record.Record) {
	partial := r.Flags&record.Partial != 0
	if u.active && u.open {
		s.extend(b, u, r, false)
		if !partial && u.alone {
			u.emit(b)
		}
		return
	}
	v := alone
	if u.grouping != nil {
		v = u.grouping.next(s.text(b, r))
	}
	if v == waits && (partial || !u.active || r.Body.Len > maxWaitingBytes) {
		u.grouping.reset()
		v = alone
	}
	switch {
	case v == waits:
		u.wait(r)
	case v == alone && !partial:
		u.emit(b)
		b.Records = append(b.Records, r)
	default:
		if v == goesOn {
			s.take(b, u)
		}
		s.place(b, u, r, v)
	}
}

// place makes r a line of the held record, or the first one of the next.
func (s *stage) place(b *record.Batch, u *sub, r record.Record, v verdict) {
	if v == goesOn && u.active && u.lines < s.maxLines && u.size()+int(r.Body.Len)+len(`\n`) <= s.maxBytes {
		s.extend(b, u, r, true)
		u.lines++
		return
	}
	u.emit(b)
	u.hold(r)
	u.alone = v == alone
	s.cut(b, u)
}

// text returns the plain text of r, or what of it decides, valid until the next call.
func (s *stage) text(b *record.Batch, r record.Record) []byte {
	text := b.Bytes(r.Body)
	text = text[:min(len(text), s.judged)]
	if r.Flags&record.Escaped == 0 {
		return text
	}
	s.plain = dockerjson.Unescape(s.plain[:0], text)
	return s.plain
}
