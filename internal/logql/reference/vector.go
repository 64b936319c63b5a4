package reference

import (
	"errors"
	"math"
	"slices"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// picked returns the labels of a list that are there, or all others.
func picked(labels record.Labels, list []string, listed bool) record.Labels {
	return slices.DeleteFunc(slices.Clone(labels), func(l record.Label) bool { return slices.Contains(list, l.Name) != listed })
}

// aggregate reduces groups of samples, or picks some of each.
func aggregate(e *syntax.VectorAgg, samples []Sample) []Sample {
	by := e.Grouping
	if by == nil {
		by = &syntax.Grouping{}
	}
	groups, keys := map[string][]Sample{}, map[string]record.Labels{}
	for _, s := range samples {
		labels := picked(s.Labels, by.Labels, !by.Without)
		groups[labels.String()] = append(groups[labels.String()], s)
		keys[labels.String()] = labels
	}
	out := []Sample{}
	switch e.Op {
	case syntax.Sort, syntax.SortDesc:
		return samples // the order matters at the very end alone
	case syntax.TopK, syntax.BottomK:
		for _, g := range groups {
			byValue(g, e.Op == syntax.TopK)
			out = append(out, g[:min(e.K, len(g))]...)
		}
	default:
		for key, g := range groups {
			out = append(out, Sample{keys[key], combine(e.Op, g)})
		}
	}
	v, _ := vector{samples: out}.sorted() // the labels of groups differ
	return v.samples
}

// combine reduces a group, whose samples are sorted by labels.
func combine(op syntax.VectorOp, group []Sample) float64 {
	values := make([]float64, len(group))
	for i, s := range group {
		values[i] = s.Value
	}
	switch op {
	case syntax.Sum:
		return total(values)
	case syntax.Avg:
		return total(values) / float64(len(values))
	case syntax.Min:
		return least(values)
	case syntax.Max:
		return most(values)
	case syntax.Count:
		return float64(len(values))
	case syntax.Stdvar:
		return variance(values)
	case syntax.Stddev:
		return math.Sqrt(variance(values))
	}
	panic("reference: unknown aggregation " + string(op))
}

func labelReplace(e *syntax.LabelReplace, samples []Sample) (vector, error) {
	v := vector{}
	for _, s := range samples {
		src := s.Labels.Get(e.Src)
		if m := e.Re.FindStringSubmatchIndex(src); m != nil {
			labels := map[string]string{}
			for _, l := range s.Labels {
				labels[l.Name] = l.Value
			}
			labels[e.Dst] = string(e.Re.ExpandString(nil, e.Replacement, src, m))
			s.Labels = record.NewLabels(labels)
		}
		v.samples = append(v.samples, s)
	}
	return v.sorted()
}

func binary(e *syntax.BinOp, left, right vector) (vector, error) {
	switch {
	case left.scalar && right.scalar:
		v, ok := operate(e.Op, left.samples[0].Value, right.samples[0].Value)
		if e.Op.IsComparison() {
			v = truth(ok)
		}
		return vector{[]Sample{{Value: v}}, true}, nil
	case left.scalar || right.scalar:
		return withScalar(e, left, right), nil
	case e.Op.IsSet():
		return setOperation(e, left, right)
	}
	return matched(e, left, right)
}

// operate returns the value of an operation; of a comparison its left value, and whether
// it is true. Division by zero is NaN, as in Loki, and not infinite.
func operate(op syntax.BinaryOp, a, b float64) (float64, bool) {
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
		return math.Mod(a, b), true // of zero it is NaN
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
	panic("reference: unknown operator " + string(op))
}

func truth(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

// withScalar keeps the labels of the vector. A comparison keeps its values too, on
// whichever side it stands.
func withScalar(e *syntax.BinOp, left, right vector) (out vector) {
	series, number := left.samples, right.samples
	if left.scalar {
		series, number = right.samples, left.samples
	}
	for _, s := range series {
		a, b := s.Value, number[0].Value
		if left.scalar {
			a, b = b, a
		}
		v, ok := operate(e.Op, a, b)
		switch {
		case e.Bool:
			s.Value = truth(ok)
		case !ok:
			continue
		case !e.Op.IsComparison():
			s.Value = v
		}
		out.samples = append(out.samples, s)
	}
	return out
}

// signature is the labels that two series have to share.
func signature(m *syntax.Matching, labels record.Labels) string {
	if m == nil {
		return labels.String()
	}
	return picked(labels, m.Labels, m.On).String()
}

func setOperation(e *syntax.BinOp, left, right vector) (vector, error) {
	in := func(list []Sample) map[string]bool {
		set := map[string]bool{}
		for _, s := range list {
			set[signature(e.Matching, s.Labels)] = true
		}
		return set
	}
	inLeft, inRight := in(left.samples), in(right.samples)
	out := vector{}
	for _, s := range left.samples {
		there := inRight[signature(e.Matching, s.Labels)]
		if e.Op == syntax.Or || there == (e.Op == syntax.And) {
			out.samples = append(out.samples, s)
		}
	}
	for _, s := range right.samples {
		if e.Op == syntax.Or && !inLeft[signature(e.Matching, s.Labels)] {
			out.samples = append(out.samples, s)
		}
	}
	return out.sorted()
}

// What goes wrong when series do not match one to one.
var (
	errManyToMany = errors.New("found duplicate series on the right hand-side, many-to-many matching not allowed: matching labels must be unique on one side")
	errManyToOne  = errors.New("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
	errNotUnique  = errors.New("multiple matches for labels: grouping labels must ensure unique matches")
)

// matched pairs each series of the "many" side with one of the other. That no two series
// of the "one" side match is required whether or not they have a partner; of the "many"
// side of a match one to one, only of those that are in the answer.
func matched(e *syntax.BinOp, left, right vector) (vector, error) {
	m := e.Matching
	if m == nil {
		m = &syntax.Matching{}
	}
	many, one := left.samples, right.samples
	if m.Group == syntax.GroupRight {
		many, one = one, many
	}
	partners := map[string]Sample{}
	for _, s := range one {
		sig := signature(m, s.Labels)
		if _, twice := partners[sig]; twice {
			return vector{}, errManyToMany
		}
		partners[sig] = s
	}
	out, used := vector{}, map[string]bool{}
	for _, s := range many {
		sig := signature(m, s.Labels)
		partner, ok := partners[sig]
		if !ok {
			continue
		}
		a, b := s.Value, partner.Value
		if m.Group == syntax.GroupRight {
			a, b = b, a
		}
		value, ok := operate(e.Op, a, b)
		if e.Bool {
			value, ok = truth(ok), true
		}
		if !ok {
			continue
		}
		if m.Group == syntax.OneToOne && used[sig] {
			return vector{}, errManyToOne
		}
		used[sig] = true
		out.samples = append(out.samples, Sample{matchLabels(m, s.Labels, partner.Labels), value})
	}
	out, err := out.sorted()
	if err != nil {
		err = errNotUnique
	}
	return out, err
}

// matchLabels returns the labels of a pair: those compared if it is one to one, else those
// of the "many" side; and the included ones of the "one" side, where an empty one removes.
func matchLabels(m *syntax.Matching, many, one record.Labels) record.Labels {
	if m.Group == syntax.OneToOne {
		many = picked(many, m.Labels, m.On)
	}
	labels := map[string]string{}
	for _, l := range many {
		labels[l.Name] = l.Value
	}
	for _, name := range m.Include {
		labels[name] = one.Get(name)
	}
	return record.NewLabels(labels)
}
