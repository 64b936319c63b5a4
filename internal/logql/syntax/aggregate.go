package syntax

import "strconv"

// What the functions take; the zero value is no function.
type (
	rangeTraits  uint8
	vectorTraits uint8
)

const (
	takesLog    rangeTraits = 1 << iota // works on entries
	takesUnwrap                         // works on unwrapped values
	groups                              // may have by or without
)

const (
	aggregates vectorTraits = 1 << iota
	picks                   // needs a number before the expression
	orders                  // has no groups
)

var rangeOps = map[RangeOp]rangeTraits{
	Rate:             takesLog | takesUnwrap,
	RateCounter:      takesUnwrap,
	CountOverTime:    takesLog,
	BytesRate:        takesLog,
	BytesOverTime:    takesLog,
	SumOverTime:      takesUnwrap,
	AvgOverTime:      takesUnwrap | groups,
	MinOverTime:      takesUnwrap | groups,
	MaxOverTime:      takesUnwrap | groups,
	StddevOverTime:   takesUnwrap | groups,
	StdvarOverTime:   takesUnwrap | groups,
	FirstOverTime:    takesUnwrap | groups,
	LastOverTime:     takesUnwrap | groups,
	QuantileOverTime: takesUnwrap | groups,
	AbsentOverTime:   takesLog | takesUnwrap,
}

var vectorOps = map[VectorOp]vectorTraits{
	Sum: aggregates, Avg: aggregates, Min: aggregates, Max: aggregates, Count: aggregates, Stddev: aggregates, Stdvar: aggregates,
	TopK: aggregates | picks, BottomK: aggregates | picks, Sort: orders, SortDesc: orders,
}

func (p *parser) vectorAgg(op VectorOp) (Expr, *failure) {
	at := p.toks[p.pos-1].at
	v := &VectorAgg{Op: op}
	var f *failure
	if v.Grouping, f = p.grouping(); f != nil {
		return nil, f
	}
	if f := p.expect("("); f != nil {
		return nil, f
	}
	if vectorOps[op]&picks != 0 {
		if v.K, f = p.topCount(op); f != nil {
			return nil, f
		}
	}
	if v.Inner, f = p.expr(1); f != nil {
		return nil, f
	}
	if t := p.peek(); t.is(",") && vectorOps[op]&picks == 0 {
		return nil, fail(t.at, "unsupported parameter for operation %s(", op)
	}
	if f := p.expect(")"); f != nil {
		return nil, f
	}
	if f := vectorOnly(at, string(op), v.Inner); f != nil {
		return nil, f
	}
	t := p.peek()
	after, f := p.grouping()
	switch {
	case f != nil:
		return nil, f
	case after != nil && v.Grouping != nil:
		return nil, fail(t.at, "%s has by or without twice", op)
	case after != nil:
		v.Grouping = after
	}
	if v.Grouping != nil && vectorOps[op]&orders != 0 {
		return nil, fail(at, "grouping not allowed for %s aggregation", op)
	}
	return v, nil
}

// topCount reads the number of topk and bottomk, and the comma after it.
func (p *parser) topCount(op VectorOp) (int, *failure) {
	t := p.peek()
	if t.kind != tokNumber && !t.is("-") {
		return 0, fail(t.at, "parameter required for operation %s(: a number comes first, as in %s(5, …)", op, op)
	}
	negative := p.take("-")
	t = p.next()
	k, err := strconv.Atoi(t.text)
	if err != nil {
		return 0, fail(t.at, "invalid parameter %s(%s,: a whole number was expected", op, shortened(t.text))
	}
	if k < 1 || negative {
		return 0, fail(t.at, "invalid parameter (must be greater than 0) %s(%s", op, t.text)
	}
	return k, p.expect(",")
}

// grouping reads by (…) or without (…); nil if there is none.
func (p *parser) grouping() (*Grouping, *failure) {
	t := p.peek()
	if !t.is("by") && !t.is("without") {
		return nil, nil
	}
	p.next()
	names, f := p.names()
	return &Grouping{Without: t.text == "without", Labels: names}, f
}

func (p *parser) rangeAgg(op RangeOp) (Expr, *failure) {
	at := p.toks[p.pos-1].at
	r := &RangeAgg{Op: op}
	var f *failure
	if t := p.peek(); t.is("by") || t.is("without") {
		return nil, fail(t.at, "the grouping of %s stands after its parentheses: %s(…) %s (…)", op, op, t.text)
	}
	if f := p.expect("("); f != nil {
		return nil, f
	}
	if t := p.peek(); op == QuantileOverTime {
		if t.kind != tokNumber && !t.is("-") && !t.is("+") {
			return nil, fail(t.at, "parameter required for operation quantile_over_time(: a number comes first, as in quantile_over_time(0.95, …)")
		}
		if r.Param, f = p.number(); f == nil {
			f = p.expect(",")
		}
	} else if t.kind == tokNumber {
		f = fail(t.at, "parameter %s not supported for operation %s", t.text, op)
	}
	if f != nil {
		return nil, f
	}
	if f := p.logRange(r); f != nil {
		return nil, f
	}
	if t := p.peek(); r.Range == 0 {
		return nil, fail(t.at, "syntax error: unexpected %s, expected a range, as in %s(… [5m])", shortened(t.String()), op)
	}
	if f := p.expect(")"); f != nil {
		return nil, f
	}
	if r.Grouping, f = p.grouping(); f != nil {
		return nil, f
	}
	return r, r.check(at)
}

// check refuses arguments that the function does not take.
func (r *RangeAgg) check(at int) *failure {
	takes := rangeOps[r.Op]
	switch {
	case r.Grouping != nil && takes&groups == 0:
		return fail(at, "grouping not allowed for %s aggregation; use sum by (…) (%s(…))", r.Op, r.Op)
	case r.Unwrap != nil && takes&takesUnwrap == 0:
		return fail(at, "invalid aggregation %s with unwrap", r.Op)
	case r.Unwrap == nil && takes&takesLog == 0:
		return fail(at, "invalid aggregation %s without unwrap: say which label holds the number, as in | unwrap duration_ms", r.Op)
	}
	return nil
}

// logRange reads a log query with its range, which stands after the selector, at the end,
// or after parentheses around it.
func (p *parser) logRange(r *RangeAgg) *failure {
	if f := p.enter(); f != nil {
		return f
	}
	defer p.leave()
	if p.take("(") {
		if f := p.logRange(r); f != nil {
			return f
		}
		if f := p.expect(")"); f != nil {
			return f
		}
		return p.rangeHere(r)
	}
	q, f := p.selector()
	if f != nil {
		return f
	}
	r.Log = q
	if f := p.rangeHere(r); f != nil {
		return f
	}
	if r.Unwrap, f = p.pipeline(q, true); f != nil {
		return f
	}
	return p.rangeHere(r)
}

// rangeHere reads a range and its offset, if there is one.
func (p *parser) rangeHere(r *RangeAgg) (f *failure) {
	t := p.peek()
	if !p.take("[") {
		return nil
	}
	if r.Range != 0 {
		return fail(t.at, "%s has a second range", r.Op)
	}
	t = p.peek()
	if r.Range, f = p.duration(false); f != nil {
		return f
	}
	if r.Range <= 0 {
		return fail(t.at, "the range has to be longer than 0s")
	}
	if f := p.expect("]"); f != nil {
		return f
	}
	if p.take("offset") {
		r.Offset, f = p.duration(true)
	}
	return f
}
