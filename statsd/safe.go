package statsd

import (
	"strings"
	"unicode/utf8"
)

// The places in a line where text of the caller may stand. Each has bytes of its own that
// must not pass, because a server would end the text, the field or the line there.
const (
	inName     uint8 = 1 << iota // a name, a set's member
	inTag                        // a tag of StatsD and DogStatsD, colon included
	inKey                        // the key of a tag in a name
	inValue                      // the value of a tag in a name
	inField                      // a field of an event or service check
	multiByte  uint8 = 1 << 7    // part of a rune of several bytes, or of none
	everywhere       = inName | inTag | inKey | inValue | inField
)

// forbidden says for each byte where it must not stand.
var forbidden = func() (t [256]uint8) {
	put := func(bytes string, where uint8) {
		for _, b := range []byte(bytes) {
			t[b] |= where
		}
	}
	for b := range 256 {
		switch {
		case b < ' ' || b == 0x7f:
			t[b] = everywhere
		case b >= utf8.RuneSelf:
			t[b] = everywhere | multiByte
		}
	}
	put(":@[]", inName|inKey|inValue)
	put("#,;", inName|inTag|inKey|inValue)
	put("|", everywhere)
	put("=!^", inKey)
	put(" ", inKey|inValue)
	return t
}()

// appendSafe appends s with an underscore for each byte that must not stand in a place, and
// for each that is not UTF-8. What is ASCII and harmless costs one look a byte.
func appendSafe(dst []byte, s string, place uint8) []byte {
	for i := range len(s) {
		if forbidden[s[i]]&place != 0 {
			return appendMapped(append(dst, s[:i]...), s[i:], place)
		}
	}
	return append(dst, s...)
}

func appendMapped(dst []byte, s string, place uint8) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r < utf8.RuneSelf && forbidden[byte(r)]&place == 0,
			r >= utf8.RuneSelf && !(r == utf8.RuneError && size == 1) && !endsLines(r):
			dst = append(dst, s[:size]...)
		default:
			dst = append(dst, '_')
		}
		s = s[size:]
	}
	return dst
}

// endsLines says whether some servers' idea of a line ends at r: the controls of Latin 1,
// and Unicode's separators of lines and paragraphs.
func endsLines(r rune) bool { return r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' }

// appendText appends the text of an event or service check, in which a line end is
// written as \n, two bytes.
func appendText(dst []byte, s string) []byte {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for {
		line, rest, more := strings.Cut(s, "\n")
		dst = appendSafe(dst, line, inField)
		if !more {
			return dst
		}
		dst, s = append(dst, `\n`...), rest
	}
}
