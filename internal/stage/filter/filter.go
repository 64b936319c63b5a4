// Package filter takes records out of a line, after they were counted: what is dropped is
// not kept, and is counted all the same.
//
//	stage, err := filter.New(filter.Config{DropLevels: []string{"debug", "trace"}})
//
// A stage sets record.Dropped and removes nothing, so that later stages and the journal see
// the same records. It belongs to one line.
package filter

import (
	"context"
	"fmt"
	"regexp"

	"github.com/weirlog/weir/internal/codec/dockerjson"
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
	for key, list := range map[string][]string{"drop": c.Drop, "only": c.Only} {
		for i, expr := range list {
			if _, err := regexp.Compile(expr); err != nil {
				problems = append(problems, &config.Problem{Key: fmt.Sprintf("%s[%d]", key, i), Message: err.Error()})
			}
		}
	}
	return config.Join(problems...)
}

// New returns the stage of c.
func New(c Config) (flow.Stage, error) {
	var s stage
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

func compile(exprs []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, expr := range exprs {
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		all = append(all, re)
	}
	return all, nil
}

type stage struct {
	levels     [record.LevelFatal + 1]bool
	drop, only []*regexp.Regexp
	plain      []byte // scratch
}

func (s *stage) drops(b *record.Batch, r *record.Record) bool {
	if s.levels[r.Level] {
		return true
	}
	if len(s.drop)+len(s.only) == 0 {
		return false
	}
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		s.plain = dockerjson.Unescape(s.plain[:0], text)
		text = s.plain
	}
	return matchesAny(s.drop, text) || len(s.only) > 0 && !matchesAny(s.only, text)
}

func matchesAny(exprs []*regexp.Regexp, text []byte) bool {
	for _, re := range exprs {
		if re.Match(text) {
			return true
		}
	}
	return false
}
