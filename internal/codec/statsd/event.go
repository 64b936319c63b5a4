package statsd

import "bytes"

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
// The lengths are in bytes, as the texts stand there.
func ParseEvent(line []byte) (e Event, bad Reason) {
	head, rest, found := bytes.Cut(bytes.TrimPrefix(line, []byte("_e{")), []byte("}:"))
	first, second, comma := bytes.Cut(head, []byte(","))
	title, ok1 := digits(first)
	text, ok2 := digits(second)
	most := int64(len(rest))
	if !found || !comma || !ok1 || !ok2 || title == 0 || title > most || text > most || title+1+text > most || rest[title] != '|' {
		return e, BadEvent
	}
	e.Title, e.Text = rest[:title:title], rest[title+1:title+1+text]
	if rest = rest[title+1+text:]; len(rest) > 0 && rest[0] != '|' {
		return e, BadEvent
	}
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
