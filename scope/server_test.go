package scope_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/scope"
)

// limit is how long something may take that happens at once on a calm machine.
const limit = 20 * time.Second

// pull is a PULL socket of ZMTP, in as far as tests need one.
type pull struct {
	net.Listener
	address, mechanism string
	received           chan []string // messages, in parts
	conns              chan net.Conn // those whose handshake is over
	serving            sync.WaitGroup
}

// listen starts one. What serve does with a connection after its handshake can be replaced.
func listen(t testing.TB, network, mechanism string, serve func(*pull, net.Conn, *bufio.Reader)) *pull {
	t.Helper()
	where := "127.0.0.1:0"
	if network == "unix" {
		where = filepath.Join(t.TempDir(), "s")
	}
	return listenAt(t, network, where, mechanism, serve)
}

func listenAt(t testing.TB, network, where, mechanism string, serve func(*pull, net.Conn, *bufio.Reader)) *pull {
	t.Helper()
	l, err := net.Listen(network, where)
	if err != nil {
		t.Fatal(err)
	}
	p := &pull{Listener: l, mechanism: mechanism, received: make(chan []string, 100_000), conns: make(chan net.Conn, 100)}
	p.address = "tcp://" + l.Addr().String()
	if network == "unix" {
		p.address = "ipc://" + where
	}
	if serve == nil {
		serve = (*pull).receive
	}
	p.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if err := p.greet(conn, in); err != nil {
					t.Logf("handshake: %v", err)
					return
				}
				p.conns <- conn
				serve(p, conn, in)
			})
		}
	})
	t.Cleanup(p.close)
	return p
}

// close ends the server and its connections.
func (p *pull) close() {
	_ = p.Listener.Close()
	for {
		select {
		case conn := <-p.conns:
			_ = conn.Close()
			continue
		default:
		}
		break
	}
	p.serving.Wait()
}

func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func cmd(body []byte) []byte { return append([]byte{4, byte(len(body))}, body...) }

const secret = "anna\x06s3cret"

func (p *pull) greet(conn net.Conn, in *bufio.Reader) error {
	g := make([]byte, 64)
	g[0], g[9], g[10], g[11] = 0xff, 0x7f, 3, 1
	copy(g[12:], p.mechanism)
	if _, err := conn.Write(g); err != nil {
		return err
	}
	if _, err := io.ReadFull(in, g); err != nil {
		return err
	}
	if g[10] != 3 || string(g[12:12+len(p.mechanism)]) != p.mechanism {
		return fmt.Errorf("greeting %q", g)
	}
	ready := append(text("READY"), "\x0bSocket-Type\x00\x00\x00\x04PULL\x08Identity\x00\x00\x00\x00"...)
	want := "\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
	if p.mechanism == "PLAIN" {
		if _, body, err := readPart(in); err != nil || body != "\x05HELLO\x04"+secret {
			_, _ = conn.Write(cmd(append(text("ERROR"), text("Access denied")...)))
			return fmt.Errorf("hello %q, %w", body, err)
		}
		if _, err := conn.Write(cmd(text("WELCOME"))); err != nil {
			return err
		}
		want = strings.Replace(want, "\x05READY", "\x08INITIATE", 1)
	} else if _, err := conn.Write(cmd(ready)); err != nil {
		return err
	}
	if _, body, err := readPart(in); err != nil || body != want {
		return fmt.Errorf("metadata %q, %w", body, err)
	}
	if p.mechanism == "PLAIN" {
		_, err := conn.Write(cmd(ready))
		return err
	}
	return nil
}

// readPart reads a frame.
func readPart(in io.Reader) (flags byte, body string, err error) {
	var head [9]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, "", err
	}
	size := uint64(head[1])
	if head[0]&2 != 0 {
		if _, err := io.ReadFull(in, head[2:]); err != nil {
			return 0, "", err
		}
		size = binary.BigEndian.Uint64(head[1:])
	}
	if size > 1<<21 {
		return 0, "", fmt.Errorf("a frame of %d bytes", size)
	}
	b := make([]byte, size)
	_, err = io.ReadFull(in, b)
	return head[0], string(b), err
}

// receive takes messages until the connection ends.
func (p *pull) receive(_ net.Conn, in *bufio.Reader) {
	var message []string
	for {
		flags, body, err := readPart(in)
		if err != nil {
			return
		}
		message = append(message, body)
		if flags&1 == 0 {
			p.received <- message
			message = nil
		}
	}
}

// next returns the next record.
func (p *pull) next(t testing.TB) map[string]any {
	t.Helper()
	select {
	case m := <-p.received:
		return parse(t, m)
	case <-time.After(limit):
		t.Fatal("nothing was received")
		return nil
	}
}

func parse(t testing.TB, m []string) map[string]any {
	t.Helper()
	if len(m) != 2 || m[0] != "PLJ" {
		t.Fatalf("received %q", m)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(m[1]), &r); err != nil {
		t.Fatalf("%s: %v", m[1], err)
	}
	for i := range m[1] {
		if m[1][i] > '~' || m[1][i] < ' ' {
			t.Fatalf("not ASCII: %q", m[1])
		}
	}
	return r
}

// start returns a handler and its logger. The test fails if a goroutine of it is left.
func start(t testing.TB, next slog.Handler, o scope.Options) (*scope.Handler, *slog.Logger) {
	t.Helper()
	h, err := scope.New(next, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close(t.Context()) // what it says is for the test that closes it itself
		for deadline := time.Now().Add(limit); ; runtime.Gosched() {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if !strings.Contains(string(stacks), "scope.(*sender)") && !strings.Contains(string(stacks), "scope.(*connection)") {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("a goroutine is left:\n%s", stacks)
				return
			}
		}
	})
	return h, slog.New(h)
}

// end closes a handler that has everything sent.
func end(t testing.TB, h *scope.Handler) {
	t.Helper()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// until waits for the handler to be in a state.
func until(t testing.TB, h *scope.Handler, what string, ok func(scope.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(h.Stats()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s: %+v", what, h.Stats())
		}
	}
}

var errTest = errors.New("boom")

type netConn = net.Conn

// dialer tells what it is asked for, and fails.
func dialer(asked chan<- string) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		select {
		case asked <- network + " " + address:
		default:
		}
		return nil, errTest
	}
}
