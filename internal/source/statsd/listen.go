package statsd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// drainTime is how long what has come in already may be read at the end.
const drainTime = time.Second

// listener takes lines at one address.
type listener struct {
	address
	source  *Source
	workers []*worker
	next    atomic.Uint32 // worker of the next connection

	mu      sync.Mutex // guards below
	bound   []net.Addr // what it listens at, once it does
	sockets []*socket  // of datagrams
	drops   uint64     // of sockets that are closed, not told yet

	before *kept // what the configuration before has left open

	ready chan struct{} // closed when it first listens
}

func newListener(s *Source, a address) *listener {
	l := &listener{address: a, source: s, ready: make(chan struct{})}
	n := 1
	switch a.network {
	case "udp":
		n = s.cfg.Sockets
	case "tcp", "unix":
		n = runtime.GOMAXPROCS(0)
	}
	if l.before, _ = s.deps.Handover.Take(l.key()).(*kept); l.before != nil {
		n = max(n, len(l.before.sockets)) // what the kernel has for one that is closed would be lost
	}
	for range n {
		l.workers = append(l.workers, newWorker(s, l))
	}
	return l
}

// run listens until ctx ends; then it returns once all that has come in is taken.
func (l *listener) run(ctx context.Context) error {
	switch l.network {
	case "udp", "unixgram":
		return l.datagrams(ctx)
	}
	return l.streams(ctx)
}

// listens notes that the address is taken.
func (l *listener) listens(at ...net.Addr) {
	l.mu.Lock()
	l.bound = at
	l.mu.Unlock()
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
	l.source.problem(l.name, nil, "")
	l.source.deps.Log.Info("listening", "address", l.name)
}

// unlinkStale removes a unix socket that nobody listens at any more.
func unlinkStale(network, path string) error {
	if network != "unix" && network != "unixgram" {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there, or listening will tell
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	c, err := net.Dial(network, path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("another process listens at %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// datagrams listens with one socket a worker.
func (l *listener) datagrams(ctx context.Context) (err error) {
	sockets, err := l.openSockets(ctx)
	defer func() {
		if err == nil && reloads(ctx) {
			l.source.deps.Handover.Leave(l.key(), &kept{sockets: sockets})
			return
		}
		for _, s := range sockets {
			l.close(s)
		}
	}()
	if err != nil {
		return err
	}
	var at []net.Addr
	for i, s := range sockets {
		s.worker = l.workers[i]
		at = append(at, s.conn.LocalAddr())
		_ = s.conn.SetReadDeadline(time.Time{}) // one that was kept has been interrupted
	}
	l.mu.Lock()
	l.sockets = sockets
	l.mu.Unlock()
	l.listens(at...)
	settle := interrupt(ctx, func() {
		for _, s := range sockets {
			_ = s.conn.SetReadDeadline(time.Now())
		}
	})
	defer settle()
	errs := make([]error, len(sockets))
	var reading sync.WaitGroup
	for i, s := range sockets {
		reading.Go(func() { errs[i] = s.read(ctx) })
	}
	reading.Wait()
	return errors.Join(errs...)
}

// openSockets returns the sockets that were kept, and opens those that are missing. With an error
// it returns those that are open all the same.
func (l *listener) openSockets(ctx context.Context) (sockets []*socket, err error) {
	host := l.host
	if before := l.before; before != nil {
		l.before = nil
		sockets = before.sockets
		host = sockets[0].conn.LocalAddr().String()
		if len(sockets) < len(l.workers) {
			var failed error
			if err := sockets[0].raw.Control(func(fd uintptr) { failed = share(fd) }); err != nil || failed != nil {
				return sockets, errors.Join(err, failed)
			}
		}
	} else if err := unlinkStale(l.network, l.host); err != nil {
		return nil, err
	}
	for range len(l.workers) - len(sockets) {
		s, err := openSocket(ctx, l, host)
		if err != nil {
			return sockets, err
		}
		sockets = append(sockets, s)
		if l.network == "udp" {
			host = s.conn.LocalAddr().String() // so that port 0 is the same for all
		}
	}
	return sockets, nil
}

// close closes a socket, and keeps in mind what the kernel has dropped of it.
func (l *listener) close(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drops += s.newDrops()
	_ = s.conn.Close()
	l.sockets = nil
}

// lost returns how many datagrams the kernel has dropped since it was last asked.
func (l *listener) lost() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, l.drops = l.drops, 0
	for _, s := range l.sockets {
		n += s.newDrops()
	}
	if n > 0 {
		l.source.deps.Ledger.Dropped("receive buffer full", int(n))
	}
	return n
}
