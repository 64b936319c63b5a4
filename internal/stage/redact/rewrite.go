package redact

import (
	"bytes"
	"slices"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// secret is a piece of a record's plain text that a pattern matches, and what replaces it.
type secret struct {
	start, end int
	with       []byte
}

// rewrite replaces the secrets of record i, which is plain text afterwards; false means
// that there are none. It is not on the hot path, so it may allocate.
func (s *stage) rewrite(b *record.Batch, i int) bool {
	r := &b.Records[i]
	escaped := r.Flags&record.Escaped != 0
	original := b.Bytes(r.Body)
	if escaped {
		s.plain = jsontext.Unescape(s.plain[:0], original)
		original = s.plain
	}
	text := original
	var secrets []secret
	for k := range s.patterns {
		p := &s.patterns[k]
		secrets = p.secrets(secrets, original)
		if n := len(p.re.FindAllIndex(text, -1)); n > 0 {
			p.hits += n
			text = p.re.ReplaceAll(text, p.replace)
		}
	}
	if len(secrets) == 0 {
		return false
	}
	slices.SortStableFunc(secrets, func(a, b secret) int { return a.start - b.start })
	for slot, v := range b.Row(i) {
		if v.Len > 0 {
			b.Row(i)[slot] = b.Append(s.field(b, r, v, secrets))
		}
	}
	r.Body = b.Append(text)
	r.Flags &^= record.Escaped
	if cap(s.plain) > maxScratch {
		s.plain = nil
	}
	return true
}

// maxScratch is how much memory a line keeps for its next long record.
const maxScratch = 16 << 10

// secrets appends the matches in text.
func (p *pattern) secrets(all []secret, text []byte) []secret {
	for _, at := range p.re.FindAllSubmatchIndex(text, -1) {
		all = append(all, secret{at[0], at[1], p.re.Expand(nil, p.replace, text, at)})
	}
	return all
}

// field returns the redacted plain text of a field of r.
func (s *stage) field(b *record.Batch, r *record.Record, v record.Span, secrets []secret) []byte {
	escaped := r.Flags&record.Escaped != 0
	value := plainOf(b.Bytes(v), escaped)
	var clean []byte
	if v.Off >= r.Body.Off && v.Off+v.Len <= r.Body.Off+r.Body.Len {
		before := b.Bytes(record.Span{Off: r.Body.Off, Len: v.Off - r.Body.Off})
		clean = cover(value, len(plainOf(before, escaped)), secrets)
	} else {
		clean = coverCopy(value, b.Bytes(r.Body), escaped, secrets)
	}
	if !bytes.Equal(clean, value) {
		return clean
	}
	for k := range s.patterns {
		clean = s.patterns[k].re.ReplaceAll(clean, s.patterns[k].replace)
	}
	return clean
}

// cover returns a value, which begins at start in the text, with its part in any of the
// secrets replaced. A value within a secret becomes what replaces that.
func cover(value []byte, start int, secrets []secret) []byte {
	var clean []byte
	at, end := start, start+len(value)
	for _, x := range secrets {
		if x.start >= end || x.end <= at {
			continue
		}
		if x.start > at {
			clean = append(clean, value[at-start:x.start-start]...)
		}
		clean = append(clean, x.with...)
		at = x.end
	}
	if at < end {
		clean = append(clean, value[max(at, start)-start:]...)
	}
	return clean
}

// coverCopy returns what replaces a value that a parser unescaped, if it is from a secret:
// the text of one, unescaped once more as the parser did, has the value in it.
func coverCopy(value, body []byte, escaped bool, secrets []secret) []byte {
	text := plainOf(body, escaped)
	for _, x := range secrets {
		piece := text[x.start:x.end]
		if bytes.Contains(piece, value) || bytes.Contains(jsontext.Unescape(nil, piece), value) {
			return x.with
		}
	}
	return value
}
