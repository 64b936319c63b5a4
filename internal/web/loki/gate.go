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
	held    atomic.Int64 // bytes of the answers that are made and not written yet
}

// maxHeld is how many bytes the answers may have that wait for clients which read slowly.
const maxHeld = 128 << 20

// hold tells whether there is room for an answer until it is written; letGo must be called
// if there was. For one alone there always is.
func (g *gate) hold(bytes int64) bool {
	if held := g.held.Add(bytes); held > maxHeld && held > bytes {
		g.letGo(bytes)
		return false
	}
	return true
}

func (g *gate) letGo(bytes int64) { g.held.Add(-bytes) }

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
