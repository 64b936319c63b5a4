package statsd

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Event is an event of DogStatsD. Its texts are parts of the line, in which a line feed is
// still \n; those that were not sent are nil.
type Event struct {
	Title, Text []byte
	Time        int64 // Unix seconds, zero if it was not sent
	Host        []byte
	Key         []byte // of events that belong together
	Low         bool   // of low priority
	Source      []byte // type of what it comes from
	Alert       []byte // error, warning, info, success; nil is info
	Tags        Tags
	// Ignored is how many fields were not understood, and passed over.
	Ignored int
	Origin
}

// IsEvent tells whether a line is one of an event.
func IsEvent(line []byte) bool { return bytes.HasPrefix(line, []byte("_e{")) }

// ParseEvent reads _e{5,4}:title|text|d:1709210096|h:host|k:key|p:low|s:source|t:error|#tags.
// The lengths are in bytes, as the texts stand there; where they do not fit, in units of UTF-16, in
// which clients in JavaScript count.
func ParseEvent(line []byte) (e Event, bad Reason) {
	head, rest, found := bytes.Cut(bytes.TrimPrefix(line, []byte("_e{")), []byte("}:"))
	first, second, comma := bytes.Cut(head, []byte(","))
	title, ok1 := digits(first)
	text, ok2 := digits(second)
	if !found || !comma || !ok1 || !ok2 || title == 0 {
		return e, BadEvent
	}
	if !e.split(rest, title, text, bytesOf) && !e.split(rest, title, text, unitsOf) {
		return e, BadEvent
	}
	rest = rest[len(e.Title)+1+len(e.Text):]
	for len(rest) > 0 {
		var f []byte
		if f, rest = cut(rest[1:], '|'); rest != nil {
			rest = line[len(line)-len(rest)-1:] // from the bar on
		}
		if !e.field(f) {
			e.Ignored++
		}
	}
	return e, Good
}

// split takes title and text off, of so many units. It fails if they do not end where they should.
func (e *Event) split(rest []byte, title, text int64, units func([]byte, int64) int) bool {
	n := units(rest, title)
	if n < 0 || n >= len(rest) || rest[n] != '|' {
		return false
	}
	m := units(rest[n+1:], text)
	if end := n + 1 + m; m < 0 || end < len(rest) && rest[end] != '|' {
		return false
	}
	e.Title, e.Text = rest[:n:n], rest[n+1:n+1+m]
	return true
}

// bytesOf returns n if b has as many bytes, else -1.
func bytesOf(b []byte, n int64) int {
	if n > int64(len(b)) {
		return -1
	}
	return int(n)
}

// unitsOf returns how many bytes the first n units of UTF-16 have in b, -1 if there are fewer.
func unitsOf(b []byte, n int64) int {
	at := 0
	for n > 0 {
		if at == len(b) {
			return -1
		}
		r, size := utf8.DecodeRune(b[at:])
		at, n = at+size, n-int64(utf16.RuneLen(r))
	}
	if n < 0 {
		return -1
	}
	return at
}

// field takes one field of an event.
func (e *Event) field(f []byte) (ok bool) {
	if len(f) > 0 && f[0] == '#' {
		e.Tags.behind = f[1:]
		return true
	}
	if len(f) < 2 || f[1] != ':' {
		return e.origin(f)
	}
	v := f[2:]
	switch f[0] {
	case 'd':
		e.Time, ok = digits(v)
		return ok
	case 'h':
		e.Host = v
	case 'k':
		e.Key = v
	case 'p':
		e.Low = string(v) == "low"
		return e.Low || string(v) == "normal"
	case 's':
		e.Source = v
	case 't':
		switch string(v) {
		case "error", "warning", "info", "success":
			e.Alert = v
		default:
			return false
		}
	default:
		return e.origin(f)
	}
	return true
}

// Check is a service check of DogStatsD. Its texts are parts of the line.
type Check struct {
	Name    []byte
	Status  int // 0 is well, 1 a warning, 2 critical, 3 unknown
	Time    int64
	Host    []byte
	Message []byte // in which a line feed is still \n, and m: is m\:
	Tags    Tags
	// Ignored is how many fields were not understood, and passed over.
	Ignored int
	Origin
}

// IsCheck tells whether a line is one of a service check.
func IsCheck(line []byte) bool { return bytes.HasPrefix(line, []byte("_sc|")) }

// ParseCheck reads _sc|name|0|d:1709210096|h:host|#tags|m:message.
func ParseCheck(line []byte) (c Check, bad Reason) {
	name, rest := cut(bytes.TrimPrefix(line, []byte("_sc|")), '|')
	status, rest := cut(rest, '|')
	if len(name) == 0 || len(status) != 1 || status[0] < '0' || status[0] > '3' {
		return c, BadCheck
	}
	c.Name, c.Status = name, int(status[0]-'0')
	for len(rest) > 0 {
		var f []byte
		f, rest = cut(rest, '|')
		if !c.field(f) {
			c.Ignored++
		}
	}
	return c, Good
}

// field takes one field of a check.
func (c *Check) field(f []byte) (ok bool) {
	switch {
	case len(f) > 0 && f[0] == '#':
		c.Tags.behind = f[1:]
	case bytes.HasPrefix(f, []byte("d:")):
		c.Time, ok = digits(f[2:])
		return ok
	case bytes.HasPrefix(f, []byte("h:")):
		c.Host = f[2:]
	case bytes.HasPrefix(f, []byte("m:")):
		c.Message = f[2:]
	default:
		return c.origin(f)
	}
	return true
}
