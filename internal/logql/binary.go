package logql

import (
	"errors"
	"math"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// What goes wrong when series do not match one to one, as Loki words it.
var (
	errSameLabels = errors.New("vector cannot contain metrics with the same labelset")
	errManyToMany = errors.New("found duplicate series on the right hand-side, many-to-many matching not allowed: matching labels must be unique on one side")
	errManyToOne  = errors.New("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
	errNotUnique  = errors.New("multiple matches for labels: grouping labels must ensure unique matches")
)

// binaryNode combines two vectors.
type binaryNode struct {
	v           *evaluation
	e           *syntax.BinOp
	matching    syntax.Matching
	left, right node
	signatures  map[*labelSet]*labelSet // what has to be equal, by the series
	results     map[pair]*labelSet      // the labels of a pair's result
	out         []sample
}

// pair is a series of the "many" side with one of the other.
type pair struct{ many, one *labelSet }

func newBinary(v *evaluation, e *syntax.BinOp, left, right node) *binaryNode {
	n := &binaryNode{v: v, e: e, left: left, right: right, signatures: map[*labelSet]*labelSet{}, results: map[pair]*labelSet{}}
	if e.Matching != nil {
		n.matching = *e.Matching
	}
	return n
}

func (n *binaryNode) at(step int) (vector, error) {
	left, err := n.left.at(step)
	if err != nil {
		return left, err
	}
	right, err := n.right.at(step)
	if err != nil {
		return right, err
	}
	n.out = n.out[:0]
	switch {
	case left.scalar && right.scalar:
		value, ok := operate(n.e.Op, left.samples[0].value, right.samples[0].value)
		if n.e.Op.IsComparison() {
			value = truth(ok)
		}
		n.out = append(n.out, sample{left.samples[0].set, value})
		return vector{n.out, true}, nil
	case left.scalar || right.scalar:
		n.withScalar(left, right)
		return vector{samples: n.out}, nil
	case n.e.Op.IsSet():
		n.sets(left.samples, right.samples)
		return vector{samples: n.out}, unique(n.out, errSameLabels)
	}
	err = n.matched(left.samples, right.samples)
	return vector{samples: n.out}, err
}

// operate returns the value of an operation; of a comparison its left value, and whether it
// is true. Division by zero is NaN, as in Loki, and not infinite.
func operate(op syntax.BinaryOp, a, b float64) (value float64, ok bool) {
	switch op {
	case syntax.Add:
		return a + b, true
	case syntax.Sub:
		return a - b, true
	case syntax.Mul:
		return a * b, true
	case syntax.Div:
		if b == 0 {
			return math.NaN(), true
		}
		return a / b, true
	case syntax.Mod:
		return math.Mod(a, b), true
	case syntax.Pow:
		return math.Pow(a, b), true
	case syntax.Equal:
		return a, a == b
	case syntax.NotEqual:
		return a, a != b
	case syntax.Greater:
		return a, a > b
	case syntax.GreaterOrEqual:
		return a, a >= b
	case syntax.Less:
		return a, a < b
	case syntax.LessOrEqual:
		return a, a <= b
	}
	panic("logql: an operator that syntax has and this package has not")
}

func truth(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

// withScalar keeps the labels of the vector. A comparison keeps its values too, on
// whichever side it stands.
func (n *binaryNode) withScalar(left, right vector) {
	series, number := left.samples, right.samples
	if left.scalar {
		series, number = right.samples, left.samples
	}
	for _, s := range series {
		a, b := s.value, number[0].value
		if left.scalar {
			a, b = b, a
		}
		value, ok := operate(n.e.Op, a, b)
		switch {
		case n.e.Bool:
			s.value = truth(ok)
		case !ok:
			continue
		case !n.e.Op.IsComparison():
			s.value = value
		}
		n.out = append(n.out, s)
	}
}

// signature is the labels that two series have to share.
func (n *binaryNode) signature(s *labelSet) *labelSet {
	sig := n.signatures[s]
	if sig == nil {
		if sig = s; n.e.Matching != nil {
			sig = n.v.intern(picked(s.labels, n.matching.Labels, n.matching.On))
		}
		n.signatures[s] = sig
	}
	return sig
}

func (n *binaryNode) signaturesOf(samples []sample) map[*labelSet]bool {
	set := make(map[*labelSet]bool, len(samples))
	for _, s := range samples {
		set[n.signature(s.set)] = true
	}
	return set
}

// sets does and, or and unless.
func (n *binaryNode) sets(left, right []sample) {
	inLeft, inRight := n.signaturesOf(left), n.signaturesOf(right)
	for _, s := range left {
		there := inRight[n.signature(s.set)]
		if n.e.Op == syntax.Or || there == (n.e.Op == syntax.And) {
			n.out = append(n.out, s)
		}
	}
	if n.e.Op != syntax.Or {
		return
	}
	for _, s := range right {
		if !inLeft[n.signature(s.set)] {
			n.out = append(n.out, s)
		}
	}
}

// matched pairs each series of the "many" side with one of the other. That no two series
// of the "one" side match is required whether or not they have a partner; of the "many"
// side of a match one to one, only of those that are in the answer.
func (n *binaryNode) matched(left, right []sample) error {
	m := &n.matching
	many, one := left, right
	if m.Group == syntax.GroupRight {
		many, one = one, many
	}
	partners := make(map[*labelSet]sample, len(one))
	for _, s := range one {
		sig := n.signature(s.set)
		if _, twice := partners[sig]; twice {
			return &QueryError{errManyToMany}
		}
		partners[sig] = s
	}
	used := make(map[*labelSet]bool, len(many))
	for _, s := range many {
		sig := n.signature(s.set)
		partner, ok := partners[sig]
		if !ok {
			continue
		}
		a, b := s.value, partner.value
		if m.Group == syntax.GroupRight {
			a, b = b, a
		}
		value, ok := operate(n.e.Op, a, b)
		if n.e.Bool {
			value, ok = truth(ok), true
		}
		if !ok {
			continue
		}
		if m.Group == syntax.OneToOne && used[sig] {
			return &QueryError{errManyToOne}
		}
		used[sig] = true
		n.out = append(n.out, sample{n.result(pair{s.set, partner.set}), value})
	}
	return unique(n.out, errNotUnique)
}

// result returns the labels of a pair: those compared if it is one to one, else those of
// the "many" side; and the included ones of the "one" side, where an empty one removes.
func (n *binaryNode) result(p pair) *labelSet {
	set := n.results[p]
	if set != nil {
		return set
	}
	labels := record.Labels(p.many.labels)
	if n.matching.Group == syntax.OneToOne {
		labels = picked(labels, n.matching.Labels, n.matching.On)
	}
	for _, name := range n.matching.Include {
		labels = with(labels, name, p.one.labels.Get(name))
	}
	set = n.v.intern(labels)
	n.results[p] = set
	return set
}
