package syslog

import "bytes"

// params goes through structured data: [id name="value" …][id …].
type params struct {
	rest []byte
	id   []byte // of the present element
	bad  bool   // rest is not well formed
	// The present parameter. Its value is still escaped.
	name, value []byte
}

// next goes to the next parameter. An element without any is passed over.
func (p *params) next() bool {
	for {
		if p.id == nil {
			if len(p.rest) == 0 || p.rest[0] != '[' {
				return false
			}
			p.id, p.rest = sdName(p.rest[1:])
			if len(p.id) == 0 {
				return p.fail()
			}
		}
		switch {
		case len(p.rest) == 0:
			return p.fail()
		case p.rest[0] == ' ':
			return p.param()
		case p.rest[0] != ']':
			return p.fail()
		}
		p.id, p.rest = nil, p.rest[1:]
	}
}

func (p *params) fail() bool {
	p.bad = true
	return false
}

// param reads a parameter after the space before it.
func (p *params) param() bool {
	p.name, p.rest = sdName(p.rest[1:])
	rest, ok := bytes.CutPrefix(p.rest, []byte(`="`))
	if !ok || len(p.name) == 0 {
		return p.fail()
	}
	end := 0
	for end < len(rest) && rest[end] != '"' {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(rest) {
		return p.fail()
	}
	p.value, p.rest = rest[:end], rest[end+1:]
	return true
}

// sdName cuts a name off the start of s.
func sdName(s []byte) (name, rest []byte) {
	n := 0
	for n < len(s) && s[n] > ' ' && s[n] != '=' && s[n] != ']' && s[n] != '"' {
		n++
	}
	return s[:n], s[n:]
}

// appendUnescaped appends a value without the backslashes before " \ and ].
func appendUnescaped(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, '\\')
		if i < 0 || i+1 == len(v) {
			return append(dst, v...)
		}
		dst = append(dst, v[:i]...)
		if c := v[i+1]; c != '"' && c != '\\' && c != ']' {
			dst = append(dst, '\\')
		}
		dst = append(dst, v[i+1])
		v = v[i+2:]
	}
}
