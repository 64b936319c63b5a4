package logql

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Selection is streams, and a range of time in which they have to have text.
type Selection struct {
	// Matchers select streams; without any all are.
	Matchers []syntax.Matcher
	// Start and End are both included; a zero time is no bound.
	Start, End time.Time
}

func (s *Selection) span() span { return between(s.Start, s.End) }

// between returns a range of time; a zero time is no bound.
func between(start, end time.Time) span {
	within := everything
	if !start.IsZero() {
		within.from = start.UnixNano()
	}
	if !end.IsZero() {
		within.to = end.UnixNano()
	}
	return within
}

// each calls visit for every selected stream that has text in the range, in order, until it
// fails or ctx ends. The view is valid until visit returns.
func (e *Engine) each(ctx context.Context, s Selection, visit func(src *source, within span) error) error {
	within := s.span()
	sources, streams := e.matching(s.Matchers)
	for i, src := range sources {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		src.view = streams[i].View()
		var err error
		if within == everything || hasText(src.view, within) {
			err = visit(src, within)
		}
		src.view.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func hasText(v *archive.View, within span) bool {
	for i := range v.Len() {
		if within.overlaps(v.Head(i)) {
			return true
		}
	}
	return false
}

// Labels returns the names of the labels of the selected streams, sorted.
func (e *Engine) Labels(ctx context.Context, s Selection) ([]string, error) {
	names := map[string]bool{}
	err := e.each(ctx, s, func(src *source, _ span) error {
		for _, l := range src.labels {
			names[l.Name] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(names)), err
}

// LabelValues returns the values of a label of the selected streams, sorted.
func (e *Engine) LabelValues(ctx context.Context, name string, s Selection) ([]string, error) {
	values := map[string]bool{}
	err := e.each(ctx, s, func(src *source, _ span) error {
		if v := src.labels.Get(name); v != "" {
			values[v] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(values)), err
}

// Series returns the labels of the streams that one of the selectors selects, sorted, each
// once. Without selectors it is those of all streams.
func (e *Engine) Series(ctx context.Context, selectors [][]syntax.Matcher, start, end time.Time) ([]record.Labels, error) {
	if len(selectors) == 0 {
		selectors = [][]syntax.Matcher{nil}
	}
	var list []record.Labels
	met := map[string]bool{}
	for _, matchers := range selectors {
		err := e.each(ctx, Selection{matchers, start, end}, func(src *source, _ span) error {
			if !met[src.id] {
				met[src.id] = true
				list = append(list, src.labels)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, compareLabels)
	return slices.CompactFunc(list, func(a, b record.Labels) bool { return compareLabels(a, b) == 0 }), nil
}

// LabelCount is a label and how many values it has.
type LabelCount struct {
	Name   string
	Values int
}

// DetectedLabels returns the labels of the selected streams with the number of their values,
// sorted by name.
func (e *Engine) DetectedLabels(ctx context.Context, s Selection) ([]LabelCount, error) {
	values := map[string]map[string]bool{}
	err := e.each(ctx, s, func(src *source, _ span) error {
		for _, l := range src.labels {
			if values[l.Name] == nil {
				values[l.Name] = map[string]bool{}
			}
			values[l.Name][l.Value] = true
		}
		return nil
	})
	list := []LabelCount{}
	for name, of := range values {
		list = append(list, LabelCount{name, len(of)})
	}
	slices.SortFunc(list, func(a, b LabelCount) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// IndexStats says how much text the selected streams have in a range.
type IndexStats struct {
	Streams, Blocks, Entries, Bytes int64
}

// IndexStats returns how much text there is. Blocks at the edges of the range count as a
// whole.
func (e *Engine) IndexStats(ctx context.Context, s Selection) (st IndexStats, err error) {
	err = e.each(ctx, s, func(src *source, within span) error {
		st.Streams++
		for i := range src.view.Len() {
			if h := src.view.Head(i); within.overlaps(h) {
				st.Blocks++
				st.Entries += int64(h.Records + h.Gaps)
				st.Bytes += int64(h.Bytes)
			}
		}
		return nil
	})
	return st, err
}

// VolumeParams say whose volume is asked for, and by what it is divided.
type VolumeParams struct {
	Selection
	// Step divides the range; 0 asks for the volume of all of it.
	Step time.Duration
	// Targets are the labels by which it is divided; without any, those that the matchers
	// name; without matchers, all.
	Targets []string
	// ByLabel adds up by the names of labels, in place of their values.
	ByLabel bool
	// Limit is how many series there are at most; 0 is 100.
	Limit int
}

// Volume returns how many bytes of text the selected streams have, the largest series
// first: with one point at the end, or with one a step, of the bytes in (at-Step, at]. Of a
// block that lies in several ranges each gets the part that its share of the time is.
func (e *Engine) Volume(ctx context.Context, p VolumeParams) ([]Series, error) {
	steps, err := e.volumeSteps(p)
	if err != nil {
		return nil, err
	}
	targets := map[string]bool{}
	for _, name := range p.Targets {
		targets[name] = true
	}
	if len(p.Targets) == 0 {
		for i := range p.Matchers {
			targets[p.Matchers[i].Name] = true
		}
	}
	v := volumes{params: p, targets: targets, steps: steps, series: map[string]*volume{}, ended: ctx.Err}
	v.budget.left.Store(e.opts.MaxMemory)
	if err := e.each(ctx, p.Selection, v.add); err != nil {
		return nil, err
	}
	return v.sorted(), nil
}

func (e *Engine) volumeSteps(p VolumeParams) ([]int64, error) {
	within := p.span()
	if p.Step <= 0 {
		return []int64{within.to}, nil
	}
	eval := evaluation{engine: e}
	err := eval.setSteps(Params{Start: time.Unix(0, within.from), End: time.Unix(0, within.to), Step: p.Step})
	return eval.steps, err
}

// pointBytes is what a Point takes.
const pointBytes = 16

// volumes adds up bytes.
type volumes struct {
	params  VolumeParams
	targets map[string]bool
	steps   []int64
	series  map[string]*volume
	budget  budget
	ended   func() error // says whether there is no use in going on
}

type volume struct {
	labels record.Labels
	bytes  []float64 // by step
	total  float64
}

func (v *volumes) add(src *source, within span) error {
	var labels record.Labels
	for _, l := range src.labels {
		if len(v.targets) == 0 || v.targets[l.Name] {
			labels = append(labels, l)
		}
	}
	if !v.params.ByLabel {
		return v.addTo(labels, src, within)
	}
	for _, l := range labels {
		if err := v.addTo(record.Labels{{Name: l.Name}}, src, within); err != nil {
			return err
		}
	}
	return nil
}

func (v *volumes) addTo(labels record.Labels, src *source, within span) error {
	key := labels.String()
	to := v.series[key]
	if to == nil {
		if err := v.budget.charge(cellBytes + len(key) + labelBytes*len(labels) + (8+pointBytes)*len(v.steps)); err != nil {
			return err
		}
		to = &volume{labels: labels, bytes: make([]float64, len(v.steps))}
		v.series[key] = to
	}
	for i := range src.view.Len() {
		h := src.view.Head(i)
		if v.params.Step <= 0 {
			to.put(0, h, within)
			continue
		}
		if err := v.ended(); err != nil {
			return err // a block can be in thousands of ranges
		}
		first, _ := slices.BinarySearch(v.steps, h.MinTime)
		for k := first; k < len(v.steps); k++ {
			from := v.steps[k] - int64(v.params.Step) + 1
			if from > h.MaxTime {
				break
			}
			to.put(k, h, span{from, v.steps[k]})
		}
	}
	return nil
}

// put adds the part of a block that lies in a range.
func (v *volume) put(step int, h *archive.Head, within span) {
	if !within.overlaps(h) {
		return
	}
	part := 1.0
	if !within.covers(h) {
		part = float64(min(within.to, h.MaxTime)-max(within.from, h.MinTime)+1) / float64(h.MaxTime-h.MinTime+1)
	}
	v.bytes[step] += part * float64(h.Bytes)
	v.total += part * float64(h.Bytes)
}

// sorted returns the largest series.
func (v *volumes) sorted() []Series {
	list := slices.Collect(maps.Values(v.series))
	slices.SortFunc(list, func(a, b *volume) int {
		return cmp.Or(cmp.Compare(b.total, a.total), compareLabels(a.labels, b.labels))
	})
	limit := v.params.Limit
	if limit <= 0 {
		limit = 100
	}
	out := []Series{}
	for _, s := range list[:min(limit, len(list))] {
		one := Series{Labels: s.labels}
		for k, bytes := range s.bytes {
			if bytes > 0 {
				one.Points = append(one.Points, Point{v.steps[k], float64(int64(bytes))})
			}
		}
		if len(one.Points) > 0 {
			out = append(out, one)
		}
	}
	return out
}
