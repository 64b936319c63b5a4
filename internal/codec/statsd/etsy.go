package statsd

import "bytes"

var tagMark = []byte("|#")

// startEtsy takes name and tags off a line of etsy's: name:value|type|@rate:value|type|#tags.
// Unlike etsy's it goes on behind the tags, so that what DogStatsD's clients add there is no
// part of the last one.
func (p *Parser) startEtsy(line []byte) {
	var tags []byte
	if i := bytes.Index(line, tagMark); i >= 0 {
		tags = line[i+len(tagMark):]
		line = line[:i]
		if end := bytes.IndexByte(tags, '|'); end >= 0 {
			for f, rest := cut(tags[end+1:], '|'); len(f) > 0; f, rest = cut(rest, '|') {
				p.origin(f)
			}
			tags = tags[:end]
		}
	}
	name, rest, found := bytes.Cut(line, colon)
	p.Name, p.Tags = inName(name)
	p.Tags.behind = tags
	p.rest = rest
	if !found {
		p.Bad, p.rest = NoValue, nil
	}
}

var colon = []byte(":")

// nextEtsy reads the next value, which has a type and a rate of its own.
func (p *Parser) nextEtsy() {
	piece := p.rest
	if i := bytes.IndexByte(piece, ':'); i >= 0 {
		piece, p.rest = piece[:i], piece[i+1:]
	} else {
		p.more = false
	}
	p.Value, p.Delta, p.Rate = 0, false, 1
	end := bytes.IndexByte(piece, '|')
	if end < 0 {
		p.Bad = NoType
		return
	}
	p.Text = piece[:end]
	kind := piece[end+1:]
	if end = bytes.IndexByte(kind, '|'); end >= 0 {
		rate := kind[end+1:]
		kind = kind[:end]
		if end = bytes.IndexByte(rate, '|'); end >= 0 {
			rate = rate[:end]
		}
		if p.Bad = p.rate(rate); p.Bad != Good {
			return
		}
	}
	p.Bad = p.etsyValue(string(bytes.TrimSpace(kind)))
}

// etsyValue reads the value of a type; etsy's takes a type that it does not know for a counter.
func (p *Parser) etsyValue(kind string) Reason {
	p.Type = Counter
	switch kind {
	case "s":
		p.Type = Set
		if len(p.Text) == 0 {
			p.Text = zero
		}
		return Good
	case "ms":
		p.Type = Timer
	case "g":
		p.Type = Gauge
	}
	v, ok := javaScript(p.Text)
	if !ok || p.Type == Timer && v < 0 {
		return BadValue
	}
	p.Value = v
	p.Delta = p.Type == Gauge && (p.Text[0] == '+' || p.Text[0] == '-')
	return Good
}

var zero = []byte("0")

// rate reads @0.1.
func (p *Parser) rate(text []byte) Reason {
	if len(text) < 2 || text[0] != '@' {
		return BadRate
	}
	v, ok := javaScript(text[1:])
	if !ok || v <= 0 {
		return BadRate
	}
	p.Rate = v
	return Good
}

// AppendName appends a name as etsy's keeps it: white space is _, / is -, and what is none of
// letters, digits and _ - . ; = is left out. Nothing may be left.
func AppendName(dst, name []byte) []byte {
	for i, c := range name {
		switch {
		case inNames[c]:
			dst = append(dst, c)
		case c == '/':
			dst = append(dst, '-')
		case isSpace(c):
			if i == 0 || !isSpace(name[i-1]) {
				dst = append(dst, '_')
			}
		}
	}
	return dst
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

var inNames = func() (in [256]bool) {
	for c := range in {
		in[c] = c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	for _, c := range "_-.;=" {
		in[c] = true
	}
	return in
}()
