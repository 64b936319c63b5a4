// Package redact replaces what must not be counted, kept or shown: secrets in the text of
// records, and with them in every field that was taken from it.
//
//	stage, err := redact.New([]redact.Pattern{{Name: "token", Regex: `token=\w+`, Replace: "****"}}, series)
//	line := stage(next)
//
// How often each pattern replaced something is a durable count. A record without a secret
// costs a search of its text as it is, escaped or not; only one with a secret is made plain
// and written anew.
//
// A stage belongs to one line and is called by one goroutine at a time; what Text returns
// may be called concurrently.
package redact

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// Pattern is one kind of secret.
type Pattern struct {
	// Name is the pattern's name in the metric weir_rule_redactions_total.
	Name string `yaml:"name"`
	// Regex is what is replaced, in RE2 syntax.
	Regex string `yaml:"regex"`
	// Replace is what stands there instead; $1 is the first group. Default "****".
	Replace string `yaml:"replace"`
}

// SetDefaults gives a pattern its default.
func (p *Pattern) SetDefaults() { p.Replace = "****" }

// Validate returns what is wrong with p.
func (p Pattern) Validate() error {
	var problems []error
	if p.Name == "" {
		problems = append(problems, &config.Problem{Key: "name", Message: "give the pattern a name, as in token"})
	}
	re, err := regexp.Compile(p.Regex)
	switch {
	case err != nil:
		problems = append(problems, &config.Problem{Key: "regex", Message: err.Error()})
	case re.MatchString(""):
		problems = append(problems, &config.Problem{Key: "regex", Message: "it matches the empty text, so it would be everywhere; ask for at least one character"})
	}
	return config.Join(problems...)
}

// New returns the stage of patterns; series are the durable numbers that count the
// replacements of each in texts.
func New(patterns []Pattern, series []uint32) (flow.Stage, error) {
	if len(series) != len(patterns) {
		return nil, fmt.Errorf("redact: %d patterns with %d series", len(patterns), len(series))
	}
	compiled, err := compile(patterns)
	if err != nil {
		return nil, err
	}
	s := &stage{patterns: compiled, series: series}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				s.record(b, i)
			}
			for i := range b.Fields {
				s.came(b, &b.Fields[i])
			}
			s.count(b)
			return next.Write(ctx, b)
		})
	}, nil
}

// Text returns a function that redacts single plain texts, such as samples that are shown.
func Text(patterns []Pattern) (func(text []byte) []byte, error) {
	compiled, err := compile(patterns)
	if err != nil {
		return nil, err
	}
	return func(text []byte) []byte {
		for i := range compiled {
			text = compiled[i].re.ReplaceAll(text, compiled[i].replace)
		}
		return text
	}, nil
}

// pattern is a Pattern ready for use. literal and find tell at little cost whether there is
// something to do, on escaped text too; re does it.
type pattern struct {
	literal []byte // begins every match; empty when none does
	find    *scan.Pattern
	row     []record.Span // scratch for find
	re      *regexp.Regexp
	replace []byte
	hits    int // in the present batch
}

func compile(patterns []Pattern) ([]pattern, error) {
	var compiled []pattern
	for _, p := range patterns {
		re, err := regexp.Compile(p.Regex)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		find, err := scan.Compile(p.Regex)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		literal, _ := re.LiteralPrefix()
		compiled = append(compiled, pattern{literal: unescaped(literal), find: find, row: make([]record.Span, len(find.Names())), re: re, replace: []byte(p.Replace)})
	}
	return compiled, nil
}

// unescaped returns the longest start of s that stays as it is when Docker escapes it.
func unescaped(s string) []byte {
	n := 0
	for n < len(s) && s[n] >= ' ' && s[n] < 0x7f && !strings.ContainsRune(`"\/<>&'`, rune(s[n])) {
		n++
	}
	return []byte(s[:n])
}

// in says whether there may be a match in a span of b; only true may be wrong.
func (p *pattern) in(b *record.Batch, v record.Span, escaped bool) bool {
	if len(p.literal) > 0 && !bytes.Contains(b.Bytes(v), p.literal) {
		return false
	}
	return p.find.Match(p.row, b.Arena, v, escaped) != scan.NoMatch
}

// stage redacts the records of a line.
type stage struct {
	patterns []pattern
	series   []uint32
	plain    []byte // scratch
}

func (s *stage) count(b *record.Batch) {
	for k := range s.patterns {
		if p := &s.patterns[k]; p.hits > 0 {
			b.Deltas = append(b.Deltas, record.Delta{Series: s.series[k], Add: float64(p.hits)})
			p.hits = 0
		}
	}
}

// record redacts the body of record i and its fields.
func (s *stage) record(b *record.Batch, i int) {
	r := &b.Records[i]
	escaped := r.Flags&record.Escaped != 0
	hit := false
	for k := range s.patterns {
		hit = hit || s.patterns[k].in(b, r.Body, escaped)
	}
	if hit && s.rewrite(b, i) {
		return
	}
	for slot, v := range b.Row(i) {
		for k := range s.patterns {
			if v.Len > 0 && s.patterns[k].in(b, v, escaped) {
				s.value(b, i, slot)
				break
			}
		}
	}
}

// value redacts a field of record i by itself, as when ^ binds a pattern to its start. A
// text that is still escaped stays so.
func (s *stage) value(b *record.Batch, i, slot int) {
	row := b.Row(i)
	escaped := b.Records[i].Flags&record.Escaped != 0
	text := plainOf(b.Bytes(row[slot]), escaped)
	changed := false
	for k := range s.patterns {
		if p := &s.patterns[k]; p.re.Match(text) {
			text, changed = p.re.ReplaceAll(text, p.replace), true
		}
	}
	switch {
	case changed && escaped:
		row[slot] = b.Append(dockerjson.Escape(nil, text))
	case changed:
		row[slot] = b.Append(text)
	}
}

// came redacts a field that came with a record.
func (s *stage) came(b *record.Batch, f *record.Field) {
	for k := range s.patterns {
		p := &s.patterns[k]
		if !p.in(b, f.Value, false) {
			continue
		}
		text := b.Bytes(f.Value)
		if n := len(p.re.FindAllIndex(text, -1)); n > 0 {
			p.hits += n
			f.Value = b.Append(p.re.ReplaceAll(text, p.replace))
		}
	}
}

func plainOf(text []byte, escaped bool) []byte {
	if !escaped {
		return text
	}
	return dockerjson.Unescape(nil, text)
}
