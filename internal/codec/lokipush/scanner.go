package lokipush

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
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

// next tells whether c is the next byte.
func (s *scanner) next(c byte) bool { return s.at < len(s.text) && s.text[s.at] == c }

// string goes through a string after its quote, and returns what is inside, and whether
// that has escapes. Where ok is false s is at what is wrong.
func (s *scanner) string() (inside []byte, escaped, ok bool) {
	from := s.at
	for {
		s.plain()
		switch {
		case s.take('"'):
			return s.text[from : s.at-1 : s.at-1], escaped, true
		case !s.next('\\') || !s.escape():
			return nil, false, false
		}
		escaped = true
	}
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// plain goes on to the next quote, backslash or control character, eight bytes at a time.
func (s *scanner) plain() {
	for ; s.at+8 <= len(s.text); s.at += 8 {
		w := binary.LittleEndian.Uint64(s.text[s.at:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		// The lowest mark is always right; those above may be there without reason.
		if m := ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & high; m != 0 {
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
	for _, word := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.at:], []byte(word)) {
			s.at += len(word)
			return true
		}
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

func (s *scanner) digits() int {
	from := s.at
	for s.at < len(s.text) && s.text[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - from
}

// skip goes through any value.
func (s *scanner) skip(depth int) bool {
	if s.at == len(s.text) || depth == 0 {
		return false
	}
	switch s.text[s.at] {
	case '"':
		s.at++
		_, _, ok := s.string()
		return ok
	case '{':
		return s.skipList('}', depth)
	case '[':
		return s.skipList(']', depth)
	}
	return s.literal()
}

// skipList goes through an object or an array.
func (s *scanner) skipList(end byte, depth int) bool {
	s.at++
	s.space()
	if s.take(end) {
		return true
	}
	for {
		if end == '}' {
			if !s.take('"') {
				return false
			}
			if _, _, ok := s.string(); !ok {
				return false
			}
			s.space()
			if !s.take(':') {
				return false
			}
			s.space()
		}
		if !s.skip(depth - 1) {
			return false
		}
		s.space()
		if !s.take(',') {
			return s.take(end)
		}
		s.space()
	}
}

// parseTime reads Unix nanoseconds.
func parseTime(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil && b[0] != '+'
}
