package docker

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

// heldPeriod is how often a line that holds back a record is written an empty batch.
const heldPeriod = 300 * time.Millisecond

// heldTries bounds how long the end of a log waits for the line to let go.
const heldTries = 20

// writeBatch writes a batch that fill has filled, with the cursor as its position.
func (x *follower) writeBatch(ctx context.Context, fill func(b *record.Batch)) error {
	b, err := x.fleet.deps.Batches.Get(ctx, &x.in)
	if err != nil {
		return err
	}
	defer x.fleet.deps.Batches.Put(b)
	x.setPosition(b)
	if fill != nil {
		fill(b)
	}
	return x.write(ctx, b)
}

func (x *follower) setPosition(b *record.Batch) {
	b.Position.Source = x.cursor.appendTo(b.Position.Source[:0])
	b.Position.Resume = [2]int64{x.cursor.pos, x.cursor.pos}
}

func (x *follower) write(ctx context.Context, b *record.Batch) error {
	if err := x.line.Write(ctx, b); err != nil {
		x.closeLine(false) // what its stages have of b is not known: begin at the position
		return err
	}
	x.held, x.wrote = b.Held, time.Now()
	return nil
}

// writeEmpty writes a batch without records: the position, and time for the line to let go
// of what it holds.
func (x *follower) writeEmpty(ctx context.Context) error { return x.writeBatch(ctx, nil) }

func (x *follower) writeGap(ctx context.Context, g record.Gap) error {
	return x.writeBatch(ctx, func(b *record.Batch) { b.Gaps = append(b.Gaps, g) })
}

// letGo waits at the end of a log until the line holds nothing back.
func (x *follower) letGo(ctx context.Context) error {
	for i := 0; x.held && i < heldTries; i++ {
		t := time.NewTimer(heldPeriod)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		if err := x.writeEmpty(ctx); err != nil {
			return err
		}
	}
	return nil
}

// appendMessage makes a record of a message of the API, and moves the cursor over it.
func (x *follower) appendMessage(b *record.Batch, m dockerapi.Message) {
	appendRecord(b, m, x.cursor.pos)
	is := x.recent.add(m)
	x.fill.add(m)
	x.cursor.add(m.Time, mark{hash: is.hash, size: 1})
}

func appendRecord(b *record.Batch, m dockerapi.Message, pos int64) {
	r := record.Record{Time: m.Time, Start: pos, End: pos + 1, Body: b.Append(m.Text)}
	if m.Stderr {
		r.Flags |= record.Stderr
	}
	if m.Partial {
		r.Flags |= record.Partial
	}
	if m.Cut {
		r.Flags |= record.Cut
	}
	b.Records = append(b.Records, r)
}
