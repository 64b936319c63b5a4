// Package jsontext handles the inside of JSON strings, which several log formats share:
// it finds where a string ends, and turns escaped text into plain text and back.
//
//	end := jsontext.End(line, start) // of the string whose inside begins at start
//	plain = jsontext.Unescape(plain[:0], line[start:end])
//
// All functions are pure and may be called concurrently. A Scanner goes through whole JSON
// texts; what their values mean is in the formats' packages.
package jsontext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// End returns the place of the quote that ends the string whose inside begins at from, -1
// when it does not end.
func End(b []byte, from int) int {
	for at := from; ; at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		if at += n; !Escaped(b[from:at]) {
			return at
		}
	}
}

// Escaped says whether the byte that follows before, a part of a string from its
// beginning, is escaped: an odd number of backslashes comes before it.
func Escaped(before []byte) bool {
	b := before
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n&1 == 1
}

// Unescape appends the text that src, the inside of a JSON string, stands for. An escape
// of half a surrogate pair becomes U+FFFD; what is not an escape of JSON stays as it is.
func Unescape(dst, src []byte) []byte {
	if bytes.IndexByte(src, '\\') < 0 {
		return append(dst, src...)
	}
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	// No escape stands for more bytes than it has. Where there is one there are many, so
	// eight bytes are copied in one step, and those up to the first backslash count.
	to := len(dst)
	dst = slices.Grow(dst, len(src))[:to+len(src)]
	at := 0
	for at+8 <= len(src) {
		x := binary.LittleEndian.Uint64(src[at:])
		binary.LittleEndian.PutUint64(dst[to:], x)
		x ^= ones * '\\'
		m := (x - ones) &^ x & tops
		if m == 0 {
			at, to = at+8, to+8
			continue
		}
		n := bits.TrailingZeros64(m) >> 3
		at, to = at+n, to+n
		if at+1 == len(src) {
			break
		}
		if c := src[at+1]; c == '"' || c == '\\' {
			dst[to] = c
			at, to = at+2, to+1
			continue
		}
		from, put := unescape(dst[to:], src[at:])
		at, to = at+from, to+put
	}
	for at < len(src) {
		from, put := 1, 1
		if src[at] != '\\' || at+1 == len(src) {
			dst[to] = src[at]
		} else {
			from, put = unescape(dst[to:], src[at:])
		}
		at, to = at+from, to+put
	}
	return dst[:to]
}

// unescape writes what the escape is that src begins with, or two bytes if it is none, and
// returns how many bytes it was and is. Src has two bytes at least.
func unescape(dst, src []byte) (from, put int) {
	if plain := unescaped(src[1]); plain != 0 {
		dst[0] = plain
		return 2, 1
	}
	if r, n := Unicode(src); n > 0 {
		return n, utf8.EncodeRune(dst, r)
	}
	dst[0], dst[1] = src[0], src[1]
	return 2, 2
}

// unescaped returns the byte that a backslash before c stands for, 0 when it is no escape.
func unescaped(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return 0
}

// Unicode returns the rune that \uXXXX at the start of s is, or with the surrogate after
// it, and how many bytes that takes; 0 when it is malformed.
func Unicode(s []byte) (r rune, n int) {
	r = Hex4(s)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if pair := utf16.DecodeRune(r, Hex4(s[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
}

// Hex4 returns the number in \uXXXX at the start of s, -1 when there is none.
func Hex4(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

const hexDigits = "0123456789abcdef"

// Escape appends src as the inside of a JSON string, in the form that Docker's json-file
// driver writes: control characters other than \n and \r, and < > &, as \u00XX, the line
// separators U+2028 and U+2029 escaped, and bytes that are not UTF-8 as \ufffd.
func Escape(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); {
		c := src[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
				i++
				continue
			}
			dst = append(dst, src[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, src[start:i]...), `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, src[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + n
		}
		i += n
	}
	return append(dst, src[start:]...)
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
