package web

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// grouped writes a number with thousands apart: 1,234,567.
func grouped(v float64) string {
	if v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
		return strconv.FormatFloat(v, 'g', 5, 64)
	}
	digits := strconv.FormatInt(int64(math.Abs(v)), 10)
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// bytesText writes a size: 0 B, 4.2 MiB.
func bytesText(v float64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return threeDigits(v) + "\u00a0" + units[i]
}

// rateText writes lines a second.
func rateText(v float64) string {
	switch {
	case v < 0:
		return "–"
	case v >= 1000:
		return grouped(math.Round(v)) + "/s"
	}
	return threeDigits(v) + "/s"
}

// processors writes how many are kept busy, of which little is a lot for many containers.
func processors(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return threeDigits(v)
}

// threeDigits writes v with about as many digits as one can tell apart.
func threeDigits(v float64) string {
	precision := 0
	switch {
	case v != math.Trunc(v) && v < 10:
		precision = 2
	case v != math.Trunc(v) && v < 100:
		precision = 1
	}
	s := strconv.FormatFloat(v, 'f', precision, 64)
	if precision > 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// durationText writes d with its two greatest units: 3 d 4 h.
func durationText(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	units := [...]struct {
		name string
		size int64
	}{{"d", 24 * 60 * 60}, {"h", 60 * 60}, {"min", 60}, {"s", 1}}
	for i, u := range units {
		if seconds < u.size && u.size > 1 {
			continue
		}
		text := strconv.FormatInt(seconds/u.size, 10) + "\u00a0" + u.name
		if rest := seconds % u.size; i+1 < len(units) && rest >= units[i+1].size {
			text += " " + strconv.FormatInt(rest/units[i+1].size, 10) + "\u00a0" + units[i+1].name
		}
		return text
	}
	return ""
}

// agoText writes how long before now t was.
func agoText(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d < time.Second:
		return "just now"
	default:
		return durationText(d) + " ago"
	}
}
