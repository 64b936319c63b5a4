package task

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/record"
)

// Blocks reads what is kept.
type Blocks interface {
	// Blocks calls visitors with blocks of kept text, the newest first, from several goroutines.
	Blocks(ctx context.Context, q logql.BlockQuery, visitor func() func(logql.Block) error) ([]logql.Damage, error)
}

// Archive has the streams.
type Archive interface {
	// Find returns the stream with that identity, or nil.
	Find(id string) *archive.Stream
	// Tail follows the streams whose labels match and holds up to limit bytes.
	Tail(match func(record.Labels) bool, limit int) *archive.Tail
}

// Finder answers questions about tasks.
type Finder struct {
	Blocks  Blocks
	Archive Archive
	// Sync makes what was written so far visible; following needs it.
	Sync func(context.Context) error
	// Turn waits until something may be read, and returns what has to be called after it;
	// nil: at once.
	Turn func(context.Context) (func(), error)
	// Trees has a token for each tree in the making, since a large one takes some hundred MiB;
	// nil: there may be any number.
	Trees  chan struct{}
	Limits Limits
	// Tasks is how many tasks a list chooses from; 0 is 100,000.
	Tasks int
	// Pause is the least time between two answers of one who follows; 0 is 500 ms.
	Pause time.Duration
}

// TreeRequest says which tree is wanted.
type TreeRequest struct {
	ID ID
	// Start and End bound the time in which the records were kept; the zero time is no bound.
	Start, End time.Time
	// Lines asks for the records too.
	Lines bool
	Patience
	// Now is when it is asked; the zero time is now.
	Now time.Time
}

func (q *TreeRequest) now() time.Time {
	if q.Now.IsZero() {
		return time.Now()
	}
	return q.Now
}

// Tree returns a task, or a part of it. One that nothing is known of has no nodes.
func (f *Finder) Tree(ctx context.Context, q TreeRequest) (*Tree, error) {
	if f.Trees != nil {
		select {
		case f.Trees <- struct{}{}:
			defer func() { <-f.Trees }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b, warnings, err := f.build(ctx, q)
	if err != nil {
		return nil, err
	}
	t := b.finish(q.ID, q.Patience, q.now())
	if t.isOpen() && f.hear(b) {
		t = b.finish(q.ID, q.Patience, q.now())
	}
	t.Warnings = warnings
	return t, nil
}

// isOpen tells whether a scope is.
func (t *Tree) isOpen() bool {
	return slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.State == Open })
}

// maxHeard is in how many streams is looked for other doings of a task's processes.
const maxHeard = 16

// hear looks at the last records of the streams that a task's records are in, for what its
// processes did outside of it, and tells whether there is something.
func (f *Finder) hear(b *Builder) (news bool) {
	x := newExtractor(nil, b.seed)
	for i, id := range b.streams() {
		s := f.Archive.Find(id)
		if s == nil || i == maxHeard {
			continue
		}
		v := s.View()
		var d archive.Decoder
		const last = 2 // blocks: one may be a tail that has just begun
		for k := max(0, v.Len()-last); k < v.Len(); k++ {
			text, err := v.AppendText(nil, k, &d)
			if err != nil {
				continue // without it, it takes longer until something is lost
			}
			x.begin(id, s.Labels())
			for line := range kept.Lines(text) {
				if from, at := x.where(line); b.hears(from, at) {
					news = true
				}
			}
		}
		v.Close()
	}
	return news
}

// build reads all records of a task.
func (f *Finder) build(ctx context.Context, q TreeRequest) (*Builder, []string, error) {
	done, err := f.turn(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	b := newBuilder(q.ID.Root, f.Limits, q.Lines)
	search := newSearch(q.ID)
	var mu sync.Mutex // guards b
	damage, err := f.Blocks.Blocks(ctx, logql.BlockQuery{Start: q.Start, End: q.End, May: search.may}, func() func(logql.Block) error {
		x := newExtractor(nil, b.seed)
		return func(block logql.Block) error {
			x.begin(block.Stream, block.Labels)
			search.in(block).each(block.Text, func(line []byte) {
				if e := x.read(line); e != nil {
					mu.Lock()
					b.add(e, line)
					mu.Unlock()
				}
			})
			return ctx.Err()
		}
	})
	return b, logql.Warnings(damage), err
}

func (f *Finder) turn(ctx context.Context) (func(), error) {
	if f.Turn == nil {
		return func() {}, nil
	}
	return f.Turn(ctx)
}

// search looks for lines that have one of some texts.
type search struct {
	needles []needle
	queries []*gram.Query
}

func newSearch(id ID) *search {
	s := &search{}
	s.add(id)
	return s
}

// add looks for the records of a task, too.
func (s *search) add(id ID) {
	for _, n := range id.needles() {
		s.needles = append(s.needles, n)
		s.queries = append(s.queries, gram.NewQuery(n.text, false)) // filters know no case
	}
}

// may tells whether a block can have one, by its filter.
func (s *search) may(v *archive.View, block int) bool {
	for _, q := range s.queries {
		if v.MayHaveTask(block, q) {
			return true
		}
	}
	return false
}

// in leaves out the texts that a block cannot have.
func (s *search) in(b logql.Block) *search {
	const few = 2
	if len(s.needles) > few {
		return s
	}
	some := &search{}
	for i, q := range s.queries {
		if b.View.MayHaveTask(b.Index, q) {
			some.needles = append(some.needles, s.needles[i])
		}
	}
	return some
}

// each calls visit with the lines of a block that have one, in the order in which they are
// kept.
func (s *search) each(block []byte, visit func(line []byte)) {
	next := make([]int, len(s.needles)) // where each occurs next, len(block) if it does not
	for i := range next {
		next[i] = s.needles[i].index(block, 0)
	}
	for at := 0; at < len(block); {
		hit := len(block)
		for i := range next {
			if next[i] < at {
				next[i] = s.needles[i].index(block, at)
			}
			hit = min(hit, next[i])
		}
		if hit == len(block) {
			return
		}
		from := at
		for { // forward, which is many bytes at a time
			n := bytes.IndexByte(block[from:hit], '\n')
			if n < 0 {
				break
			}
			from += n + 1
		}
		end := len(block)
		if n := bytes.IndexByte(block[hit:], '\n'); n >= 0 {
			end = hit + n
		}
		visit(block[from:end])
		at = end + 1
	}
}
