package console

import (
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/lines"
)

// AppendHarmless appends text so that a terminal shows it and does nothing else: what is
// not harmless is spelled out as in Go, \x1b or \u202e, a byte that is not UTF-8 as \xff.
// Tabs stay.
func AppendHarmless(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < 0x7f || c == '\t' {
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = appendHex(append(dst, '\\', 'x'), uint32(c), 2)
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case lines.Harmless(r):
			dst = append(dst, text[i:i+n]...)
		case r < 0x80:
			dst = appendHex(append(dst, '\\', 'x'), uint32(r), 2)
		case r <= 0xffff:
			dst = appendHex(append(dst, '\\', 'u'), uint32(r), 4)
		default:
			dst = appendHex(append(dst, '\\', 'U'), uint32(r), 8)
		}
		i += n
	}
	return dst
}

func appendHex(dst []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}
