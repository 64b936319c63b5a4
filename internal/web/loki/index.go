package loki

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// lastHours is the time that requests for labels are about by default.
const lastHours = 6 * time.Hour

// selection returns what a request is about. Its selector may be missing if optional.
func (f form) selection(stretch time.Duration, optional bool) (s logql.Selection, err error) {
	if s.Start, s.End, err = f.window(stretch); err != nil {
		return s, err
	}
	text := f.get("query")
	if strings.TrimSpace(text) == "" && optional {
		return s, nil
	}
	s.Matchers, err = syntax.ParseMatchers(text)
	return s, err
}

// labels answers /labels.
func (a *API) labels(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.selection(lastHours, true)
	if err != nil {
		return nil, err
	}
	names, err := a.Index.Labels(ctx, s)
	return data(func(o *out) { o.strings(names) }), err
}

// values answers /label/{name}/values.
func (a *API) values(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.selection(lastHours, true)
	if err != nil {
		return nil, err
	}
	values, err := a.Index.LabelValues(ctx, f.name, s)
	return data(func(o *out) { o.strings(values) }), err
}

// series answers /series.
func (a *API) series(ctx context.Context, f form, _ *usage) (answer, error) {
	start, end, err := f.window(lastHours)
	if err != nil {
		return nil, err
	}
	var selectors [][]syntax.Matcher
	for _, text := range slices.Concat(f.values["match[]"], f.values["match"]) {
		m, err := syntax.ParseMatchers(text)
		if err != nil {
			return nil, err
		}
		selectors = append(selectors, m)
	}
	if len(selectors) > maxSelectors {
		return nil, bad("a request may have 100 selectors")
	}
	list, err := a.Index.Series(ctx, selectors, start, end)
	return data(func(o *out) {
		o.raw("[")
		for i, labels := range list {
			o.comma(i)
			o.record(labels)
		}
		o.raw("]")
	}), err
}

const maxSelectors = 100

// record writes labels as an object.
func (o *out) record(labels record.Labels) {
	o.raw("{")
	for i, l := range labels {
		o.comma(i)
		o.string(l.Name)
		o.raw(":")
		o.string(l.Value)
	}
	o.raw("}")
}

// data is an answer in the envelope that most have.
func data(inside answer) answer {
	return func(o *out) {
		o.raw(`{"status":"success","data":`)
		inside(o)
		o.raw(`}`)
	}
}

// detectedLabels answers /detected_labels: how many values the labels of streams have.
func (a *API) detectedLabels(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.selection(lastHour, true)
	if err != nil {
		return nil, err
	}
	list, err := a.Survey.DetectedLabels(ctx, s)
	return func(o *out) {
		o.raw(`{"detectedLabels":[`)
		for i, l := range list {
			o.comma(i)
			o.raw(`{"label":`)
			o.string(l.Name)
			o.raw(`,"cardinality":`)
			o.int(int64(l.Values))
			o.raw(`}`)
		}
		o.raw(`]}`)
	}, err
}

// patterns answers /patterns: there are none, and drilldown-limits says so too.
func (a *API) patterns(_ context.Context, f form, _ *usage) (answer, error) {
	if _, err := f.selection(lastHour, false); err != nil {
		return nil, err
	}
	return data(func(o *out) { o.raw("[]") }), nil
}
