package syntax

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/unit"
)

// The bounds of a query.
const (
	// MaxLength is how many bytes a query may have.
	MaxLength = 128 << 10

	maxDepth  = 200     // of parentheses and calls within each other
	maxNodes  = 5000    // of all operators, filters and stages
	maxRegexp = 8 << 10 // bytes of a regular expression

	maxDuration = 100 * 365 * 24 * time.Hour // of a range or an offset
)

// Parse reads a query. Its error is a *ParseError.
func Parse(text string) (Expr, error) {
	if len(text) > MaxLength {
		return nil, fail(MaxLength, "the query is longer than %d KiB", MaxLength>>10).in(text)
	}
	toks, f := lex(text)
	if f != nil {
		return nil, f.in(text)
	}
	p := parser{toks: toks}
	e, f := p.query()
	if f != nil {
		return nil, f.in(text)
	}
	return e, nil
}

// ParseLog reads a query that answers with lines.
func ParseLog(text string) (*LogQuery, error) {
	e, err := Parse(text)
	if err != nil {
		return nil, err
	}
	q, ok := e.(*LogQuery)
	if !ok {
		return nil, fail(0, "only log queries are possible here, and this one has numbers for an answer").in(text)
	}
	return q, nil
}

// ParseMatchers reads a stream selector alone. Unlike that of a query it may be empty or
// match everything.
func ParseMatchers(text string) ([]Matcher, error) {
	if len(text) > MaxLength {
		return nil, fail(MaxLength, "the selector is longer than %d KiB", MaxLength>>10).in(text)
	}
	toks, f := lex(text)
	if f != nil {
		return nil, f.in(text)
	}
	p := parser{toks: toks}
	m, f := p.matchers()
	if f == nil && p.peek().kind != tokEOF {
		f = p.unexpected("end of the selector")
	}
	if f != nil {
		return nil, f.in(text)
	}
	return m, nil
}

type parser struct {
	toks  []token
	pos   int
	depth int
	nodes int
}

func (p *parser) peek() token { return p.toks[p.pos] }

// ahead returns the token n after the next one.
func (p *parser) ahead(n int) token { return p.toks[min(p.pos+n, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

// take skips the next token if it is this operator or word.
func (p *parser) take(text string) bool {
	if p.peek().is(text) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(text string) *failure {
	if !p.take(text) {
		return p.unexpected(text)
	}
	return nil
}

func (p *parser) unexpected(expected string) *failure {
	t := p.peek()
	return fail(t.at, "syntax error: unexpected %s, expected %s", shortened(t.String()), expected)
}

func (p *parser) text() (string, *failure) {
	if t := p.peek(); t.kind == tokIdent {
		return "", fail(t.at, "syntax error: unexpected %s, expected a string in quotes", shortened(t.String()))
	}
	if p.peek().kind != tokString {
		return "", p.unexpected("a string in quotes")
	}
	return p.next().value, nil
}

func (p *parser) name() (string, *failure) {
	if p.peek().kind != tokIdent {
		return "", p.unexpected("the name of a label")
	}
	return p.next().text, nil
}

// enter counts one more level of nesting; leave ends it.
func (p *parser) enter() *failure {
	if p.depth++; p.depth > maxDepth {
		return fail(p.peek().at, "the query is nested deeper than %d levels", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) node() *failure {
	if p.nodes++; p.nodes > maxNodes {
		return fail(p.peek().at, "the query has more than %d parts", maxNodes)
	}
	return nil
}

func (p *parser) query() (Expr, *failure) {
	e, f := p.expr(1)
	if f != nil {
		return nil, f
	}
	if t := p.peek(); t.is("offset") {
		return nil, fail(t.at, "offset belongs right after a range, as in {…}[5m] offset 1h")
	}
	if p.peek().kind != tokEOF {
		return nil, p.unexpected("an operator or the end of the query")
	}
	return e, nil
}

// expr reads operands and the operators between them that bind at least so tightly.
func (p *parser) expr(least int) (Expr, *failure) {
	left, f := p.operand()
	if f != nil {
		return nil, f
	}
	for {
		t := p.peek()
		op := BinaryOp(t.text)
		if t.kind != tokOp && t.kind != tokIdent || op.precedence() < least || op.precedence() == 0 {
			return left, nil
		}
		if left, f = p.binary(left, op); f != nil {
			return nil, f
		}
	}
}

// binary reads what follows the left operand of an operator.
func (p *parser) binary(left Expr, op BinaryOp) (Expr, *failure) {
	t := p.next()
	if f := p.node(); f != nil {
		return nil, f
	}
	b := &BinOp{Op: op, Left: left}
	if f := p.modifiers(b); f != nil {
		return nil, f
	}
	right := op.precedence() + 1
	if op == Pow { // 2^3^2 is 2^(3^2)
		right--
		if f := p.enter(); f != nil {
			return nil, f
		}
		defer p.leave()
	}
	var f *failure
	if b.Right, f = p.expr(right); f != nil {
		return nil, f
	}
	return b, b.check(t.at)
}

// check refuses operands that an operator cannot work on.
func (b *BinOp) check(at int) *failure {
	for _, side := range []struct {
		leg string
		e   Expr
	}{{"left", b.Left}, {"right", b.Right}} {
		switch e := side.e.(type) {
		case *LogQuery:
			return fail(at, "unexpected type for %s leg of binary operation (%s): a log query has no value; count its lines with count_over_time(%s [5m])", side.leg, b.Op, shortened(e.String()))
		default:
			if b.Op.IsSet() && IsScalar(e) {
				return fail(at, "unexpected literal for %s leg of logical/set binary operation (%s): %s", side.leg, b.Op, shortened(e.String()))
			}
			if b.Matching != nil && IsScalar(e) {
				return fail(at, "on and ignoring match the series of two vectors, and the %s side of %s is a number", side.leg, b.Op)
			}
		}
	}
	return nil
}

// modifiers reads bool, on or ignoring, and group_left or group_right.
func (p *parser) modifiers(b *BinOp) (f *failure) {
	if t := p.peek(); p.take("bool") {
		if b.Bool = true; !b.Op.IsComparison() {
			return fail(t.at, "bool can only be used with comparisons, not with %s", b.Op)
		}
	}
	t := p.peek()
	if t.is("group_left") || t.is("group_right") {
		return fail(t.at, "%s needs on(…) or ignoring(…) before it", t.text)
	}
	if !t.is("on") && !t.is("ignoring") {
		return nil
	}
	p.next()
	m := &Matching{On: t.text == "on"}
	b.Matching = m
	if m.Labels, f = p.names(); f != nil {
		return f
	}
	t = p.peek()
	if !t.is("group_left") && !t.is("group_right") {
		return nil
	}
	p.next()
	if m.Group = GroupSide(t.text); b.Op.IsSet() {
		return fail(t.at, "no grouping allowed for %q operation", b.Op)
	}
	if p.peek().is("(") && (p.ahead(1).is(")") || p.ahead(1).kind == tokIdent && (p.ahead(2).is(",") || p.ahead(2).is(")"))) {
		if m.Include, f = p.names(); f != nil {
			return f
		}
	}
	for _, name := range m.Include {
		if m.On && slices.Contains(m.Labels, name) {
			return fail(t.at, "label %q must not occur in ON and GROUP clause at once", name)
		}
	}
	return nil
}

// names reads a list of labels in parentheses. A comma may end it.
func (p *parser) names() ([]string, *failure) {
	if f := p.expect("("); f != nil {
		return nil, f
	}
	list := []string{}
	for !p.take(")") {
		if len(list) > 0 {
			if f := p.expect(","); f != nil {
				return nil, f
			}
			if p.take(")") {
				break
			}
		}
		name, f := p.name()
		if f != nil {
			return nil, f
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list, nil
}

func (p *parser) operand() (Expr, *failure) {
	if f := p.enter(); f != nil {
		return nil, f
	}
	defer p.leave()
	t := p.peek()
	switch {
	case t.is("("):
		p.next()
		e, f := p.expr(1)
		if f != nil {
			return nil, f
		}
		return e, p.expect(")")
	case t.is("{"):
		return p.logQuery()
	case t.kind == tokNumber || t.is("-") || t.is("+"):
		v, f := p.number()
		return &Number{v}, f
	case t.kind == tokIdent:
		return p.function()
	case t.kind == tokEOF && p.pos == 0:
		return nil, fail(0, `syntax error: unexpected end of query, expected a selector, as in {container="nginx"}`)
	}
	return nil, p.unexpected(`a selector, as in {container="nginx"}, a function or a number`)
}

// number reads a literal with its sign.
func (p *parser) number() (float64, *failure) {
	sign := 1.0
	if p.take("-") {
		sign = -1
	} else {
		p.take("+")
	}
	t := p.peek()
	if t.kind != tokNumber {
		return 0, p.unexpected("a number")
	}
	p.next()
	v, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return 0, fail(t.at, "%s is not a number: %v", shortened(t.text), err)
	}
	return sign * v, nil
}

func (p *parser) function() (Expr, *failure) {
	t := p.peek()
	known := rangeOps[RangeOp(t.text)] != 0 || vectorOps[VectorOp(t.text)] != 0 || t.text == "label_replace" || t.text == "vector"
	if !known {
		return nil, unknownFunction(t)
	}
	p.next()
	if f := p.node(); f != nil {
		return nil, f
	}
	switch {
	case t.text == "label_replace":
		return p.labelReplace()
	case t.text == "vector":
		if f := p.expect("("); f != nil {
			return nil, f
		}
		v, f := p.number()
		if f != nil {
			return nil, f
		}
		return &Vector{v}, p.expect(")")
	case vectorOps[VectorOp(t.text)] != 0:
		return p.vectorAgg(VectorOp(t.text))
	}
	return p.rangeAgg(RangeOp(t.text))
}

func (p *parser) labelReplace() (Expr, *failure) {
	at := p.peek().at
	if f := p.expect("("); f != nil {
		return nil, f
	}
	inner, f := p.expr(1)
	if f != nil {
		return nil, f
	}
	r := &LabelReplace{Inner: inner}
	if f := vectorOnly(at, "label_replace", inner); f != nil {
		return nil, f
	}
	for _, arg := range []*string{&r.Dst, &r.Replacement, &r.Src, &r.Pattern} {
		if f := p.expect(","); f != nil {
			return nil, f
		}
		at = p.peek().at
		if *arg, f = p.text(); f != nil {
			return nil, f
		}
		if arg == &r.Dst && !IsLabelName(r.Dst) {
			return nil, fail(at, "invalid destination label name in label_replace(): %q", shortened(r.Dst))
		}
	}
	if r.Re, f = anchored(at, r.Pattern); f != nil {
		return nil, f
	}
	return r, p.expect(")")
}

// duration reads a duration that is part of the syntax, with a sign if it may have one.
func (p *parser) duration(signed bool) (time.Duration, *failure) {
	negative := signed && p.take("-")
	t := p.peek()
	if t.kind != tokDuration {
		return 0, p.unexpected("a duration, as in 5m")
	}
	p.next()
	d, err := unit.ParseDuration(t.text)
	if err != nil {
		return 0, fail(t.at, "%v", err)
	}
	if d > maxDuration {
		return 0, fail(t.at, "%s is longer than 100 years", t.text)
	}
	if negative {
		d = -d
	}
	return d, nil
}

// compiled compiles a regular expression of bounded length.
func compiled(at int, text string) (*regexp.Regexp, *failure) {
	if len(text) > maxRegexp {
		return nil, fail(at, "the regular expression is longer than %d KiB", maxRegexp>>10)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fail(at, "%v", err)
	}
	return re, nil
}

// anchored compiles an expression that has to match a whole value.
func anchored(at int, text string) (*regexp.Regexp, *failure) {
	if _, f := compiled(at, text); f != nil {
		return nil, f // it quotes the user's own expression
	}
	re, err := regexp.Compile("^(?s:" + text + ")$")
	if err != nil {
		return nil, fail(at, "%v", err)
	}
	return re, nil
}

func vectorOnly(at int, function string, e Expr) *failure {
	if q, ok := e.(*LogQuery); ok {
		return fail(at, "%s works on numbers, and a log query has none; count its lines first: %s(count_over_time(%s [5m]))", function, function, shortened(q.String()))
	}
	if IsScalar(e) {
		return fail(at, "%s works on series, not on the number %s", function, shortened(fmt.Sprint(e)))
	}
	return nil
}
