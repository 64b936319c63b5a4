package jsontext

import (
	"encoding/binary"
	"math/bits"
)

// nextUnicodeWords is NextUnicode with words of eight bytes, two at once, and for each the
// one that begins a byte later.
func nextUnicodeWords(s []byte, from int) int {
	i := from
	for ; len(s)-i >= 17; i += 16 {
		p := (*[17]byte)(s[i:])
		first := unicodeEscapes(binary.LittleEndian.Uint64(p[0:]), binary.LittleEndian.Uint64(p[1:]))
		second := unicodeEscapes(binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[9:]))
		for ; first != 0; first &= first - 1 {
			if at := i + bits.TrailingZeros64(first)/8; s[at] == '\\' && s[at+1] == 'u' {
				return at
			}
		}
		for ; second != 0; second &= second - 1 {
			if at := i + 8 + bits.TrailingZeros64(second)/8; s[at] == '\\' && s[at+1] == 'u' {
				return at
			}
		}
	}
	for ; i < len(s)-1; i++ {
		if s[i] == '\\' && s[i+1] == 'u' {
			return i
		}
	}
	return -1
}

// unicodeEscapes returns the highest bit at least of the bytes of next that are the u of an
// escape, if before has a backslash there. Of what commonly follows one, only u is odd.
func unicodeEscapes(before, next uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	x := before ^ '\\'*ones
	return (x - ones) &^ x & (next << 7) & tops
}
