// Package unit reads the durations and sizes that LogQL writes and that logs contain:
//
//	d, err := unit.ParseDuration("1h30m")  // also 1d, 1w, 1y, as in queries
//	n, err := unit.ParseBytes("1.5 KiB")
//
// It owns the conversions alone; who asks decides what an error means.
package unit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration of a query: Go's syntax without a sign, and beside its
// units d, w and y, which are 24 hours, 7 days and 365 days.
func ParseDuration(s string) (time.Duration, error) {
	rest, sum := s, 0.0
	var whole int64
	if s == "" {
		return 0, errors.New("expected a duration, as in 5m")
	}
	for rest != "" {
		digits := strings.IndexFunc(rest, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
		if digits <= 0 {
			return 0, fmt.Errorf("%q is not a duration: a number and a unit were expected, as in 5m", s)
		}
		n, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration: %q is not a number", s, rest[:digits])
		}
		unit := durationUnit(rest[digits:])
		factor := durationFactor(unit)
		if factor == 0 {
			return 0, fmt.Errorf("%q is not a duration: its units are ns, us, ms, s, m, h, d, w and y", s)
		}
		if i, err := strconv.ParseInt(rest[:digits], 10, 64); err == nil && i < math.MaxInt64/int64(factor) {
			whole += i * int64(factor) // exact, where a float would round
		} else {
			sum += n * factor
		}
		if whole < 0 || sum+float64(whole) >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is longer than 292 years", s)
		}
		rest = rest[digits+len(unit):]
	}
	return time.Duration(whole) + time.Duration(sum), nil
}

// durationUnit is the unit at the start of s.
func durationUnit(s string) string {
	end := strings.IndexFunc(s, func(c rune) bool { return c == '.' || c >= '0' && c <= '9' })
	if end < 0 {
		return s
	}
	return s[:end]
}

func durationFactor(unit string) float64 {
	switch unit {
	case "ns":
		return 1
	case "us", "µs", "μs":
		return 1e3
	case "ms":
		return 1e6
	case "s":
		return 1e9
	case "m":
		return 60e9
	case "h":
		return 3600e9
	case "d":
		return 24 * 3600e9
	case "w":
		return 7 * 24 * 3600e9
	case "y":
		return 365 * 24 * 3600e9
	}
	return 0
}

// FormatDuration writes d so that ParseDuration reads it, with a sign if d is negative.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	rest := uint64(d)
	if d < 0 {
		b.WriteByte('-')
		rest = -rest
	}
	for _, u := range []string{"y", "w", "d", "h", "m", "s", "ms", "us", "ns"} {
		f := uint64(durationFactor(u))
		// Like Prometheus: weeks and years only where nothing else is needed.
		if n := rest / f; n > 0 && (f <= 24*3600e9 || rest%f == 0) {
			b.WriteString(strconv.FormatUint(n, 10) + u)
			rest %= f
		}
	}
	return b.String()
}

// ParseBytes reads a size: a number, which may have commas between its digits, and a unit
// in any case, which may be missing. KB and k are 1000, KiB and Ki 1024.
func ParseBytes(s string) (uint64, error) {
	digits := 0
	for digits < len(s) && (s[digits] >= '0' && s[digits] <= '9' || s[digits] == '.' || s[digits] == ',') {
		digits++
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(s[:digits], ",", ""), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	factor := bytesFactor(strings.ToLower(strings.TrimSpace(s[digits:])))
	if factor == 0 {
		return 0, fmt.Errorf("%q is not a size: unknown unit %q", s, strings.TrimSpace(s[digits:]))
	}
	if n *= factor; n >= math.MaxUint64 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return uint64(n), nil
}

func bytesFactor(unit string) float64 {
	if unit == "" || unit == "b" {
		return 1
	}
	unit = strings.TrimSuffix(unit, "b")
	unit, binary := strings.CutSuffix(unit, "i")
	power := strings.Index("kmgtpe", unit)
	if len(unit) != 1 || power < 0 {
		return 0
	}
	if binary {
		return math.Pow(1024, float64(power+1))
	}
	return math.Pow(1000, float64(power+1))
}
