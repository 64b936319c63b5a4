package jsonline

import (
	"encoding/binary"
	"math/bits"
)

// scanner goes through JSON text from left to right.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func (s *scanner) take(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// special marks the bytes of w that matter in a string: quotes, backslashes and control
// characters. The lowest mark is always right; those above may be there without reason.
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	backslash := w ^ ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & high
}

// string goes through a string after its quote. It returns where it ends, -1 when it is
// not valid, and whether it has escapes.
func (s *scanner) string() (end int, escaped bool) {
	for {
		s.plain()
		if s.at >= len(s.text) {
			return -1, false
		}
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return s.at - 1, escaped
		case '\\':
			if !s.escape() {
				return -1, false
			}
			escaped = true
		default:
			return -1, false
		}
	}
}

// plain goes on to the next byte that matters in a string.
func (s *scanner) plain() {
	for ; s.at+8 <= len(s.text); s.at += 8 {
		if m := special(binary.LittleEndian.Uint64(s.text[s.at:])); m != 0 {
			s.at += bits.TrailingZeros64(m) >> 3
			return
		}
	}
	for s.at < len(s.text) && s.text[s.at] != '"' && s.text[s.at] != '\\' && s.text[s.at] >= ' ' {
		s.at++
	}
}

func (s *scanner) escape() bool {
	if s.at+1 >= len(s.text) {
		return false
	}
	switch s.text[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return true
	case 'u':
		if s.at+6 > len(s.text) {
			return false
		}
		for _, c := range s.text[s.at+2 : s.at+6] {
			if c-'0' > 9 && c|0x20-'a' > 5 {
				return false
			}
		}
		s.at += 6
		return true
	}
	return false
}

// literal goes through a number or a word.
func (s *scanner) literal() bool {
	switch c := s.text[s.at]; {
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	s.take('-')
	if !s.take('0') && s.digits() == 0 {
		return false
	}
	if s.take('.') && s.digits() == 0 {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits() > 0
	}
	return true
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) digits() int {
	from := s.at
	for s.at < len(s.text) && s.text[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - from
}
