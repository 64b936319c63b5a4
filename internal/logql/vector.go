package logql

import (
	"context"
	"math"
	"slices"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// picked returns the labels of a list that are there, or all others.
func picked(labels record.Labels, list []string, listed bool) record.Labels {
	out := make(record.Labels, 0, len(labels))
	for _, l := range labels {
		if slices.Contains(list, l.Name) == listed {
			out = append(out, l)
		}
	}
	return out
}

// aggNode makes the node of an aggregation. A sum over what can be added up entry by entry
// is done while entries are counted, so that series in between need no memory.
func (v *evaluation) aggNode(ctx context.Context, e *syntax.VectorAgg) (node, error) {
	by := e.Grouping
	if by == nil {
		by = &syntax.Grouping{}
	}
	if agg, ok := e.Inner.(*syntax.RangeAgg); ok && e.Op == syntax.Sum && agg.Grouping == nil {
		switch agg.Op {
		case syntax.CountOverTime, syntax.Rate, syntax.BytesOverTime, syntax.BytesRate, syntax.SumOverTime:
			return v.rangeNode(ctx, agg, by)
		}
	}
	inner, err := v.node(ctx, e.Inner)
	if err != nil {
		return nil, err
	}
	if e.Op == syntax.Sort || e.Op == syntax.SortDesc {
		return inner, nil // the order matters at the very end alone
	}
	return &aggNode{v: v, agg: e, by: by, inner: inner, groups: map[*labelSet]*group{}, byKey: map[*labelSet]*group{}}, nil
}

// aggNode reduces the series of groups to one each, or picks some of each.
type aggNode struct {
	v      *evaluation
	agg    *syntax.VectorAgg
	by     *syntax.Grouping
	inner  node
	groups map[*labelSet]*group // by the series
	byKey  map[*labelSet]*group // by the labels of the group
	active []*group             // that have samples at this step
	out    []sample
}

type group struct {
	set     *labelSet
	samples []sample
}

func (n *aggNode) at(step int) (vector, error) {
	in, err := n.inner.at(step)
	if err != nil {
		return in, err
	}
	n.active, n.out = n.active[:0], n.out[:0]
	for _, s := range in.samples {
		g := n.group(s.set)
		if len(g.samples) == 0 {
			n.active = append(n.active, g)
		}
		g.samples = append(g.samples, s)
	}
	for _, g := range n.active {
		switch n.agg.Op {
		case syntax.TopK, syntax.BottomK:
			sortByValue(g.samples, n.agg.Op == syntax.TopK)
			n.out = append(n.out, g.samples[:min(n.agg.K, len(g.samples))]...)
		default:
			n.out = append(n.out, sample{g.set, combine(n.agg.Op, g.samples)})
		}
		g.samples = g.samples[:0]
	}
	return vector{samples: n.out}, nil
}

// group returns the group that a series belongs to.
func (n *aggNode) group(series *labelSet) *group {
	g := n.groups[series]
	if g == nil {
		set := n.v.intern(picked(series.labels, n.by.Labels, !n.by.Without))
		if g = n.byKey[set]; g == nil {
			g = &group{set: set}
			n.byKey[set] = g
		}
		n.groups[series] = g
	}
	return g
}

// combine reduces the samples of a group, at least one.
func combine(op syntax.VectorOp, samples []sample) float64 {
	var sum, mean, squares float64
	low, high := samples[0].value, samples[0].value
	for i, s := range samples {
		sum += s.value
		delta := s.value - mean
		mean += delta / float64(i+1)
		squares += delta * (s.value - mean)
		if s.value < low || math.IsNaN(low) {
			low = s.value
		}
		if s.value > high || math.IsNaN(high) {
			high = s.value
		}
	}
	n := float64(len(samples))
	switch op {
	case syntax.Avg:
		return sum / n
	case syntax.Min:
		return low
	case syntax.Max:
		return high
	case syntax.Count:
		return n
	case syntax.Stdvar:
		return squares / n
	case syntax.Stddev:
		return math.Sqrt(squares / n)
	}
	return sum
}

// replaceNode changes a label of its series.
type replaceNode struct {
	v     *evaluation
	e     *syntax.LabelReplace
	inner node
	sets  map[*labelSet]*labelSet // the new labels of a series
}

func (n *replaceNode) at(step int) (vector, error) {
	in, err := n.inner.at(step)
	if err != nil {
		return in, err
	}
	out := make([]sample, 0, len(in.samples))
	for _, s := range in.samples {
		to := n.sets[s.set]
		if to == nil {
			to = n.v.intern(n.replaced(s.set.labels))
			n.sets[s.set] = to
		}
		out = append(out, sample{to, s.value})
	}
	return vector{samples: out}, unique(out, errSameLabels)
}

func (n *replaceNode) replaced(labels record.Labels) record.Labels {
	src := labels.Get(n.e.Src)
	m := n.e.Re.FindStringSubmatchIndex(src)
	if m == nil {
		return labels
	}
	return with(labels, n.e.Dst, string(n.e.Re.ExpandString(nil, n.e.Replacement, src, m)))
}

// with returns labels with one of them set; an empty value removes it.
func with(labels record.Labels, name, value string) record.Labels {
	out := make(record.Labels, 0, len(labels)+1)
	set := value == ""
	for _, l := range labels {
		if !set && l.Name >= name {
			out = append(out, record.Label{Name: name, Value: value})
			set = true
		}
		if l.Name != name {
			out = append(out, l)
		}
	}
	if !set {
		out = append(out, record.Label{Name: name, Value: value})
	}
	return out
}

// unique returns err if a series is there twice.
func unique(samples []sample, err error) error {
	seen := make(map[*labelSet]bool, len(samples))
	for _, s := range samples {
		if seen[s.set] {
			return &QueryError{err}
		}
		seen[s.set] = true
	}
	return nil
}
