package statsd

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// lookupEvery is how often the host name of a UDP target is looked up again. Other
	// targets are when they are connected to again.
	lookupEvery = time.Minute
	// peekTime is how long a stream is asked whether its other end is still there.
	peekTime = time.Millisecond
)

// target is the connection to the server, if there is one.
type target struct {
	endpoint
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	conn   net.Conn  // nil while there is none
	dialed time.Time // when it was last looked up
	// refused is set when the system says that nobody reads the datagrams.
	refused bool
	frame   []byte
}

// ready connects if need be. A stream is asked first whether its other end has hung up,
// because the first write after that would succeed and be lost.
func (t *target) ready(ctx context.Context) error {
	if t.conn != nil && t.stream() && hungUp(t.conn) {
		t.close()
	}
	again := t.network == "udp" && t.named && time.Since(t.dialed) >= lookupEvery
	if t.conn != nil && !again {
		return nil
	}
	t.dialed = time.Now()
	conn, err := t.dial(ctx, t.network, t.address)
	switch {
	case err != nil && t.conn != nil:
		return nil // the old address may still be right
	case err != nil:
		return err
	case t.conn != nil && t.conn.RemoteAddr().String() == conn.RemoteAddr().String():
		return conn.Close() // the old socket knows whether it was refused
	}
	t.close()
	t.conn = conn
	return nil
}

func hungUp(conn net.Conn) bool {
	if conn.SetReadDeadline(time.Now().Add(peekTime)) != nil {
		return true
	}
	var ignored [512]byte // a server may greet
	for range 8 {
		if _, err := conn.Read(ignored[:]); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
	return false
}

// write sends b, until ctx ends, and returns how much of b the system has taken. After an
// error there is no connection, unless only b was wrong.
func (t *target) write(ctx context.Context, b []byte) (int, error) {
	conn := t.conn
	deadline, _ := ctx.Deadline()
	if err := conn.SetWriteDeadline(deadline); err != nil {
		t.close()
		return 0, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetWriteDeadline(time.Unix(1, 0)) // a closed connection needs none
		close(interrupted)
	})
	n, err := t.writePacket(b)
	if !stop() {
		<-interrupted // or it could end a later write
	}
	if err == nil || errors.Is(err, syscall.EMSGSIZE) {
		return n, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && n > 0 {
		_ = tcp.SetLinger(0) // a reset: the server must not take half a line for a whole one
	}
	t.close()
	return n, err
}

func (t *target) writePacket(b []byte) (int, error) {
	if t.framed {
		t.frame = append(binary.LittleEndian.AppendUint32(t.frame[:0], uint32(len(b))), b...)
		n, err := t.conn.Write(t.frame)
		if n < len(t.frame) {
			n = 0
		}
		return min(n, len(b)), err
	}
	n, err := t.conn.Write(b)
	if t.network == "udp" && errors.Is(err, syscall.ECONNREFUSED) {
		// It is about an earlier datagram and this one did not go. Sent is all that can be
		// known over UDP, so it goes now, and if it is refused as well, that is that.
		t.refused = true
		if n, err = t.conn.Write(b); errors.Is(err, syscall.ECONNREFUSED) {
			return len(b), nil
		}
	}
	return n, err
}

func (t *target) close() {
	if t.conn != nil {
		_ = t.conn.Close() // nothing is lost that could still be had
		t.conn = nil
	}
}

// reason says shortly why err is in the way.
func reason(err error) string {
	var errno syscall.Errno
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return "look up " + lookup.Name + ": " + lookup.Err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return err.Error()
}
