package logql

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// BlockQuery says which blocks of kept text are wanted, by who reads them without LogQL.
type BlockQuery struct {
	// Start and End are where the records' times lie that are wanted, both ends included; the
	// zero time is no bound. A block has others too.
	Start, End time.Time
	// Only narrows the streams; nil does not.
	Only func(id string, labels record.Labels) bool
	// May tells of a block whether it can have what is wanted, without reading it; nil: all can.
	May func(v *archive.View, block int) bool
}

// Block is what there is of a block.
type Block struct {
	Stream string // its identity
	Labels record.Labels
	Head   *archive.Head
	// View and Index are where it is from.
	View  *archive.View
	Index int
	// Text is the records, as package kept has them; valid during the call.
	Text []byte
}

// ErrEnough, of who is called with blocks, ends a scan without an error.
var ErrEnough = errors.New("enough")

// Blocks calls visitors with blocks, those with the newest records first. It makes one for
// each of its goroutines. Damage is what could not be read.
func (e *Engine) Blocks(ctx context.Context, q BlockQuery, visitor func() func(Block) error) (damage []Damage, err error) {
	within := everything
	if !q.Start.IsZero() {
		within.from = q.Start.UnixNano()
	}
	if !q.End.IsZero() {
		within.to = q.End.UnixNano()
	}
	p := e.newPlan(nil, pipeline.Compile(pipeline.Spec{}), within)
	defer p.close()
	if q.Only != nil {
		p.keep(func(src *source) bool { return q.Only(src.id, src.labels) })
	}
	p.may = q.May
	slices.SortStableFunc(p.tasks, func(a, b task) int { return cmp.Compare(b.head.MaxTime, a.head.MaxTime) })
	var met damages
	var workers []worker
	for range min(e.opts.Workers, len(p.tasks)) {
		workers = append(workers, &blockWorker{plan: p, met: &met, visit: visitor()})
	}
	if len(workers) > 0 {
		err = all(ctx, workers)
	}
	if errors.Is(err, ErrEnough) {
		err = nil
	}
	return met.sorted(), err
}

// blockWorker reads blocks for a visitor.
type blockWorker struct {
	plan  *plan
	met   *damages
	visit func(Block) error
	dec   archive.Decoder
	text  []byte
}

func (w *blockWorker) work(ctx context.Context) error {
	var t *task
	for ctx.Err() == nil {
		if t = w.plan.take(t); t == nil {
			return nil
		}
		if err := w.plan.turns.do(ctx, func() error { return w.block(t) }); err != nil {
			w.plan.stop()
			return err
		}
	}
	return ctx.Err()
}

func (w *blockWorker) block(t *task) (err error) {
	w.text, err = t.src.view.AppendText(w.text[:0], t.block, &w.dec)
	if err != nil {
		if errors.Is(err, archive.ErrGone) || w.met.add(t.src.id, t.head, err) {
			return nil
		}
		return err
	}
	return w.visit(Block{Stream: t.src.id, Labels: t.src.labels, Head: t.head, View: t.src.view, Index: t.block, Text: w.text})
}
