package loki

import (
	"context"
	"math"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// lastHour is the time that most requests are about by default.
const lastHour = time.Hour

// defaultLimit is how many lines an answer has by default.
const defaultLimit = 100

// instant answers /query: what a query that makes numbers has at a moment.
func (a *API) instant(ctx context.Context, f form, u *usage) (answer, error) {
	at, err := f.time("time", f.now)
	if err != nil {
		return nil, err
	}
	limit, err := f.limit(defaultLimit, a.Limits.Entries)
	if err != nil {
		return nil, err
	}
	expr, err := syntax.Parse(f.get("query"))
	if err != nil {
		return nil, err
	}
	if _, logs := expr.(*syntax.LogQuery); logs {
		return nil, bad("log queries are not supported as an instant query type, please change your query to a range query type")
	}
	return a.query(ctx, logql.Params{Expr: expr, Start: at, End: at, Limit: limit}, u)
}

// ranged answers /query_range.
func (a *API) ranged(ctx context.Context, f form, u *usage) (answer, error) {
	p := logql.Params{}
	var err error
	if p.Start, p.End, err = f.window(lastHour); err != nil {
		return nil, err
	}
	if p.Limit, err = f.limit(defaultLimit, a.Limits.Entries); err != nil {
		return nil, err
	}
	if p.Direction, err = f.direction(); err != nil {
		return nil, err
	}
	step, err := f.step(p.Start, p.End)
	if err != nil {
		return nil, err
	}
	interval, err := f.interval()
	if err != nil {
		return nil, err
	}
	if p.Expr, err = syntax.Parse(f.get("query")); err != nil {
		return nil, err
	}
	if _, logs := p.Expr.(*syntax.LogQuery); !logs {
		p.Step = step
		p.Start, p.End = logql.Align(p.Start, p.End, step)
		return a.query(ctx, p, u)
	}
	if interval == 0 {
		return a.query(ctx, p, u)
	}
	return a.thinned(ctx, p, interval, u)
}

func (a *API) query(ctx context.Context, p logql.Params, u *usage) (answer, error) {
	res, err := a.Engine.Query(ctx, p)
	u.stats, u.bytes = res.Stats, res.Bytes
	if err != nil {
		return nil, err
	}
	return func(o *out) { o.result(&res, u) }, nil
}

// thinned answers with lines that are at least an interval apart, out of as many, and as much,
// as an answer may have.
func (a *API) thinned(ctx context.Context, p logql.Params, interval time.Duration, u *usage) (answer, error) {
	limit := p.Limit
	p.Limit, p.Bytes = a.Limits.Entries, math.MaxInt64 // that is, as much as there may be
	res, err := a.Engine.Query(ctx, p)
	u.stats, u.bytes = res.Stats, res.Bytes
	if err != nil {
		return nil, err
	}
	kept := res.Entries[:0]
	for _, e := range res.Entries {
		if n := len(kept); n == limit {
			break
		} else if n > 0 && max(e.Time-kept[n-1].Time, kept[n-1].Time-e.Time) < int64(interval) {
			continue
		}
		kept = append(kept, e)
	}
	res.Entries = kept
	return func(o *out) { o.result(&res, u) }, nil
}

// result writes the answer to a query.
func (o *out) result(res *logql.Result, u *usage) {
	o.raw(`{"status":"success",`)
	if warnings := res.Warnings(); len(warnings) > 0 {
		o.raw(`"warnings":`)
		o.strings(warnings)
		o.raw(",")
	}
	o.raw(`"data":{"resultType":"`)
	o.raw(string(res.Kind))
	o.raw(`",`)
	returned := len(res.Series)
	switch res.Kind {
	case logql.Streams:
		returned = len(res.Entries)
		if u.categorize {
			o.raw(`"encodingFlags":["` + categorizeFlag + `"],`)
		}
		o.raw(`"result":[`)
		o.streams(res.Entries, u.categorize)
		o.raw(`]`)
	case logql.Scalar:
		returned = 1
		o.raw(`"result":`)
		o.point(res.Scalar)
	default:
		o.raw(`"result":[`)
		for i := range res.Series {
			o.comma(i)
			o.series(&res.Series[i], res.Kind == logql.Matrix)
		}
		o.raw(`]`)
	}
	o.raw(`,"stats":`)
	o.stats(u, returned)
	o.raw(`}}`)
}

func (o *out) series(s *logql.Series, matrix bool) {
	o.raw(`{"metric":{`)
	for i, l := range s.Labels {
		o.comma(i)
		o.string(l.Name)
		o.raw(":")
		o.string(l.Value)
	}
	if !matrix {
		o.raw(`},"value":`)
		o.point(s.Points[0])
		o.raw(`}`)
		return
	}
	o.raw(`},"values":[`)
	for i, p := range s.Points {
		o.comma(i)
		o.point(p)
		o.spill()
	}
	o.raw(`]}`)
}

// point writes a value with its time in seconds, to the millisecond.
func (o *out) point(p logql.Point) {
	o.raw("[")
	o.float(float64(p.Time/1e6) / 1e3)
	o.raw(`,"`)
	o.float(p.Value)
	o.raw(`"]`)
}
