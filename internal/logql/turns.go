package logql

import (
	"context"
	"time"
)

// turns lets queries give way while what comes in needs the processors: then one worker of
// all queries goes on at a time, and rests for as long as it worked. So however many ask, they
// take no more than half of one processor.
type turns struct {
	pressed func() bool   // nil: never
	one     chan struct{} // has an element while one goes on
}

func newTurns(pressed func() bool) turns { return turns{pressed, make(chan struct{}, 1)} }

// do runs work when it is its turn.
func (t *turns) do(ctx context.Context, work func() error) error {
	if t.pressed == nil || !t.pressed() {
		return work()
	}
	select {
	case t.one <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.one }()
	start := time.Now()
	err := work()
	rest := time.NewTimer(time.Since(start))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
	return err
}
