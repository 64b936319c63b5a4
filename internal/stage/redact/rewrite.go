package redact

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/record"
)

// edit is a piece of a plain text and what replaces it.
type edit struct {
	start, end int
	with       []byte
}

// edits returns what p replaces in plain text, in order. It does not allocate where there
// is nothing and places, which may be nil, is large enough.
func (p *pattern) edits(text []byte, places []secret.Place) []edit {
	var all []edit
	if p.builtin {
		for _, at := range p.kind.Append(places[:0], text) {
			all = append(all, edit{at.Start, at.End, p.replace})
		}
		return all
	}
	for _, at := range p.re.FindAllSubmatchIndex(text, -1) {
		all = append(all, edit{at[0], at[1], p.re.Expand(nil, p.replace, text, at)})
	}
	return all
}

// replaced returns text after edits; it is text itself when there are none.
func replaced(text []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return text
	}
	clean := make([]byte, 0, len(text)+16)
	at := 0
	for _, e := range edits {
		clean = append(append(clean, text[at:e.start]...), e.with...)
		at = e.end
	}
	return append(clean, text[at:]...)
}

// field is a value of a record while the record is written anew: a piece of the text, or a
// copy that a parser made.
type field struct {
	slot       int
	inside     bool
	start, end int    // in the plain text, if it is inside
	value      []byte // the plain copy, if it is not
	changed    bool
}

// rewrite replaces the secrets of record i, which is plain text afterwards; false means
// that there are none. It is not on the hot path, so it may allocate where there are.
func (s *stage) rewrite(b *record.Batch, i int) bool {
	r := &b.Records[i]
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		s.plain = jsontext.Unescape(s.plain[:0], text)
		text = s.plain
	}
	if s.places == nil {
		s.places = make([]secret.Place, 0, 16)
	}
	var fields []field
	changed := false
	for k := range s.patterns {
		p := &s.patterns[k]
		edits := p.edits(text, s.places)
		if len(edits) == 0 {
			continue
		}
		if !changed {
			fields, changed = fieldsOf(b, i), true
		}
		p.hits += len(edits)
		for f := range fields {
			fields[f].follow(text, edits)
		}
		text = replaced(text, edits)
	}
	if changed {
		s.store(b, i, text, fields)
	}
	if cap(s.plain) > maxScratch {
		s.plain = nil
	}
	return changed
}

// maxScratch is how much memory a line keeps for its next long record.
const maxScratch = 16 << 10

// fieldsOf returns the fields of record i that are there.
func fieldsOf(b *record.Batch, i int) []field {
	r := &b.Records[i]
	escaped := r.Flags&record.Escaped != 0
	var fields []field
	for slot, v := range b.Row(i) {
		if v.Len == 0 {
			continue
		}
		f := field{slot: slot, value: plainOf(b.Bytes(v), escaped)}
		if within(v, r.Body) {
			before := b.Bytes(record.Span{Off: r.Body.Off, Len: v.Off - r.Body.Off})
			f.inside = true
			f.start = len(plainOf(before, escaped))
			f.end = f.start + len(f.value)
		}
		fields = append(fields, f)
	}
	return fields
}

// follow makes the edits of text to f. A piece of the text that begins or ends within an
// edit takes the replacement as a whole.
func (f *field) follow(text []byte, edits []edit) {
	if !f.inside {
		f.followCopy(text, edits)
		return
	}
	shift, start, end := 0, -1, -1
	for _, e := range edits {
		if start < 0 && e.end > f.start {
			start = min(f.start, e.start) + shift
		}
		if e.start >= f.end {
			break
		}
		f.changed = f.changed || e.end > f.start
		if e.end > f.end {
			end = e.start + shift + len(e.with)
			break
		}
		shift += len(e.with) - (e.end - e.start)
	}
	if start < 0 {
		start = f.start + shift
	}
	if end < 0 {
		end = f.end + shift
	}
	f.start, f.end = start, end
}

// followCopy replaces a value that a parser unescaped, if it is from a secret: the text of
// one, unescaped once more as the parser did, has the value in it.
func (f *field) followCopy(text []byte, edits []edit) {
	for _, e := range edits {
		piece := text[e.start:e.end]
		if bytes.Contains(piece, f.value) || bytes.Contains(jsontext.Unescape(nil, piece), f.value) {
			f.value, f.changed = e.with, true
			return
		}
	}
}

// store writes record i anew: its text, and its fields as pieces of that where they can be.
func (s *stage) store(b *record.Batch, i int, text []byte, fields []field) {
	r := &b.Records[i]
	body := b.Append(text)
	for _, f := range fields {
		v := record.Span{Off: body.Off + uint32(f.start), Len: uint32(f.end - f.start)}
		if !f.changed {
			if clean, changed := s.alone(f.value); changed {
				f.value, f.inside = clean, false
			}
		}
		if !f.inside {
			v = b.Append(f.value)
		}
		b.Row(i)[f.slot] = v
	}
	r.Body = body
	r.Flags &^= record.Escaped
}
