package redact

import (
	"bytes"
	"slices"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/record"
)

// edit is a piece of a plain text and what replaces it.
type edit struct {
	start, end int
	with       []byte
	quote      int // the length of the quotes around with, if it has some
}

// edits returns what p replaces in plain text, in order, more places among it. It does not
// allocate where there is nothing and places, which may be nil, is large enough.
func (p *pattern) edits(text []byte, places, more []secret.Place) []edit {
	var all []edit
	if p.builtin {
		places = p.kind.Append(places[:0], text)
		if len(more) > 0 {
			places = secret.Merge(append(places, more...), 0)
		}
		for _, at := range places {
			e := edit{start: at.Start, end: at.End, with: p.replace}
			if at.Quote > 0 {
				e.with, e.quote = quoted(p.replace, at.Quote), at.Quote
			}
			all = append(all, e)
		}
		return all
	}
	for _, at := range p.re.FindAllSubmatchIndex(text, -1) {
		all = append(all, edit{start: at[0], end: at[1], with: p.re.Expand(nil, p.replace, text, at)})
	}
	return all
}

// quoted returns text as a string of JSON, or of JSON within JSON, with quotes of that length.
func quoted(text []byte, quote int) []byte {
	mark := append(bytes.Repeat([]byte{'\\'}, quote-1), '"')
	return slices.Concat(mark, text, mark)
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
	named      bool // as a secret is
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
	if s.holds(b, i) {
		fields = s.fieldsOf(b, i)
	}
	changed := false
	for k := range s.patterns {
		p := &s.patterns[k]
		if p.secrets() {
			s.key.begin(text)
		}
		edits := p.edits(text, s.places, p.named(text, fields))
		if len(edits) > 0 {
			if fields == nil {
				fields = s.fieldsOf(b, i)
			}
			for f := range fields {
				fields[f].follow(text, edits)
			}
			text = replaced(text, edits)
		}
		if hits := len(edits) + p.hide(fields); hits > 0 {
			p.hits += hits
			changed = true
		}
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

// named returns the places in text of fields that are named as secrets are.
func (p *pattern) named(text []byte, fields []field) (places []secret.Place) {
	if !p.secrets() {
		return nil
	}
	for _, f := range fields {
		switch {
		case !f.named:
		case !f.inside && !f.changed && p.hides(f.value):
			places = appendEscaped(places, text, f.value)
		case f.inside && p.hides(text[f.start:f.end]):
			places = append(places, secret.Place{Start: f.start, End: f.end, Quote: secret.Quote(text, f.start)})
		}
	}
	return places
}

// appendEscaped appends the strings in text, in double quotes, that are value with escapes.
func appendEscaped(dst []secret.Place, text, value []byte) []secret.Place {
	for at := bytes.IndexByte(text, '"') + 1; at > 0; {
		end := at
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			break
		}
		if piece := text[at:end]; bytes.IndexByte(piece, '\\') >= 0 && bytes.Equal(jsontext.Unescape(nil, piece), value) {
			dst = append(dst, secret.Place{Start: at, End: end})
		}
		at = end + 1
	}
	return dst
}

// hides tells whether p has to replace the value of a field that is named as a secret is.
func (p *pattern) hides(value []byte) bool {
	return len(value) > 0 && !secret.IsHarmless(value) && !bytes.Equal(value, p.replace)
}

// hide replaces the values that a parser copied of fields that are named as secrets are, and
// returns how many.
func (p *pattern) hide(fields []field) (n int) {
	for i := range fields {
		if f := &fields[i]; p.secrets() && f.named && !f.inside && !f.changed && p.hides(f.value) {
			f.value, f.changed = p.replace, true
			n++
		}
	}
	return n
}

// fieldsOf returns the fields of record i that are there.
func (s *stage) fieldsOf(b *record.Batch, i int) []field {
	r := &b.Records[i]
	escaped := r.Flags&record.Escaped != 0
	var fields []field
	for slot, v := range b.Row(i) {
		if v.Len == 0 {
			continue
		}
		f := field{slot: slot, named: s.named[slot], value: plainOf(b.Bytes(v), escaped)}
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
		if e.quote > 0 && e.start <= f.start && f.end <= e.end && f.start < f.end {
			start, end, f.changed = e.start+shift+e.quote, e.start+shift+len(e.with)-e.quote, true // without the quotes
			break
		}
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
