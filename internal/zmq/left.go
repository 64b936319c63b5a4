package zmq

import (
	"context"
	"errors"
	"net"
	"time"
)

// Address is where a socket binds or connects.
type Address struct {
	Endpoint Endpoint
	// Bound is told where it listens. It may be nil.
	Bound func(net.Addr)
	// State is told nil of a connection that is ready, and what has ended one or made it
	// fail. It may be nil.
	State func(error)
	// Before is what another socket has left open at this endpoint, of the same type and
	// with the same Security but for the addresses that are allowed. It may be nil.
	Before *Left
}

// Left is what a socket leaves open at an address for its successor: the listener and the
// connections, with all that is known of each, up to the half of a message. What peers send
// meanwhile waits in the kernel.
type Left struct {
	listener net.Listener // nil where one connects
	conns    []*conn
}

// Close closes all of it, if there is no successor.
func (l *Left) Close() (err error) {
	if l.listener != nil {
		err = l.listener.Close()
	}
	for _, c := range l.conns {
		c.refuse()
	}
	return err
}

func (l *Left) connections() []*conn {
	if l == nil {
		return nil
	}
	return l.conns
}

// listen returns the listener that was left, or listens.
func (a Address) listen(ctx context.Context) (net.Listener, error) {
	if a.Before != nil && a.Before.listener != nil {
		l := a.Before.listener
		if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok {
			_ = d.SetDeadline(time.Time{})
		}
		return l, nil
	}
	if err := unlinkStale(a.Endpoint); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, a.Endpoint.network, a.Endpoint.address)
}

// reloads tells whether ctx has ended, and what is open stays so.
func (s *socket) reloads(ctx context.Context) bool {
	return s.Reload != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), s.Reload)
}

// interrupt calls f when ctx ends. Once the returned function has returned f is not called any
// more, and does not run.
func interrupt(ctx context.Context, f func()) (settle func()) {
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		f()
		close(called)
	})
	return func() {
		if !stop() {
			<-called
		}
	}
}

// take makes c one of a socket: it was made for it, or left by another one.
func (c *conn) take(s *socket) {
	c.socket = s
	c.leaving.Store(false)
	c.session.SetMaxFrame(s.Limits.Message)
	s.used.Add(int64(c.memory))
	if c.isReady {
		c.taker = s.open(c)
		if c.begins != nil {
			c.begins()
		}
	}
}

// interrupt ends what c waits for.
func (c *conn) interrupt(leaving bool) {
	_ = c.net.SetReadDeadline(time.Now())
	if leaving {
		c.leaving.Store(true)
		_ = c.net.SetWriteDeadline(time.Now())
	}
}

// leave ends what is done with c and leaves it open.
func (c *conn) leave(ctx context.Context) {
	switch t := c.taker.(type) {
	case nil:
	case *subscription:
		t.leave()
	default:
		t.Close(ctx)
		c.taker = nil
	}
	c.socket.give(c.memory)
}

// refuse closes a connection that does not run.
func (c *conn) refuse() {
	_ = c.net.Close()
	if s, ok := c.taker.(*subscription); ok {
		s.forsake()
	}
}
