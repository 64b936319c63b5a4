package loki

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// lastHours is the time that requests for labels are about by default.
const lastHours = 6 * time.Hour

// scope returns what a request is about. Its selector may be missing if optional.
func (f form) scope(stretch time.Duration, optional bool) (s Scope, err error) {
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
	s, err := f.scope(lastHours, true)
	if err != nil {
		return nil, err
	}
	names, err := a.Index.Labels(ctx, s)
	return data(func(o *out) { o.strings(names) }), err
}

// values answers /label/{name}/values.
func (a *API) values(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.scope(lastHours, true)
	if err != nil {
		return nil, err
	}
	values, err := a.Index.Values(ctx, s, f.name)
	return data(func(o *out) { o.strings(values) }), err
}

// series answers /series.
func (a *API) series(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.scope(lastHours, true)
	if err != nil {
		return nil, err
	}
	selectors := slices.Concat(f.values["match[]"], f.values["match"])
	if len(selectors) == 0 {
		selectors = []string{"{}"}
	}
	if len(selectors) > maxSelectors {
		return nil, bad("a request may have 100 selectors")
	}
	found := map[string]record.Labels{}
	for _, text := range selectors {
		if s.Matchers, err = syntax.ParseMatchers(text); err != nil {
			return nil, err
		}
		list, err := a.Index.Series(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, labels := range list {
			found[labels.String()] = labels
		}
	}
	return data(func(o *out) {
		o.raw("[")
		for i, key := range slices.Sorted(maps.Keys(found)) {
			o.comma(i)
			o.record(found[key])
		}
		o.raw("]")
	}), nil
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
	s, err := f.scope(lastHour, true)
	if err != nil {
		return nil, err
	}
	list, err := a.Index.Series(ctx, s)
	if err != nil {
		return nil, err
	}
	values := map[string]map[string]bool{}
	for _, labels := range list {
		for _, l := range labels {
			if values[l.Name] == nil {
				values[l.Name] = map[string]bool{}
			}
			values[l.Name][l.Value] = true
		}
	}
	return func(o *out) {
		o.raw(`{"detectedLabels":[`)
		for i, name := range slices.Sorted(maps.Keys(values)) {
			o.comma(i)
			o.raw(`{"label":`)
			o.string(name)
			o.raw(`,"cardinality":`)
			o.int(int64(len(values[name])))
			o.raw(`}`)
		}
		o.raw(`]}`)
	}, nil
}

// patterns answers /patterns: there are none, and drilldown-limits says so too.
func (a *API) patterns(_ context.Context, f form, _ *usage) (answer, error) {
	if _, err := f.scope(lastHour, false); err != nil {
		return nil, err
	}
	return data(func(o *out) { o.raw("[]") }), nil
}
