package reference

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/unit"
	"github.com/weirlog/weir/internal/record"
)

// metrics evaluates a query at one moment after the other.
type metrics struct {
	streams []Stream
	// samples keeps what the entries of a range aggregation became; it does not depend on
	// the moment.
	samples map[*syntax.RangeAgg][]sample
}

// sample is an entry of a range aggregation, in the order of entries.
type sample struct {
	time   int64
	value  float64
	labels record.Labels
	err    string // a pipeline error that no filter asked for
}

// vector is the samples of a moment, sorted by their labels, none of which is there twice;
// a scalar is one sample without labels.
type vector struct {
	samples []Sample
	scalar  bool
}

// errSameLabels refuses an answer that would have a series twice.
var errSameLabels = errors.New("vector cannot contain metrics with the same labelset")

func (m *metrics) instant(query syntax.Expr, at int64) (Result, error) {
	v, err := m.eval(query, at)
	switch {
	case err != nil:
		return Result{}, err
	case v.scalar:
		return Result{Scalar: &v.samples[0].Value}, nil
	}
	if agg, ok := query.(*syntax.VectorAgg); ok {
		switch agg.Op {
		case syntax.Sort, syntax.BottomK:
			byValue(v.samples, false)
		case syntax.SortDesc, syntax.TopK:
			byValue(v.samples, true)
		}
	}
	return Result{Vector: append([]Sample{}, v.samples...)}, nil
}

func (m *metrics) steps(query syntax.Expr, p Params) (Result, error) {
	series := map[string]*Series{}
	for at := p.Start; at <= p.End; at += int64(p.Step) {
		v, err := m.eval(query, at)
		if err != nil {
			return Result{}, err
		}
		for _, s := range v.samples {
			key := s.Labels.String()
			if series[key] == nil {
				series[key] = &Series{Labels: s.Labels}
			}
			series[key].Points = append(series[key].Points, Point{at, s.Value})
		}
	}
	list := []Series{}
	for _, s := range series {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Series) int { return compareLabels(a.Labels, b.Labels) })
	return Result{Matrix: list}, nil
}

// eval returns the value of an expression at a moment. Both sides of an operation are
// always evaluated, so an error on either side is one of the whole.
func (m *metrics) eval(e syntax.Expr, at int64) (vector, error) {
	switch e := e.(type) {
	case *syntax.Number:
		return vector{[]Sample{{Value: e.Value}}, true}, nil
	case *syntax.Vector:
		return vector{samples: []Sample{{Value: e.Value}}}, nil
	case *syntax.RangeAgg:
		return m.rangeAgg(e, at)
	case *syntax.VectorAgg:
		v, err := m.eval(e.Inner, at)
		if err != nil {
			return v, err
		}
		return vector{samples: aggregate(e, v.samples)}, nil
	case *syntax.LabelReplace:
		v, err := m.eval(e.Inner, at)
		if err != nil {
			return v, err
		}
		return labelReplace(e, v.samples)
	case *syntax.BinOp:
		left, err := m.eval(e.Left, at)
		if err != nil {
			return left, err
		}
		right, err := m.eval(e.Right, at)
		if err != nil {
			return right, err
		}
		return binary(e, left, right)
	}
	panic(fmt.Sprintf("reference: %T has no value", e))
}

// rangeAgg reduces the samples of (at-offset-range, at-offset].
func (m *metrics) rangeAgg(e *syntax.RangeAgg, at int64) (vector, error) {
	all, done := m.samples[e]
	if !done {
		all = m.samplesOf(e)
		m.samples[e] = all
	}
	end := at - int64(e.Offset)
	groups := map[string][]sample{}
	for _, s := range all {
		if s.time <= end-int64(e.Range) || s.time > end {
			continue
		}
		if s.err != "" {
			return vector{}, &PipelineError{s.err, s.labels}
		}
		groups[s.labels.String()] = append(groups[s.labels.String()], s)
	}
	if e.Op == syntax.AbsentOverTime {
		return absent(e, len(groups) > 0), nil
	}
	v := vector{}
	for _, g := range groups {
		v.samples = append(v.samples, Sample{g[0].labels, reduce(e, g, end)})
	}
	return v.sorted()
}

// samplesOf sends all entries through the pipeline.
func (m *metrics) samplesOf(e *syntax.RangeAgg) (list []sample) {
	pipe := newPipeline(e.Log.Stages)
	for _, entry := range selected(m.streams, e.Log.Matchers) {
		s := newState(entry)
		if entry.Gap || !pipe.run(s) {
			continue
		}
		value, ok := sampleValue(e, s)
		if !ok {
			continue
		}
		one := sample{time: s.time, value: value, labels: seriesLabels(e, s)}
		if s.err != "" && !s.kept {
			one.err = s.err
		}
		list = append(list, one)
	}
	return list
}

// sampleValue returns the number of an entry. Entries without the unwrapped label, or with
// an empty one, are no samples.
func sampleValue(e *syntax.RangeAgg, s *state) (float64, bool) {
	switch {
	case e.Op == syntax.BytesRate, e.Op == syntax.BytesOverTime:
		return float64(len(s.line)), true
	case e.Unwrap == nil:
		return 1, true
	}
	text := s.labels[e.Unwrap.Label]
	if text == "" {
		return 0, false
	}
	value, err := convert(e.Unwrap.Convert, text)
	if err != nil {
		value = 0
		s.fail(syntax.SampleExtractionErr, err.Error())
	}
	for _, f := range e.Unwrap.Filters {
		if !labelFilter(f, s) {
			return 0, false
		}
	}
	return value, true
}

func convert(c syntax.Conversion, text string) (float64, error) {
	switch c {
	case syntax.Duration, syntax.DurationSeconds:
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	case syntax.Bytes:
		n, err := unit.ParseBytes(text)
		return float64(n), err
	}
	return strconv.ParseFloat(text, 64)
}

// seriesLabels returns the labels of the series that an entry belongs to: those that are
// not empty, without the unwrapped one, and grouped if the aggregation says so. Errors
// stay whatever the grouping is.
func seriesLabels(e *syntax.RangeAgg, s *state) (labels record.Labels) {
	for _, l := range s.all() {
		wanted := e.Unwrap == nil || l.Name != e.Unwrap.Label
		if g := e.Grouping; g != nil {
			listed := slices.Contains(g.Labels, l.Name)
			wanted = g.Without && wanted && !listed || !g.Without && listed
		}
		if l.Value != "" && (wanted || syntax.IsErrorLabel(l.Name)) {
			labels = append(labels, l)
		}
	}
	return labels
}

// reduce returns the value of a series from the samples of its window, at least one.
func reduce(e *syntax.RangeAgg, window []sample, end int64) float64 {
	values := make([]float64, len(window))
	for i, s := range window {
		values[i] = s.value
	}
	seconds := e.Range.Seconds()
	switch e.Op {
	case syntax.CountOverTime, syntax.BytesOverTime, syntax.SumOverTime:
		return total(values)
	case syntax.Rate, syntax.BytesRate:
		return total(values) / seconds
	case syntax.RateCounter:
		return increase(e, window, end) / seconds
	case syntax.AvgOverTime:
		return total(values) / float64(len(values))
	case syntax.MinOverTime:
		return least(values)
	case syntax.MaxOverTime:
		return most(values)
	case syntax.StdvarOverTime:
		return variance(values)
	case syntax.StddevOverTime:
		return math.Sqrt(variance(values))
	case syntax.FirstOverTime:
		return values[0]
	case syntax.LastOverTime:
		return values[len(values)-1]
	case syntax.QuantileOverTime:
		return quantile(e.Param, values)
	}
	panic("reference: unknown range aggregation " + string(e.Op))
}

func total(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// increase is by how much a counter grew in the window, where it began at 0 again when it
// went down. As in Prometheus what lies between the edges of the window and the first and
// last sample is estimated: the counter grew as it did between them, but not from below 0,
// and for half the time between two samples if an edge is farther away than that. A single
// sample has not grown.
func increase(e *syntax.RangeAgg, window []sample, end int64) float64 {
	first, last := window[0], window[len(window)-1]
	if first.time == last.time {
		return 0
	}
	grown := last.value - first.value
	for i := 1; i < len(window); i++ {
		if window[i].value < window[i-1].value {
			grown += window[i-1].value
		}
	}
	seconds := func(from, to int64) float64 { return time.Duration(to - from).Seconds() }
	sampled := seconds(first.time, last.time)
	between := sampled / float64(len(window)-1)
	before, after := seconds(end-int64(e.Range), first.time), seconds(last.time, end)
	if grown > 0 && first.value >= 0 {
		before = min(before, sampled*(first.value/grown))
	}
	if before >= between*1.1 {
		before = between / 2
	}
	if after >= between*1.1 {
		after = between / 2
	}
	return grown * ((before + sampled + after) / sampled)
}

// least and most look at NaN only if there is nothing else.
func least(values []float64) float64 {
	m := values[0]
	for _, v := range values {
		if v < m || math.IsNaN(m) {
			m = v
		}
	}
	return m
}

func most(values []float64) float64 {
	m := values[0]
	for _, v := range values {
		if v > m || math.IsNaN(m) {
			m = v
		}
	}
	return m
}

// variance is that of a population.
func variance(values []float64) float64 {
	var mean, squares float64
	for i, v := range values {
		delta := v - mean
		mean += delta / float64(i+1)
		squares += delta * (v - mean)
	}
	return squares / float64(len(values))
}

// quantile interpolates between the two values next to the rank. NaN sorts first.
func quantile(q float64, values []float64) float64 {
	switch {
	case math.IsNaN(q):
		return q
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := q * float64(len(sorted)-1)
	lower := math.Floor(rank)
	upper := math.Min(lower+1, float64(len(sorted)-1))
	weight := rank - lower
	return sorted[int(lower)]*(1-weight) + sorted[int(upper)]*weight
}

// absent is 1 where there is nothing, with the labels that the selector asks for by
// equality, unless it says something else of the same label too.
func absent(e *syntax.RangeAgg, present bool) vector {
	if present {
		return vector{}
	}
	labels, not := map[string]string{}, map[string]bool{}
	for _, m := range e.Log.Matchers {
		_, twice := labels[m.Name]
		if m.Op == syntax.MatchEqual && !twice {
			labels[m.Name] = m.Value
		} else {
			not[m.Name] = true
		}
	}
	for name := range not {
		delete(labels, name)
	}
	return vector{samples: []Sample{{record.NewLabels(labels), 1}}}
}

// sorted sorts a vector by labels and refuses one that has the same labels twice.
func (v vector) sorted() (vector, error) {
	slices.SortFunc(v.samples, func(a, b Sample) int { return compareLabels(a.Labels, b.Labels) })
	for i := 1; i < len(v.samples); i++ {
		if compareLabels(v.samples[i-1].Labels, v.samples[i].Labels) == 0 {
			return v, errSameLabels
		}
	}
	return v, nil
}

// byValue sorts by value, NaN last; equal values by labels.
func byValue(samples []Sample, descending bool) {
	slices.SortFunc(samples, func(a, b Sample) int {
		order := cmp.Compare(a.Value, b.Value)
		if descending {
			order = -order
		}
		switch aNaN, bNaN := math.IsNaN(a.Value), math.IsNaN(b.Value); {
		case aNaN && !bNaN:
			order = 1
		case bNaN && !aNaN:
			order = -1
		}
		return cmp.Or(order, compareLabels(a.Labels, b.Labels))
	})
}
