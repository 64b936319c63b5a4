// Package match holds stream selectors in the syntax of LogQL and Prometheus:
//
//	s, err := match.Parse(`{container="nginx", env!~"test|dev"}`)
//	s.Matches(stream.Labels)
//
// A missing label is an empty one. Regular expressions are RE2 and match the whole value.
// A Selector does not change and may be used concurrently.
package match

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/record"
)

// Selector is a list of conditions on labels, all of which have to hold. The zero value
// matches every stream.
type Selector struct {
	matchers []matcher
}

type matcher struct {
	name, value string
	op          string
	re          *regexp.Regexp // of =~ and !~
}

// A SyntaxError says where a selector stops making sense.
type SyntaxError struct {
	Offset  int // in bytes
	Message string
}

// Error returns the message with the place.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at character %d: %s", e.Offset+1, e.Message)
}

// Parse reads a selector. Its error is a *SyntaxError.
func Parse(text string) (Selector, error) {
	p := parser{text: text}
	s, err := p.selector()
	if err != nil {
		return Selector{}, &SyntaxError{Offset: p.at, Message: err.Error()}
	}
	return s, nil
}

// Matches tells whether all conditions hold for labels.
func (s Selector) Matches(labels record.Labels) bool {
	for i := range s.matchers {
		if m := &s.matchers[i]; !m.holds(labels.Get(m.name)) {
			return false
		}
	}
	return true
}

// Excludes tells whether s matches no stream that has the label, whatever others it has.
func (s Selector) Excludes(label record.Label) bool {
	for i := range s.matchers {
		if m := &s.matchers[i]; m.name == label.Name && !m.holds(label.Value) {
			return true
		}
	}
	return false
}

// holds tells whether a label may have a value.
func (m *matcher) holds(v string) bool {
	switch m.op {
	case "=":
		return v == m.value
	case "!=":
		return v != m.value
	case "=~":
		return m.re.MatchString(v)
	case "!~":
		return !m.re.MatchString(v)
	}
	return false
}

// Labels returns the labels of a selector that is nothing but equalities, as a person
// writes down a stream: {container="nginx"}. ok is false for any other selector.
func (s Selector) Labels() (labels record.Labels, ok bool) {
	m := map[string]string{}
	for _, c := range s.matchers {
		if c.op != "=" {
			return nil, false
		}
		m[c.name] = c.value
	}
	return record.NewLabels(m), true
}

// String returns the selector in its normal form.
func (s Selector) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range s.matchers {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.name + m.op + strconv.Quote(m.value))
	}
	b.WriteByte('}')
	return b.String()
}

type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) take(token string) bool {
	p.space()
	if strings.HasPrefix(p.text[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

func (p *parser) selector() (s Selector, err error) {
	if !p.take("{") {
		return s, fmt.Errorf(`a selector begins with {, as in {container="nginx"}`)
	}
	for !p.take("}") {
		if len(s.matchers) > 0 {
			if !p.take(",") {
				return s, fmt.Errorf("expected a comma or }")
			}
			if p.take("}") { // a comma may end the list
				break
			}
		}
		m, err := p.matcher()
		if err != nil {
			return s, err
		}
		s.matchers = append(s.matchers, m)
	}
	p.space()
	if p.at < len(p.text) {
		return s, fmt.Errorf("unexpected text after the selector")
	}
	return s, nil
}

func (p *parser) matcher() (m matcher, err error) {
	p.space()
	start := p.at
	for p.at < len(p.text) && isName(p.text[p.at], p.at > start) {
		p.at++
	}
	if m.name = p.text[start:p.at]; m.name == "" {
		return m, fmt.Errorf("expected the name of a label")
	}
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if p.take(op) {
			m.op = op
			break
		}
	}
	if m.op == "" {
		return m, fmt.Errorf("expected =, !=, =~ or !~ after %s", m.name)
	}
	p.space()
	quoted, err := strconv.QuotedPrefix(p.text[p.at:])
	if err != nil || quoted[0] == '\'' {
		return m, fmt.Errorf("expected a value in double quotes or backquotes")
	}
	m.value, _ = strconv.Unquote(quoted)
	if strings.HasSuffix(m.op, "~") {
		if _, err := regexp.Compile(m.value); err != nil {
			return m, err // it quotes the user's own expression
		}
		if m.re, err = regexp.Compile("^(?s:" + m.value + ")$"); err != nil {
			return m, err
		}
	}
	p.at += len(quoted)
	return m, nil
}

func isName(c byte, inside bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || inside && c >= '0' && c <= '9'
}
