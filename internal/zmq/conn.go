package zmq

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

const (
	firstBuffer = 8 << 10   // of a connection
	readBuffer  = 256 << 10 // of one that keeps it full
	// drainTime is how long what has come in already may be read at the end.
	drainTime = time.Second
	// idleTime is how long a connection keeps a large buffer that it does not fill.
	idleTime = time.Second
	// frameHead is how much longer than its body a frame is at most, encryption included.
	frameHead = 128
)

// conn is one connection. Its goroutine reads; a Publisher's has another that writes.
type conn struct {
	socket *socket
	net    net.Conn
	peer   Peer
	taker  Taker  // once the handshake is over
	begins func() // called then, and when it is taken over; may be nil

	leaving atomic.Bool // ctx has ended for a reload: what is not sent yet is left as it is
	greeted bool
	isReady bool // the handshake is over

	mu      sync.Mutex // guards session, and writing to net
	session *zmtp.Session
	out     []byte // what session wants to be sent

	buf    []byte   // what was read and not taken yet
	held   []byte   // the parts of an unfinished message but for the last
	ends   []int    // where these parts end
	parts  [][]byte // scratch
	memory int      // taken of the socket's
	sealed int      // of that, for what the session holds

	opened time.Time // the connection
	read   time.Time // something
	begun  time.Time // an unfinished message; zero: there is none
	asked  time.Time // for a sign of life, since something was read; zero: not
}

// newConn returns a connection that has not begun.
func (s *socket) newConn(nc net.Conn, server bool) (*conn, error) {
	session, err := s.session(server)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &conn{socket: s, net: nc, peer: peerOf(nc), session: session, buf: make([]byte, 0, firstBuffer), opened: now, read: now}, nil
}

func peerOf(nc net.Conn) Peer {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ip := a.AddrPort().Addr().Unmap()
		return Peer{Addr: ip, Name: ip.String()}
	}
	return Peer{Addr: netip.Addr{}, Name: "unix"}
}

// ended is why this side has closed a connection.
type ended string

// Error returns what Options.Event was told.
func (e ended) Error() string { return string(e) }

// run reads until the connection, which was taken, or ctx ends, and then what has come in already. left says that
// the connection is open still, for a successor; err is what has ended it.
func (c *conn) run(ctx context.Context) (left bool, err error) {
	work, end := lasting(ctx)
	defer end()
	settle := interrupt(ctx, func() { c.interrupt(c.socket.reloads(ctx)) })
	defer func() {
		if settle(); left {
			c.leave(work)
			return
		}
		c.close(work, ctx.Err() != nil)
	}()
	if err := c.begin(); err != nil {
		return false, err
	}
	for {
		c.setDeadline(ctx)
		n, err := c.net.Read(c.buf[len(c.buf):cap(c.buf)])
		if n > 0 {
			if failed := c.took(work, n); failed != nil {
				return false, failed
			}
		}
		late := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case err == nil:
		case late && c.socket.reloads(ctx):
			return true, nil
		case ctx.Err() != nil:
			c.drain(work)
			return false, ctx.Err()
		case late:
			if err := c.late(); err != nil {
				return false, err
			}
		default:
			return false, err
		}
	}
}

// begin sends what a connection begins with, or what is not sent yet of one that was left.
func (c *conn) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted {
		c.greeted = true
		c.out = c.session.Greet(c.out)
	}
	return c.sendLocked()
}

// close closes the connection. If it stops because all does, the peer may read for some time
// what a Publisher has for it.
func (c *conn) close(ctx context.Context, orderly bool) {
	linger := time.Duration(0)
	if orderly && c.taker != nil {
		linger = lingerTime
	}
	closing := time.AfterFunc(linger, func() { _ = c.net.Close() })
	if c.taker != nil {
		c.taker.Close(ctx)
		c.socket.event(Disconnected)
	}
	closing.Stop()
	_ = c.net.Close()
	c.socket.give(c.memory)
}

// setDeadline sets until when something must come.
func (c *conn) setDeadline(ctx context.Context) {
	at, limits := time.Time{}, &c.socket.Limits
	switch {
	case c.taker == nil:
		at = c.opened.Add(limits.Handshake)
	case c.session.Pings() && c.asked.IsZero():
		at = c.read.Add(limits.Heartbeat)
	case c.session.Pings():
		at = c.asked.Add(limits.Silence)
	}
	if end := c.begun.Add(limits.Unfinished); !c.begun.IsZero() && (at.IsZero() || end.Before(at)) {
		at = end
	}
	if idle := c.read.Add(idleTime); c.spare() && (at.IsZero() || idle.Before(at)) {
		at = idle
	}
	_ = c.net.SetReadDeadline(at)
	if ctx.Err() != nil {
		_ = c.net.SetReadDeadline(time.Now())
	}
}

// late does what is due when nothing has come in time: it asks the peer for a sign of life,
// or ends the connection.
func (c *conn) late() error {
	now, limits := time.Now(), &c.socket.Limits
	switch {
	case c.spare() && now.Sub(c.read) >= idleTime:
		c.resize(nil, firstBuffer)
	case c.taker == nil && now.Sub(c.opened) >= limits.Handshake:
		return c.end(SlowPeer)
	case !c.begun.IsZero() && now.Sub(c.begun) >= limits.Unfinished:
		return c.end(Unfinished)
	case !c.asked.IsZero() && now.Sub(c.asked) >= limits.Silence:
		return c.end(Silent)
	case c.asked.IsZero() && now.Sub(c.read) >= limits.Heartbeat:
		c.asked = now
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out = c.session.AppendPing(c.out, 0)
		return c.sendLocked()
	}
	return nil
}

// end tells why the connection is closed.
func (c *conn) end(event string) error {
	c.socket.event(event)
	return ended(event)
}

// sendLocked sends what the session wants to be sent. When c is left open that goes to the
// successor, as far as it is not sent.
func (c *conn) sendLocked() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(c.socket.Limits.Unfinished))
	if c.leaving.Load() {
		return nil
	}
	n, err := c.net.Write(c.out)
	if c.out = c.out[:copy(c.out, c.out[n:])]; len(c.out) == 0 && cap(c.out) > readBuffer {
		c.out = nil
		c.session.Trim(readBuffer)
	}
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.leaving.Load():
		return nil
	}
	return c.end(NotReading)
}

// took takes n bytes that were read behind buf, all whole messages of it, and has them flushed.
func (c *conn) took(ctx context.Context, n int) error {
	c.asked = time.Time{}
	full := len(c.buf)+n == cap(c.buf)
	c.buf = c.buf[:len(c.buf)+n]
	rest, ended, err := c.frames(ctx, c.buf)
	if err != nil {
		return err
	}
	if c.taker != nil {
		if err := c.taker.Flush(ctx); err != nil {
			return err
		}
	}
	c.read = time.Now() // not before: what was not read meanwhile is not late
	if len(rest) == 0 && len(c.ends) == 0 {
		c.begun = time.Time{}
	} else if ended || c.begun.IsZero() {
		c.begun = c.read
	}
	return c.keep(rest, full)
}

// frames takes the whole frames of p and returns what is left, and whether a message has ended.
func (c *conn) frames(ctx context.Context, p []byte) (rest []byte, ended bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		item, n, out, err := c.session.Receive(p, c.out)
		c.out = out
		if err != nil {
			_ = c.sendLocked() // it may tell the peer
			return nil, false, c.end(eventOf(err))
		}
		if len(c.out) > 0 {
			if err := c.sendLocked(); err != nil {
				return nil, false, err
			}
		}
		if n == 0 {
			return p, ended, nil
		}
		if grown := costOf(c.session.Held()) - c.sealed; grown > 0 {
			if !c.grow(grown) {
				return nil, false, c.end(NoMemory)
			}
			c.sealed += grown
		}
		p = p[n:]
		switch item.Kind {
		case zmtp.Ready:
			if err := c.ready(); err != nil {
				return nil, false, err
			}
		case zmtp.Frame:
			if err := c.part(ctx, item); err != nil {
				return nil, false, err
			}
			ended = ended || !item.More
		case zmtp.Subscribe, zmtp.Cancel:
			if s, ok := c.taker.(subscriber); ok && !s.subscribe(item.Body, item.Kind == zmtp.Subscribe) {
				return nil, false, c.end(TooLong)
			}
		}
	}
}

// subscriber is a Taker whose peer says what it wants.
type subscriber interface {
	subscribe(topic []byte, wanted bool) bool
}

func eventOf(err error) string {
	switch err {
	case zmtp.ErrTooLong:
		return TooLong
	case zmtp.ErrRefused, zmtp.ErrKeys, zmtp.ErrPeer:
		return BadKey
	case zmtp.ErrMechanism, zmtp.ErrRole:
		return BadMechanism
	}
	return BadPeer
}

// ready is called when the handshake is over.
func (c *conn) ready() error {
	c.peer.Credentials = c.session.Peer.Credentials
	c.isReady = true
	c.taker = c.socket.open(c)
	c.socket.event(Connected)
	if c.begins != nil {
		c.begins()
	}
	for _, topic := range c.socket.Topics {
		c.out = c.session.AppendSubscription(c.out, []byte(topic), true)
	}
	return c.sendLocked()
}

// part takes a part of a message. All but the last have to be kept until that comes.
func (c *conn) part(ctx context.Context, item zmtp.Item) error {
	body := item.Body
	limits := &c.socket.Limits
	if len(c.held)+len(body) > limits.Message || len(c.ends) >= limits.Parts {
		return c.end(TooLong)
	}
	if item.More {
		if need := len(c.held) + len(body); need > cap(c.held) {
			size := max(need, 2*cap(c.held), minHeld)
			if !c.grow(costOfParts(size) - costOfParts(cap(c.held))) {
				return c.end(NoMemory)
			}
			c.held = append(make([]byte, 0, size), c.held...)
		}
		c.held = append(c.held, body...)
		c.ends = append(c.ends, len(c.held))
		return nil
	}
	c.parts = c.parts[:0]
	from := 0
	for _, end := range c.ends {
		c.parts = append(c.parts, c.held[from:end:end])
		from = end
	}
	c.parts = append(c.parts, body)
	err := c.taker.Message(ctx, c.parts)
	clear(c.parts) // so that nothing keeps a buffer that is given back
	c.ends = c.ends[:0]
	if c.held = c.held[:0]; cap(c.held) > firstBuffer {
		c.held = nil
	}
	return err
}

// grow takes memory of the socket's.
func (c *conn) grow(n int) bool {
	if !c.socket.take(n) {
		return false
	}
	c.memory += n
	return true
}

// keep makes p, a part of buf, what is left of it, with room for more. Memory grows only with
// what has really come in, whatever lengths a peer announces.
func (c *conn) keep(p []byte, full bool) error {
	size, need := cap(c.buf), len(p) == cap(c.buf)
	switch {
	case need:
		size = min(2*size, max(readBuffer, c.socket.Limits.Message+frameHead))
		if size == cap(c.buf) {
			return c.end(TooLong)
		}
	case full && size < readBuffer:
		size = readBuffer
	case size > readBuffer && len(p) < readBuffer/2:
		size = readBuffer
	}
	if grown := costOf(size) - costOf(cap(c.buf)); grown > 0 && !c.grow(grown) {
		if need {
			return c.end(NoMemory)
		}
		size = cap(c.buf)
	}
	c.resize(p, size)
	return nil
}

// resize makes p, a part of buf, all that is in a buffer of some size, and gives back what is
// no longer needed.
func (c *conn) resize(p []byte, size int) {
	if size == cap(c.buf) {
		c.buf = c.buf[:copy(c.buf, p)]
	} else {
		c.buf = append(make([]byte, 0, size), p...)
	}
	c.mu.Lock()
	c.session.Trim(size)
	c.sealed = costOf(c.session.Held())
	c.mu.Unlock()
	c.account()
}

// spare tells whether there is a large buffer with nothing in it.
func (c *conn) spare() bool { return cap(c.buf) > firstBuffer && len(c.buf) == 0 }

// costOf returns what is taken of the socket's memory for a buffer of some size.
func costOf(size int) int { return max(size-firstBuffer, 0) }

// minHeld is for how much of the parts of a message there is memory at first.
const minHeld = 64

// costOfParts is costOf for what is held of parts.
func costOfParts(size int) int {
	if size <= firstBuffer {
		return 0
	}
	return size
}

// account gives back what was taken for buffers that are no longer there.
func (c *conn) account() {
	have := costOf(cap(c.buf)) + costOfParts(cap(c.held)) + c.sealed
	if less := c.memory - have; less > 0 {
		c.socket.give(less)
		c.memory = have
	}
}

// drain takes what is there, without waiting.
func (c *conn) drain(ctx context.Context) {
	sc, ok := c.net.(syscall.Conn)
	if !ok || c.taker == nil {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	for end := time.Now().Add(drainTime); time.Now().Before(end); {
		n := 0
		failed := raw.Control(func(fd uintptr) { n, err = syscall.Read(int(fd), c.buf[len(c.buf):cap(c.buf)]) })
		switch {
		case err == syscall.EINTR:
			continue
		case failed != nil, err != nil, n == 0, c.took(ctx, n) != nil:
			return
		}
	}
}
