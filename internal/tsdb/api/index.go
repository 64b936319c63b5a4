package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// checkEvery is after how many series of an answer a client that went away is noticed.
const checkEvery = 128

// series answers series.
func (a *API) series(ctx context.Context, f form, o *out) error {
	if len(f.values["match[]"]) == 0 {
		return badData(fmt.Errorf("no match[] parameter provided"))
	}
	limit, err := f.limit()
	if err != nil {
		return err
	}
	sets, q, err := a.selected(f)
	if err != nil {
		return err
	}
	defer q.close()
	if limit == 0 || limit > a.Limits.Series {
		limit = a.Limits.Series
	}
	hints := &storage.SelectHints{Start: q.start, End: q.end, Func: "series", Limit: limit + 1}
	var found []storage.SeriesSet
	for _, set := range sets {
		found = append(found, q.Select(ctx, true, hints, set...))
	}
	all := storage.NewMergeSeriesSet(found, 0, storage.ChainedSeriesMerge)
	o.raw("[")
	n := 0
	for all.Next() {
		if n == limit {
			o.notes.Add(errTruncated)
			break
		}
		if n > 0 {
			o.raw(",")
		}
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		o.labels(all.At().Labels())
	}
	o.raw("]")
	o.notes.Merge(all.Warnings())
	return storageError(all.Err())
}

// querier is one with the time that it is about.
type querier struct {
	storage.Querier
	start, end int64
}

// close ends the reading; nothing was changed, so there is nothing that can be lost.
func (q querier) close() { _ = q.Close() }

// selected returns the selectors of a request and what answers it.
func (a *API) selected(f form) (sets [][]*labels.Matcher, q querier, err error) {
	if q.start, q.end, err = f.window(); err != nil {
		return nil, q, err
	}
	if sets, err = a.selectors(f); err != nil {
		return nil, q, err
	}
	if q.Querier, err = a.History.Querier(q.start, q.end); err != nil {
		return nil, q, storageError(err)
	}
	return sets, q, nil
}

// labels answers labels.
func (a *API) labels(ctx context.Context, f form, o *out) error {
	return a.list(ctx, f, o, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, error) {
		names, notes, err := q.LabelNames(ctx, hints, set...)
		o.notes.Merge(notes)
		return names, err
	})
}

// values answers label/{name}/values.
func (a *API) values(ctx context.Context, f form, o *out) error {
	name := f.name
	if !model.UTF8Validation.IsValidLabelName(name) {
		return badData(fmt.Errorf("invalid label name: %q", name))
	}
	return a.list(ctx, f, o, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, error) {
		values, notes, err := q.LabelValues(ctx, name, hints, set...)
		o.notes.Merge(notes)
		return values, err
	})
}

// list writes what look finds for each selector, or without any, sorted and once.
func (a *API) list(ctx context.Context, f form, o *out, look func(storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, error)) error {
	limit, err := f.limit()
	if err != nil {
		return err
	}
	sets, q, err := a.selected(f)
	if err != nil {
		return err
	}
	defer q.close()
	if len(sets) == 0 {
		sets = append(sets, nil)
	}
	hints := &storage.LabelHints{}
	if limit > 0 {
		hints.Limit = limit + 1
	}
	found := map[string]bool{}
	for _, set := range sets {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		list, err := look(q, hints, set)
		if err != nil {
			return err
		}
		for _, s := range list {
			found[s] = true
		}
	}
	all := slices.Sorted(maps.Keys(found))
	if limit > 0 && len(all) > limit {
		all = all[:limit]
		o.notes.Add(errTruncated)
	}
	o.strings(all)
	return nil
}
