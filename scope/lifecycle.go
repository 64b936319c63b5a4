package scope

import (
	"context"
	"errors"
)

// Flush sends all that was logged before it, and returns when the system has taken it. The
// error is ctx's, or that the Handler has been closed.
func (h *Handler) Flush(ctx context.Context) error {
	s := h.core.sender
	if s == nil {
		return nil
	}
	sent := make(chan error, 1)
	select {
	case s.flushes <- sent:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errors.New("scope: flush: the handler is closed")
	}
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close sends what is left, which it tries until ctx is done (for 5 s, if ctx has no
// deadline), and closes the connection once the server has read all, or after a second. What
// is logged from then on goes to the wrapped handler, unless that is to get nothing. The error
// says how many records were not sent; Stats counts them as dropped. Further calls wait for
// the first and return nil.
func (h *Handler) Close(ctx context.Context) error {
	s := h.core.sender
	if s == nil {
		return nil
	}
	first := false
	s.stopping.Do(func() {
		first = true
		h.core.queue.close()
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

// Stats returns what the Handler has done so far.
func (h *Handler) Stats() Stats {
	s, q := h.core.sender, h.core.queue
	if s == nil {
		return Stats{}
	}
	s.mu.Lock()
	shown := s.shown
	s.mu.Unlock()
	q.mu.Lock()
	drops := q.drops
	q.mu.Unlock()
	shown.Dropped = Drops{QueueFull: drops[queueFull], TooLong: drops[tooLong], Closed: drops[closed]}
	shown.QueuedRecords, shown.QueuedBytes = q.waiting()
	shown.Local = h.core.local.Load()
	return shown
}
