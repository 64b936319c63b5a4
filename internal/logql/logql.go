// Package logql answers queries in LogQL, the language of Grafana Loki, from the text that
// is kept in the archive:
//
//	e := logql.New(logql.Options{Archive: journal.Archive()})
//	res, err := e.Query(ctx, logql.Params{Query: `{app="shop"} |= "timeout"`, Start: from, End: to, Limit: 100})
//
// What a query means down to the last tie is written in package reference, with which this
// one is compared. Here it is answered fast: blocks are chosen by their streams, times,
// levels, stored fields and gram filters before they are read; counts over whole blocks
// come from the index; line filters run over whole blocks; what is left is done by as many
// goroutines as there are processors. They are started and awaited inside of a call, hold
// no lock of the archive while they read, and stop with the call's context.
//
// The memory of a query is bounded whatever its range is; one that needs more fails with a
// LimitError that says what would help. An Engine has no state of its own and may be used
// concurrently. Who may ask, and the form of answers on the wire, is the caller's business.
package logql

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Options say what an engine reads and what its queries may take.
type Options struct {
	Archive *archive.Archive
	// Workers is how many goroutines work for one query; 0 is one a processor.
	Workers int
	// Pressed, unless nil, tells whether queries should leave the processors to what comes in.
	// It is called often, and by many at a time.
	Pressed func() bool
	// MaxMemory is how many bytes a query for lines may answer with, and one for numbers use
	// beside its answer; 0 is 64 MiB.
	MaxMemory int64
	// MaxSeries is how many series an answer may have; 0 is 5000.
	MaxSeries int
	// MaxEntries is how many lines an answer may have; 0 is 5000.
	MaxEntries int
	// MaxSteps is how many moments a query with steps may look at; 0 is 11000.
	MaxSteps int
}

// Engine answers queries.
type Engine struct {
	opts  Options
	turns turns
}

// New returns an engine.
func New(o Options) *Engine {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = 64 << 20
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = 5000
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 5000
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = 11000
	}
	return &Engine{opts: o, turns: newTurns(o.Pressed)}
}

// Direction is the order in which a log query answers.
type Direction uint8

// The directions.
const (
	Backward Direction = iota // the newest line first
	Forward                   // the oldest line first
)

// Params are a query and what it is asked with.
type Params struct {
	// Query is the text; Expr, if it is set, the query in its place.
	Query string
	Expr  syntax.Expr
	// Start and End of a log query hold the lines of [Start, End), where a zero time is no
	// bound; a metric query has steps at Start, Start+Step, … up to End, and needs both.
	Start, End time.Time
	// Step of a metric query; 0 asks for the moment End alone.
	Step time.Duration
	// Limit is how many lines a log query may answer with; 0 is the most that the engine
	// allows.
	Limit int
	// Bytes, unless 0, is about how many bytes the lines of a log query may take. Where there
	// are more the answer ends early, and says so; without it the query fails where the lines
	// take more than the engine allows.
	Bytes int64
	// Direction of a log query: with more lines than Limit, the newest or the oldest.
	Direction Direction
	// Only narrows the streams of a log query; nil does not.
	Only func(id string, labels record.Labels) bool
	// After, unless nil, leaves out of a log query what comes before this record in the
	// direction of the answer, and the record itself: so a long answer is had in pieces.
	After *Mark
}

// Align moves both ends outwards to whole multiples of a step since 1970, as Loki's API does
// with queries that have series for an answer: so the points stay where they are when the
// time goes on.
func Align(start, end time.Time, step time.Duration) (time.Time, time.Time) {
	from, to := start.UnixNano(), end.UnixNano()
	if rest := modulo(from, int64(step)); from >= math.MinInt64+rest {
		from -= rest
	}
	if rest := modulo(to, int64(step)); rest > 0 && to < math.MaxInt64-int64(step) {
		to += int64(step) - rest
	}
	return time.Unix(0, from), time.Unix(0, to)
}

func modulo(n, by int64) int64 {
	if m := n % by; m < 0 {
		return m + by
	} else {
		return m
	}
}

// Mark is the place of a record among all.
type Mark struct {
	Time     int64 // Unix nanoseconds
	Stream   string
	Sequence uint64
}

// A LimitError says that a query needs more than it may have.
type LimitError struct {
	// What there is too much of, for people, with what would help.
	What string
}

// Error returns what there is too much of.
func (e *LimitError) Error() string { return e.What }

// A QueryError says that a query, although well formed, has no answer with these data.
type QueryError struct{ Err error }

// Error returns the cause.
func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *QueryError) Unwrap() error { return e.Err }

// IsUserError tells whether an error of Query is the query's own: it is not understood, it
// needs too much, or it has no answer. Others are of the disk, or of the context.
func IsUserError(err error) bool {
	var bad *syntax.ParseError
	var limit *LimitError
	var query *QueryError
	return errors.As(err, &bad) || errors.As(err, &limit) || errors.As(err, &query)
}

// Query answers a query.
func (e *Engine) Query(ctx context.Context, p Params) (Result, error) {
	began := time.Now()
	if p.Expr == nil {
		expr, err := syntax.Parse(p.Query)
		if err != nil {
			return Result{}, err
		}
		p.Expr = expr
	}
	var res Result
	var err error
	if q, ok := p.Expr.(*syntax.LogQuery); ok {
		res, err = e.logs(ctx, q, p)
	} else {
		res, err = e.metric(ctx, p)
	}
	if err != nil {
		return Result{}, err
	}
	res.Stats.Duration = time.Since(began)
	return res, nil
}

// limit returns how many lines a log query may answer with.
func (e *Engine) limit(p Params) (int, error) {
	if p.Limit > e.opts.MaxEntries {
		return 0, &LimitError{fmt.Sprintf("max entries limit per query exceeded, limit > max_entries_limit (%d > %d)", p.Limit, e.opts.MaxEntries)}
	}
	if p.Limit <= 0 {
		return e.opts.MaxEntries, nil
	}
	return p.Limit, nil
}
