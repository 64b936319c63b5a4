package api

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/promql/parser"
)

// exemplars answers query_exemplars.
func (a *API) exemplars(ctx context.Context, f form, o *out) error {
	start, err := f.time("start", minTime)
	if err != nil {
		return err
	}
	end, err := f.time("end", maxTime)
	if err != nil {
		return err
	}
	if end.Before(start) {
		return badData(errors.New("end timestamp must not be before start timestamp"))
	}
	if tooDeep(f.get("query")) {
		return badData(errDeep)
	}
	expr, err := a.parser.ParseExpr(f.get("query"))
	if err != nil {
		return badData(err)
	}
	selectors := parser.ExtractSelectors(expr)
	if len(selectors) == 0 {
		o.none = true
		return nil
	}
	q, err := a.History.ExemplarQuerier(ctx)
	if err != nil {
		return storageError(err)
	}
	found, err := q.Select(millis(start), millis(end), selectors...)
	if err != nil {
		return storageError(err)
	}
	o.raw("[")
	for i := range found {
		if i > 0 {
			o.raw(",")
		}
		o.raw(`{"seriesLabels":`)
		o.labels(found[i].SeriesLabels)
		o.raw(`,"exemplars":[`)
		for k, e := range found[i].Exemplars {
			if k > 0 {
				o.raw(",")
			}
			o.raw(`{"labels":`)
			o.labels(e.Labels)
			o.raw(`,"value":`)
			o.value(e.Value)
			o.raw(`,"timestamp":`)
			o.time(e.Ts)
			o.raw("}")
		}
		o.raw("]}")
	}
	o.raw("]")
	return nil
}
