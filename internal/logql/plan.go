package logql

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// source is a stream that a query selects.
type source struct {
	id     string
	labels record.Labels
	view   *archive.View
	rank   uint32 // its place in the order of streams: by labels, then by identity
	left   int    // how many blocks are not done with; guarded by plan.mu
}

// task is a block to look at.
type task struct {
	src   *source
	block int
	head  *archive.Head
}

// span is a range of time in Unix nanoseconds, both ends included.
type span struct{ from, to int64 }

func (s span) overlaps(h *archive.Head) bool { return h.MaxTime >= s.from && h.MinTime <= s.to }

func (s span) covers(h *archive.Head) bool { return s.from <= h.MinTime && h.MaxTime <= s.to }

// everything is all of time.
var everything = span{math.MinInt64, math.MaxInt64}

// matching returns the streams that matchers select, in their order, without views.
func (e *Engine) matching(matchers []syntax.Matcher) (list []*source, streams []*archive.Stream) {
	type both struct {
		src    *source
		stream *archive.Stream
	}
	var all []both
	for _, s := range e.opts.Archive.Streams() {
		labels := s.Labels()
		if selects(matchers, labels) {
			all = append(all, both{&source{id: s.ID(), labels: labels}, s})
		}
	}
	slices.SortFunc(all, func(a, b both) int {
		return cmp.Or(compareLabels(a.src.labels, b.src.labels), strings.Compare(a.src.id, b.src.id))
	})
	for i, b := range all {
		b.src.rank = uint32(i)
		list, streams = append(list, b.src), append(streams, b.stream)
	}
	return list, streams
}

func selects(matchers []syntax.Matcher, labels record.Labels) bool {
	for i := range matchers {
		if !matchers[i].Matches(labels.Get(matchers[i].Name)) {
			return false
		}
	}
	return true
}

// plan is the blocks that a query may have to read.
type plan struct {
	sources []*source
	tasks   []task
	stats   Stats
	turns   *turns
	prog    *pipeline.Program
	skip    *pipeline.Skip
	need    span
	may     func(v *archive.View, block int) bool // nil: every block

	mu   sync.Mutex // guards what follows, and ByText of stats
	next int
}

// newPlan selects streams and, by time and labels, their blocks. It has to be closed.
func (e *Engine) newPlan(matchers []syntax.Matcher, prog *pipeline.Program, need span) *plan {
	p := &plan{turns: &e.turns, prog: prog, skip: prog.Skip(), need: need}
	var streams []*archive.Stream
	p.sources, streams = e.matching(matchers)
	p.stats.Streams = len(p.sources)
	for i, src := range p.sources {
		src.view = streams[i].View()
		n := src.view.Len()
		p.stats.Blocks += n
		var facts *facts
		for k := range n {
			h := src.view.Head(k)
			if !need.overlaps(h) {
				p.stats.OutOfTime++
				continue
			}
			if prog.Conditions() {
				if facts == nil {
					facts = newFacts(src.labels)
				}
				facts.of(task{src, k, h})
				if !prog.MayPass(facts) {
					p.stats.ByLabel++
					continue
				}
			}
			p.tasks = append(p.tasks, task{src, k, h})
			src.left++
		}
		if src.left == 0 {
			src.view.Close()
		}
	}
	return p
}

func (p *plan) close() {
	for _, s := range p.sources {
		s.view.Close()
	}
}

// done notes that a block is done with; its caller holds the lock, unless there are no
// workers yet. With its last one a stream's files are closed:
// there may be thousands of streams.
func (p *plan) done(t *task) {
	if t.src.left--; t.src.left == 0 {
		t.src.view.Close()
	}
}

// keep leaves out the blocks of streams that are not wanted.
func (p *plan) keep(wanted func(*source) bool) {
	var last *source
	ok := false
	p.tasks = slices.DeleteFunc(p.tasks, func(t task) bool {
		if t.src != last {
			last, ok = t.src, wanted(t.src)
		}
		if !ok {
			p.done(&t)
		}
		return !ok
	})
}

// take returns the next block that may have what the query looks for, nil if there is none.
// The block that the caller took before, if it did, is done with.
func (p *plan) take(before *task) *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before != nil {
		p.done(before)
	}
	for p.next < len(p.tasks) {
		t := &p.tasks[p.next]
		p.next++
		if p.skip != nil && p.skip.Excludes(func(q *gram.Query) bool { return t.src.view.MayContain(t.block, q) }) || p.may != nil && !p.may(t.src.view, t.block) {
			p.stats.ByText++
			p.done(t)
			continue
		}
		return t
	}
	return nil
}

// stop leaves out all blocks that nobody has taken.
func (p *plan) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = len(p.tasks)
}

// budget is the memory that a query may still use.
type budget struct{ left atomic.Int64 }

func (b *budget) charge(bytes int) error {
	if b.left.Add(-int64(bytes)) < 0 {
		return &LimitError{"the query needs more memory than one query may have; shorten its range, make its step longer, or aggregate by fewer labels"}
	}
	return nil
}

// reader reads blocks for one goroutine.
type reader struct {
	runner *pipeline.Runner
	dec    archive.Decoder
	text   []byte
	src    *source // whose labels the runner has
	stats  Stats
	met    *damages
}

// open reads a block and has the runner begin with it. A block that is damaged, or was
// removed meanwhile, is left out: then ok is false.
func (r *reader) open(t *task) (ok bool, err error) {
	r.stats.BlocksRead++
	r.text, err = t.src.view.AppendText(r.text[:0], t.block, &r.dec)
	if err != nil {
		switch {
		case errors.Is(err, archive.ErrGone):
			r.stats.Gone++
		case r.met.add(t.src.id, t.head, err):
			r.stats.Damaged++
		default:
			return false, err
		}
		return false, nil
	}
	r.stats.Bytes += int64(len(r.text))
	if r.src != t.src {
		r.src = t.src
		r.runner.Stream(t.src.labels)
	}
	r.runner.Block(r.text)
	return true, nil
}

// worker does a part of a query, taking blocks until there are none.
type worker interface {
	work(ctx context.Context) error
}

// all has workers do their parts, and returns the first error once the last has ended.
func all(ctx context.Context, workers []worker) error {
	if len(workers) == 1 {
		return workers[0].work(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			if err := w.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
