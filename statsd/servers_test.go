package statsd_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/statsd"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// start returns a client that ends with the test.
func start(t testing.TB, o statsd.Options) *statsd.Client {
	t.Helper()
	c, err := statsd.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx) // most tests have closed it
	})
	return c
}

// end closes c, which must be able to send everything.
func end(t testing.TB, c *statsd.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// packets is a server of datagrams that keeps what it gets.
type packets struct {
	address string
	conn    net.PacketConn
}

func listenPackets(t testing.TB, network string) *packets {
	t.Helper()
	where := "127.0.0.1:0"
	if network == "unixgram" {
		where = filepath.Join(t.TempDir(), "s")
	}
	conn, err := net.ListenPacket(network, where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &packets{network + "://" + conn.LocalAddr().String(), conn}
}

// next returns the next datagram.
func (s *packets) next(t testing.TB) string {
	t.Helper()
	buf := make([]byte, 65536)
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, _, err := s.conn.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// record returns the datagrams that a client sends between its start and its end.
func (s *packets) record(t testing.TB, o statsd.Options, use func(*statsd.Client)) (all []string) {
	t.Helper()
	o.Address = s.address
	c := start(t, o)
	use(c)
	end(t, c)
	last, err := net.Dial(s.conn.LocalAddr().Network(), s.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = last.Close() }()
	if _, err := io.WriteString(last, "last"); err != nil {
		t.Fatal(err)
	}
	for {
		packet := s.next(t)
		if packet == "last" {
			return all
		}
		all = append(all, packet)
	}
}

// stream is a server of streams.
type stream struct {
	address  string
	listener net.Listener
}

func listenStream(t testing.TB) *stream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &stream{"tcp://" + l.Addr().String(), l}
}

// accept returns the next connection.
func (s *stream) accept(t testing.TB) net.Conn {
	t.Helper()
	if tcp, ok := s.listener.(*net.TCPListener); ok {
		if err := tcp.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := s.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// record returns what a client sends over one connection.
func (s *stream) record(t testing.TB, o statsd.Options, use func(*statsd.Client)) string {
	t.Helper()
	o.Address = s.address
	c := start(t, o)
	use(c)
	conn := s.accept(t)
	end(t, c)
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// lines splits what was sent.
func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
