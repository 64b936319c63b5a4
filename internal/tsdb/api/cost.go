package api

import (
	"errors"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// What a query may be. The engine counts samples as it has them, but some of what it needs it
// takes before: so much is known from the query alone.
const (
	// maxSteps is how many steps all subqueries of a query may have together; each takes 16
	// bytes before there is a sample.
	maxSteps = 1_000_000
	// maxDepth is how many operators and opening parentheses a query may have, and so how deep
	// it can be nested. The engine needs some kilobytes of stack for each level, and more than
	// there may be ends the process; the parser's time grows with the square.
	maxDepth = 2_000
	// maxLabelText is how much text the functions for labels may add to a series, as far as
	// one can know: they can double it each time.
	maxLabelText = 16 << 10
	// labelText is how long the label of a series is taken to be for that.
	labelText = 128
)

var (
	errDeep   = errors.New("the query has more than 2,000 operators and parentheses")
	errSteps  = errors.New("exceeded maximum resolution of 1,000,000 steps in subqueries. Try decreasing the range or increasing the step of subqueries ([range:step])")
	errStep   = errors.New("the step of a subquery is shorter than a millisecond")
	errLabels = errors.New("label_join and label_replace would make labels that are too long. Try nesting them less, or naming fewer labels")
)

// tooDeep tells whether a query may be nested deeper than the parser and the engine can go.
func tooDeep(query string) bool {
	lexer, n := parser.Lex(query), 0
	for n <= maxDepth {
		var item parser.Item
		lexer.NextItem(&item)
		switch {
		case item.Typ == parser.EOF, item.Typ == parser.ERROR:
			return false
		case item.Typ == parser.LEFT_PAREN, item.Typ.IsOperator():
			n++
		}
	}
	return true
}

// affordable returns why a query asks for more than one may.
func affordable(q promql.Query) error {
	s, ok := q.Statement().(*parser.EvalStmt)
	if !ok {
		return nil
	}
	c := cost{outer: float64(millis(s.End)) - float64(millis(s.Start))}
	c.add(s.Expr, c.outer)
	switch {
	case c.shortStep:
		return badData(errStep)
	case !(c.steps <= maxSteps):
		return badData(errSteps)
	case !(c.text <= maxLabelText):
		return badData(errLabels)
	}
	return nil
}

// cost is what a query takes before, or without, samples. The numbers are floats because they
// may be absurd.
type cost struct {
	outer     float64 // milliseconds that the query is about
	steps     float64 // of all subqueries
	text      float64 // bytes that are added to the labels of a series
	shortStep bool
}

// add adds what expr takes where it is evaluated over so many milliseconds. It returns how
// long the labels of its series may be.
func (c *cost) add(expr parser.Node, over float64) (longest float64) {
	longest = labelText
	if sub, ok := expr.(*parser.SubqueryExpr); ok {
		step := sub.Step
		if step == 0 {
			step = subqueryStep
		}
		over += float64(sub.Range.Milliseconds())
		c.shortStep = c.shortStep || step < time.Millisecond
		c.steps += over / max(float64(step.Milliseconds()), 1)
	}
	for child := range parser.ChildrenIter(expr) {
		longest = max(longest, c.add(child, over))
	}
	if call, ok := expr.(*parser.Call); ok {
		made := madeLabel(call, longest)
		c.text += made
		longest = max(longest, made)
	}
	return longest
}

// madeLabel returns how long the label is that a function makes of labels of a length; 0 if
// it makes none.
func madeLabel(call *parser.Call, length float64) float64 {
	const (
		replacement = 2 // the argument of label_replace
		separator   = 2 // that of label_join, after which come the labels
	)
	switch call.Func.Name {
	case "label_replace":
		text := literal(call.Args, replacement)
		return float64(len(text)) + float64(strings.Count(text, "$"))*length
	case "label_join":
		n := float64(max(len(call.Args)-separator-1, 0))
		return n * (length + float64(len(literal(call.Args, separator))))
	}
	return 0
}

// literal returns an argument that can be nothing but text.
func literal(args parser.Expressions, i int) string {
	if i >= len(args) {
		return ""
	}
	var arg parser.Expr = args[i]
	for {
		switch e := arg.(type) {
		case *parser.ParenExpr:
			arg = e.Expr
		case *parser.StepInvariantExpr:
			arg = e.Expr
		case *parser.StringLiteral:
			return e.Val
		default:
			return ""
		}
	}
}
