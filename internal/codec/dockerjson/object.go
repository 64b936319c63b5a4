package dockerjson

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/rfc3339"
)

// maxDepth bounds how deep the values of unknown keys may nest.
const maxDepth = 64

// parseObject reads a line that is not in Docker's exact form.
func parseObject(line []byte) (Entry, error) {
	p := parser{rest: line}
	var e Entry
	haveLog := false
	ok := p.object(func(key []byte) bool {
		switch string(key) {
		case "log":
			log, ok := p.text()
			e.setLog(log)
			haveLog = true
			return ok
		case "stream":
			name, ok := p.text()
			e.Stderr = string(name) == "stderr"
			return ok
		case "time":
			e.Time = 0
			if p.space(); len(p.rest) == 0 || p.rest[0] != '"' {
				return p.skip(maxDepth)
			}
			text, ok := p.text()
			e.Time, _ = rfc3339.Parse(text)
			return ok
		}
		return p.skip(maxDepth)
	})
	if !ok || !p.done() || !haveLog {
		return Entry{}, ErrSyntax
	}
	return e, nil
}

// parser goes through one JSON value from left to right. It checks the structure, not the
// insides of strings and numbers.
type parser struct{ rest []byte }

// next takes c, after white space.
func (p *parser) next(c byte) bool {
	p.space()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *parser) space() {
	for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == '\r' || p.rest[0] == '\n') {
		p.rest = p.rest[1:]
	}
}

func (p *parser) done() bool {
	p.space()
	return len(p.rest) == 0
}

// object takes an object, and has value take the value of each key.
func (p *parser) object(value func(key []byte) bool) bool {
	if !p.next('{') {
		return false
	}
	if p.next('}') {
		return true
	}
	for {
		key, ok := p.text()
		if !ok || !p.next(':') || !value(key) {
			return false
		}
		if !p.next(',') {
			return p.next('}')
		}
	}
}

// text takes a string and returns its inside.
func (p *parser) text() (inside []byte, ok bool) {
	if !p.next('"') {
		return nil, false
	}
	end := jsontext.End(p.rest, 0)
	if end < 0 {
		return nil, false
	}
	inside, p.rest = p.rest[:end], p.rest[end+1:]
	return inside, true
}

// skip takes any value that nests at most depth deep.
func (p *parser) skip(depth int) bool {
	p.space()
	if len(p.rest) == 0 || depth == 0 {
		return false
	}
	switch p.rest[0] {
	case '"':
		_, ok := p.text()
		return ok
	case '{':
		return p.object(func([]byte) bool { return p.skip(depth - 1) })
	case '[':
		return p.array(depth)
	}
	n := 0
	for n < len(p.rest) && bytes.IndexByte([]byte(",]} \t\r\n"), p.rest[n]) < 0 {
		n++
	}
	literal := p.rest[:n]
	p.rest = p.rest[n:]
	return isLiteral(literal)
}

func (p *parser) array(depth int) bool {
	p.next('[')
	if p.next(']') {
		return true
	}
	for {
		if !p.skip(depth - 1) {
			return false
		}
		if !p.next(',') {
			return p.next(']')
		}
	}
}

// isLiteral says whether s is a number, roughly, or one of JSON's words.
func isLiteral(s []byte) bool {
	switch string(s) {
	case "true", "false", "null":
		return true
	}
	for _, c := range s {
		if c-'0' > 9 && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return len(s) > 0
}
