package logql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// PipelineError says that a metric query met a record that a stage could not handle, and
// that no filter on __error__ says what to do with it.
type PipelineError struct {
	Name   string // of the error, as in __error__
	Labels record.Labels
}

// Error returns the message as Loki words it.
func (e *PipelineError) Error() string {
	return fmt.Sprintf("pipeline error: '%s' for series: '%s'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"%s\").\n"+
		"To skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n",
		e.Name, e.Labels, e.Name)
}

// aggregation is a range aggregation, whose series may be grouped at once by the sum that
// stands around it.
type aggregation struct {
	agg      *syntax.RangeAgg
	windows  *windows
	grouping pipeline.Grouping
	prog     *pipeline.Program
	measure  measure
	bytes    bool // the value of an entry is the length of its line
	plan     *plan
	budget   *budget
	damages  *damages
}

// newAggregation prepares for a range aggregation at some moments. By is the grouping of a
// sum around it, if that sums up nothing else.
func newAggregation(agg *syntax.RangeAgg, by *syntax.Grouping, steps []int64) *aggregation {
	a := &aggregation{agg: agg, windows: newWindows(steps, agg.Range, agg.Offset)}
	a.measure = measureOf(agg.Op, agg.Unwrap != nil)
	a.bytes = agg.Op == syntax.BytesOverTime || agg.Op == syntax.BytesRate
	a.grouping = pipeline.Grouping{Without: true, Errors: true}
	if agg.Unwrap != nil {
		a.grouping.Drop = agg.Unwrap.Label
	}
	switch {
	case agg.Op == syntax.AbsentOverTime:
		a.grouping = pipeline.Grouping{}
	case by != nil:
		a.grouping = pipeline.Grouping{Without: by.Without, Labels: slices.Sorted(slices.Values(by.Labels)), Drop: a.grouping.Drop}
	case agg.Grouping != nil:
		a.grouping = pipeline.Grouping{Without: agg.Grouping.Without, Labels: slices.Sorted(slices.Values(agg.Grouping.Labels)), Errors: true}
		if agg.Grouping.Without && agg.Unwrap != nil {
			a.grouping.Drop = agg.Unwrap.Label
		}
	}
	a.prog = pipeline.Compile(pipeline.Spec{
		Stages: agg.Log.Stages, Unwrap: agg.Unwrap, Metric: true,
		Need: pipeline.Need{All: a.grouping.Without, Names: a.grouping.Labels},
	})
	return a
}

// run reads what has to be read and returns the series.
func (e *Engine) run(ctx context.Context, a *aggregation, b *budget) (*table, Stats, error) {
	a.budget = b
	a.plan = e.newPlan(a.agg.Log.Matchers, a.prog, a.windows.need())
	defer a.plan.close()
	total := a.table()
	if err := a.fromIndex(total); err != nil {
		return nil, Stats{}, err
	}
	var workers []worker
	for range min(e.opts.Workers, len(a.plan.tasks)) {
		workers = append(workers, &aggregator{aggregation: a, table: a.table(), reader: reader{runner: a.prog.NewRunner(), met: a.damages}})
	}
	if len(workers) > 0 {
		if err := all(ctx, workers); err != nil {
			return nil, Stats{}, err
		}
	}
	stats := a.plan.stats
	for _, w := range workers {
		w := w.(*aggregator)
		stats.add(&w.stats)
		total.merge(w.table)
	}
	return total, stats, nil
}

func (a *aggregation) table() *table { return newTable(a.measure, len(a.windows.used), a.budget) }

// aggregator is a worker of an aggregation.
type aggregator struct {
	*aggregation
	reader
	table *table
	key   []byte
}

func (w *aggregator) work(ctx context.Context) error {
	var t *task
	for ctx.Err() == nil {
		if t = w.plan.take(t); t == nil {
			return nil
		}
		if err := w.plan.turns.do(ctx, func() error { return w.block(t) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// block counts the entries of a block.
func (w *aggregator) block(t *task) error {
	interval, whole := w.windows.only(t.head.MinTime, t.head.MaxTime)
	if whole && interval < 0 {
		return nil
	}
	if ok, err := w.open(t); !ok {
		return err
	}
	r := w.runner
	for r.Next() {
		w.stats.Lines++
		if !whole {
			if interval = w.windows.find(r.Time(), interval); interval < 0 {
				continue
			}
		}
		o := r.Outcome()
		if o == nil {
			continue
		}
		if err := w.record(t, o, interval); err != nil {
			return err
		}
	}
	return nil
}

// record counts the entry that the runner holds.
func (w *aggregator) record(t *task, o *pipeline.Outcome, interval int) error {
	r := w.runner
	w.stats.Matched++
	c, _ := o.Note.(*cell)
	if c == nil {
		if name := r.Err(); name != "" {
			return &QueryError{&PipelineError{name, r.Labels()}}
		}
		w.key = r.AppendKey(w.key[:0], &w.grouping)
		var err error
		if c, err = w.table.cell(w.key); err != nil {
			return err
		}
		o.Note = c
	}
	if w.measure == counts {
		return w.table.addMany(c, interval, 1, 0)
	}
	s := sampleAt{value: r.Value()}
	switch {
	case w.measure == lists:
		s.place = place{r.Time(), t.src.rank, t.block, r.Start()}
	case w.bytes:
		s.value = float64(len(r.Line()))
	}
	return w.table.add(c, interval, s)
}

// fromIndex counts the blocks that need not be read for it, and takes them off the plan.
func (a *aggregation) fromIndex(t *table) error {
	names, ok := a.prog.LabelsOnly()
	if !ok || a.grouping.Without || a.measure > sums {
		return nil
	}
	names = append(slices.Clone(names), a.grouping.Labels...)
	slices.Sort(names)
	x := &indexed{aggregation: a, table: t, names: slices.Compact(names), runner: a.prog.NewRunner()}
	kept := a.plan.tasks[:0]
	for _, task := range a.plan.tasks {
		done, err := x.block(&task)
		if err != nil {
			return err
		}
		if done {
			a.plan.stats.FromIndex++
			a.plan.done(&task)
		} else {
			kept = append(kept, task)
		}
	}
	a.plan.tasks = kept
	return nil
}

// indexed counts blocks by what the index says of them.
type indexed struct {
	*aggregation
	table  *table
	names  []string // of the labels that matter
	runner *pipeline.Runner
	src    *source
	facts  *facts
	record []pipeline.Label // one of the block's, as far as names go
	at     int              // of the label in record that has values; -1 for none
	values []share
	list   []share
	key    []byte
}

// block tells whether the index was enough.
func (x *indexed) block(t *task) (done bool, err error) {
	interval, whole := x.windows.only(t.head.MinTime, t.head.MaxTime)
	if !whole || interval < 0 {
		return whole, nil
	}
	if x.src != t.src {
		x.src, x.facts = t.src, newFacts(t.src.labels)
	}
	x.facts.of(*t)
	if ok := x.divide(t); !ok {
		return false, nil
	}
	for _, v := range x.values {
		if x.at >= 0 {
			x.record[x.at].Value = v.value
		}
		if err := x.count(interval, v.records, t.head.BodyBytes); err != nil {
			return true, err
		}
	}
	if known := t.src.view.Damaged(t.block); known != nil {
		x.damages.note(Damage{Stream: t.src.id, Records: t.head.Records, Counted: true, File: known.File, Offset: known.Offset})
	}
	return true, nil
}

// divide makes x.record a record of the block, and x.values the values of its only label
// that has several; it tells whether there is one such label at most.
func (x *indexed) divide(t *task) bool {
	x.record = x.record[:0]
	x.at, x.values = -1, append(x.values[:0], share{"", t.head.Records})
	for _, name := range x.names {
		var ok bool
		x.list, ok = x.facts.shares(x.list[:0], name)
		if !ok || len(x.list) > 1 && (x.at >= 0 || x.bytes) {
			return false
		}
		value := ""
		switch {
		case len(x.list) > 1:
			x.at = len(x.record)
			x.values = append(x.values[:0], x.list...)
		case len(x.list) == 1:
			value = x.list[0].value
		}
		category := pipeline.OfMetadata
		if t.src.labels.Get(name) != "" {
			category = pipeline.OfStream
		}
		x.record = append(x.record, pipeline.Label{Name: name, Value: value, Category: category})
	}
	return true
}

func (x *indexed) count(interval, records, bytes int) error {
	if records == 0 {
		return nil
	}
	if x.runner.SetRecord(x.record, nil); !x.runner.Run() {
		return nil
	}
	if name := x.runner.Err(); name != "" {
		return &QueryError{&PipelineError{name, x.runner.Labels()}}
	}
	x.key = x.runner.AppendKey(x.key[:0], &x.grouping)
	c, err := x.table.cell(x.key)
	if err != nil {
		return err
	}
	return x.table.addMany(c, interval, int64(records), float64(bytes))
}

// absentLabels are those that the selector asks for by equality, unless it says something
// else of the same label too.
func absentLabels(matchers []syntax.Matcher) (labels record.Labels) {
	said := map[string]int{}
	for i := range matchers {
		said[matchers[i].Name]++
	}
	for i := range matchers {
		if m := &matchers[i]; m.Op == syntax.MatchEqual && m.Value != "" && said[m.Name] == 1 {
			labels = append(labels, record.Label{Name: m.Name, Value: m.Value})
		}
	}
	slices.SortFunc(labels, func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}
