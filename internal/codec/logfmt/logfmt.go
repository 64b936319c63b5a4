// Package logfmt takes fields from log lines of key=value pairs, as Go's slog, Heroku and
// many Go programs write them:
//
//	level=warn msg="disk is \"nearly\" full" used=93% retry
//
//	m := logfmt.New([]string{"level", "msg"})
//	if m.Match(&batch, body, row) {
//		level := batch.Bytes(row[0])
//	}
//
// A line matches when it has one pair at least; words without a value are no fields. Keys
// consist of letters, digits and any of _ . - / @ : so that prose with a URL in it is no
// pair. Of a key that comes twice the last one counts.
//
// A Matcher has no state, so both it and Each may be used concurrently.
package logfmt

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// Matcher extracts a list of fields.
type Matcher struct{ names []string }

// New returns a Matcher for the fields, which differ from each other.
func New(names []string) *Matcher { return &Matcher{names} }

// Names returns the fields, in the order of a row.
func (m *Matcher) Names() []string { return m.names }

// Match fills row, which is zero, with the fields of a plain body and says whether it has
// any pair. A quoted value with escapes is appended to b's arena as its text.
func (m *Matcher) Match(b *record.Batch, body record.Span, row []record.Span) bool {
	s := scanner{text: b.Bytes(body)}
	found := false
	for s.pair() {
		found = true
		for slot, name := range m.names {
			if name == string(s.key) {
				row[slot] = s.span(b, body.Off)
			}
		}
	}
	return found
}

// Each calls visit for every pair of a plain body, in the order of the line, until it
// returns false. value is valid until visit returns.
func Each(body []byte, visit func(name string, value []byte) bool) {
	s := scanner{text: body}
	var plain []byte
	for s.pair() {
		value := body[s.from:s.end]
		if s.escaped {
			plain = jsontext.Unescape(plain[:0], value)
			value = plain
		}
		if !visit(string(s.key), value) {
			return
		}
	}
}

// scanner goes through the pairs of a line.
type scanner struct {
	text []byte
	at   int
	// The last pair: its key, and where its value is, without quotes.
	key       []byte
	from, end int
	escaped   bool
}

// pair goes to the next pair; words that are none are left out.
func (s *scanner) pair() bool {
	for s.at < len(s.text) {
		from := s.at
		for s.at < len(s.text) && isKey[s.text[s.at]] {
			s.at++
		}
		if s.at > from && s.at < len(s.text) && s.text[s.at] == '=' {
			s.key = s.text[from:s.at]
			s.at++
			s.value()
			return true
		}
		s.word()
	}
	return false
}

// word goes on behind the next space.
func (s *scanner) word() {
	for s.at < len(s.text) && s.text[s.at] > ' ' {
		s.at++
	}
	s.at++
}

// value goes through a value. One whose quote does not end reaches to the end of the line,
// which may have been cut.
func (s *scanner) value() {
	s.escaped = false
	if s.at == len(s.text) || s.text[s.at] != '"' {
		s.from = s.at
		s.word()
		s.end = s.at - 1
		return
	}
	s.at++
	s.from, s.end = s.at, jsontext.End(s.text, s.at)
	if s.end < 0 {
		s.end = len(s.text)
	}
	s.escaped = bytes.IndexByte(s.text[s.from:s.end], '\\') >= 0
	s.at = s.end
	s.word()
}

func (s *scanner) span(b *record.Batch, off uint32) record.Span {
	if !s.escaped {
		return record.Span{Off: off + uint32(s.from), Len: uint32(s.end - s.from)}
	}
	start := len(b.Arena)
	b.Arena = jsontext.Unescape(b.Arena, s.text[s.from:s.end])
	return record.Span{Off: uint32(start), Len: uint32(len(b.Arena) - start)}
}

// isKey marks the bytes that keys consist of.
var isKey = func() (is [256]bool) {
	for c := range is {
		is[c] = c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	for _, c := range "_.-/@:" {
		is[c] = true
	}
	return is
}()
