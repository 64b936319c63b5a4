package statsd

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// kind is a type of metric.
type kind uint8

const (
	counter kind = iota
	gauge
	timer
	histogram
	distribution
	set
	kinds
)

// code is what the type is called in a line.
func (k kind) code() string { return [...]string{"c", "g", "ms", "h", "d", "s"}[k] }

// group is what Sprockets puts before a name of the type.
func (k kind) group() string { return [...]string{"counters.", "gauges.", "timers.", "", "", ""}[k] }

// sampled says whether a rate has a meaning for the type: of a gauge or set there is no
// number of calls to multiply.
func (k kind) sampled() bool { return k != gauge && k != set }

// scope is what a client adds to all of its metrics. It never changes.
type scope struct {
	dialect Dialect
	naming  Naming
	prefix  string        // made safe, with its dot, or empty
	heads   [kinds]string // prefix and group
	tags    string        // made safe, with what separates them from what is before
	rate    float64       // at most 1
	rated   string        // "|@0.1"; empty for 1
	ends    [kinds]string // "|c", "|c|@0.1", with tags that stand at the end
	mix     uint64        // for hashes: other for other prefixes, tags and rates
}

// newScope completes s, of which the dialect, naming, prefix, tags and rate are set.
func newScope(s scope) scope {
	s.rated = ""
	if s.rate < 1 {
		s.rated = "|@" + strconv.FormatFloat(s.rate, 'f', -1, 64)
	}
	s.mix = 0
	for _, b := range []byte(s.prefix + s.tags + s.rated) {
		s.mix = s.mix*odd + uint64(b)
	}
	for k := range kinds {
		s.heads[k] = s.prefix
		if s.naming == Sprockets {
			s.heads[k] += k.group()
		}
		s.ends[k] = "|" + k.code()
		if k.sampled() {
			s.ends[k] += s.rated
		}
		if !s.tagsInName() {
			s.ends[k] += s.tags
		}
	}
	return s
}

// same says whether two scopes write the same lines.
func (s *scope) same(o *scope) bool {
	return s == o || s.rate == o.rate && s.prefix == o.prefix && s.tags == o.tags
}

// signed says whether a gauge with a sign is a change.
func (s *scope) signed() bool { return s.dialect != DogStatsD }

func (s *scope) tagsInName() bool { return s.dialect >= Graphite }

// appendHead appends a line up to its value.
func (s *scope) appendHead(dst []byte, k kind, name string, tags []string) []byte {
	dst = append(dst, s.heads[k]...)
	dst = appendSafe(dst, name, inName)
	if s.tagsInName() {
		dst = append(dst, s.tags...)
		dst = s.appendTags(dst, tags, true)
	}
	return append(dst, ':')
}

// appendEnd appends what follows a line's value.
func (s *scope) appendEnd(dst []byte, k kind, tags []string) []byte {
	dst = append(dst, s.ends[k]...)
	if len(tags) > 0 && !s.tagsInName() {
		dst = s.appendTags(dst, tags, s.tags != "")
	}
	return dst
}

// appendTags appends tags; more says that others stand before them.
func (s *scope) appendTags(dst []byte, tags []string, more bool) []byte {
	for _, tag := range tags {
		if tag == "" {
			continue
		}
		switch s.dialect {
		case Graphite:
			dst = appendTagInName(append(dst, ';'), tag)
		case Influx:
			dst = appendTagInName(append(dst, ','), tag)
		default:
			if more {
				dst = append(dst, ',')
			} else {
				dst = append(dst, "|#"...)
			}
			dst = appendSafe(dst, tag, inTag)
		}
		more = true
	}
	return dst
}

func appendTagInName(dst []byte, tag string) []byte {
	key, value, _ := strings.Cut(tag, ":")
	if key == "" {
		key = "_"
	}
	if value == "" {
		value = "true" // a tag without a value is one that is set
	}
	dst = append(appendSafe(dst, key, inKey), '=')
	return appendSafe(dst, value, inValue)
}

// appendReading appends the value of a line of any type.
func (s *scope) appendReading(dst []byte, k kind, r reading) []byte {
	switch {
	case k == set:
		return appendSafe(dst, r.member, inName)
	case k == gauge && r.delta && r.value >= 0:
		return appendNumber(append(dst, '+'), r.value)
	case k == counter || k == gauge:
		return appendNumber(dst, r.value)
	}
	return s.appendValue(dst, k, r)
}

// appendValue appends the value of a timer, histogram or distribution.
func (s *scope) appendValue(dst []byte, k kind, r reading) []byte {
	switch {
	case k == timer && s.naming == Sprockets && r.isTime:
		return appendPython(dst, r.time.Seconds()*1000)
	case k == timer && s.naming == Sprockets:
		return appendPython(dst, r.value)
	case r.isTime:
		return appendMilliseconds(dst, r.time)
	}
	return appendNumber(dst, r.value)
}

// appendNumber appends v, which is finite, without an exponent where that is not absurd:
// not every server reads one.
func appendNumber(dst []byte, v float64) []byte {
	if i := int64(v); float64(i) == v && i > -1<<53 && i < 1<<53 {
		return strconv.AppendInt(dst, i, 10)
	}
	if a := math.Abs(v); a < 1e-9 || a >= 1e21 {
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendMilliseconds appends a duration in milliseconds, exactly.
func appendMilliseconds(dst []byte, d time.Duration) []byte {
	dst = strconv.AppendInt(dst, int64(d/time.Millisecond), 10)
	rest := int64(d % time.Millisecond)
	if rest == 0 {
		return dst
	}
	if rest < 0 {
		rest = -rest
		if d > -time.Millisecond {
			dst = append(dst[:len(dst)-1], "-0"...)
		}
	}
	digits := [7]byte{'.', '0', '0', '0', '0', '0', '0'}
	for i := 6; i > 0; i-- {
		digits[i] += byte(rest % 10)
		rest /= 10
	}
	n := 7
	for digits[n-1] == '0' {
		n--
	}
	return append(dst, digits[:n]...)
}

// appendPython appends v as Python's str does: 12340.0, 1e-06, 1.5e+16.
func appendPython(dst []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	for _, b := range dst[from:] {
		if b == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

func finite(v float64) bool { return v-v == 0 }
