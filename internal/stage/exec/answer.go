package exec

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/rfc3339"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

// answer is what a program may say of a record. What it does not mention stays.
type answer struct {
	ID     *uint64                    `json:"id"`
	Body   *string                    `json:"body"`
	Level  *string                    `json:"level"`
	Time   *string                    `json:"time"`
	Fields map[string]json.RawMessage `json:"fields"`
}

// The bounds of what is taken over.
const (
	maxBody   = 1 << 20
	maxFields = 64
	maxName   = 128
	maxValue  = 64 << 10
)

// answer takes the k-th answer. An error says that the program has lost count.
func (s *stage) answer(b *record.Batch, k int, line []byte) error {
	i := s.asked[k]
	if string(bytes.TrimSpace(line)) == "null" {
		s.line.Drop(b, i)
		return nil
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		s.nonsense(b, i, line)
		return nil
	}
	if want := s.ids[k]; a.ID != nil && *a.ID != want {
		return errOutOfStep(*a.ID, want)
	}
	if !s.take(b, i, &a) {
		s.nonsense(b, i, line)
	}
	return nil
}

// nonsense counts an answer that is no record, and shows it now and then.
func (s *stage) nonsense(b *record.Batch, i int, line []byte) {
	s.plugin.deps.Ledger.Odd("the answer is no record", line)
	s.unanswered(b, i)
}

// take changes record i as the program says; false: what it says makes no sense, and the
// record is as it was.
func (s *stage) take(b *record.Batch, i int, a *answer) bool {
	r := b.Records[i]
	if a.Level != nil {
		r.Level = severity.FromValue([]byte(*a.Level))
		if r.Level.String() != *a.Level {
			return false
		}
	}
	if a.Time != nil {
		ns, ok := rfc3339.Parse([]byte(*a.Time))
		if !ok {
			return false
		}
		if r.Time != 0 || ns != 0 { // a record without a time gets it when it is kept
			r.Time = ns
		}
	}
	if a.Body != nil && len(*a.Body) > maxBody || len(a.Fields) > maxFields {
		return false
	}
	if !s.takeFields(b, i, a.Fields) {
		return false
	}
	if a.Body != nil && *a.Body != s.shown(b, &r) {
		r.Body = s.put(b, &r, []byte(*a.Body))
	}
	b.Records[i] = r
	return true
}

// shown returns the text of a record as the program has seen it: bytes that are not UTF-8, and
// that the record keeps, are replaced in there.
func (s *stage) shown(b *record.Batch, r *record.Record) string {
	text := s.plainText(b, r, r.Body)
	if !utf8.Valid(text) {
		text = kept.Unescape(nil, kept.Escape(nil, text))
	}
	return string(text)
}

// plainText returns a span of a record as plain text, valid until the next call.
func (s *stage) plainText(b *record.Batch, r *record.Record, span record.Span) []byte {
	if r.Flags&record.Escaped == 0 {
		return b.Bytes(span)
	}
	s.plain = jsontext.Unescape(s.plain[:0], b.Bytes(span))
	return s.plain
}

// put appends plain text to the arena, in the form that the record's flags say.
func (s *stage) put(b *record.Batch, r *record.Record, text []byte) record.Span {
	if r.Flags&record.Escaped == 0 {
		return b.Append(text)
	}
	s.plain = jsontext.Escape(s.plain[:0], text)
	return b.Append(s.plain)
}

// takeFields notes fields, and changes those that rules have extracted.
func (s *stage) takeFields(b *record.Batch, i int, fields map[string]json.RawMessage) bool {
	for name, raw := range fields {
		if !isName(name) || len(raw) > maxValue {
			return false
		}
	}
	for name, raw := range fields {
		value := []byte(raw)
		var text string
		if json.Unmarshal(raw, &text) == nil { // null is an empty one
			value = []byte(text)
		}
		if s.has(b, i, name, value) {
			continue
		}
		var span record.Span
		if len(value) > 0 {
			span = s.put(b, &b.Records[i], value)
		}
		if k := slices.Index(b.Slots, name); k >= 0 {
			b.Row(i)[k] = span
		}
		s.fields = append(s.fields, record.Field{Record: i, Name: b.Append([]byte(name)), Value: span})
	}
	return true
}

// has tells whether record i has a field of that name and value already: a program mostly
// returns what it got.
func (s *stage) has(b *record.Batch, i int, name string, value []byte) bool {
	r := &b.Records[i]
	if k := slices.Index(b.Slots, name); k >= 0 && b.Row(i)[k].Len > 0 {
		return bytes.Equal(s.plainText(b, r, b.Row(i)[k]), value)
	}
	at, _ := slices.BinarySearchFunc(b.Fields, i, func(f record.Field, i int) int { return f.Record - i })
	for ; at < len(b.Fields) && b.Fields[at].Record == i; at++ {
		if string(b.Bytes(b.Fields[at].Name)) == name {
			return bytes.Equal(s.plainText(b, r, b.Fields[at].Value), value)
		}
	}
	return false
}

// isName tells whether a field may be called so.
func isName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// setFields puts the fields that the program has named among those of the batch. Of two with
// one name the program's stays, and goes if it is empty.
func (s *stage) setFields(b *record.Batch) {
	if len(s.fields) == 0 {
		return
	}
	var all []record.Field
	came := b.Fields
	for len(came) > 0 || len(s.fields) > 0 {
		switch {
		case len(s.fields) == 0 || len(came) > 0 && came[0].Record <= s.fields[0].Record:
			if !s.replaces(b, &came[0]) {
				all = append(all, came[0])
			}
			came = came[1:]
		default:
			if s.fields[0].Value.Len > 0 {
				all = append(all, s.fields[0])
			}
			s.fields = s.fields[1:]
		}
	}
	b.Fields = all
}

// replaces tells whether the program has named a field that came with a record.
func (s *stage) replaces(b *record.Batch, f *record.Field) bool {
	for i := range s.fields {
		if s.fields[i].Record > f.Record {
			return false
		}
		if s.fields[i].Record == f.Record && bytes.Equal(b.Bytes(s.fields[i].Name), b.Bytes(f.Name)) {
			return true
		}
	}
	return false
}
