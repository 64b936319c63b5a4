package statsd

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
)

// New returns a client, which connects in the background: that the server cannot be reached
// is no error, what is recorded waits for it. The error is about o alone. Close ends the
// client's goroutines.
func New(o Options) (*Client, error) {
	if o.Off {
		return nil, nil
	}
	all, err := o.resolve()
	if err != nil {
		return nil, err
	}
	return newClient(all), nil
}

// newClient starts a client.
func newClient(all settings) *Client {
	c := &core{settings: all, queue: newQueue(all), texts: &texts{seed: maphash.MakeSeed()}}
	if all.Aggregate > 0 {
		c.aggregate = newAggregate(all, c.queue, runtime.GOMAXPROCS(0))
	}
	c.sender = newSender(all, c.queue, c.aggregate)
	s := scope{dialect: all.Dialect, naming: all.Naming, prefix: safePrefix(all.Prefix), rate: 1}
	s.tags = string(s.appendTags(nil, all.Tags, false))
	go c.sender.run()
	return &Client{scope: newScope(s), core: c}
}

// Flush sends all that was recorded before it, and returns when the system has taken it.
// The error is ctx's, or that the client has been closed.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil {
		return nil
	}
	s, sent := c.core.sender, make(chan error, 1)
	select {
	case s.flushes <- sent:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return fmt.Errorf("statsd: flush: the client is closed")
	}
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close sends what is left, which it tries until ctx is done (for 5 s, if ctx has no
// deadline), and closes the connection. What is recorded from then on is dropped. The error
// says how many metrics were not sent; Stats counts them as dropped. Further calls wait for
// the first and return nil.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	s := c.core.sender
	first := false
	s.stopping.Do(func() {
		first = true
		c.core.queue.shut()
		close(s.stop)
	})
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeLimit)
		defer cancel()
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		s.abort()
		<-s.done
	}
	if first {
		return s.unsent()
	}
	return nil
}

// Stats returns what the client has done so far.
func (c *Client) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	s, q := c.core.sender, c.core.queue
	s.mu.Lock()
	shown := s.shown
	s.mu.Unlock()
	q.mu.Lock()
	drops := q.drops
	q.mu.Unlock()
	shown.Dropped = Drops{QueueFull: drops[queueFull], Oldest: drops[oldest], TooLong: drops[tooLong], Invalid: drops[invalid], Closed: drops[closed]}
	shown.QueuedLines, shown.QueuedBytes = q.waiting()
	if c.core.aggregate != nil {
		shown.Series = c.core.aggregate.size()
	}
	return shown
}
