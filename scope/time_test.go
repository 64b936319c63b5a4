package scope_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/scope"
)

// pipe lets a server, whose handshake is over, have each connection.
func pipe(serve func(*pull, net.Conn, *bufio.Reader)) (*pull, func(context.Context, string, string) (net.Conn, error)) {
	p := &pull{mechanism: "NULL", received: make(chan []string, 1000)}
	return p, func(context.Context, string, string) (net.Conn, error) {
		ours, other := net.Pipe()
		theirs := background{other, make(chan []byte, 100)}
		p.serving.Go(theirs.run)
		p.serving.Go(func() {
			defer theirs.Close()
			defer close(theirs.out)
			in := bufio.NewReaderSize(theirs, 1024)
			if p.greet(theirs, in) == nil {
				serve(p, theirs, in)
			}
		})
		return ours, nil
	}
}

// background writes without waiting to be read: a pipe has no buffers.
type background struct {
	net.Conn
	out chan []byte
}

func (c background) run() {
	for b := range c.out {
		_, _ = c.Conn.Write(b)
	}
}

func (c background) Write(b []byte) (int, error) {
	c.out <- bytes.Clone(b)
	return len(b), nil
}

// TestSlow: a server that takes a kilobyte in five seconds gets all, over one connection.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, dial := pipe(func(p *pull, conn net.Conn, in *bufio.Reader) {
			p.receive(conn, bufio.NewReaderSize(slow{conn}, 1024))
		})
		h, log := start(t, nil, scope.Options{Address: "tcp://x", Dial: dial, Local: scope.Never})
		const n = 200
		for i := range n {
			log.Info("one", "i", i)
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if s := h.Stats(); s.Sent != n || s.Connections != 1 || s.LastError != nil {
			t.Errorf("%+v", s)
		}
		end(t, h)
		server.serving.Wait()
		for i := range n {
			if r := server.next(t); r["i"] != float64(i) {
				t.Fatalf("%d: %v", i, r)
			}
		}
	})
}

// slow reads what there is after a while.
type slow struct{ net.Conn }

func (c slow) Read(b []byte) (int, error) {
	time.Sleep(5 * time.Second)
	return c.Conn.Read(b)
}

// TestStuck: a server that takes nothing any more is given up after ten seconds. A record that
// it took is uncertain, and half a one is sent again, whole.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, stuck := true, make(chan struct{})
		server, dial := pipe(func(p *pull, conn net.Conn, in *bufio.Reader) {
			if first {
				first = false
				_, _ = in.ReadByte() // and the whole kilobyte that the reader has room for
				<-stuck
				return
			}
			p.receive(conn, in)
		})
		h, log := start(t, nil, scope.Options{Address: "tcp://x", Dial: dial, Local: scope.Never})
		began := time.Now()
		for i := range 10 {
			log.Info("one", "i", i)
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 25*time.Second {
			t.Errorf("it took %s", took)
		}
		end(t, h)
		close(stuck)
		server.serving.Wait()
		for i := 1; i < 10; i++ {
			if r := server.next(t); r["i"] != float64(i) {
				t.Fatalf("%d: %v", i, r)
			}
		}
		if s := h.Stats(); s.Connections != 2 || s.Sent != 10 || s.Uncertain != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestNoGoodbye: what a server that does not say goodbye in a second got last is uncertain.
func TestNoGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, dial := pipe((*pull).receive)
		h, log := start(t, nil, scope.Options{Address: "tcp://x", Local: scope.Never, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return half{conn}, err
		}})
		log.Info("x")
		began := time.Now()
		end(t, h)
		if took := time.Since(began); took < time.Second {
			t.Errorf("it took %s", took)
		}
		server.serving.Wait()
		if s := h.Stats(); s.Sent != 1 || s.Uncertain != 1 || len(server.received) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// half can close one direction, which the other end does not notice.
type half struct{ net.Conn }

func (half) CloseWrite() error { return nil }

// TestBackoff: attempts become rarer, up to one in ten seconds, and not all at the same time.
func TestBackoff(t *testing.T) {
	pauses := map[string]bool{}
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			var attempts []time.Time
			h, log := start(t, nil, scope.Options{Address: "tcp://x", Local: scope.Never, Dial: func(context.Context, string, string) (net.Conn, error) {
				attempts = append(attempts, time.Now())
				return nil, errTest
			}})
			log.Info("x")
			time.Sleep(time.Minute)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = h.Close(ctx) // nothing could be sent
			if n := len(attempts); n < 10 || n > 24 {
				t.Errorf("%d attempts in a minute", n)
			}
			last := attempts[len(attempts)-2].Sub(attempts[len(attempts)-3])
			if last < 5*time.Second || last > 10*time.Second {
				t.Errorf("the last pause is %s", last)
			}
			pauses[fmt.Sprint(attempts[2].Sub(attempts[1]))] = true
		})
	}
	if len(pauses) < 2 {
		t.Error("the pauses are the same each time")
	}
}

// TestLinger: a record waits at most 10 ms for others, an error not at all.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, dial := pipe((*pull).receive)
		h, log := start(t, nil, scope.Options{Address: "tcp://x", Dial: dial})
		for want, what := range map[time.Duration]func(string, ...any){10 * time.Millisecond: log.Info, 0: log.Error} {
			synctest.Wait() // what goes on sending takes what comes with it
			began := time.Now()
			what("x")
			server.next(t)
			if took := time.Since(began); took != want {
				t.Errorf("it took %s, want %s", took, want)
			}
		}
		end(t, h)
		server.serving.Wait()
	})
}
