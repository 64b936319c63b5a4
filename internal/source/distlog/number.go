package distlog

import (
	"math"
	"strconv"

	wire "github.com/weirlog/weir/internal/codec/distlog"
)

// integer reads a whole number of at most 18 digits.
func integer(text []byte) (n int64, ok bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

const (
	nanos = 1_000_000_000
	// maxSecond is the last second whose nanoseconds fit 64 bits.
	maxSecond = math.MaxInt64/nanos - 1
)

// time returns the time that an attribute says, in Unix nanoseconds, 0 if it is none.
func (x *builder) time(v text) int64 {
	switch v.kind {
	case instant:
		return v.nanoseconds()
	case wire.Number:
		return seconds(x.batch.Bytes(v.span))
	}
	return 0
}

// clock is seconds of the digits that a float is written with, without writing them. It knows
// floats of the years 2004 to 2038, which are 22 binary places after the point apart, so that
// the seventh decimal always tells them from their neighbours. ok is false of all others, and
// of those in the middle between two decimals.
func clock(f float64) (ns int64, ok bool) {
	const (
		places   = 22
		ulp      = 1 << places
		exponent = 30
		bias     = 1023
		mantissa = 1<<52 - 1
		decimals = 10_000_000
		fifths   = 78125    // decimals are so many times 1<<7
		one      = 1 << 16  // a unit of the seventh decimal, as x has it
		ten      = 10 * one // one of the sixth
		near     = fifths   // half of the distance of two floats
		unit     = nanos / decimals
	)
	b := math.Float64bits(f)
	if b>>52 != bias+exponent {
		return 0, false
	}
	b &= mantissa
	whole, x := int64(1<<exponent+b>>places), int64(b%ulp)*2*fifths
	n := (x + ten/2) / ten * 10 // with fewer digits, if that is as near as no other float
	if off := n*one - x; off >= near || off <= -near {
		if x%one == one/2 {
			return 0, false
		}
		n = (x + one/2) / one
	}
	return whole*nanos + n*unit, true
}

// seconds reads a number of seconds, which most of the time is digits with a point. So the
// same time is the same number, whether it came as digits or as a float.
func seconds(text []byte) int64 {
	if ns, ok := decimal(text); ok {
		return ns
	}
	f, err := strconv.ParseFloat(string(text), 64) // 1.7e9, -1, NaN
	if err != nil || !(f > 0 && f < maxSecond) {
		return 0
	}
	ns, _ := decimal(strconv.AppendFloat(nil, f, 'f', -1, 64))
	return ns
}

// decimal reads seconds without sign and exponent as nanoseconds; what is beyond these is cut
// off.
func decimal(text []byte) (ns int64, ok bool) {
	whole, i := int64(0), 0
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		if whole = whole*10 + int64(text[i]-'0'); whole > maxSecond {
			return 0, false
		}
	}
	part, unit := int64(0), int64(nanos)
	if i > 0 && i < len(text) && text[i] == '.' {
		for i++; i < len(text) && text[i]-'0' <= 9; i++ {
			if unit > 1 {
				unit /= 10
				part += int64(text[i]-'0') * unit
			}
		}
	}
	return whole*nanos + part, i == len(text)
}
