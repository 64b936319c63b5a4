package loki

import (
	"context"
	"net/http"
	"sync/atomic"
)

// errBusy is worded as Loki words it.
var errBusy error = requestErrorOf(http.StatusTooManyRequests, "too many outstanding requests")

func requestErrorOf(status int, text string) *requestError { return &requestError{status, text} }

// gate bounds how many requests are in work, and how many more wait.
type gate struct {
	running chan struct{} // holds a token for each that runs
	inside  atomic.Int64  // those that run, wait, or have their answer written
	most    int64
}

func newGate(running, waiting int) *gate {
	return &gate{running: make(chan struct{}, running), most: int64(running + waiting)}
}

// admit tells whether there is room for one more; leave must be called if there was.
func (g *gate) admit() bool {
	if g.inside.Add(1) > g.most {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() { g.inside.Add(-1) }

// enter waits for a turn; exit must be called when it is over.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) exit() { <-g.running }
