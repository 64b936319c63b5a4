// Package filter takes records out of a line, after they were counted: what is dropped is
// not kept, and is counted all the same.
//
//	stage, err := filter.New(filter.Config{DropLevels: []string{"debug", "trace"}})
//
// A stage sets record.Dropped and removes nothing, so that later stages and the journal see
// the same records. It belongs to one line and is called by one goroutine at a time.
package filter

import (
	"context"
	"fmt"
	"regexp"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Config says which records are taken out. A record goes when any part says so.
type Config struct {
	// DropLevels lists levels whose records go: trace, debug, info, warn, error, fatal.
	DropLevels []string `yaml:"drop_levels"`
	// Drop lists regular expressions (RE2); a record whose text has a match goes.
	Drop []string `yaml:"drop"`
	// Only lists regular expressions (RE2); a record whose text matches none goes.
	Only []string `yaml:"only"`
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	for i, name := range c.DropLevels {
		if severity.FromValue([]byte(name)).String() != name || name == record.LevelUnknown.String() {
			problems = append(problems, &config.Problem{Key: fmt.Sprintf("drop_levels[%d]", i), Message: fmt.Sprintf("%q is no level; use trace, debug, info, warn, error, fatal", name)})
		}
	}
	check := func(key string, exprs []string) {
		for i, expr := range exprs {
			if _, err := regexp.Compile(expr); err != nil {
				problems = append(problems, &config.Problem{Key: fmt.Sprintf("%s[%d]", key, i), Message: err.Error()})
			}
		}
	}
	check("drop", c.Drop)
	check("only", c.Only)
	return config.Join(problems...)
}

// New returns the stage of c.
func New(c Config) (flow.Stage, error) {
	s := &stage{}
	for _, name := range c.DropLevels {
		s.levels[severity.FromValue([]byte(name))] = true
	}
	var err error
	if s.drop, err = compile(c.Drop); err != nil {
		return nil, err
	}
	if s.only, err = compile(c.Only); err != nil {
		return nil, err
	}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				if r := &b.Records[i]; s.drops(b, r) {
					r.Flags |= record.Dropped
				}
			}
			return next.Write(ctx, b)
		})
	}, nil
}

// expr is a regular expression, and room for its groups, which nobody asks for.
type expr struct {
	*scan.Pattern
	row []record.Span
}

func compile(exprs []string) ([]expr, error) {
	var all []expr
	for _, text := range exprs {
		p, err := scan.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		all = append(all, expr{p, make([]record.Span, len(p.Names()))})
	}
	return all, nil
}

type stage struct {
	levels     [record.LevelFatal + 1]bool
	drop, only []expr
	plain      []byte // scratch
}

func (s *stage) drops(b *record.Batch, r *record.Record) bool {
	if s.levels[r.Level] {
		return true
	}
	return s.matchesAny(s.drop, b, r) || len(s.only) > 0 && !s.matchesAny(s.only, b, r)
}

func (s *stage) matchesAny(exprs []expr, b *record.Batch, r *record.Record) bool {
	for _, x := range exprs {
		found := x.Match(x.row, b.Arena, r.Body, r.Flags&record.Escaped != 0)
		if found == scan.NeedPlain {
			s.plain = dockerjson.Unescape(s.plain[:0], b.Bytes(r.Body))
			found = x.Match(x.row, s.plain, record.Span{Len: uint32(len(s.plain))}, false)
		}
		if found == scan.Matched {
			return true
		}
	}
	return false
}
