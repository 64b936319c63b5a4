package statsd

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/weirlog/weir/internal/link"
)

const (
	// dialTimeout bounds one attempt to connect, the lookup of the name included.
	dialTimeout = 5 * time.Second
	// patience is how long a server may not take, or not acknowledge, anything before the
	// connection is given up.
	patience = 10 * time.Second
	// lookupEvery is how often the host name of a UDP server is looked up again. Others
	// are when they are connected to again.
	lookupEvery = time.Minute
	// probeTime is how long the system has to say that nobody listens.
	probeTime = 50 * time.Millisecond
)

// connection is one connection to the server. Only the sender uses it; a goroutine of its
// own reads from it, since that is how one learns at once that the other end is gone.
type connection struct {
	endpoint
	net.Conn
	life     *link.Life
	patience time.Duration
	made     time.Time
	broken   chan error // has room for the one error that reading ends with
	frame    []byte
}

// connect dials. After a datagram was refused, it asks with an empty line first whether
// somebody listens by now.
func (s *sender) connect(probe bool) (*connection, error) {
	conn, err := s.Dial(s.life, s.network, s.address)
	if err != nil {
		return nil, err
	}
	if probe && s.network == "udp" {
		if err := refuses(conn); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, err
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Somewhat less than what Stats.Uncertain looks back to.
		if err := link.GiveUpAfter(tcp, s.patience*4/5); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, err
		}
	}
	c := &connection{endpoint: s.endpoint, Conn: conn, life: s.life, patience: s.patience, made: time.Now(), broken: make(chan error, 1)}
	s.others.Go(c.watch)
	return c, nil
}

// refuses asks whether datagrams to conn are refused.
func refuses(conn net.Conn) error {
	if _, err := conn.Write([]byte{'\n'}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeTime)); err != nil {
		return err
	}
	var ignored [1]byte
	if _, err := conn.Read(ignored[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return conn.SetReadDeadline(time.Time{})
}

// watch reads until the other end is gone or the connection is closed. A server has
// nothing to say, so what it says is ignored.
func (c *connection) watch() {
	var ignored [512]byte
	for {
		if _, err := c.Read(ignored[:]); err != nil {
			c.broken <- err
			return
		}
	}
}

// write gives b to the system and returns how much of it was taken.
func (c *connection) write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	if c.life.Err() != nil { // or abort's deadline has just been overwritten
		return 0, c.life.Err()
	}
	if !c.framed {
		return c.Conn.Write(b)
	}
	c.frame = append(binary.LittleEndian.AppendUint32(c.frame[:0], uint32(len(b))), b...)
	n, err := c.Conn.Write(c.frame)
	if n < len(c.frame) {
		return 0, err // half a packet is none
	}
	return len(b), err
}

// discard closes the connection so that the server does not take half a line for a line.
func (c *connection) discard() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset; without it the server sees an orderly end
	}
	_ = c.Close() // it is broken anyway
}

// isUnheard says whether an error is about an earlier datagram: nobody listens, or the way
// is barred.
func isUnheard(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// isTooLong says whether a datagram is longer than the system takes.
func isTooLong(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }
