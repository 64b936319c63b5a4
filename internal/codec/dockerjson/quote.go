package dockerjson

import (
	"bytes"
	"encoding/binary"
)

// The bytes looked for, eight times, and what makes every byte's top bit tell whether the
// byte is zero.
const (
	quotes      = 0x2222222222222222
	backslashes = 0x5c5c5c5c5c5c5c5c
	low         = 0x7f7f7f7f7f7f7f7f
	high        = 0x8080808080808080
)

// looseQuoteWords is looseQuote with words of eight bytes. It goes over 32 bytes at a time,
// because web servers' lines are full of escaped quotes and a search that stops at each of
// them takes twice as long.
func looseQuoteWords(b []byte, from int) int {
	rest := b[from-1:] // begins with the byte before the first
	for len(rest) >= 33 {
		p := (*[33]byte)(rest)
		loose := looseIn(binary.LittleEndian.Uint64(p[0:8]), binary.LittleEndian.Uint64(p[1:9]))
		loose |= looseIn(binary.LittleEndian.Uint64(p[8:16]), binary.LittleEndian.Uint64(p[9:17]))
		loose |= looseIn(binary.LittleEndian.Uint64(p[16:24]), binary.LittleEndian.Uint64(p[17:25]))
		loose |= looseIn(binary.LittleEndian.Uint64(p[24:32]), binary.LittleEndian.Uint64(p[25:33]))
		if loose != 0 {
			break
		}
		rest = rest[32:]
	}
	for at := len(b) - len(rest) + 1; ; at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		if at += n; b[at-1] != '\\' {
			return at
		}
	}
}

// looseIn marks the quotes in word that have no backslash at the same place of before,
// which is the eight bytes that begin one earlier.
func looseIn(before, word uint64) uint64 {
	quote := (word^quotes)&low + low | word // top bit clear: a quote
	backslash := (before^backslashes)&low + low | before
	return ^quote & backslash & high
}
