// Package redact replaces what must not be counted, kept or shown: secrets in the text of
// records, and with them in every field that was taken from it. With the builtin secrets a
// field whose name is that of a secret is one, wherever it stands in the text.
//
//	stage, err := redact.New([]redact.Pattern{{Builtin: "secrets", Name: "secrets", Replace: "****"}}, series)
//	line := stage(next)
//
// Patterns apply one after the other, each to what the one before left. How often each
// replaced something is a durable count. A record without a secret costs a look at its text
// as it is, escaped or not; only one with a secret is made plain and written anew.
//
// A stage belongs to a line and is called by one goroutine at a time; what Text returns
// may be called concurrently.
package redact

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

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
			s.name(b.Slots)
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
			text = replaced(text, compiled[i].edits(text, nil, nil))
		}
		return text
	}, nil
}

// pattern is a Pattern ready for use. What is built in has a kind; what is not has literal
// and find, which tell at little cost whether there is something to do, on escaped text
// too, and re, which does it.
type pattern struct {
	builtin bool
	kind    secret.Kind
	literal []byte // begins every match; empty when none does
	find    *scan.Pattern
	row     []record.Span // scratch for find
	re      *regexp.Regexp
	// bound is set where a piece of a text may match though the text does not: re asks for
	// an end of the text or of a word.
	bound   bool
	replace []byte
	hits    int // in the present batch
}

func compile(patterns []Pattern) ([]pattern, error) {
	var compiled []pattern
	for _, p := range patterns {
		if p.Builtin != "" {
			kind, ok := secret.Named(p.Builtin)
			if !ok {
				return nil, fmt.Errorf("redact: %s is not built in", p.Builtin)
			}
			compiled = append(compiled, pattern{builtin: true, kind: kind, replace: []byte(p.Replace)})
			continue
		}
		re, err := regexp.Compile(p.Regex)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		find, err := scan.Compile(p.Regex)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		tree, err := syntax.Parse(p.Regex, syntax.Perl)
		if err != nil {
			return nil, fmt.Errorf("redact %s: %w", p.Name, err)
		}
		literal, _ := re.LiteralPrefix()
		compiled = append(compiled, pattern{
			literal: unescaped(literal), find: find, row: make([]record.Span, len(find.Names())),
			re: re, bound: isBound(tree), replace: []byte(p.Replace),
		})
	}
	return compiled, nil
}

// isBound tells whether an expression asks for more than characters.
func isBound(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(re.Sub, isBound)
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
	if p.builtin {
		return p.kind.May(b.Bytes(v))
	}
	if len(p.literal) > 0 && !bytes.Contains(b.Bytes(v), p.literal) {
		return false
	}
	return p.find.Match(p.row, b.Arena, v, escaped) != scan.NoMatch
}

// secrets tells whether p is the builtin of that name.
func (p *pattern) secrets() bool { return p.builtin && p.kind == secret.Secrets }

// apart tells whether a value has to be looked at by itself, though the text that it is
// from has no match: inside tells whether it is a piece of that.
func (p *pattern) apart(inside bool) bool {
	return !inside || p.bound
}

// stage redacts the records of a line.
type stage struct {
	patterns []pattern
	series   []uint32
	slots    []string // of the batch before
	named    []bool   // by slot: its name is that of a secret
	key      key
	plain    []byte         // scratch
	places   []secret.Place // scratch
}

// name finds out which slots have the name of a secret.
func (s *stage) name(slots []string) {
	if len(slots) == len(s.slots) && (len(slots) == 0 || &slots[0] == &s.slots[0]) {
		return // a line has the same in all batches
	}
	s.slots, s.named = slots, s.named[:0]
	wanted := s.secrets() >= 0
	for _, slot := range slots {
		s.named = append(s.named, wanted && secret.IsName([]byte(slot)))
	}
}

// secrets returns the index of the first builtin of that name, -1 if there is none.
func (s *stage) secrets() int {
	return slices.IndexFunc(s.patterns, func(p pattern) bool { return p.secrets() })
}

// holds tells whether a slot of record i whose name is that of a secret has one.
func (s *stage) holds(b *record.Batch, i int) bool {
	for slot, v := range b.Row(i) {
		if s.named[slot] && v.Len > 0 && !secret.IsHarmless(b.Bytes(v)) {
			return true
		}
	}
	return false
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
	if s.key.left > 0 && s.hidden(b, i) {
		return
	}
	r := &b.Records[i]
	escaped := r.Flags&record.Escaped != 0
	hit := s.holds(b, i)
	for k := range s.patterns {
		hit = hit || s.patterns[k].in(b, r.Body, escaped)
	}
	if hit && s.rewrite(b, i) {
		return
	}
	for slot, v := range b.Row(i) {
		inside := within(v, r.Body)
		for k := range s.patterns {
			if p := &s.patterns[k]; v.Len > 0 && p.apart(inside) && p.in(b, v, escaped) {
				s.value(b, i, slot)
				break
			}
		}
	}
}

// within tells whether v is a piece of body.
func within(v, body record.Span) bool {
	return v.Off >= body.Off && v.Off+v.Len <= body.Off+body.Len
}

// value redacts a field of record i by itself, as when ^ binds a pattern to its start. A
// text that is still escaped stays so.
func (s *stage) value(b *record.Batch, i, slot int) {
	row := b.Row(i)
	escaped := b.Records[i].Flags&record.Escaped != 0
	text, changed := s.alone(plainOf(b.Bytes(row[slot]), escaped))
	switch {
	case changed && escaped:
		row[slot] = b.Append(jsontext.Escape(nil, text))
	case changed:
		row[slot] = b.Append(text)
	}
}

// alone redacts the plain text of a field.
func (s *stage) alone(text []byte) (clean []byte, changed bool) {
	for k := range s.patterns {
		if edits := s.patterns[k].edits(text, nil, nil); len(edits) > 0 {
			text, changed = replaced(text, edits), true
		}
	}
	return text, changed
}

// came redacts a field that came with a record.
func (s *stage) came(b *record.Batch, f *record.Field) {
	for k := range s.patterns {
		p := &s.patterns[k]
		text := b.Bytes(f.Value)
		var edits []edit
		switch {
		case p.secrets() && secret.IsName(b.Bytes(f.Name)):
			if len(text) > 0 && !bytes.Equal(text, p.replace) {
				edits = []edit{{end: len(text), with: p.replace}}
			}
		case p.in(b, f.Value, false):
			edits = p.edits(text, nil, nil)
		}
		if len(edits) > 0 {
			p.hits += len(edits)
			f.Value = b.Append(replaced(text, edits))
		}
	}
}

func plainOf(text []byte, escaped bool) []byte {
	if !escaped {
		return text
	}
	return jsontext.Unescape(nil, text)
}
