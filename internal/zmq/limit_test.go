package zmq

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// short are limits of time that a test can wait for.
func short(l Limits) Limits {
	for _, v := range []*time.Duration{&l.Handshake, &l.Unfinished, &l.Heartbeat, &l.Silence} {
		if *v == 0 {
			*v = 50 * time.Millisecond
		}
	}
	return l
}

// TestSlowPeers: who does not come to an end is cut off.
func TestSlowPeers(t *testing.T) {
	t.Run("says nothing", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{})}, "tcp://127.0.0.1:0")
		readAll(t, dial(t, r.addr, zmtp.Config{Socket: zmtp.Push}).conn)
		r.wait(t, SlowPeer, 1)
	})
	t.Run("greets and says no more", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{})}, "tcp://127.0.0.1:0")
		p := dial(t, r.addr, zmtp.Config{Socket: zmtp.Push})
		p.conn.Write(p.session.Greet(nil))
		p.in = make([]byte, 0, 1000)
		readAll(t, p.conn)
		r.wait(t, SlowPeer, 1)
	})
	t.Run("does not end its message", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{Heartbeat: time.Hour})}, "tcp://127.0.0.1:0")
		p := push(t, r.addr)
		p.send("whole")
		r.want(t, "whole")
		b := p.session.AppendFrame(nil, []byte("half of it"), false)
		p.write(b[:5])
		p.closed()
		r.wait(t, Unfinished, 1)
	})
	t.Run("does not send the last part", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{Heartbeat: time.Hour})}, "tcp://127.0.0.1:0")
		p := push(t, r.addr)
		p.write(p.session.AppendFrame(nil, []byte("PLJ"), true))
		p.closed()
		r.wait(t, Unfinished, 1)
	})
	t.Run("does not answer", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{})}, "tcp://127.0.0.1:0")
		p := push(t, r.addr)
		readAll(t, p.conn) // pings too, but says nothing
		r.wait(t, Silent, 1)
	})
	t.Run("answers", func(t *testing.T) {
		r := receive(t, Options{Limits: short(Limits{Silence: patience})}, "tcp://127.0.0.1:0")
		p := push(t, r.addr)
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Second))
		pings := 0
		for b := make([]byte, 100); pings < 3; pings++ {
			n, err := p.conn.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			_, _, out, err := p.session.Receive(b[:n], nil)
			if err != nil || len(out) == 0 {
				t.Fatalf("%q is no ping: %v", b[:n], err)
			}
			p.write(out)
		}
		p.send("alive")
		r.want(t, "alive")
	})
}

// readAll reads to the end.
func readAll(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for b := make([]byte, 1000); ; {
		if _, err := c.Read(b); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Fatal("the connection stays open")
			}
			return
		}
	}
}

// TestLengths: what is announced costs nothing, and what is too long ends the connection.
func TestLengths(t *testing.T) {
	const most = 1 << 20
	header := func(flags byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{flags}, n) }
	for name, test := range map[string]struct {
		bytes []byte
		event string
	}{
		"one byte too long":         {header(2, most+1), TooLong},
		"as long as can be said":    {header(2, 1<<63), TooLong},
		"more than can be said":     {header(3, ^uint64(0)), TooLong},
		"long command":              {header(6, 1<<40), TooLong},
		"parts that are long":       {[]byte(strings.Repeat(string(header(3, most/2))+strings.Repeat("x", most/2), 3)), TooLong},
		"parts without end":         {[]byte(strings.Repeat("\x01\x00", 300)), TooLong},
		"flags that are not":        {[]byte{0x80, 1, 0}, BadPeer},
		"commands that are no more": {[]byte{5, 1, 0}, BadPeer},
		"command without a name":    {[]byte{4, 0}, BadPeer},
		"short command":             {[]byte("\x04\x05\x09PING"), BadPeer},
		"ping without time to live": {[]byte("\x04\x05\x04PING"), BadPeer},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t, Options{Limits: Limits{Message: most}}, "tcp://127.0.0.1:0")
			p := push(t, r.addr)
			go func() { _, _ = p.conn.Write(test.bytes) }()
			readAll(t, p.conn)
			r.wait(t, test.event, 1)
		})
	}
}

// TestGreetings: peers that speak something else are cut off at once.
func TestGreetings(t *testing.T) {
	r := receive(t, Options{}, "tcp://127.0.0.1:0")
	for i, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00", "\x16\x03\x01\x00\xa5", "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00", "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01"} {
		p := dial(t, r.addr, zmtp.Config{Socket: zmtp.Push})
		p.write([]byte(text))
		readAll(t, p.conn)
		r.wait(t, BadPeer, i+1)
	}
	p := dial(t, r.addr, zmtp.Config{Socket: zmtp.Sub})
	p.write(p.session.Greet(nil))
	p.closed()
	r.wait(t, BadPeer, 6)
}

// TestMemory: what all connections hold of unfinished messages is bounded, and given back.
func TestMemory(t *testing.T) {
	r := receive(t, Options{Limits: Limits{Message: 8 << 20, Memory: 8 << 20}}, "tcp://127.0.0.1:0")
	var held []*peer
	for range 4 {
		p := push(t, r.addr)
		b := binary.BigEndian.AppendUint64([]byte{2}, 8<<20)
		go func() { _, _ = p.conn.Write(append(b, make([]byte, 3<<20)...)) }()
		held = append(held, p)
	}
	r.wait(t, NoMemory, 1)
	for _, p := range held {
		p.conn.Close()
	}
	r.wait(t, Disconnected, 4)
	p := push(t, r.addr)
	p.send(strings.Repeat("x", 3<<20))
	r.want(t, "3145728 bytes")
}

func TestEndpoint(t *testing.T) {
	good := func(text, want string, local bool) {
		t.Helper()
		e, err := ParseEndpoint(text)
		if err != nil || e.String() != want || e.Local() != local {
			t.Errorf("%s is %s (local: %v), %v", text, e, e.Local(), err)
		}
	}
	good("tcp://127.0.0.1:5010", "tcp://127.0.0.1:5010", true)
	good("tcp://127.9.9.9:5010", "tcp://127.9.9.9:5010", true)
	good("tcp://localhost:5010", "tcp://localhost:5010", true)
	good("tcp://[::1]:5010", "tcp://[::1]:5010", true)
	good("tcp://*:5010", "tcp://*:5010", false)
	good("tcp://0.0.0.0:5010", "tcp://0.0.0.0:5010", false)
	good("tcp://[::]:5010", "tcp://[::]:5010", false)
	good("tcp://logs.example.org:5010", "tcp://logs.example.org:5010", false)
	good("ipc:///run/weir.sock", "ipc:///run/weir.sock", true)
	good("ipc://@weir", "ipc://@weir", true)
	for _, text := range []string{"", "tcp://", "tcp://h", "tcp://h:port", "tcp://h:65536", "tcp://h:1/x", "udp://h:1", "ipc://", "ipc://run", "ipc:///" + strings.Repeat("x", 200), "inproc://a"} {
		if e, err := ParseEndpoint(text); err == nil {
			t.Errorf("%s is %s", text, e)
		}
	}
}

// TestTakenAddress: a socket file that nobody listens at is taken, another is not.
func TestTakenAddress(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReceiver(Options{Type: zmtp.Pull}, func(Peer) Taker { return &inbox{} })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Bind(context.Background(), Address{Endpoint: endpoint(t, "ipc://"+path)}); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Error(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	got := receive(t, Options{}, "ipc://"+path)
	push(t, got.addr).send("a")
	got.want(t, "a")
}
