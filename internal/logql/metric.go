package logql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// labelSet is the labels of a series. In one query equal labels are the same *labelSet.
type labelSet struct {
	labels record.Labels
	key    string
}

// sample is the value of a series at a moment.
type sample struct {
	set   *labelSet
	value float64
}

// vector is the samples of a moment, none of whose labels are there twice; a scalar is one
// without labels.
type vector struct {
	samples []sample
	scalar  bool
}

// node is a part of a query that has a value at each step. The steps are asked for one
// after the other; a vector is valid until the next.
type node interface {
	at(step int) (vector, error)
}

// evaluation is one metric query.
type evaluation struct {
	engine *Engine
	steps  []int64
	budget budget
	sets   map[string]*labelSet
	stats  Stats
	met    damages
	key    []byte
}

// metric answers a metric query.
func (e *Engine) metric(ctx context.Context, p Params) (Result, error) {
	v := &evaluation{engine: e, sets: map[string]*labelSet{}}
	v.budget.left.Store(e.opts.MaxMemory)
	if err := v.setSteps(p); err != nil {
		return Result{}, err
	}
	root, err := v.node(ctx, p.Expr)
	if err != nil {
		return Result{}, err
	}
	var res Result
	if p.Step == 0 {
		res, err = v.instant(root, p.Expr)
	} else {
		res, err = v.matrix(ctx, root)
	}
	res.Stats, res.Damage = v.stats, v.met.sorted()
	return res, err
}

func (v *evaluation) setSteps(p Params) error {
	if p.Step <= 0 {
		v.steps = []int64{p.End.UnixNano()}
		return nil
	}
	if p.End.Before(p.Start) {
		return nil
	}
	// Not the difference of the times: it may not fit a Duration.
	if n := (float64(p.End.UnixNano()) - float64(p.Start.UnixNano())) / float64(p.Step); n >= float64(v.engine.opts.MaxSteps) {
		return &LimitError{fmt.Sprintf("exceeded maximum resolution of %d points per time series. Try increasing the value of the step parameter", v.engine.opts.MaxSteps)}
	}
	for at := p.Start.UnixNano(); at <= p.End.UnixNano(); at += int64(p.Step) {
		v.steps = append(v.steps, at)
	}
	return nil
}

// intern returns the set of labels, which are sorted and not empty.
func (v *evaluation) intern(labels record.Labels) *labelSet {
	v.key = v.key[:0]
	for _, l := range labels {
		v.key = append(append(v.key, l.Name...), 0xff)
		v.key = append(append(v.key, l.Value...), 0xff)
	}
	s := v.sets[string(v.key)]
	if s == nil {
		s = &labelSet{labels: labels, key: string(v.key)}
		v.sets[s.key] = s
	}
	return s
}

// node makes the node of an expression; range aggregations are done now.
func (v *evaluation) node(ctx context.Context, e syntax.Expr) (node, error) {
	switch e := e.(type) {
	case *syntax.Number:
		return &number{vector{[]sample{{v.intern(nil), e.Value}}, true}}, nil
	case *syntax.Vector:
		return &number{vector{samples: []sample{{v.intern(nil), e.Value}}}}, nil
	case *syntax.RangeAgg:
		return v.rangeNode(ctx, e, nil)
	case *syntax.VectorAgg:
		return v.aggNode(ctx, e)
	case *syntax.LabelReplace:
		inner, err := v.node(ctx, e.Inner)
		return &replaceNode{v, e, inner, map[*labelSet]*labelSet{}}, err
	case *syntax.BinOp:
		left, err := v.node(ctx, e.Left)
		if err != nil {
			return nil, err
		}
		right, err := v.node(ctx, e.Right)
		return newBinary(v, e, left, right), err
	}
	return nil, &QueryError{errors.New("the expression has no value")}
}

// number is a node whose value is always the same.
type number struct{ v vector }

func (n *number) at(int) (vector, error) { return n.v, nil }

// rangeNode does a range aggregation. By is the grouping of the sum around it, or nil.
func (v *evaluation) rangeNode(ctx context.Context, e *syntax.RangeAgg, by *syntax.Grouping) (node, error) {
	n := &rangeNode{agg: e}
	if len(v.steps) == 0 {
		return n, nil
	}
	a := newAggregation(e, by, v.steps)
	a.damages = &v.met
	t, stats, err := v.engine.run(ctx, a, &v.budget)
	if err != nil {
		return nil, err
	}
	v.stats.Streams += stats.Streams
	v.stats.Blocks += stats.Blocks
	v.stats.OutOfTime += stats.OutOfTime
	v.stats.ByLabel += stats.ByLabel
	v.stats.ByText += stats.ByText
	v.stats.FromIndex += stats.FromIndex
	v.stats.add(&stats)
	n.table, n.windows = t, a.windows
	if e.Op == syntax.AbsentOverTime {
		n.absent = v.intern(absentLabels(e.Log.Matchers))
	}
	for key, c := range t.cells {
		n.series = append(n.series, rangeSeries{set: v.intern(pipeline.DecodeKey(key)), cell: c})
	}
	slices.SortFunc(n.series, func(a, b rangeSeries) int { return compareLabels(a.set.labels, b.set.labels) })
	return n, nil
}

// rangeNode has the series of a range aggregation.
type rangeNode struct {
	agg     *syntax.RangeAgg
	table   *table
	windows *windows
	series  []rangeSeries
	absent  *labelSet
	out     []sample
	state   state
}

type rangeSeries struct {
	set   *labelSet
	cell  *cell
	count sliding
}

func (n *rangeNode) at(step int) (vector, error) {
	n.out = n.out[:0]
	for i := range n.series {
		first, end := n.windows.first[step], n.windows.end[step]
		if n.table.measure == counts {
			n.state.n = n.series[i].count.to(n.table, n.series[i].cell, first, end)
		} else {
			n.table.window(&n.state, n.series[i].cell, first, end)
		}
		if n.state.n > 0 {
			n.out = append(n.out, sample{n.series[i].set, n.state.result(n.agg, n.windows.bounds[end])})
		}
	}
	if n.agg.Op == syntax.AbsentOverTime {
		if len(n.out) > 0 {
			return vector{}, nil
		}
		n.out = append(n.out, sample{n.absent, 1})
	}
	return vector{samples: n.out}, nil
}

// instant returns the value at the only step.
func (v *evaluation) instant(root node, e syntax.Expr) (Result, error) {
	out, err := root.at(0)
	if err != nil {
		return Result{}, err
	}
	at := v.steps[0]
	if out.scalar {
		return Result{Kind: Scalar, Scalar: Point{at, out.samples[0].value}}, nil
	}
	if err := v.checkSeries(len(out.samples)); err != nil {
		return Result{}, err
	}
	sortByLabels(out.samples)
	if agg, ok := e.(*syntax.VectorAgg); ok {
		switch agg.Op {
		case syntax.Sort, syntax.BottomK:
			sortByValue(out.samples, false)
		case syntax.SortDesc, syntax.TopK:
			sortByValue(out.samples, true)
		}
	}
	res := Result{Kind: Vector, Series: make([]Series, len(out.samples))}
	for i, s := range out.samples {
		res.Series[i] = Series{s.set.labels, []Point{{at, s.value}}}
	}
	return res, nil
}

// matrix returns the values at all steps.
func (v *evaluation) matrix(ctx context.Context, root node) (Result, error) {
	at := map[*labelSet]int{}
	res := Result{Kind: Matrix, Series: []Series{}}
	for step, time := range v.steps {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		out, err := root.at(step)
		if err != nil {
			return Result{}, err
		}
		for _, s := range out.samples {
			i, ok := at[s.set]
			if !ok {
				i = len(res.Series)
				at[s.set] = i
				res.Series = append(res.Series, Series{Labels: s.set.labels})
				if err := v.checkSeries(len(res.Series)); err != nil {
					return Result{}, err
				}
			}
			res.Series[i].Points = append(res.Series[i].Points, Point{time, s.value})
		}
	}
	slices.SortFunc(res.Series, func(a, b Series) int { return compareLabels(a.Labels, b.Labels) })
	return res, nil
}

func (v *evaluation) checkSeries(n int) error {
	if most := v.engine.opts.MaxSeries; n > most {
		return &LimitError{fmt.Sprintf("maximum of series (%d) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()", most)}
	}
	return nil
}

func sortByLabels(samples []sample) {
	slices.SortFunc(samples, func(a, b sample) int { return compareLabels(a.set.labels, b.set.labels) })
}

// sortByValue puts NaN last and equal values in the order of their labels.
func sortByValue(samples []sample, descending bool) {
	slices.SortFunc(samples, func(a, b sample) int {
		order := cmp.Compare(a.value, b.value)
		if descending {
			order = -order
		}
		switch aNaN, bNaN := math.IsNaN(a.value), math.IsNaN(b.value); {
		case aNaN && !bNaN:
			order = 1
		case bNaN && !aNaN:
			order = -1
		}
		return cmp.Or(order, compareLabels(a.set.labels, b.set.labels))
	})
}
