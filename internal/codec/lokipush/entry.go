package lokipush

import (
	"strconv"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// entry reads ["time in nanoseconds","line",{"name":"value"}]. The object may be left out;
// what follows it is passed over.
func (p *jsonParser) entry(e *Entry) bool {
	if !p.Take('[') {
		return p.fail("expected an entry, which is a list of time and line")
	}
	for i := 0; ; i++ {
		p.Space()
		var ok bool
		switch i {
		case 0:
			ok = p.time(e)
		case 1:
			e.Line, ok = p.plainText()
		case 2:
			ok = p.metadata(e)
		default:
			ok = p.pass()
		}
		if !ok {
			return false
		}
		p.Space()
		switch {
		case p.Take(','):
		case i < 1:
			return p.fail("an entry needs a time and a line")
		default:
			return p.Take(']') || p.fail("expected a comma or ]")
		}
	}
}

// time reads nanoseconds in a string.
func (p *jsonParser) time(e *Entry) bool {
	from := p.At
	inside, _, ok := p.quoted()
	if !ok {
		return false
	}
	if e.Time, ok = parseTime(inside); !ok {
		p.At = from
		return p.fail("expected a time: nanoseconds since 1970, in quotes")
	}
	return true
}

// plainText reads a string as what it stands for.
func (p *jsonParser) plainText() ([]byte, bool) {
	inside, escaped, ok := p.quoted()
	if !escaped || !ok {
		return inside, ok
	}
	from := len(p.d.plain)
	p.d.plain = jsontext.Unescape(p.d.plain, inside)
	return p.d.plain[from:len(p.d.plain):len(p.d.plain)], true
}

// value reads a string as what it stands for, and a number or a word as it stands. Null is
// no value.
func (p *jsonParser) value() ([]byte, bool) {
	if p.Next('"') {
		return p.plainText()
	}
	if p.word("null") {
		return nil, true
	}
	from := p.At
	if p.At == len(p.Text) || !p.Literal() {
		p.At = from
		return nil, p.fail("expected a string")
	}
	return p.Text[from:p.At:p.At], true
}

// metadata reads {"name":"value"}, also where answers of Loki have it: as the value of
// "structuredMetadata", beside "parsed", which is not the sender's to say.
func (p *jsonParser) metadata(e *Entry) bool {
	if p.At < len(p.Text) && !p.Next('{') && !p.Next('n') {
		return p.fail("expected an object of structured metadata")
	}
	return p.object(func(key []byte) bool {
		if p.Next('{') {
			if string(key) == "structuredMetadata" {
				return p.pairs(e)
			}
			return p.pass()
		}
		return p.pair(e, key)
	})
}

func (p *jsonParser) pairs(e *Entry) bool {
	return p.object(func(key []byte) bool { return p.pair(e, key) })
}

// pair reads the value of a key that is still escaped.
func (p *jsonParser) pair(e *Entry, key []byte) bool {
	value, ok := p.value()
	if !ok {
		return false
	}
	if len(value) > 0 {
		e.add(p.key(key), value)
	}
	return true
}

// key returns what a key stands for.
func (p *jsonParser) key(key []byte) []byte {
	for _, c := range key {
		if c == '\\' {
			from := len(p.d.plain)
			p.d.plain = jsontext.Unescape(p.d.plain, key)
			return p.d.plain[from:len(p.d.plain):len(p.d.plain)]
		}
	}
	return key
}

// oldEntry reads {"ts":"2026-11-21T05:06:07.123456789Z","line":"…"}.
func (p *jsonParser) oldEntry(e *Entry) bool {
	before, timed, lined := p.At, false, false
	if !p.object(func(key []byte) (ok bool) {
		switch string(key) {
		case "ts", "timestamp":
			timed = true
			return p.date(e)
		case "line":
			lined = true
			e.Line, ok = p.plainText()
			return ok
		case "structuredMetadata":
			return p.oldMetadata(e)
		}
		return p.pass()
	}) {
		return false
	}
	if !timed || !lined {
		p.At = before
		return p.fail(`an entry needs "ts" and "line"`)
	}
	return true
}

// date reads a time of RFC 3339, or nanoseconds, in a string.
func (p *jsonParser) date(e *Entry) bool {
	from := p.At
	inside, _, ok := p.quoted()
	if !ok {
		return false
	}
	if e.Time, ok = rfc3339.Parse(inside); ok {
		return true
	}
	if e.Time, ok = parseTime(inside); !ok {
		p.At = from
		return p.fail("expected a time, as in 2026-11-21T05:06:07.123Z")
	}
	return true
}

// oldMetadata reads {"name":"value"} or [{"name":"a","value":"b"}].
func (p *jsonParser) oldMetadata(e *Entry) bool {
	if p.Next('{') {
		return p.pairs(e)
	}
	return p.array(func(int) bool {
		var name, value []byte
		ok := p.object(func(key []byte) (ok bool) {
			switch string(key) {
			case "name":
				name, ok = p.plainText()
			case "value":
				value, ok = p.value()
			default:
				ok = p.pass()
			}
			return ok
		})
		if ok && len(name) > 0 && len(value) > 0 {
			e.add(name, value)
		}
		return ok
	})
}

// parseTime reads Unix nanoseconds.
func parseTime(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil && b[0] != '+'
}
