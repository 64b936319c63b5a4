package count

import (
	"bytes"
	"math"
	"strconv"
)

type suffix struct {
	text  string
	scale float64
}

// suffixes are the units that a value may carry itself; what they scale to is the metric's
// base unit, seconds or bytes.
var suffixes = [...]suffix{
	{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600},
	{"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
}

// number returns the value of a numeric field in the metric's unit; scale is that of
// numbers without a unit of their own. A list, as nginx writes for several upstreams
// ("0.004, 0.010 : 0.002"), is the sum of its parts. An empty value or "-" is absent; what
// is not a number is neither absent nor ok.
func number(b []byte, scale float64) (v float64, absent, ok bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return 0, true, false
	}
	if v, ok = one(b, scale); ok {
		return v, false, true
	}
	absent = true
	for len(b) > 0 {
		end := bytes.IndexAny(b, ",:")
		part := b
		if end >= 0 {
			part, b = b[:end], b[end+1:]
		} else {
			b = nil
		}
		part = bytes.Trim(part, " ")
		if len(part) == 0 || len(part) == 1 && part[0] == '-' {
			continue
		}
		p, ok := one(part, scale)
		if !ok {
			return 0, false, false
		}
		v, absent = v+p, false
	}
	return v, absent, !absent
}

func one(b []byte, scale float64) (float64, bool) {
	digits := len(b)
	for digits > 0 && (b[digits-1] < '0' || b[digits-1] > '9') && b[digits-1] != '.' {
		digits--
	}
	if digits < len(b) {
		found := false
		for _, s := range suffixes {
			if string(b[digits:]) == s.text {
				scale, found = s.scale, true
				break
			}
		}
		if !found {
			return 0, false
		}
	}
	if digits == 0 || digits > 32 {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b[:digits]), 64)
	if v *= scale; err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}
