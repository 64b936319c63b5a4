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
	s, err := f.scope(lastHour, false)
	if err != nil {
		return nil, err
	}
	st, err := a.Survey.Stats(ctx, s)
	return func(o *out) {
		o.raw(`{"streams":`)
		o.int(st.Streams)
		o.raw(`,"chunks":`)
		o.int(st.Chunks)
		o.raw(`,"bytes":`)
		o.int(st.Bytes)
		o.raw(`,"entries":`)
		o.int(st.Entries)
		o.raw(`}`)
	}, err
}

// volume answers /index/volume.
func (a *API) volume(ctx context.Context, f form, u *usage) (answer, error) {
	return a.volumes(ctx, f, u, false)
}

// volumeRange answers /index/volume_range.
func (a *API) volumeRange(ctx context.Context, f form, u *usage) (answer, error) {
	return a.volumes(ctx, f, u, true)
}

func (a *API) volumes(ctx context.Context, f form, u *usage, ranged bool) (answer, error) {
	s, err := f.scope(lastHour, false)
	if err != nil {
		return nil, err
	}
	var v Volume
	if v.Limit, err = f.limit(defaultLimit, a.Limits.Entries); err != nil {
		return nil, err
	}
	if v.Step, err = f.step(s.Start, s.End); err != nil {
		return nil, err
	}
	res := logql.Result{Kind: logql.Matrix}
	if !ranged {
		v.Step, res.Kind = 0, logql.Vector
	}
	switch f.get("aggregateBy") {
	case "", "series":
	case "labels":
		v.Names = true
	default:
		return nil, bad("invalid aggregation option")
	}
	v.Labels = groupLabels(f.get("targetLabels"), s.Matchers)
	if res.Series, err = a.Survey.Volume(ctx, s, v); err != nil {
		return nil, err
	}
	return func(o *out) { o.result(&res, u) }, nil
}

// groupLabels returns the labels that make a group: those that are asked for, or those
// that the selector names.
func groupLabels(targets string, matchers []syntax.Matcher) (names []string) {
	for name := range strings.SplitSeq(targets, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		for i := range matchers {
			names = append(names, matchers[i].Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

const (
	// defaultLines is how many lines are looked at for fields.
	defaultLines = 100
	// defaultFields is how many fields, or values of one, are returned.
	defaultFields = 1000
)

// fields returns the fields of the lines that a request is about.
func (a *API) fields(ctx context.Context, f form) (list []Field, limit int, err error) {
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
	q, ok := expr.(*syntax.LogQuery)
	if !ok {
		return nil, 0, bad("only log selector is supported")
	}
	list, err = a.Survey.Fields(ctx, Sample{Query: q, Start: start, End: end, Lines: lines})
	return list, limit, err
}

// detectedFields answers /detected_fields.
func (a *API) detectedFields(ctx context.Context, f form, _ *usage) (answer, error) {
	list, limit, err := a.fields(ctx, f)
	slices.SortFunc(list, func(x, y Field) int {
		return cmp.Or(cmp.Compare(y.Cardinality, x.Cardinality), strings.Compare(x.Name, y.Name))
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

func (o *out) field(f *Field) {
	o.raw(`{"label":`)
	o.string(f.Name)
	o.raw(`,"type":`)
	o.string(f.Type)
	o.raw(`,"cardinality":`)
	o.int(int64(f.Cardinality))
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
