package jsontext

import (
	"encoding/binary"
	"math/bits"
)

// Scanner goes through JSON text from left to right, strictly by RFC 8259. Its methods move
// on over what they are named for; where one returns false the scanner stands at what is
// wrong. It belongs to one goroutine.
type Scanner struct {
	Text []byte
	At   int // where it is
}

// Space goes on to what is no white space.
func (s *Scanner) Space() {
	for s.At < len(s.Text) && isSpace(s.Text[s.At]) {
		s.At++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// Take goes on over c, if that is the next byte.
func (s *Scanner) Take(c byte) bool {
	if s.At < len(s.Text) && s.Text[s.At] == c {
		s.At++
		return true
	}
	return false
}

// Next tells whether c is the next byte.
func (s *Scanner) Next(c byte) bool { return s.At < len(s.Text) && s.Text[s.At] == c }

// Inside goes through a string after its quote, and returns what is inside, a part of Text,
// and whether that has escapes.
func (s *Scanner) Inside() (inside []byte, escaped, ok bool) {
	from := s.At
	for {
		s.plain()
		if s.At >= len(s.Text) {
			return nil, false, false
		}
		switch s.Text[s.At] {
		case '"':
			s.At++
			return s.Text[from : s.At-1 : s.At-1], escaped, true
		case '\\':
			if !s.Escape() {
				return nil, false, false
			}
			escaped = true
		default:
			return nil, false, false
		}
	}
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// plain goes on to the next quote, backslash or control character, eight bytes at a time.
func (s *Scanner) plain() {
	t, i := s.Text, s.At
	for ; i+8 <= len(t); i += 8 {
		w := binary.LittleEndian.Uint64(t[i:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		// The lowest mark is always right; those above may be there without reason.
		if m := ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & high; m != 0 {
			s.At = i + bits.TrailingZeros64(m)>>3
			return
		}
	}
	for i < len(t) && t[i] != '"' && t[i] != '\\' && t[i] >= ' ' {
		i++
	}
	s.At = i
}

// Escape goes on over the escape that begins here, if it is one.
func (s *Scanner) Escape() bool {
	if s.At+1 >= len(s.Text) {
		return false
	}
	switch s.Text[s.At+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.At += 2
		return true
	case 'u':
		if s.At+6 > len(s.Text) {
			return false
		}
		for _, c := range s.Text[s.At+2 : s.At+6] {
			if c-'0' > 9 && c|0x20-'a' > 5 {
				return false
			}
		}
		s.At += 6
		return true
	}
	return false
}

// Literal goes through a number or a word.
func (s *Scanner) Literal() bool {
	if s.At == len(s.Text) {
		return false
	}
	switch s.Text[s.At] {
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	s.Take('-')
	if !s.Take('0') && s.digits() == 0 {
		return false
	}
	if s.Take('.') && s.digits() == 0 {
		return false
	}
	if s.Take('e') || s.Take('E') {
		if !s.Take('+') {
			s.Take('-')
		}
		return s.digits() > 0
	}
	return true
}

func (s *Scanner) word(w string) bool {
	if len(s.Text)-s.At < len(w) || string(s.Text[s.At:s.At+len(w)]) != w {
		return false
	}
	s.At += len(w)
	return true
}

func (s *Scanner) digits() int {
	t, i := s.Text, s.At
	for i < len(t) && t[i]-'0' <= 9 {
		i++
	}
	n := i - s.At
	s.At = i
	return n
}

// Skip goes through any value, of at most depth levels.
func (s *Scanner) Skip(depth int) bool {
	if s.At == len(s.Text) || depth == 0 {
		return false
	}
	switch s.Text[s.At] {
	case '"':
		s.At++
		_, _, ok := s.Inside()
		return ok
	case '{':
		return s.skipList('}', depth)
	case '[':
		return s.skipList(']', depth)
	}
	return s.Literal()
}

// skipList goes through an object or an array.
func (s *Scanner) skipList(end byte, depth int) bool {
	s.At++
	s.Space()
	if s.Take(end) {
		return true
	}
	for {
		if end == '}' {
			if !s.Take('"') {
				return false
			}
			if _, _, ok := s.Inside(); !ok {
				return false
			}
			s.Space()
			if !s.Take(':') {
				return false
			}
			s.Space()
		}
		if !s.Skip(depth - 1) {
			return false
		}
		s.Space()
		if !s.Take(',') {
			return s.Take(end)
		}
		s.Space()
	}
}
