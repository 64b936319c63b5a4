package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var errUnit = errors.New("no such unit")
var errRange = errors.New("out of range")

// ParseBytes reads a size: a whole number of bytes, or a number with one of the units B,
// KiB, MiB, GiB, TiB (powers of 1024) and kB, MB, GB, TB (powers of 1000), in any case.
func ParseBytes(text string) (Bytes, error) {
	number, name := splitUnit(text)
	size, ok := byteUnit(strings.ToLower(strings.TrimPrefix(name, " ")))
	if !ok || number == "" {
		return 0, errUnit
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole > math.MaxInt64/size {
			return 0, errRange
		}
		return Bytes(whole * size), nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, errUnit
	}
	if f *= float64(size); f >= math.MaxInt64 {
		return 0, errRange
	}
	if f != math.Trunc(f) {
		return 0, errUnit
	}
	return Bytes(f), nil
}

func byteUnit(name string) (int64, bool) {
	switch name {
	case "", "b":
		return 1, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	case "tib":
		return 1 << 40, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "tb":
		return 1e12, true
	}
	return 0, false
}

// formatBytes takes the unit that leaves the smallest whole number; powers of 1024 win ties.
func formatBytes(n int64) string {
	best, suffix := n, ""
	for _, u := range [...]string{"TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"} {
		size, _ := byteUnit(strings.ToLower(u))
		if n != 0 && n%size == 0 && abs(n/size) < abs(best) {
			best, suffix = n/size, u
		}
	}
	return strconv.FormatInt(best, 10) + suffix
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// ParseDuration reads a duration: numbers with the units ns, us, ms, s, m, h, d (24 hours)
// and w (7 days), as in 10s, 1h30m or 7d. Only zero may do without a unit.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	total := 0.0
	for rest := text; rest != "" || text == ""; {
		number, tail := splitUnit(rest)
		end := 0
		for end < len(tail) && !isDigit(tail[end]) && tail[end] != '.' {
			end++
		}
		f, err := strconv.ParseFloat(number, 64)
		size, ok := timeUnit(tail[:end])
		if err != nil || !ok {
			return 0, errUnit
		}
		total += f * float64(size)
		rest = tail[end:]
	}
	if total > math.MaxInt64/2 {
		return 0, errRange
	}
	return time.Duration(math.Round(total)), nil
}

func timeUnit(name string) (time.Duration, bool) {
	switch name {
	case "ns":
		return time.Nanosecond, true
	case "us", "µs":
		return time.Microsecond, true
	case "ms":
		return time.Millisecond, true
	case "s":
		return time.Second, true
	case "m":
		return time.Minute, true
	case "h":
		return time.Hour, true
	case "d":
		return 24 * time.Hour, true
	case "w":
		return 7 * 24 * time.Hour, true
	}
	return 0, false
}

// FormatDuration returns d in its short form, as ParseDuration reads it: 10s, 1h30m, 7d.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		if d == 0 {
			return "0s"
		}
		return d.String() // never valid here, shown as it is
	}
	var b strings.Builder
	for _, name := range [...]string{"d", "h", "m"} {
		size, _ := timeUnit(name)
		if n := d / size; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + name)
			d -= n * size
		}
	}
	if d > 0 {
		b.WriteString(d.String())
	}
	return b.String()
}

// splitUnit cuts text after its leading number.
func splitUnit(text string) (number, rest string) {
	end := 0
	for end < len(text) && (isDigit(text[end]) || text[end] == '.') {
		end++
	}
	return text[:end], text[end:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
