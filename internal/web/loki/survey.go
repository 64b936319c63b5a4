package loki

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// indexStats answers /index/stats.
func (a *API) indexStats(ctx context.Context, f form, _ *usage) (answer, error) {
	s, err := f.selection(lastHour, false)
	if err != nil {
		return nil, err
	}
	st, err := a.Survey.IndexStats(ctx, s)
	return func(o *out) {
		o.raw(`{"streams":`)
		o.int(st.Streams)
		o.raw(`,"chunks":`)
		o.int(st.Blocks)
		o.raw(`,"bytes":`)
		o.int(st.Bytes)
		o.raw(`,"entries":`)
		o.int(st.Entries)
		o.raw(`}`)
	}, err
}

// volume answers /index/volume.
func (a *API) volume(ctx context.Context, f form, u *usage) (answer, error) {
	return a.volumes(ctx, f, u, logql.Vector)
}

// volumeRange answers /index/volume_range.
func (a *API) volumeRange(ctx context.Context, f form, u *usage) (answer, error) {
	return a.volumes(ctx, f, u, logql.Matrix)
}

func (a *API) volumes(ctx context.Context, f form, u *usage, kind logql.Kind) (answer, error) {
	p, err := a.volumeParams(ctx, f, kind)
	if err != nil {
		return nil, err
	}
	res := logql.Result{Kind: kind}
	if res.Series, err = a.Survey.Volume(ctx, p); err != nil {
		return nil, err
	}
	return func(o *out) { o.result(&res, u) }, nil
}

func (a *API) volumeParams(ctx context.Context, f form, kind logql.Kind) (p logql.VolumeParams, err error) {
	if p.Selection, err = f.selection(lastHour, false); err != nil {
		return p, err
	}
	if p.Limit, err = f.limit(defaultLimit, a.Limits.Entries); err != nil {
		return p, err
	}
	step, err := f.step(p.Start, p.End)
	if err != nil {
		return p, err
	}
	if kind == logql.Matrix {
		p.Step = step
		p.Start, p.End = logql.Align(p.Start, p.End, step)
	}
	switch f.get("aggregateBy") {
	case "", "series":
	case "labels":
		p.ByLabel = true
	default:
		return p, bad("invalid aggregation option")
	}
	for name := range strings.SplitSeq(f.get("targetLabels"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			p.Targets = append(p.Targets, name)
		}
	}
	if p.ByLabel && len(p.Targets) == 0 {
		p.Targets, err = a.Index.Labels(ctx, p.Selection)
	}
	return p, err
}

const (
	// defaultLines is how many lines are looked at for fields.
	defaultLines = 100
	// defaultFields is how many fields, or values of one, are returned.
	defaultFields = 1000
)

// fields returns the fields of the lines that a request is about, or one of them.
func (a *API) fields(ctx context.Context, f form) (list []logql.Field, limit int, err error) {
	start, end, err := f.window(lastHour)
	if err != nil {
		return nil, 0, err
	}
	lines, err := f.number("line_limit", defaultLines)
	if err != nil {
		return nil, 0, err
	}
	if lines <= 0 || lines > a.Limits.Entries {
		return nil, 0, bad("line_limit must be a positive value, and at most " + strconv.Itoa(a.Limits.Entries))
	}
	if limit, err = f.limit(defaultFields, a.Limits.Entries); err != nil {
		return nil, 0, err
	}
	expr, err := syntax.Parse(f.get("query"))
	if err != nil {
		return nil, 0, err
	}
	if _, logs := expr.(*syntax.LogQuery); !logs {
		return nil, 0, bad("only log selector is supported")
	}
	list, err = a.Engine.DetectedFields(ctx, logql.Params{Expr: expr, Start: start, End: end, Limit: lines}, f.name)
	return list, limit, err
}

// detectedFields answers /detected_fields.
func (a *API) detectedFields(ctx context.Context, f form, _ *usage) (answer, error) {
	list, limit, err := a.fields(ctx, f)
	slices.SortFunc(list, func(x, y logql.Field) int {
		return cmp.Or(cmp.Compare(len(y.Values), len(x.Values)), strings.Compare(x.Name, y.Name))
	})
	list = list[:min(len(list), limit)]
	return func(o *out) {
		o.raw(`{"fields":[`)
		for i := range list {
			o.comma(i)
			o.field(&list[i])
		}
		o.raw(`],"limit":`)
		o.int(int64(limit))
		o.raw(`}`)
	}, err
}

func (o *out) field(f *logql.Field) {
	o.raw(`{"label":`)
	o.string(f.Name)
	o.raw(`,"type":`)
	o.string(string(f.Type))
	o.raw(`,"cardinality":`)
	o.int(int64(len(f.Values)))
	o.raw(`,"parsers":`)
	if len(f.Parsers) == 0 {
		o.raw("null")
	} else {
		o.strings(f.Parsers)
	}
	if len(f.Path) > 0 {
		o.raw(`,"jsonPath":`)
		o.strings(f.Path)
	}
	o.raw(`}`)
}

// detectedValues answers /detected_field/{name}/values.
func (a *API) detectedValues(ctx context.Context, f form, _ *usage) (answer, error) {
	list, limit, err := a.fields(ctx, f)
	var values []string
	for i := range list {
		if list[i].Name == f.name {
			values = list[i].Values[:min(len(list[i].Values), limit)]
		}
	}
	return func(o *out) {
		o.raw(`{"values":`)
		o.strings(values)
		o.raw(`,"limit":`)
		o.int(int64(limit))
		o.raw(`}`)
	}, err
}
