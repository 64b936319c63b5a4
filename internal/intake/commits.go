package intake

import (
	"context"
	"sync"
	"time"
)

// SyncPause is the least time from one sync to the next: a disk has other work, too. What is
// written meanwhile has a sync together.
const SyncPause = 20 * time.Millisecond

// Commits lets requests that wait at the same time share one sync.
type Commits struct {
	sync func(ctx context.Context) error
	turn chan struct{} // has an element while someone syncs
	last time.Time     // the end of the last sync; who has the turn may use it

	mu   sync.Mutex // guards next
	next *round     // has not begun; nil: nobody waits
}

// round is one sync and those who wait for it.
type round struct {
	done chan struct{} // closed once err is set
	err  error
}

// NewCommits returns what waits with sync.
func NewCommits(sync func(ctx context.Context) error) *Commits {
	return &Commits{sync: sync, turn: make(chan struct{}, 1)}
}

// Wait returns once what was written before is durable, or ctx ends.
func (c *Commits) Wait(ctx context.Context) error {
	c.mu.Lock()
	r := c.next
	first := r == nil
	if first {
		r = &round{done: make(chan struct{})}
		c.next = r
	}
	c.mu.Unlock()
	if first {
		// Others rely on it, so it goes on even if this request's sender is gone.
		c.run(context.WithoutCancel(ctx), r)
		return r.err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run syncs for all who wait for r.
func (c *Commits) run(ctx context.Context, r *round) {
	c.turn <- struct{}{}
	if pause := SyncPause - time.Since(c.last); pause > 0 {
		<-time.After(pause)
	}
	c.mu.Lock()
	c.next = nil // who comes now has written too late for r
	c.mu.Unlock()
	r.err = c.sync(ctx)
	c.last = time.Now()
	<-c.turn
	close(r.done)
}
