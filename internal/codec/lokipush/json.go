package lokipush

import (
	"strconv"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

// jsonParser visits a body of JSON. Its methods return false once err is set.
type jsonParser struct {
	jsontext.Scanner
	d   *Decoder
	v   Visitor
	err error

	// Where it is, for messages; -1 is nowhere.
	stream, item int
	list         string
}

// fail notes what is wrong at the present place.
func (p *jsonParser) fail(message string) bool {
	if p.err == nil {
		path := ""
		if p.stream >= 0 {
			path = "streams[" + strconv.Itoa(p.stream) + "]"
		}
		if p.item >= 0 {
			path += "." + p.list + "[" + strconv.Itoa(p.item) + "]"
		}
		p.err = &SyntaxError{Offset: p.At, Path: path, Message: message}
	}
	return false
}

func (p *jsonParser) request() error {
	p.Space()
	if p.object(func(key []byte) bool {
		if string(key) != "streams" {
			return p.pass()
		}
		return p.array(func(i int) bool {
			p.stream = i
			return p.oneStream()
		}) && p.leave(&p.stream)
	}) {
		p.Space()
		if p.At < len(p.Text) {
			p.fail("text after the request")
		}
	}
	return p.err
}

// leave says that the parser is in no element of a list any more.
func (p *jsonParser) leave(index *int) bool {
	*index = -1
	return true
}

// pass goes over a value that nobody wants.
func (p *jsonParser) pass() bool {
	return p.Skip(maxDepth) || p.fail("no valid JSON")
}

// object calls each with the keys of an object, at their values. Null has no keys.
func (p *jsonParser) object(each func(key []byte) bool) bool {
	if p.word("null") {
		return true
	}
	if !p.Take('{') {
		return p.fail("expected an object")
	}
	p.Space()
	if p.Take('}') {
		return true
	}
	for {
		if !p.Take('"') {
			return p.fail("expected a key")
		}
		key, _, ok := p.Inside()
		if !ok {
			return p.fail("a string that is not valid")
		}
		p.Space()
		if !p.Take(':') {
			return p.fail("expected : after the key")
		}
		p.Space()
		if !each(key) {
			return false
		}
		p.Space()
		if !p.Take(',') {
			return p.Take('}') || p.fail("expected a comma or }")
		}
		p.Space()
	}
}

// array calls each with the places of the elements, at them. Null has none.
func (p *jsonParser) array(each func(i int) bool) bool {
	if p.word("null") {
		return true
	}
	if !p.Take('[') {
		return p.fail("expected a list")
	}
	p.Space()
	if p.Take(']') {
		return true
	}
	for i := 0; ; i++ {
		if !each(i) {
			return false
		}
		p.Space()
		if !p.Take(',') {
			return p.Take(']') || p.fail("expected a comma or ]")
		}
		p.Space()
	}
}

func (p *jsonParser) word(w string) bool {
	if len(p.Text)-p.At < len(w) || string(p.Text[p.At:p.At+len(w)]) != w {
		return false
	}
	p.At += len(w)
	return true
}

// streamParts is what was found of a stream, whose keys may come in any order.
type streamParts struct {
	labels        Labels
	given         bool // the labels were found
	list          int  // where the entries begin; -1 where they were not found
	legacy        bool // the entries are objects
	asked, wanted bool // the visitor was, and what it said
}

// oneStream reads {"stream":{…},"values":[…]} or {"labels":"…","entries":[…]}.
func (p *jsonParser) oneStream() bool {
	s := streamParts{labels: Labels{Text: []byte("{}")}, list: -1}
	if !p.object(func(key []byte) bool { return p.part(&s, string(key)) }) {
		return false
	}
	if s.list < 0 || s.asked {
		return true
	}
	if p.ask(&s); !s.wanted {
		return true
	}
	end := p.At // the entries stand before the labels
	p.At = s.list
	ok := p.entries(&s)
	p.At = end
	return ok
}

func (p *jsonParser) ask(s *streamParts) {
	s.asked, s.wanted = true, p.v.Stream(s.labels)
}

func (p *jsonParser) part(s *streamParts, key string) bool {
	switch key {
	case "stream", "labels":
		if s.given {
			return p.fail("the labels are given twice")
		}
		s.given = true
		return p.labels(&s.labels, key == "stream")
	case "values", "entries":
		if s.list >= 0 {
			return p.fail("the entries are given twice")
		}
		p.list, s.legacy, s.list = key, key == "entries", p.At
		if s.given {
			p.ask(s)
		}
		return p.entries(s)
	}
	return p.pass()
}

func (p *jsonParser) labels(l *Labels, object bool) bool {
	from := p.At
	if object {
		if !p.Next('{') {
			return p.fail("expected an object of labels")
		}
		l.JSON = true
		ok := p.pass()
		l.Text = p.Text[from:p.At]
		return ok
	}
	inside, escaped, ok := p.quoted()
	if escaped {
		p.d.text = jsontext.Unescape(p.d.text[:0], inside)
		inside = p.d.text
	}
	l.Text = inside
	return ok
}

// quoted reads a string with its quotes.
func (p *jsonParser) quoted() (inside []byte, escaped, ok bool) {
	if !p.Take('"') {
		return nil, false, p.fail("expected a string")
	}
	if inside, escaped, ok = p.Inside(); !ok {
		p.fail("a string that is not valid")
	}
	return inside, escaped, ok
}

// entries reads a list of entries, and gives those that are wanted.
func (p *jsonParser) entries(s *streamParts) bool {
	return p.array(func(i int) bool {
		p.item = i
		if p.word("null") {
			return true
		}
		e := p.d.begin()
		if s.legacy {
			return p.oldEntry(e) && p.give(s, e)
		}
		return p.entry(e) && p.give(s, e)
	}) && p.leave(&p.item)
}

func (p *jsonParser) give(s *streamParts, e *Entry) bool {
	if !s.wanted {
		return true
	}
	p.err = p.v.Entry(e)
	return p.err == nil
}
