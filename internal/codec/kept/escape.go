package kept

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// Escape appends plain text in canonical escaping; bytes that are not UTF-8 become U+FFFD.
func Escape(dst, text []byte) []byte {
	dst, _ = appendText(dst, text, false)
	return dst
}

// Unescape appends the plain text of a canonical body or value.
func Unescape(dst, body []byte) []byte { return jsontext.Unescape(dst, body) }

// appendText appends src in canonical escaping. valid is false if something in it was not
// UTF-8. A piece without need of change is appended as a whole.
func appendText(dst, src []byte, escaped bool) (out []byte, valid bool) {
	valid = true
	start := 0 // of what is canonical and not appended yet
	for i := 0; ; {
		if escaped {
			i += quoting(src[i:])
		}
		i += ordinary(src[i:])
		if i >= len(src) {
			return append(dst, src[start:]...), valid
		}
		c := src[i]
		if c == '\\' && escaped {
			if n := canonical(src[i:]); n > 0 {
				i += n
				continue
			}
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(src[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			valid = false
		}
		dst = append(dst, src[start:i]...)
		r, n := decode(src[i:], escaped)
		dst = appendRune(dst, r)
		i += n
		start = i
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// quotingWords is quoting with words of eight bytes, of which it leaves out what is less at
// the end, and where anything else is. It has no branch for each quote, of which the escaped
// lines of web servers have a dozen.
func quotingWords(b []byte) int {
	n, open := 0, uint64(0) // open: the byte before is a backslash
	for ; len(b)-n >= 16; n += 16 {
		p := (*[16]byte)(b[n:])
		w, v := binary.LittleEndian.Uint64(p[:8]), binary.LittleEndian.Uint64(p[8:])
		slashes, slashes2 := zerosAtLeast(w^'\\'*ones), zerosAtLeast(v^'\\'*ones)
		alone := (zerosAtLeast(w^'"'*ones) ^ (slashes<<8 | open)) | (zerosAtLeast(v^'"'*ones) ^ (slashes2<<8 | slashes>>56))
		others := (w - 0x20*ones) | (w + ones) | (v - 0x20*ones) | (v + ones)
		if (others|alone)&highs != 0 {
			break
		}
		open = slashes2 >> 56
	}
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		slashes := zerosAtLeast(w ^ '\\'*ones)
		others := (w - 0x20*ones) | (w + ones)
		if (others|(zerosAtLeast(w^'"'*ones)^(slashes<<8|open)))&highs != 0 {
			break
		}
		open = slashes >> 56
	}
	if open != 0 {
		return n - 1
	}
	return n
}

// zerosAtLeast returns the highest bit of each byte of w that is zero, and maybe of ones that
// follow it. So ] may be taken for a backslash behind one, and # for a quote behind one:
// neither makes a pair of a backslash and a quote.
func zerosAtLeast(w uint64) uint64 { return (w - ones) &^ w & highs }

// TextLen returns how long a canonical body or value is without its escapes.
func TextLen(body []byte) int {
	escapes := bytes.Count(body, backslash)
	// Each quote is escaped, so with as many backslashes there are no other escapes.
	if escapes == 0 || escapes == bytes.Count(body, quote) || onlyShort(body) {
		return len(body) - escapes
	}
	n := len(body)
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 >= len(body) {
			return n
		}
		escape := 2
		if body[i+1] == 'u' {
			escape = 6
		}
		n -= escape - 1
		body = body[min(i+escape, len(body)):]
	}
}

var backslash, quote = []byte{'\\'}, []byte{'"'}

// onlyShort tells whether a canonical text has as many escapes as backslashes, and none that
// is longer than two bytes. It looks at sixteen bytes at once, and for each at the one before.
func onlyShort(text []byte) bool {
	i := 0
	for ; len(text)-i >= 17; i += 16 {
		p := (*[17]byte)(text[i:])
		first := otherEscapes(binary.LittleEndian.Uint64(p[0:]), binary.LittleEndian.Uint64(p[1:]))
		second := otherEscapes(binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[9:]))
		if first|second != 0 {
			return false
		}
	}
	for ; i < len(text)-1; i++ {
		if text[i] == '\\' && (text[i+1] == 'u' || text[i+1] == '\\') {
			return false
		}
	}
	return true
}

// otherEscapes returns the highest bit of the bytes of next that are a u or a backslash where
// before has a backslash. Of all that follows one, only u is odd, and only the backslash
// has bits 3 and 4.
func otherEscapes(before, next uint64) uint64 {
	return zerosAtLeast(before^'\\'*ones) & (next<<7 | next<<4&(next<<3))
}

// ordinary returns how many bytes at the start of b stand for themselves without a look at
// their neighbours: printable ASCII but for the quote and the backslash.
func ordinary(b []byte) int {
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		// A borrow from a lower byte sets no bit below the first true one.
		special := (w - 0x20*ones) | (w + ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)
		if special &= highs; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return n
		}
	}
	return n
}

// canonical returns the length of the escape that s starts with, 0 if it is not canonical.
func canonical(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', 'n', 'r', 't', 'b', 'f':
		return 2
	case 'u':
		r := jsontext.Hex4(s)
		if r < 0 || r >= ' ' && r != 0x7f || shortEscape(byte(r)) != 0 {
			return 0
		}
		if s[4] != hexDigits[r>>4] || s[5] != hexDigits[r&0xf] {
			return 0
		}
		return 6
	}
	return 0
}

// decode returns the character that s starts with, and how many bytes it takes. A byte that
// is not UTF-8 and an escape of half a surrogate pair are U+FFFD; a backslash that begins no
// escape is itself.
func decode(s []byte, escaped bool) (r rune, n int) {
	if s[0] != '\\' || !escaped {
		return utf8.DecodeRune(s)
	}
	if len(s) < 2 {
		return '\\', 1
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'u':
		if r, n = jsontext.Unicode(s); n > 0 {
			return r, n
		}
	}
	return '\\', 1
}

const hexDigits = "0123456789abcdef"

// appendRune appends one character in canonical escaping.
func appendRune(dst []byte, r rune) []byte {
	if r >= ' ' && r != '"' && r != '\\' && r != 0x7f {
		return utf8.AppendRune(dst, r)
	}
	if short := shortEscape(byte(r)); short != 0 {
		return append(dst, '\\', short)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// shortEscape returns what stands after the backslash in the short escape of c, 0 if it
// has none.
func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	}
	return 0
}

// canonicalText returns the length of the canonical text that s starts with, up to the
// quote that ends it or the end of s; -1 if it is not canonical.
func canonicalText(s []byte) int {
	for i := 0; ; {
		i += quoting(s[i:])
		i += ordinary(s[i:])
		if i >= len(s) || s[i] == '"' {
			return i
		}
		n := 0
		switch c := s[i]; {
		case c == '\\':
			n = canonical(s[i:])
		case c >= utf8.RuneSelf:
			var r rune
			if r, n = utf8.DecodeRune(s[i:]); r == utf8.RuneError && n == 1 {
				return -1
			}
		}
		if n == 0 {
			return -1
		}
		i += n
	}
}
