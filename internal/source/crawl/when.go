package crawl

import (
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// clock reads the times of records.
type clock struct {
	format string
	unit   int64 // of numbers, in nanoseconds; 0: their size tells it
	zone   *time.Location
}

func newClock(format, zone string) (clock, error) {
	c := clock{format: format, zone: time.UTC}
	if zone != "" {
		var err error
		if c.zone, err = time.LoadLocation(zone); err != nil {
			return c, err
		}
	}
	switch format {
	case "unix":
		c.unit = 1e9
	case "unix_ms":
		c.unit = 1e6
	case "unix_us":
		c.unit = 1e3
	case "unix_ns":
		c.unit = 1
	}
	return c, nil
}

// parse reads a time as Unix nanoseconds, never 0.
func (c *clock) parse(v []byte) (ns int64, ok bool) {
	switch {
	case len(v) == 0:
		return 0, false
	case c.unit != 0:
		ns, ok = decimal(v, c.unit)
	case c.format == "auto":
		ns, ok = c.auto(v)
	default: // a layout of one's own: the one way that costs memory for each record
		t, err := time.ParseInLocation(c.format, string(v), c.zone)
		ns, ok = t.UnixNano(), err == nil && t.Year() > 1678 && t.Year() < 2262
	}
	return ns, ok && ns != 0
}

// auto reads RFC 3339, also with a space for its T and without a zone, and numbers.
func (c *clock) auto(v []byte) (int64, bool) {
	if len(v) > 19 && v[10] == 'T' {
		if ns, ok := rfc3339.Parse(v); ok {
			return ns, true
		}
	}
	if len(v) >= 19 && v[4] == '-' {
		return c.loose(v)
	}
	unit := int64(1e9)
	n, digits := int64(0), 0
	for _, b := range v {
		if b < '0' || b > '9' || digits == 19 {
			break
		}
		n, digits = n*10+int64(b-'0'), digits+1
	}
	// 1e11 seconds are the year 5138, as many milliseconds 1973, and so on.
	for _, smaller := range [...]int64{1e6, 1e3, 1} {
		if n < 1e11 {
			break
		}
		n, unit = n/1e3, smaller
	}
	return decimal(v, unit)
}

// loose reads what is almost RFC 3339.
func (c *clock) loose(v []byte) (int64, bool) {
	var room [64]byte
	if len(v) > len(room)-1 {
		return 0, false
	}
	b := append(room[:0], v...)
	if b[10] == ' ' || b[10] == 't' {
		b[10] = 'T'
	}
	if last := len(b) - 1; b[last] == 'z' {
		b[last] = 'Z'
	}
	if n := len(b); b[n-5] == '+' || b[n-5] == '-' && n >= 24 { // +0100
		b = append(b, b[n-1])
		b[n-2], b[n-1] = ':', b[n-2]
	}
	if ns, ok := rfc3339.Parse(b); ok {
		return ns, true
	}
	ns, ok := rfc3339.Parse(append(b, 'Z')) // it names no zone
	if !ok || c.zone == time.UTC {
		return ns, ok
	}
	u := time.Unix(0, ns).UTC()
	return time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), c.zone).UnixNano(), true
}

// hold returns a time as the cursor may have it: in an hour that comes twice in the zone of the
// records, that is its beginning, since times which name no zone may be of either.
func (c *clock) hold(ns int64) int64 {
	if c.zone == time.UTC {
		return ns
	}
	t := time.Unix(0, ns).In(c.zone)
	start, end := t.ZoneBounds()
	for _, turn := range [...]time.Time{start, end} {
		if turn.IsZero() {
			continue
		}
		_, before := turn.Add(-1).Zone()
		_, after := turn.Zone()
		twice := time.Duration(before-after) * time.Second // less than nothing: an hour is left out
		if from := turn.Add(-twice); !t.Before(from) && t.Before(turn.Add(twice)) {
			return from.UnixNano()
		}
	}
	return ns
}

// decimal reads a number with or without a fraction as so many units. It is read exactly: a
// float would lose the nanoseconds of today's seconds.
func decimal(v []byte, unit int64) (int64, bool) {
	i, n, negative := 0, int64(0), false
	if v[0] == '-' {
		i, negative = 1, true
	}
	from, most := i, int64(1<<63-1)/unit
	for ; i < len(v) && v[i]-'0' <= 9; i++ {
		if n = n*10 + int64(v[i]-'0'); n > most/10 && i+1 < len(v) && v[i+1]-'0' <= 9 || n > most {
			return 0, false
		}
	}
	if i == from {
		return 0, false
	}
	n *= unit
	whole := unit
	if i < len(v) && v[i] == '.' {
		for i++; i < len(v) && v[i]-'0' <= 9; i++ {
			unit /= 10
			n += int64(v[i]-'0') * unit
		}
	}
	if i < len(v) { // 1.7e9, as some encoders write it
		f, err := strconv.ParseFloat(string(v), 64)
		f *= float64(whole)
		return int64(f), err == nil && f > -9e18 && f < 9e18
	}
	if negative {
		n = -n
	}
	return n, true
}
