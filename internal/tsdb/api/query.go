package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/weirlog/weir/internal/tsdb"
)

// maxPoints is how many points a series of an answer may have, as in Prometheus.
const maxPoints = 11_000

// errTruncated is worded as Prometheus words it.
var errTruncated = errors.New("results truncated due to limit")

// instant answers query.
func (a *API) instant(ctx context.Context, f form, o *out) error {
	limit, err := f.limit()
	if err != nil {
		return err
	}
	at, err := f.time("time", f.now)
	if err != nil {
		return err
	}
	opts, err := queryOptions(f)
	if err != nil {
		return err
	}
	if tooDeep(f.get("query")) {
		return badData(errDeep)
	}
	q, err := a.engine.NewInstantQuery(ctx, a.History, opts, f.get("query"), at)
	if err != nil {
		return invalid("query", err)
	}
	return run(ctx, q, limit, o)
}

// ranged answers query_range.
func (a *API) ranged(ctx context.Context, f form, o *out) error {
	limit, err := f.limit()
	if err != nil {
		return err
	}
	start, err := parseTime(f.get("start"))
	if err != nil {
		return invalid("start", err)
	}
	end, err := parseTime(f.get("end"))
	if err != nil {
		return invalid("end", err)
	}
	step, err := parseDuration(f.get("step"))
	switch {
	case end.Before(start):
		return invalid("end", errors.New("end timestamp must not be before start time"))
	case err != nil:
		return invalid("step", err)
	case step <= 0:
		return invalid("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	case tooFine(start, end, step):
		return badData(errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	opts, err := queryOptions(f)
	if err != nil {
		return err
	}
	if tooDeep(f.get("query")) {
		return badData(errDeep)
	}
	q, err := a.engine.NewRangeQuery(ctx, a.History, opts, f.get("query"), start, end, step)
	if err != nil {
		return invalid("query", err)
	}
	return run(ctx, q, limit, o)
}

// tooFine tells whether a range has more points than a series may have. It may be longer than
// what a duration can say.
func tooFine(start, end time.Time, step time.Duration) bool {
	if span := end.Sub(start); span < math.MaxInt64 {
		return span/step > maxPoints
	}
	return (float64(millis(end))-float64(millis(start)))/1000/step.Seconds() > maxPoints
}

func queryOptions(f form) (promql.QueryOpts, error) {
	delta := lookback
	if text := f.get("lookback_delta"); text != "" {
		var err error
		if delta, err = parseDuration(text); err != nil {
			return nil, badData(fmt.Errorf("error parsing lookback delta duration: %w", err))
		}
	}
	return promql.NewPrometheusQueryOpts(false, delta), nil
}

// run executes a query and writes what came out of it.
func run(ctx context.Context, q promql.Query, limit int, o *out) error {
	defer q.Close()
	if err := affordable(q); err != nil {
		return err
	}
	res := q.Exec(ctx)
	if res.Err != nil {
		return storageError(res.Err)
	}
	o.notes.Merge(res.Warnings)
	cut := func(n int) int {
		if limit > 0 && n > limit {
			o.notes.Add(errTruncated)
			return limit
		}
		return n
	}
	o.raw(`{"resultType":"` + string(res.Value.Type()) + `","result":`)
	defer o.raw("}")
	switch v := res.Value.(type) {
	case promql.Vector:
		o.vector(v[:cut(len(v))])
	case promql.Matrix:
		o.matrix(v[:cut(len(v))])
	case promql.Scalar:
		o.point(v.T, v.V)
	case promql.String:
		o.raw("[")
		o.time(v.T)
		o.raw(",")
		o.string(v.V)
		o.raw("]")
	default:
		return fmt.Errorf("an answer of type %s", v.Type())
	}
	return nil
}

// storageError tells a history that is not open yet from one that fails.
func storageError(err error) error {
	if errors.Is(err, tsdb.ErrNotReady) {
		return &failure{503, "unavailable", err.Error()}
	}
	return err
}

// format answers format_query.
func (a *API) format(_ context.Context, f form, o *out) error {
	if tooDeep(f.get("query")) {
		return badData(errDeep)
	}
	expr, err := a.parser.ParseExpr(f.get("query"))
	if err != nil {
		return invalid("query", err)
	}
	o.string(expr.Pretty(0))
	return nil
}
