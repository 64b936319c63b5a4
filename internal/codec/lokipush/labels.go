package lokipush

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/record"
)

// The bounds of a stream's labels. Those of names and values are Loki's; of labels it takes
// 15 where nobody says otherwise, and 30 before version 3.
const (
	MaxLabels     = 30
	MaxNameBytes  = 1024
	MaxValueBytes = 2048
	MaxLabelBytes = 16 << 10 // of all, as they are written
)

// maxShown is how much of a text is in a message.
const maxShown = 64

// labelParser reads the labels of a stream.
type labelParser struct {
	jsontext.Scanner
	labels record.Labels
	err    *SyntaxError
}

// fail notes the first thing that is wrong, and returns false.
func (p *labelParser) fail(at int, format string, args ...any) bool {
	if p.err == nil {
		p.err = &SyntaxError{Offset: at, Message: fmt.Sprintf(format, args...)}
	}
	return false
}

// selector reads {name="value", other="value"}, where a comma may end the list.
func (p *labelParser) selector() {
	p.Space()
	if !p.Take('{') {
		p.fail(p.At, `expected {, as in {app="shop"}`)
		return
	}
	for p.Space(); !p.Take('}'); p.Space() {
		if len(p.labels) > 0 && !p.comma() || !p.pair() {
			return
		}
		p.Space()
		if p.At == len(p.Text) {
			p.fail(p.At, "expected a comma or }")
			return
		}
		if p.Text[p.At] == ',' && p.endsAfterComma() {
			break
		}
	}
	p.end()
}

// comma takes the comma between two labels.
func (p *labelParser) comma() bool {
	if !p.Take(',') {
		return p.fail(p.At, "expected a comma or }")
	}
	p.Space()
	return true
}

// endsAfterComma takes a comma and the } after it.
func (p *labelParser) endsAfterComma() bool {
	before := p.At
	p.At++
	p.Space()
	if p.Take('}') {
		return true
	}
	p.At = before
	return false
}

func (p *labelParser) pair() bool {
	from := p.At
	var name string
	if p.At < len(p.Text) && p.Text[p.At] == '"' {
		var ok bool
		if name, ok = p.quoted(); !ok {
			return false
		}
	} else {
		for p.At < len(p.Text) && isName(p.Text[p.At], p.At > from) {
			p.At++
		}
		name = string(p.Text[from:p.At])
	}
	p.Space()
	if name == "" || !p.Take('=') {
		return p.fail(p.At, "expected the name of a label and =")
	}
	p.Space()
	value, ok := p.quoted()
	return ok && p.add(from, name, value)
}

// quoted reads a text in double, single or back quotes, as Go has them.
func (p *labelParser) quoted() (string, bool) {
	from := p.At
	if p.At == len(p.Text) || strings.IndexByte("\"'`", p.Text[p.At]) < 0 {
		return "", p.fail(from, "expected a value in quotes")
	}
	quote := p.Text[p.At]
	p.At++
	rest := string(p.Text[p.At:])
	if quote == '`' {
		n := strings.IndexByte(rest, '`')
		if n < 0 {
			return "", p.fail(from, "the quote does not end")
		}
		p.At += n + 1
		return rest[:n], true
	}
	var plain []byte
	for rest != "" && rest[0] != quote {
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", p.fail(len(p.Text)-len(rest), "an escape that is none")
		}
		if r < utf8.RuneSelf || !multibyte {
			plain = append(plain, byte(r))
		} else {
			plain = utf8.AppendRune(plain, r)
		}
		rest = tail
	}
	if rest == "" {
		return "", p.fail(from, "the quote does not end")
	}
	p.At = len(p.Text) - len(rest) + 1
	return string(plain), true
}

// object reads {"name":"value"}. Numbers and words are taken as they stand; null is none.
func (p *labelParser) object() {
	p.Space()
	if !p.Take('{') {
		p.fail(p.At, `expected an object, as in {"app":"shop"}`)
		return
	}
	for p.Space(); !p.Take('}'); p.Space() {
		if len(p.labels) > 0 && !p.comma() {
			return
		}
		from := p.At
		name, ok := p.jsonText()
		if !ok {
			return
		}
		p.Space()
		if !p.Take(':') {
			p.fail(p.At, "expected : after the name")
			return
		}
		p.Space()
		value, ok := p.jsonText()
		if !ok || !p.add(from, name, value) {
			return
		}
	}
	p.end()
}

// jsonText reads a string, or the text of a number or word.
func (p *labelParser) jsonText() (string, bool) {
	from := p.At
	if p.Take('"') {
		inside, escaped, ok := p.Inside()
		if !ok {
			return "", p.fail(p.At, "a string that is not valid")
		}
		if escaped {
			return string(jsontext.Unescape(nil, inside)), true
		}
		return string(inside), true
	}
	if p.At == len(p.Text) || !p.Literal() {
		return "", p.fail(from, "expected a string")
	}
	text := string(p.Text[from:p.At])
	if text == "null" {
		text = ""
	}
	return text, true
}

// add takes one label, which was written at from.
func (p *labelParser) add(from int, name, value string) bool {
	value = strings.ToValidUTF8(value, "\uFFFD")
	switch {
	case !isLabelName(name):
		return p.fail(from, "%s is no name of a label: use letters, digits and _, and no digit first", shown(name))
	case len(name) > MaxNameBytes:
		return p.fail(from, "the name %s has %d bytes, at most %d are taken", shown(name), len(name), MaxNameBytes)
	case len(value) > MaxValueBytes:
		return p.fail(from, "the value of %s has %d bytes, at most %d are taken", shown(name), len(value), MaxValueBytes)
	case len(p.labels) == MaxLabels:
		return p.fail(from, "more than %d labels", MaxLabels)
	}
	p.labels = append(p.labels, record.Label{Name: name, Value: value})
	return true
}

// end sees to it that nothing follows.
func (p *labelParser) end() {
	p.Space()
	if p.At < len(p.Text) {
		p.fail(p.At, "text after the labels")
	}
}

// finish sorts the labels.
func (p *labelParser) finish() (record.Labels, error) {
	slices.SortFunc(p.labels, func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(p.labels); i++ {
		if p.labels[i].Name == p.labels[i-1].Name {
			return nil, &SyntaxError{Message: "the label " + shown(p.labels[i].Name) + " comes twice"}
		}
	}
	labels := slices.DeleteFunc(p.labels, func(l record.Label) bool { return l.Value == "" })
	if len(labels) == 0 {
		return nil, &SyntaxError{Message: "a stream needs at least one label"}
	}
	return labels, nil
}

// shown quotes text for a message, shortened.
func shown(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strconv.Quote(text)
}

func isName(c byte, inside bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || inside && c >= '0' && c <= '9'
}

func isLabelName(s string) bool {
	for i := range len(s) {
		if !isName(s[i], i > 0) {
			return false
		}
	}
	return s != ""
}

// AppendName appends name as queries can use it: what is no letter, digit or _ becomes _,
// once for several such in a row, and a digit in front gets key_ before it, as in Loki.
func AppendName(dst, name []byte) []byte {
	if len(name) > 0 && name[0]-'0' <= 9 {
		dst = append(dst, "key_"...)
	}
	odd := false
	for _, c := range name {
		switch {
		case isName(c, true):
			dst = append(dst, c)
			odd = false
		case !odd:
			dst = append(dst, '_')
			odd = true
		}
	}
	return dst
}
