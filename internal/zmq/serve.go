package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirlog/weir/internal/retry"
)

// acceptPause is for how long no connection is taken when there is no file for it.
const acceptPause = 100 * time.Millisecond

// bind listens at an address until ctx ends.
func (s *socket) bind(ctx context.Context, a Address) (*Left, error) {
	l, err := a.listen(ctx)
	if err != nil {
		return nil, err
	}
	settle := interrupt(ctx, func() {
		if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok && s.reloads(ctx) {
			_ = d.SetDeadline(time.Now())
			return
		}
		_ = l.Close()
	})
	b := &binding{socket: s, free: make(chan struct{}, s.Limits.Connections), left: Left{listener: l}}
	for _, c := range a.Before.connections() {
		b.serve(ctx, c)
	}
	if a.Bound != nil { // now, so that a Publisher has all its peers then
		a.Bound(l.Addr())
	}
	err = b.accept(ctx, l)
	settle()
	b.open.Wait()
	if s.reloads(ctx) {
		if err != nil {
			b.left.listener = nil // it is closed; the successor makes another one
		}
		return &b.left, nil
	}
	return nil, err
}

// binding is what is open at one address.
type binding struct {
	socket *socket
	free   chan struct{} // has an element for each connection
	open   sync.WaitGroup

	mu   sync.Mutex // guards left
	left Left
}

// accept takes connections until ctx ends.
func (b *binding) accept(ctx context.Context, l net.Listener) error {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil && ctx.Err() != nil && !b.socket.reloads(ctx):
			_ = nc.Close()
			return nil
		case err == nil: // at a reload it is left, too
			c, err := b.socket.newConn(nc, true)
			if err != nil {
				return errors.Join(err, nc.Close(), l.Close())
			}
			b.serve(ctx, c)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			b.socket.event(NoFiles)
			if wait(ctx, acceptPause) != nil {
				return nil
			}
		default:
			return errors.Join(err, l.Close())
		}
	}
}

// serve lets a connection run, if it may.
func (b *binding) serve(ctx context.Context, c *conn) {
	if !b.socket.Security.allows(c.peer.Addr) {
		b.socket.event(Refused)
		c.refuse()
		return
	}
	select {
	case b.free <- struct{}{}:
	default:
		b.socket.event(TooMany)
		c.refuse()
		return
	}
	c.take(b.socket)
	b.open.Go(func() {
		defer func() { <-b.free }()
		if left, _ := c.run(ctx); left {
			b.mu.Lock()
			b.left.conns = append(b.left.conns, c)
			b.mu.Unlock()
		}
	})
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unlinkStale removes a Unix socket that nobody listens at any more.
func unlinkStale(e Endpoint) error {
	if e.network != "unix" || strings.HasPrefix(e.address, "@") {
		return nil
	}
	info, err := os.Lstat(e.address)
	if err != nil {
		return nil // nothing there, or listening will tell
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket", e.address)
	}
	c, err := net.Dial("unix", e.address)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another process listens at %s", e.address)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(e.address)
}

// connect keeps a connection to an address until ctx ends.
func (s *socket) connect(ctx context.Context, a Address) *Left {
	pause := retry.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	tell := func(err error) {
		if a.State != nil && ctx.Err() == nil {
			a.State(err)
		}
	}
	before := a.Before.connections()
	for {
		var c *conn
		var err error
		if len(before) > 0 {
			c, before = before[0], nil
		} else {
			c, err = s.dial(ctx, a.Endpoint)
		}
		if err == nil {
			left := false
			c.begins = func() {
				pause.Reset()
				tell(nil)
			}
			c.take(s)
			if left, err = c.run(ctx); left {
				return &Left{conns: []*conn{c}}
			}
		}
		tell(err)
		if pause.Wait(ctx) != nil {
			return nil
		}
	}
}

// dial connects once.
func (s *socket) dial(ctx context.Context, e Endpoint) (*conn, error) {
	d := net.Dialer{Timeout: s.Limits.Handshake}
	nc, err := d.DialContext(ctx, e.network, e.address)
	if err != nil {
		return nil, err
	}
	c, err := s.newConn(nc, false)
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}
