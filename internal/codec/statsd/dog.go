package statsd

import "bytes"

// startDog reads all of a line but its values: name:value:value|type|@rate|#tags and more, in
// any order.
func (p *Parser) startDog(line []byte) {
	head, fields, found := bytes.Cut(line, bar)
	if !found {
		p.Bad = NoType
		return
	}
	name, values, found := bytes.Cut(head, colon)
	p.Name, p.Tags = inName(name)
	switch {
	case len(p.Name) == 0:
		p.Bad = NoName
		return
	case !found || len(values) == 0:
		p.Bad = NoValue
		return
	}
	kind := fields
	if end := bytes.IndexByte(fields, '|'); end >= 0 {
		kind, fields = fields[:end], fields[end+1:]
	} else {
		fields = nil
	}
	if p.Bad = p.dogType(kind); p.Bad != Good {
		return
	}
	p.rest = values
	if p.Bad = p.options(fields); p.Bad == Good && p.Type != Set {
		p.Bad = p.checkValues()
	}
}

var bar = []byte("|")

func (p *Parser) dogType(kind []byte) Reason {
	switch string(kind) {
	case "c":
		p.Type = Counter
	case "g":
		p.Type = Gauge
	case "ms":
		p.Type = Timer
	case "h":
		p.Type = Histogram
	case "d":
		p.Type = Distribution
	case "s":
		p.Type = Set
	case "":
		return NoType
	default:
		return BadType
	}
	return Good
}

// options reads what stands behind the type. What is not known there is passed over: it may
// be of a later protocol.
func (p *Parser) options(fields []byte) (bad Reason) {
	for len(fields) > 0 {
		f := fields
		if end := bytes.IndexByte(fields, '|'); end >= 0 {
			f, fields = fields[:end], fields[end+1:]
		} else {
			fields = nil
		}
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case '@':
			bad = max(bad, p.dogRate(f[1:]))
		case '#':
			p.Tags.behind = f[1:]
		case 'T':
			bad = max(bad, p.time(f[1:]))
		default:
			p.origin(f)
		}
	}
	return bad
}

// origin takes the fields that say where a client is, and tells whether f is one.
func (o *Origin) origin(f []byte) bool {
	switch {
	case bytes.HasPrefix(f, []byte("c:")):
		o.Container = f[2:]
	case bytes.HasPrefix(f, []byte("e:")):
		o.External = f[2:]
	case bytes.HasPrefix(f, []byte("card:")):
		o.Cardinality = f[5:]
	default:
		return false
	}
	return true
}

func (p *Parser) dogRate(text []byte) Reason {
	v, ok := number(text)
	if !ok || v <= 0 {
		return BadRate
	}
	p.Rate = v
	return Good
}

// time reads the time of a counter or a gauge. Others are not added up by the client, and
// have none.
func (p *Parser) time(text []byte) Reason {
	v, ok := digits(text)
	if !ok || v < 1 {
		return BadTime
	}
	if p.Type == Counter || p.Type == Gauge {
		p.Time = v
	}
	return Good
}

// checkValues tells whether all values are numbers, and one is there.
func (p *Parser) checkValues() Reason {
	some := false
	for rest := p.rest; len(rest) > 0; {
		var text []byte
		text, rest, _ = bytes.Cut(rest, colon)
		if len(text) == 0 {
			continue
		}
		some = true
		if _, ok := number(text); !ok {
			return BadValue
		}
	}
	if !some {
		return NoValue
	}
	return Good
}

// nextDog goes on to the next value that is not empty. That of a set is all there is.
func (p *Parser) nextDog() bool {
	if p.Type == Set {
		p.Text, p.more = p.rest, false
		return true
	}
	for len(p.rest) > 0 {
		if i := bytes.IndexByte(p.rest, ':'); i >= 0 {
			p.Text, p.rest = p.rest[:i], p.rest[i+1:]
		} else {
			p.Text, p.rest = p.rest, nil
		}
		if len(p.Text) > 0 {
			p.Value, _ = number(p.Text)
			return true
		}
	}
	p.more = false
	return false
}
