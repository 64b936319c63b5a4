// Package redact replaces what must not be counted, kept or shown: secrets in the text of
// records, and with them in every field that was taken from it.
//
//	stage, err := redact.New([]redact.Pattern{{Name: "token", Regex: `token=\w+`}}, series)
//
// How often each pattern replaced something is a durable count. A stage belongs to one line.
package redact

import (
	"bytes"
	"context"
	"fmt"
	"regexp"

	"github.com/weirlog/weir/internal/codec/dockerjson"
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
// replacements of each.
func New(patterns []Pattern, series []uint32) (flow.Stage, error) {
	s, err := compile(patterns)
	if err != nil {
		return nil, err
	}
	s.series = series
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for i := range b.Records {
				s.record(b, i)
			}
			s.count(b)
			return next.Write(ctx, b)
		})
	}, nil
}

// Text returns a function that redacts single texts, such as samples that are shown.
func Text(patterns []Pattern) (func(text []byte) []byte, error) {
	s, err := compile(patterns)
	if err != nil {
		return nil, err
	}
	return func(text []byte) []byte {
		for i := range s.patterns {
			text = s.patterns[i].re.ReplaceAll(text, s.patterns[i].replace)
		}
		return text
	}, nil
}

func compile(patterns []Pattern) (*stage, error) {
	s := &stage{}
	for _, p := range patterns {
		re, err := regexp.Compile(p.Regex)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		s.patterns = append(s.patterns, pattern{re: re, replace: []byte(p.Replace)})
	}
	return s, nil
}

type pattern struct {
	re      *regexp.Regexp
	replace []byte
	hits    int // in the present batch
}

type stage struct {
	patterns []pattern
	series   []uint32
	plain    []byte // scratch
}

// record redacts the body of record i and what its fields took from it.
func (s *stage) record(b *record.Batch, i int) {
	r := &b.Records[i]
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		s.plain = dockerjson.Unescape(s.plain[:0], text)
		text = s.plain
	}
	hit := false
	for k := range s.patterns {
		p := &s.patterns[k]
		found := p.re.FindAllIndex(text, -1)
		if len(found) == 0 {
			continue
		}
		p.hits += len(found)
		hit = true
		text = p.re.ReplaceAll(text, p.replace)
	}
	s.fields(b, i)
	if hit {
		r.Body = b.Append(text)
		r.Flags &^= record.Escaped
	}
}

// fields redacts every field by itself, and those that overlap a secret of the whole line.
// It runs before the body is replaced, while fields are still spans of it.
func (s *stage) fields(b *record.Batch, i int) {
	r, row := &b.Records[i], b.Row(i)
	if len(row) == 0 {
		return
	}
	escaped := r.Flags&record.Escaped != 0
	secrets := s.secrets(plainOf(b.Bytes(r.Body), escaped))
	for k, v := range row {
		if v.Len == 0 {
			continue
		}
		value := plainOf(b.Bytes(v), escaped)
		clean := value
		for j := range s.patterns {
			clean = s.patterns[j].re.ReplaceAll(clean, s.patterns[j].replace)
		}
		if start, ok := placeIn(b, r.Body, v, escaped); ok && bytes.Equal(clean, value) {
			for _, secret := range secrets {
				if start < secret.end && start+len(value) > secret.start {
					clean = s.patterns[secret.pattern].replace
				}
			}
		}
		if !bytes.Equal(clean, value) || escaped && len(secrets) > 0 {
			row[k] = b.Append(clean)
		}
	}
}

func plainOf(text []byte, escaped bool) []byte {
	if !escaped {
		return text
	}
	return dockerjson.Unescape(nil, text)
}

// secret is a piece of a record's plain text that a pattern matches.
type secret struct{ start, end, pattern int }

func (s *stage) secrets(text []byte) []secret {
	var all []secret
	for k := range s.patterns {
		for _, at := range s.patterns[k].re.FindAllIndex(text, -1) {
			all = append(all, secret{at[0], at[1], k})
		}
	}
	return all
}

// placeIn returns where in the plain text of body the field v begins; ok is false for a
// field that is no piece of it.
func placeIn(b *record.Batch, body, v record.Span, escaped bool) (start int, ok bool) {
	if v.Off < body.Off || v.Off+v.Len > body.Off+body.Len {
		return 0, false
	}
	before := b.Bytes(record.Span{Off: body.Off, Len: v.Off - body.Off})
	return len(plainOf(before, escaped)), true
}

func (s *stage) count(b *record.Batch) {
	for k := range s.patterns {
		if p := &s.patterns[k]; p.hits > 0 && k < len(s.series) {
			b.Deltas = append(b.Deltas, record.Delta{Series: s.series[k], Add: float64(p.hits)})
			p.hits = 0
		}
	}
}
