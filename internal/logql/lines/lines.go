// Package lines brings the lines of a log query to someone who reads them: all of them, in
// pieces, or the newest; with the lines around them in their streams; and then those to come.
//
//	r := lines.Reader{Engine: engine, Archive: archive}
//	err := r.Read(ctx, lines.Request{Query: query, Words: []string{"nginx"}, Limit: 100}, func(some []lines.Line) error {
//		...
//	})
//
// It is what weir logs is made of, with or without a weir that runs: the command has a
// Reader of its own on the data directory, or asks the one behind /weir/v1/logs, which
// sends lines in the form of Append. A Reader has no state and may be used concurrently.
// How many may read at one time is the business of who has it.
package lines

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Engine answers from what is kept.
type Engine interface {
	// Query answers a log query.
	Query(ctx context.Context, p logql.Params) (logql.Result, error)
	// Records returns what a stream has at some of its places.
	Records(ctx context.Context, stream string, ranges []logql.Range) (logql.Result, error)
}

// Archive has the streams.
type Archive interface {
	// Streams returns all that have text.
	Streams() []*archive.Stream
	// Tail follows the streams whose labels match and holds up to limit bytes.
	Tail(match func(record.Labels) bool, limit int) *archive.Tail
}

// Reader reads lines.
type Reader struct {
	Engine  Engine
	Archive Archive
	// Sync makes what was written so far visible to queries; Follow needs it.
	Sync func(context.Context) error
	// Turn waits until a query may be asked, and returns what has to be called after it;
	// nil: at once.
	Turn func(context.Context) (func(), error)
	// TailBytes is how much one who follows may be behind; 0 is 4 MiB.
	TailBytes int
	// Ping is after how long without a line to come a follower is called with none; 0 is 15 s.
	Ping time.Duration
}

// Request says which lines are wanted.
type Request struct {
	// Query selects streams and lines; without matchers it is about all streams.
	Query *syntax.LogQuery
	// Words name streams, and narrow those of the query to the ones that any word means.
	Words []string
	// Start and End bound the lines' times, as [Start, End); the zero time is no bound.
	Start, End time.Time
	// Limit is how many lines are wanted, the newest ones; 0 is all.
	Limit int
	// Before and After are how many records around each line are wanted with it.
	Before, After int
}

// MaxContext is the most that Before and After may be.
const MaxContext = 1000

// Line is a line to show, or a note that some are missing.
type Line struct {
	logql.Entry
	// Context marks a record that is there because it is near a line that was asked for.
	Context bool
	// Apart is set where records of the stream were left out between this line and the one
	// shown before, and context was asked for.
	Apart bool
	// Lost is how many records could not be shown here because the reader was too slow; then
	// there is no line.
	Lost int
	// Warning says, unless it is empty, what of the kept text is missing because it is damaged;
	// then there is no line.
	Warning string
}

// Parse reads a query. It is LogQL, or a pipeline alone, for all streams.
func Parse(query string) (syntax.Expr, error) {
	query = strings.TrimSpace(query)
	if query != "" && query[0] != '|' && query[0] != '!' {
		return syntax.Parse(query)
	}
	expr, err := syntax.Parse(`{any="thing"} ` + query)
	if err != nil {
		return nil, err
	}
	if q, ok := expr.(*syntax.LogQuery); ok {
		return &syntax.LogQuery{Stages: q.Stages}, nil
	}
	return expr, nil
}

// Count returns how many streams a request is about.
func (r *Reader) Count(q Request) (n int) {
	c := r.choose(q)
	for _, s := range r.Archive.Streams() {
		if c.stream(s.ID(), s.Labels()) {
			n++
		}
	}
	return n
}

// pageLines is how many lines are asked for at one time, with what is around them.
const pageLines = 4096

// pageBytes is about how many bytes lines of one query may take.
const pageBytes = 8 << 20

// minPage is the least that are, however much is around them.
const minPage = 32

// Read calls emit with the lines that are there, the oldest first, in pieces, until it
// fails; at last with warnings, if some could not be read. The lines are emit's to keep.
func (r *Reader) Read(ctx context.Context, q Request, emit func([]Line) error) error {
	w := r.newWalk(q, emit)
	if err := w.all(ctx); err != nil || len(w.met) == 0 {
		return err
	}
	var warnings []Line
	for _, text := range logql.Warnings(slices.Collect(maps.Keys(w.met))) {
		warnings = append(warnings, Line{Warning: text})
	}
	return emit(warnings)
}

// all emits all lines.
func (w *walk) all(ctx context.Context) error {
	q := &w.Request
	if q.Limit > 0 && q.Limit <= w.page {
		if more, err := w.deliver(ctx, w.params(logql.Backward, q.Limit)); !more || err != nil {
			return err
		}
		// They are so long that they have to be read in pieces.
	}
	p := w.params(logql.Forward, w.page)
	if q.Limit > 0 {
		before, err := w.nth(ctx, q.Limit+1)
		if err != nil {
			return err
		}
		p.After = before
	}
	for {
		p.Limit = w.page
		if more, err := w.deliver(ctx, p); !more || err != nil {
			return err
		}
		p.After = &w.last
	}
}

// walk is one reading.
type walk struct {
	*Reader
	Request
	only  func(string, record.Labels) bool
	emit  func([]Line) error
	page  int
	shown shown
	met   map[logql.Damage]bool

	last logql.Mark // of the last piece
}

func (r *Reader) newWalk(q Request, emit func([]Line) error) *walk {
	w := &walk{Reader: r, Request: q, emit: emit, page: max(minPage, pageLines/(1+q.Before+q.After)), shown: shown{last: map[string]uint64{}}, met: map[logql.Damage]bool{}}
	if len(q.Words) > 0 {
		c := r.choose(q)
		w.only = c.named
	}
	return w
}

// params are those of a query for some of the lines.
func (w *walk) params(d logql.Direction, limit int) logql.Params {
	p := logql.Params{Expr: w.Query, Start: w.Start, End: w.End, Limit: limit, Direction: d, Only: w.only, Bytes: pageBytes}
	if p.Start.IsZero() {
		p.Start = time.Unix(0, minTime)
	}
	if p.End.IsZero() {
		p.End = time.Unix(0, maxTime)
	}
	return p
}

// As far as Unix nanoseconds reach.
const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// query asks when it is its turn. There may be more entries than those it returns.
func (w *walk) query(ctx context.Context, p logql.Params) (entries []logql.Entry, more bool, err error) {
	done, err := w.turn(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	res, err := w.Engine.Query(ctx, p)
	w.meet(res.Damage)
	return res.Entries, res.Cut || len(res.Entries) == p.Limit, err
}

func (w *walk) turn(ctx context.Context) (func(), error) {
	if w.Turn == nil {
		return func() {}, nil
	}
	return w.Turn(ctx)
}

// meet notes what is damaged: pieces of an answer may meet the same block.
func (w *walk) meet(damage []logql.Damage) {
	for _, d := range damage {
		w.met[d] = true
	}
}

// deliver emits the answer to one query, and tells whether there may be more after it. What
// is asked for backward is emitted whole, or nothing of it.
func (w *walk) deliver(ctx context.Context, p logql.Params) (more bool, err error) {
	entries, more, err := w.query(ctx, p)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	if p.Direction == logql.Backward {
		if more = len(entries) < p.Limit && more; more {
			return true, nil
		}
		slices.Reverse(entries)
	}
	some := make([]Line, len(entries))
	for i := range entries {
		some[i].Entry = entries[i]
	}
	if w.Before+w.After > 0 {
		some, err = w.around(ctx, entries)
		var limit *logql.LimitError
		if errors.As(err, &limit) && len(entries) > 1 {
			w.page = len(entries) / 2
			return w.again(ctx, p)
		}
		if err != nil {
			return false, err
		}
	}
	w.last = markOf(&entries[len(entries)-1])
	return more, w.emit(some)
}

// again delivers a shorter piece.
func (w *walk) again(ctx context.Context, p logql.Params) (more bool, err error) {
	if p.Direction == logql.Backward {
		return true, nil
	}
	p.Limit = w.page
	return w.deliver(ctx, p)
}

func markOf(e *logql.Entry) logql.Mark {
	return logql.Mark{Time: e.Time, Stream: e.Stream, Sequence: e.Sequence}
}

// nth returns the place of the nth line from the end, nil if there are not so many.
func (w *walk) nth(ctx context.Context, n int) (*logql.Mark, error) {
	p := w.params(logql.Backward, w.page)
	for {
		p.Limit = min(w.page, n)
		entries, more, err := w.query(ctx, p)
		if err != nil || !more {
			return nil, err
		}
		mark := markOf(&entries[len(entries)-1])
		if n -= len(entries); n == 0 {
			return &mark, nil
		}
		p.After = &mark
	}
}
