package logql

import (
	"slices"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// Follower is a log query about records that are still to come:
//
//	f := logql.NewFollower(q)
//	tail := a.Tail(f.Selects, 1<<20)
//	chunks, lost, err := tail.Next(ctx)
//	entries = f.Append(entries[:0], chunks[0])
//
// Selects may be used concurrently, Append may not.
type Follower struct {
	matchers []syntax.Matcher
	runner   *pipeline.Runner
	labels   []pipeline.Label
}

// NewFollower returns a follower of a query.
func NewFollower(q *syntax.LogQuery) *Follower {
	p := pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.Need{All: true}})
	return &Follower{matchers: q.Matchers, runner: p.NewRunner()}
}

// Selects tells whether the query is about a stream with such labels.
func (f *Follower) Selects(labels record.Labels) bool { return selects(f.matchers, labels) }

// Append appends the entries of a chunk that pass, in the order in which they came. They
// have no sequence numbers: those are given when records are committed.
func (f *Follower) Append(dst []Entry, c archive.Chunk) []Entry {
	r := f.runner
	r.Stream(c.Stream.Labels)
	r.Block(c.Text)
	for r.Next() {
		if !r.Process() {
			continue
		}
		f.labels = r.AppendLabels(f.labels[:0])
		dst = append(dst, Entry{
			Time: r.Time(), Line: string(r.Line()), Labels: slices.Clone(f.labels), Stream: c.Stream.ID, Gap: r.Gap(),
		})
	}
	return dst
}
