package logfile

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/flow"
)

// batch reads one batch and writes it to the line. It tells errors of the file from those
// of the line, lookErr being an earlier one of the file.
func (t *Tail) batch(ctx context.Context, line flow.Line, lookErr error) (wrote bool, readErr, lineErr error) {
	b, err := t.opt.Batches.Get(ctx, &t.opt.Stream)
	if err != nil {
		return false, nil, err
	}
	defer t.opt.Batches.Put(b)
	full, err := t.fill(b)
	t.behind.Store(t.log.Behind())
	if err == nil {
		err = lookErr
	}
	if !full {
		return false, err, nil
	}
	if lineErr := line.Write(ctx, b); lineErr != nil {
		return false, nil, lineErr
	}
	t.written(b.Position.Resume, b.Held)
	return true, err, nil
}

// written notes what the line made of a batch.
func (t *Tail) written(resume [2]int64, held bool) {
	t.held, t.wrote = held, time.Now()
	t.low = max(t.low, min(resume[0], resume[1]))
	t.log.Keep(t.low)
}

// writeEmpty writes a batch without records: the position as it is, and time for the line
// to let go of what it holds.
func (t *Tail) writeEmpty(ctx context.Context, line flow.Line) error {
	b, err := t.opt.Batches.Get(ctx, &t.opt.Stream)
	if err != nil {
		return err
	}
	defer t.opt.Batches.Put(b)
	t.position(b)
	if err := line.Write(ctx, b); err != nil {
		return err
	}
	t.written(b.Position.Resume, b.Held)
	return nil
}

// finish reads what is left, a last line without its end included, and waits for the line
// to let go of what it holds.
func (t *Tail) finish(ctx context.Context, line flow.Line) error {
	if !t.opened {
		return nil
	}
	t.log.Finish()
	for t.log.Unread() {
		wrote, readErr, err := t.batch(ctx, line, nil)
		if err != nil {
			return err
		}
		if readErr != nil || !wrote {
			t.report(readErr)
			break
		}
	}
	for i := 0; t.held && i < heldTries; i++ {
		if err := t.pause(ctx); err != nil {
			return nil
		}
		if err := t.writeEmpty(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for one held period, whatever rings.
func (t *Tail) pause(ctx context.Context) error {
	until := time.Now().Add(heldPeriod)
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if err := t.opt.Bell.Wait(ctx, left); err != nil {
			return err
		}
	}
}
