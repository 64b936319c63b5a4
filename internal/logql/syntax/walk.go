package syntax

import "time"

// IsScalar tells whether the answer of e is a plain number, without labels.
func IsScalar(e Expr) bool {
	switch e := e.(type) {
	case *Number:
		return true
	case *BinOp:
		return IsScalar(e.Left) && IsScalar(e.Right)
	}
	return false
}

// Walk calls visit with e and everything below it, until visit returns false for a branch.
// The log query of a range aggregation is visited too.
func Walk(e Expr, visit func(Expr) bool) {
	if !visit(e) {
		return
	}
	switch e := e.(type) {
	case *RangeAgg:
		Walk(e.Log, visit)
	case *VectorAgg:
		Walk(e.Inner, visit)
	case *LabelReplace:
		Walk(e.Inner, visit)
	case *BinOp:
		Walk(e.Left, visit)
		Walk(e.Right, visit)
	}
}

// Selectors returns the stream selectors of all log queries in e, from left to right.
func Selectors(e Expr) (list [][]Matcher) {
	Walk(e, func(e Expr) bool {
		if q, ok := e.(*LogQuery); ok {
			list = append(list, q.Matchers)
		}
		return true
	})
	return list
}

// Reach returns how far before the start of a query and after its end the entries lie that
// it looks at: those of (start-before, end+after]. Both are at least 0.
func Reach(e Expr) (before, after time.Duration) {
	Walk(e, func(e Expr) bool {
		if r, ok := e.(*RangeAgg); ok {
			before = max(before, r.Range+r.Offset)
			after = max(after, -r.Offset)
		}
		return true
	})
	return before, after
}
