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
	if v.kind != wire.Number {
		return 0
	}
	return seconds(x.batch.Bytes(v.span))
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
