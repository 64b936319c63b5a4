package logql

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// place is where a record stands in the order of all: by time, by the rank of its stream,
// as it was kept.
type place struct {
	time int64
	rank uint32
	// block and start are the record's block and where it begins in it.
	block, start int
}

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.rank, b.rank), cmp.Compare(a.block, b.block), cmp.Compare(a.start, b.start))
}

// logs answers a log query. It walks the blocks from the end that it is asked for, and
// stops where no block can have a line that belongs to the answer.
func (e *Engine) logs(ctx context.Context, q *syntax.LogQuery, p Params) (Result, error) {
	limit, err := e.limit(p)
	if err != nil {
		return Result{}, err
	}
	prog := pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.Need{All: true}})
	l := &logQuery{
		within: between(p.Start, p.End),
		limit:  limit,
		found:  found{limit: limit, backward: p.Direction == Backward, room: e.opts.MaxMemory, cuts: p.Bytes > 0},
	}
	if p.Bytes > 0 {
		l.found.room = min(p.Bytes, e.opts.MaxMemory)
	}
	if !p.End.IsZero() {
		l.within.to--
	}
	if p.After != nil && l.found.backward {
		l.within.to = min(l.within.to, p.After.Time)
	} else if p.After != nil {
		l.within.from = max(l.within.from, p.After.Time)
	}
	l.plan = e.newPlan(q.Matchers, prog, l.within)
	defer l.plan.close()
	l.narrow(p)
	l.order()
	var workers []worker
	for range min(e.opts.Workers, len(l.plan.tasks)) {
		workers = append(workers, &logWorker{q: l, reader: reader{runner: prog.NewRunner(), met: &l.met}})
	}
	if len(workers) > 0 {
		if err := all(ctx, workers); err != nil {
			return Result{}, err
		}
	}
	res := Result{Kind: Streams, Stats: l.plan.stats, Entries: l.found.sorted(), Bytes: l.found.held, Cut: l.found.limit < limit, Damage: l.met.sorted()}
	for _, w := range workers {
		res.Stats.add(&w.(*logWorker).stats)
	}
	res.Stats.Matched = int64(len(res.Entries))
	return res, nil
}

// logQuery is what the workers of a log query share.
type logQuery struct {
	plan   *plan
	within span
	limit  int
	found  found
	met    damages
	// after is where the answer before this one ended, if resumes. What its start is in its
	// block is known when that is read; number is its record's.
	resumes bool
	after   place
	number  uint64
}

// narrow leaves out the blocks of streams that are not wanted, and finds where the answer
// goes on.
func (l *logQuery) narrow(p Params) {
	if p.Only != nil {
		l.plan.keep(func(src *source) bool { return p.Only(src.id, src.labels) })
	}
	if p.After == nil {
		return
	}
	l.resumes, l.number = true, p.After.Sequence
	l.after = place{time: p.After.Time, block: -1}
	for _, src := range l.plan.sources {
		if src.id == p.After.Stream {
			l.after.rank = src.rank
		}
	}
	for _, t := range l.plan.tasks {
		if t.src.id == p.After.Stream && t.head.First <= l.number && l.number < t.head.First+uint64(t.head.Records+t.head.Gaps) {
			l.after.block = t.block
		}
	}
}

// resume returns where the answer goes on, with the start of the record in its block if
// that is the one.
func (l *logQuery) resume(t *task, text []byte) place {
	after := l.after
	if l.resumes && t.src.rank == after.rank && t.block == after.block {
		for range l.number - t.head.First {
			after.start = lineAfter(text, after.start)
		}
	}
	return after
}

func lineAfter(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

// passed tells whether the record at a place is not after the one where the answer goes on.
func (l *logQuery) passed(at, after place) bool {
	return l.resumes && (at == after || l.found.before(at, after))
}

// order puts the blocks first that can have the first lines of the answer.
func (l *logQuery) order() {
	if l.found.backward {
		slices.SortStableFunc(l.plan.tasks, func(a, b task) int { return cmp.Compare(b.head.MaxTime, a.head.MaxTime) })
	} else {
		slices.SortStableFunc(l.plan.tasks, func(a, b task) int { return cmp.Compare(a.head.MinTime, b.head.MinTime) })
	}
}

// logWorker looks through blocks for lines.
type logWorker struct {
	q *logQuery
	reader
	candidates []place
	entries    []hit
	labels     []pipeline.Label
}

func (w *logWorker) work(ctx context.Context) error {
	var t *task
	for ctx.Err() == nil {
		if t = w.q.plan.take(t); t == nil {
			return nil
		}
		edge := t.head.MinTime
		if w.q.found.backward {
			edge = t.head.MaxTime
		}
		if !w.q.found.reaches(edge) {
			w.q.plan.stop() // nor does any block after it
			return nil
		}
		if err := w.q.plan.turns.do(ctx, func() error { return w.block(ctx, t) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// block offers the lines of a block that pass, the best first.
func (w *logWorker) block(ctx context.Context, t *task) error {
	if ok, err := w.open(t); !ok {
		return err
	}
	w.collect(t)
	w.entries = w.entries[:0]
	for _, c := range w.candidates {
		if len(w.entries) == w.q.limit || !w.q.found.wants(c) {
			break // those that follow come after it
		}
		if ctx.Err() != nil {
			return ctx.Err() // a long line can take some time
		}
		if w.runner.Seek(c.start); w.runner.Process() {
			w.entries = append(w.entries, hit{place: c, entry: w.entry(t, c)})
		}
	}
	w.number(t)
	return w.q.found.offer(w.entries)
}

// collect lists the lines that pass the line filters, in the order of the answer.
func (w *logWorker) collect(t *task) {
	w.candidates = w.candidates[:0]
	inside := w.q.within.covers(t.head)
	after := w.q.resume(t, w.text)
	for w.runner.Next() {
		w.stats.Lines++
		at := w.runner.Time()
		if !inside && (at < w.q.within.from || at > w.q.within.to) {
			continue
		}
		where := place{at, t.src.rank, t.block, w.runner.Start()}
		if w.q.passed(where, after) {
			continue
		}
		w.candidates = append(w.candidates, where)
	}
	if !t.head.Sorted {
		slices.SortFunc(w.candidates, place.compare)
	}
	if w.q.found.backward {
		slices.Reverse(w.candidates)
	}
}

// entry copies the record that the runner holds.
func (w *logWorker) entry(t *task, at place) Entry {
	w.labels = w.runner.AppendLabels(w.labels[:0])
	return Entry{
		Time: at.time, Line: string(w.runner.Line()), Labels: slices.Clone(w.labels),
		Stream: t.src.id, Gap: w.runner.Gap(),
	}
}

// number gives the entries of a block their sequence numbers.
func (w *logWorker) number(t *task) {
	slices.SortFunc(w.entries, func(a, b hit) int { return cmp.Compare(a.place.start, b.place.start) })
	next, from := t.head.First, 0
	for i := range w.entries {
		start := w.entries[i].place.start
		next += uint64(bytes.Count(w.text[from:start], []byte("\n")))
		from = start
		w.entries[i].entry.Sequence = next
	}
}

// hit is an entry and where it stands.
type hit struct {
	place place
	entry Entry
}

// found is the best entries so far: a heap with the last of them, in the order of the
// answer, on top.
type found struct {
	backward bool
	// room is how many bytes the entries may take; with more the query fails or, if cuts, the
	// last are left out.
	room int64
	cuts bool

	mu    sync.Mutex // guards what follows
	limit int        // falls when entries are left out
	heap  []hit
	held  int64 // bytes
}

// before tells whether a stands before b in the answer.
func (f *found) before(a, b place) bool {
	if f.backward {
		return a.compare(b) > 0
	}
	return a.compare(b) < 0
}

// reaches tells whether a record of that time may belong to the answer.
func (f *found) reaches(time int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.heap) < f.limit {
		return true
	}
	last := f.heap[0].place.time
	if f.backward {
		return time >= last
	}
	return time <= last
}

// wants tells whether the record at a place belongs to the answer, as far as is known.
func (f *found) wants(at place) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.heap) < f.limit || f.before(at, f.heap[0].place)
}

func (f *found) offer(entries []hit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range entries {
		if len(f.heap) < f.limit {
			f.heap = append(f.heap, k)
			f.up(len(f.heap) - 1)
		} else if f.before(k.place, f.heap[0].place) {
			f.held -= f.heap[0].entry.size()
			f.heap[0] = k
			f.down(0)
		} else {
			continue
		}
		f.held += k.entry.size()
		if err := f.fit(); err != nil {
			return err
		}
	}
	return nil
}

// fit sees to it that the entries have room. One always has: so a long answer can be had in
// pieces whatever its lines are like.
func (f *found) fit() error {
	if f.held > f.room && !f.cuts {
		return &LimitError{fmt.Sprintf("the answer is larger than the %d MiB that it may be; lower the limit, to %d or so, or narrow the query",
			f.room>>20, max(1, len(f.heap)/2))}
	}
	for f.held > f.room && len(f.heap) > 1 {
		last := len(f.heap) - 1
		f.held -= f.heap[0].entry.size()
		f.heap[0], f.heap[last] = f.heap[last], hit{}
		f.heap, f.limit = f.heap[:last], last // or what follows the one left out could come in
		f.down(0)
	}
	return nil
}

// What an entry and a label take beside their text.
const (
	entryBytes = 160
	labelBytes = 40
)

// size returns about how many bytes an entry takes.
func (e *Entry) size() int64 {
	n := entryBytes + len(e.Line)
	for i := range e.Labels {
		n += labelBytes + len(e.Labels[i].Name) + len(e.Labels[i].Value)
	}
	return int64(n)
}

func (f *found) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !f.before(f.heap[parent].place, f.heap[i].place) {
			return
		}
		f.heap[parent], f.heap[i] = f.heap[i], f.heap[parent]
		i = parent
	}
}

func (f *found) down(i int) {
	for {
		last := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(f.heap); child++ {
			if f.before(f.heap[last].place, f.heap[child].place) {
				last = child
			}
		}
		if last == i {
			return
		}
		f.heap[last], f.heap[i] = f.heap[i], f.heap[last]
		i = last
	}
}

// sorted returns the entries in the order of the answer.
func (f *found) sorted() []Entry {
	slices.SortFunc(f.heap, func(a, b hit) int {
		if f.backward {
			return b.place.compare(a.place)
		}
		return a.place.compare(b.place)
	})
	entries := make([]Entry, len(f.heap))
	for i := range f.heap {
		entries[i] = f.heap[i].entry
	}
	return entries
}
