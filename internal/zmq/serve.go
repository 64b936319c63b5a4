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

// bind listens at e until ctx ends.
func (s *socket) bind(ctx context.Context, e Endpoint, bound func(net.Addr)) error {
	if err := unlinkStale(e); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, e.network, e.address)
	if err != nil {
		return err
	}
	if bound != nil {
		bound(l.Addr())
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	free := make(chan struct{}, s.Limits.Connections)
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			s.event(NoFiles)
			if wait(ctx, acceptPause) != nil {
				return nil
			}
			continue
		case err != nil:
			return errors.Join(err, l.Close())
		}
		if !s.Security.allows(peerOf(nc).Addr) {
			s.event(Refused)
			_ = nc.Close()
			continue
		}
		select {
		case free <- struct{}{}:
		default:
			s.event(TooMany)
			_ = nc.Close()
			continue
		}
		open.Go(func() {
			defer func() { <-free }()
			_ = s.talk(ctx, nc, true, nil)
		})
	}
}

// talk runs one connection to its end. begins is called when the handshake is over.
func (s *socket) talk(ctx context.Context, nc net.Conn, server bool, begins func()) error {
	session, err := s.session(server)
	if err != nil {
		_ = nc.Close()
		return err
	}
	c := newConn(s, nc, session)
	c.begins = begins
	return c.run(ctx)
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

// connect keeps a connection to e until ctx ends.
func (s *socket) connect(ctx context.Context, e Endpoint, state func(error)) {
	pause := retry.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	tell := func(err error) {
		if state != nil && ctx.Err() == nil {
			state(err)
		}
	}
	for {
		d := net.Dialer{Timeout: s.Limits.Handshake}
		nc, err := d.DialContext(ctx, e.network, e.address)
		if err == nil {
			err = s.talk(ctx, nc, false, func() {
				pause.Reset()
				tell(nil)
			})
		}
		tell(err)
		if pause.Wait(ctx) != nil {
			return
		}
	}
}
