package statsd

import (
	"bytes"
	"math"
	"strconv"
)

// powers are those of ten that a float has exactly.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// number reads a finite decimal number as strconv.ParseFloat does. Nearly all have few
// digits: then the digits and the power of ten are floats exactly, and so is the rounding of
// their quotient.
func number(text []byte) (v float64, ok bool) {
	b := text
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative, b = b[0] == '-', b[1:]
	}
	var m uint64
	point := -1
	if len(b) == 0 || len(b) > 16 {
		return slowNumber(text)
	}
	for i, c := range b {
		switch {
		case c-'0' <= 9:
			m = m*10 + uint64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return slowNumber(text)
		}
	}
	v = float64(m)
	if point >= 0 {
		if len(b) == 1 {
			return 0, false
		}
		v /= powers[len(b)-1-point]
	}
	if m >= 1<<53 {
		return slowNumber(text)
	}
	if negative {
		v = -v
	}
	return v, true
}

func slowNumber(text []byte) (v float64, ok bool) {
	for _, c := range text {
		if c-'0' > 9 && c != '+' && c != '-' && c != '.' && c|0x20 != 'e' {
			return 0, false // no infinities, no hexadecimal digits
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// javaScript reads a number as JavaScript's Number does, but for infinities.
func javaScript(text []byte) (v float64, ok bool) {
	if v, ok = number(text); ok {
		return v, true
	}
	text = bytes.TrimSpace(text)
	if len(text) > 2 && text[0] == '0' {
		if base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[text[1]|0x20]; base != 0 {
			u, err := strconv.ParseUint(string(text[2:]), base, 64)
			return float64(u), err == nil
		}
	}
	return number(text)
}

// digits reads a whole number without a sign.
func digits(text []byte) (v int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, v <= math.MaxInt64
}
