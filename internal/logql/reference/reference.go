// Package reference answers LogQL queries slowly and obviously: everything is in memory,
// every entry goes through the pipeline one by one, every step of a query looks at its
// window anew. It exists to be compared with the engine, with which it shares nothing but
// the parsed query, the templates' functions and the reading of units:
//
//	streams, queries := reference.Generate(rand.New(rand.NewPCG(1, 2)))
//	want, err := reference.Eval(streams, query, params)
//	diff := reference.Diff(want, got)
//
// It is also the place to look up what a construct means, down to the last tie. Nothing
// but tests may use it; no function has state.
package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Stream is a stream with all its entries, in the order they were kept. Their times may
// go back.
type Stream struct {
	Labels  record.Labels
	Entries []Entry
}

// Entry is a kept record.
type Entry struct {
	Time   int64 // Unix nanoseconds
	Line   string
	Level  record.Level
	Fields []record.Label // stored fields, in their order
	// Gap marks a record that tells of a loss: log queries show it, metric queries do not
	// count it.
	Gap bool
}

// Params are what a query is asked with.
type Params struct {
	// Start and End are in Unix nanoseconds. A log query answers with entries of
	// [Start, End); a metric query has steps at Start, Start+Step, … up to End.
	Start, End int64
	// Step of a metric query; 0 asks for the moment End alone.
	Step time.Duration
	// Limit of the lines of a log query, over all streams; 0 is none.
	Limit int
	// Backward asks for the newest lines first.
	Backward bool
}

// Result is an answer. One of Streams, Matrix, Vector and Scalar is set.
type Result struct {
	Streams []LogStream
	Matrix  []Series // of a metric query with steps
	Vector  []Sample // of a moment
	Scalar  *float64 // of a moment, for a query without series
}

// LogStream is the lines that have the same labels after the pipeline.
type LogStream struct {
	Labels record.Labels // may have empty values
	Lines  []Line        // in the direction of the query
}

// Line is an entry after the pipeline.
type Line struct {
	Time int64
	Text string
}

// Series is the values of one set of labels.
type Series struct {
	Labels record.Labels // none is empty
	Points []Point       // by time
}

// Point is the value of a series at a step.
type Point struct {
	Time  int64
	Value float64
}

// Sample is the value of a series at a moment.
type Sample struct {
	Labels record.Labels
	Value  float64
}

// Eval answers a query. The labels of an answer are sorted by name, its series and streams
// by their labels, the samples of sort, sort_desc, topk and bottomk by value.
func Eval(streams []Stream, query syntax.Expr, p Params) (Result, error) {
	if q, ok := query.(*syntax.LogQuery); ok {
		return Result{Streams: logs(streams, q, p)}, nil
	}
	m := metrics{streams: streams, samples: map[*syntax.RangeAgg][]sample{}}
	if p.Step == 0 {
		return m.instant(query, p.End)
	}
	return m.steps(query, p)
}

// ordered is an entry with its place: the order of entries is by time, then by the labels
// of the stream, then as they were kept.
type ordered struct {
	Entry
	stream *Stream
}

// selected returns the entries of the streams that a selector matches, in order.
func selected(streams []Stream, matchers []syntax.Matcher) (list []ordered) {
	matching := []*Stream{}
	for i := range streams {
		ok := true
		for j := range matchers {
			ok = ok && matchers[j].Matches(streams[i].Labels.Get(matchers[j].Name))
		}
		if ok {
			matching = append(matching, &streams[i])
		}
	}
	slices.SortStableFunc(matching, func(a, b *Stream) int { return compareLabels(a.Labels, b.Labels) })
	for _, s := range matching {
		for _, e := range s.Entries {
			list = append(list, ordered{e, s})
		}
	}
	slices.SortStableFunc(list, func(a, b ordered) int { return cmp.Compare(a.Time, b.Time) })
	return list
}

// logs answers a log query. Backward is the exact reverse of forward, ties included.
func logs(streams []Stream, q *syntax.LogQuery, p Params) []LogStream {
	entries := selected(streams, q.Matchers)
	if p.Backward {
		slices.Reverse(entries)
	}
	pipe := newPipeline(q.Stages)
	out := map[string]*LogStream{}
	n := 0
	for _, e := range entries {
		if e.Time < p.Start || e.Time >= p.End || p.Limit > 0 && n == p.Limit {
			continue
		}
		s := newState(e)
		if !pipe.run(s) {
			continue
		}
		n++
		labels := s.all()
		key := labels.String()
		if out[key] == nil {
			out[key] = &LogStream{Labels: labels}
		}
		out[key].Lines = append(out[key].Lines, Line{e.Time, s.line})
	}
	list := []LogStream{}
	for _, s := range out {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b LogStream) int { return compareLabels(a.Labels, b.Labels) })
	return list
}

// compareLabels orders by the first label that differs, in name, then in value; who has
// fewer labels comes first.
func compareLabels(a, b record.Labels) int {
	return slices.CompareFunc(a, b, func(a, b record.Label) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
}

// PipelineError says that a metric query met an entry that a stage could not handle, and
// that no filter on __error__ says what to do with it.
type PipelineError struct {
	Name   string // of the error, as in __error__
	Labels record.Labels
}

// Error returns the message as Loki words it.
func (e *PipelineError) Error() string {
	return fmt.Sprintf("pipeline error: '%s' for series: '%s'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"%s\").\n"+
		"To skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n",
		e.Name, e.Labels, e.Name)
}
