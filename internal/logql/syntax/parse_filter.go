package syntax

import (
	"strconv"

	"github.com/weirlog/weir/internal/logql/unit"
)

// labelFilter reads conditions and what joins them. As in Loki and binds tighter than or,
// while after a comma, or a condition that follows without any word, all the rest of the
// stage belongs together: a or b, c or d is a or (b and (c or d)).
func (p *parser) labelFilter(least int) (LabelFilter, *failure) {
	left, f := p.condition()
	if f != nil {
		return nil, f
	}
	for {
		t := p.peek()
		if t.kind == tokEOF {
			return left, nil
		}
		or, right := false, 0
		switch {
		case t.is("or"):
			if or, right = true, 2; least > 1 {
				return left, nil
			}
			p.next()
		case t.is("and"):
			if right = 3; least > 2 {
				return left, nil
			}
			p.next()
		case t.is(","):
			p.next()
		case t.kind == tokIdent && !t.is("offset") || t.is("("):
		default:
			return left, nil
		}
		other, f := p.rest(right)
		if f != nil {
			return nil, f
		}
		left = &LogicFilter{Or: or, Left: left, Right: other}
	}
}

// rest reads the right side of what joins two conditions.
func (p *parser) rest(least int) (LabelFilter, *failure) {
	if f := p.node(); f != nil {
		return nil, f
	}
	if least == 0 {
		if f := p.enter(); f != nil {
			return nil, f
		}
		defer p.leave()
	}
	return p.labelFilter(least)
}

// condition reads one condition, or several in parentheses.
func (p *parser) condition() (LabelFilter, *failure) {
	if p.peek().is("(") {
		if f := p.enter(); f != nil {
			return nil, f
		}
		defer p.leave()
		p.next()
		filter, f := p.labelFilter(0)
		if f != nil {
			return nil, f
		}
		return filter, p.expect(")")
	}
	name, f := p.name()
	if f != nil {
		return nil, f
	}
	value := p.ahead(1)
	switch op := p.peek(); {
	case value.kind == tokString:
		switch op.text {
		case "==", ">", ">=", "<", "<=":
			return nil, fail(op.at, "%s compares numbers, durations and sizes, which stand without quotes", op.text)
		}
		m, f := p.matcher(name)
		return &StringFilter{m}, f
	case value.is("ip"):
		return p.ipFilter(name)
	}
	return p.compareFilter(name)
}

func (p *parser) ipFilter(name string) (LabelFilter, *failure) {
	t := p.peek()
	if IsErrorLabel(name) {
		return nil, fail(t.at, "%s can only be compared with text, as in %s=\"\"", name, name)
	}
	if !t.is("=") && !t.is("!=") {
		return nil, fail(t.at, "ip(…) can only be used with = and != after a label, not with %s", shortened(t.text))
	}
	p.next()
	r, f := p.ip()
	return &IPFilter{Label: name, Not: t.is("!="), Range: r}, f
}

func (p *parser) compareFilter(name string) (LabelFilter, *failure) {
	if IsErrorLabel(name) {
		return nil, fail(p.peek().at, "%s can only be compared with text, as in %s=\"\"", name, name)
	}
	c := &CompareFilter{Label: name, Op: CompareOp(p.peek().text)}
	switch c.Op {
	case "=":
		c.Op = CompareEqual
	case CompareEqual, CompareNotEqual, CompareGreater, CompareGreaterOrEqual, CompareLess, CompareLessOrEqual:
	default:
		if p.peek().is("=~") || p.peek().is("!~") {
			p.next()
			return nil, p.unexpected("a regular expression in quotes")
		}
		return nil, p.unexpected("an operator (=, !=, =~, !~, ==, >, >=, <, <=) after the label " + shortened(name))
	}
	p.next()
	sign := ""
	if p.peek().is("-") || p.peek().is("+") {
		sign = p.next().text
	}
	t := p.next()
	c.Text = t.text
	if sign == "-" {
		c.Text = "-" + t.text
	}
	var err error
	switch t.kind {
	case tokNumber:
		c.Number, err = strconv.ParseFloat(c.Text, 64)
	case tokDuration:
		c.Kind = KindDuration
		if c.Duration, err = unit.ParseDuration(t.text); sign == "-" {
			c.Duration = -c.Duration
		}
	case tokBytes:
		c.Kind = KindBytes
		if c.Bytes, err = unit.ParseBytes(t.text); sign == "-" {
			return nil, fail(t.at, "a size is not negative")
		}
	default:
		return nil, fail(t.at, "syntax error: unexpected %s, expected a string in quotes, a number, a duration or a size", shortened(t.String()))
	}
	if err != nil {
		return nil, fail(t.at, "%v", err)
	}
	return c, nil
}

// unwrap reads what follows the word: a label, maybe in a conversion, then conditions.
func (p *parser) unwrap() (*Unwrap, *failure) {
	u := &Unwrap{}
	t := p.peek()
	var f *failure
	if u.Label, f = p.name(); f != nil {
		return nil, f
	}
	if p.take("(") {
		switch u.Convert = Conversion(t.text); u.Convert {
		case Duration, DurationSeconds, Bytes:
		default:
			return nil, fail(t.at, "unknown conversion %s, expected duration, duration_seconds or bytes", shortened(t.text))
		}
		t = p.peek()
		if u.Label, f = p.name(); f != nil {
			return nil, f
		}
		if f := p.expect(")"); f != nil {
			return nil, f
		}
	}
	if IsErrorLabel(u.Label) {
		return nil, fail(t.at, "%s cannot be unwrapped", u.Label)
	}
	for p.peek().is("|") {
		p.next()
		if t := p.peek(); t.kind == tokIdent && !p.comparison(1) && !p.ahead(1).is("!=") && !p.ahead(1).is("!~") {
			return nil, fail(t.at, "only conditions on labels can follow unwrap, not %s", shortened(t.text))
		}
		filter, f := p.labelFilter(0)
		if f != nil {
			return nil, f
		}
		u.Filters = append(u.Filters, filter)
	}
	return u, nil
}
