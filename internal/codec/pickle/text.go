package pickle

import (
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"
)

// unquote appends the text of the inside of a Python literal, as repr writes it.
func unquote(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			dst = append(dst, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case '\\', '\'', '"':
			dst = append(dst, c)
		case 'x':
			var one [1]byte
			if i+2 < len(b) {
				if _, err := hex.Decode(one[:], b[i+1:i+3]); err == nil {
					dst = append(dst, one[0])
					i += 2
					continue
				}
			}
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', c)
		}
	}
	return dst
}

// appendRune is utf8.AppendRune that takes halves of surrogate pairs too, as Python does.
func appendRune(dst []byte, r rune) []byte {
	if r >= 0xd800 && r < 0xe000 {
		return append(dst, 0xed, byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f))
	}
	return utf8.AppendRune(dst, r)
}

// AppendFloat appends a number as Python's repr and json write it.
func AppendFloat(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	case v == 0 || math.Abs(v) >= 1e-4 && math.Abs(v) < 1e16:
		dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
		if v == math.Trunc(v) {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	return strconv.AppendFloat(dst, v, 'e', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString appends a text as a JSON string. Halves of surrogate pairs are escaped, and a
// byte that is not UTF-8 stands as \xff does, in a text of Python 3 as well as in bytes.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRune(text[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, text[start:i]...)
		if half := halfAt(text[i:]); half != 0 {
			dst = append(dst, '\\', 'u', 'd', hexDigits[half>>8&0xf], hexDigits[half>>4&0xf], hexDigits[half&0xf])
			size = 3
		} else {
			dst = appendEscape(dst, c)
		}
		i += size
		start = i
	}
	return append(append(dst, text[start:]...), '"')
}

// halfAt returns the half of a surrogate pair that a text begins with, 0 if it does not.
func halfAt(text []byte) uint16 {
	if len(text) >= 3 && text[0] == 0xed && text[1]&0xe0 == 0xa0 && text[2]&0xc0 == 0x80 {
		return 0xd000 | uint16(text[1]&0x3f)<<6 | uint16(text[2]&0x3f)
	}
	return 0
}

// appendEscape appends what stands for c in a JSON string: of a byte beyond ASCII the four
// characters that Python shows for it.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c < ' ' {
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
	return append(dst, '\\', '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
}
