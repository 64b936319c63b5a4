package scope_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/scope"
)

// burst logs n records from some goroutines, as fast as they can.
func burst(log *slog.Logger, n int) {
	const goroutines = 4
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range n / goroutines {
				log.Info("burst", "i", i, "text", "some text to fill the queue with")
			}
		})
	}
	wg.Wait()
}

// TestBurst: each record is sent or counted, and what is sent arrives.
func TestBurst(t *testing.T) {
	const n = 8000
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address, QueueRecords: 1000, Local: scope.Never})
	burst(log, n)
	end(t, h)
	s := h.Stats()
	if s.Sent+s.Dropped.Total() != n || s.Dropped.QueueFull != s.Dropped.Total() || s.QueuedRecords != 0 || s.QueuedBytes != 0 {
		t.Errorf("%+v", s)
	}
	for range s.Sent {
		server.next(t)
	}
	select {
	case m := <-server.received:
		t.Errorf("more than was sent: %q", m)
	default:
	}
}

// TestNeverReads: a server that takes nothing blocks nobody, and Close ends at its time.
func TestNeverReads(t *testing.T) {
	server := listen(t, "tcp", "NULL", func(p *pull, conn net.Conn, _ *bufio.Reader) {
		<-t.Context().Done()
	})
	h, log := start(t, nil, scope.Options{Address: server.address, QueueBytes: 1 << 20, Local: scope.Never})
	until(t, h, "connected", func(s scope.Stats) bool { return s.Connected })
	n, took := 0, time.Duration(0)
	for stuck := false; !stuck; { // the kernels' buffers take some megabytes first
		const more = 40_000
		began := time.Now()
		burst(log, more)
		took += time.Since(began)
		n += more
		wait, cancel := context.WithTimeout(t.Context(), time.Second)
		stuck = h.Flush(wait) != nil
		cancel()
	}
	if took > limit/2 {
		t.Errorf("the calls took %s", took)
	}
	if s := h.Stats(); s.QueuedBytes > 1<<20 || s.Dropped.QueueFull == 0 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Flush(ctx); err == nil {
		t.Error("Flush is content")
	}
	if err := h.Close(ctx); err == nil || !strings.Contains(err.Error(), "records were not sent") {
		t.Errorf("Close: %v", err)
	}
	if s := h.Stats(); s.Sent+s.Dropped.Total() != uint64(n) || s.QueuedRecords != 0 || s.QueuedBytes != 0 || s.Dropped.Closed == 0 {
		t.Errorf("%+v", s)
	}
	log.Info("after Close")
	if s := h.Stats(); s.Sent+s.Dropped.Total() != uint64(n)+1 {
		t.Errorf("%+v", s)
	}
}

// TestResets: a server that resets again and again gets no record twice and none in parts;
// what is missing is uncertain.
func TestResets(t *testing.T) {
	const resets, each = 3, 100
	server := listen(t, "tcp", "NULL", func(p *pull, conn net.Conn, in *bufio.Reader) {
		for range each {
			var message []string
			for range 2 {
				_, body, err := readPart(in)
				if err != nil {
					return
				}
				message = append(message, body)
			}
			p.received <- message
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	h, log := start(t, nil, scope.Options{Address: server.address, Local: scope.Never})
	n := 0
	for i := range uint64(resets) { // a connection takes these, or has been reset before
		for range 2 * each {
			log.Info("one", "i", n)
			n++
		}
		until(t, h, "connected again", func(s scope.Stats) bool { return s.Connections > i+1 })
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	server.close()
	close(server.received)
	got, last := 0, -1.0
	for m := range server.received {
		i := parse(t, m)["i"].(float64)
		if i <= last {
			t.Errorf("%g after %g", i, last)
		}
		got, last = got+1, i
	}
	if s := h.Stats(); s.Sent != uint64(n) || got < resets*each || got+int(s.Uncertain) < n {
		t.Errorf("%d received, %+v", got, s)
	}
}

// TestDownAtFirst: what is logged before the server is there arrives, in order, and the logger
// is told once of the loss and once of the return.
func TestDownAtFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	told := &journal{}
	h, log := start(t, nil, scope.Options{Address: "tcp://" + address, Logger: slog.New(slog.NewJSONHandler(told, nil))})
	for i := range 100 {
		log.Info("early", "i", i)
	}
	until(t, h, "refused", func(s scope.Stats) bool { return s.LastError != nil })
	server := listenAt(t, "tcp", address, "NULL", nil)
	for i := range 100 {
		if r := server.next(t); r["i"] != float64(i) {
			t.Fatalf("%d: %v", i, r)
		}
	}
	end(t, h)
	var said []string
	for _, r := range told.records(t) {
		said = append(said, fmt.Sprint(r["level"], " ", r["msg"]))
	}
	same(t, said, "WARN no connection to the log server", "INFO connected to the log server again")
}

// TestHostile: what no PULL socket says is no connection, takes no memory, and is told.
func TestHostile(t *testing.T) {
	greeting := string(append(append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0}, "NULL"...), make([]byte, 48)...))
	for name, said := range map[string]string{
		"nothing":           "",
		"HTTP":              "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nServer: x\r\n\r\n",
		"ZMTP 2":            strings.Replace(greeting, "\x03", "\x01", 1),
		"another mechanism": strings.Replace(greeting, "NULL", "CURVE", 1)[:64],
		"a huge command":    greeting + "\x06\x7f\xff\xff\xff\xff\xff\xff\xff",
		"a huge frame":      greeting + "\x02\xff\xff\xff\xff\xff\xff\xff\xff",
		"unknown flags":     greeting + "\xf0\x00",
		"a message":         greeting + "\x00\x01x",
		"a refusal":         greeting + "\x04\x08\x05ERROR\x01x",
		"a PUB socket":      greeting + "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB",
		"bad metadata":      greeting + "\x04\x09\x05READY\xffxx",
		"long metadata":     greeting + "\x04\x0c\x05READY\x01x\xff\xff\xff\xff",
		"endless commands":  greeting + strings.Repeat("\x04\x03\x02xx", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, said)
					_ = conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			})
			h, log := start(t, nil, scope.Options{Address: "tcp://" + l.Addr().String(), Local: scope.Never})
			log.Info("x")
			until(t, h, "refused", func(s scope.Stats) bool { return s.LastError != nil })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := h.Close(ctx); err == nil {
				t.Error("Close is content")
			}
			if s := h.Stats(); s.Connections != 0 || s.Sent != 0 || s.Dropped.Closed != 1 {
				t.Errorf("%+v", s)
			}
			_ = l.Close()
			serving.Wait()
		})
	}
}

// TestAfterHandshake: a server may ping, and say what does not concern us; nonsense ends the
// connection, and the next one goes on.
func TestAfterHandshake(t *testing.T) {
	pongs := make(chan string, 1)
	first := true
	server := listen(t, "tcp", "NULL", func(p *pull, conn net.Conn, in *bufio.Reader) {
		if !first {
			p.receive(conn, in)
			return
		}
		first = false
		_, _ = io.WriteString(conn, "\x04\x08\x07UNKNOWN\x00\x02xx\x04\x0a\x04PING\x00\x05abc")
		_, body, _ := readPart(in)
		pongs <- body
		_, _ = io.WriteString(conn, "\xff\xff")
		_, _ = io.Copy(io.Discard, in)
	})
	h, log := start(t, nil, scope.Options{Address: server.address})
	select {
	case pong := <-pongs:
		if pong != "\x04PONGabc" {
			t.Errorf("pong %q", pong)
		}
	case <-time.After(limit):
		t.Fatal("no pong")
	}
	until(t, h, "connected again", func(s scope.Stats) bool { return s.Connections == 2 })
	log.Info("x")
	server.next(t)
	end(t, h)
}

// TestTooLong: a record beyond the limit is counted, and goes to the wrapped handler.
func TestTooLong(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	next := &journal{}
	h, log := start(t, slog.NewJSONHandler(next, nil), scope.Options{Address: server.address})
	log.Info(strings.Repeat("x", 600<<10)) // it is in msg and in message
	log.Info(strings.Repeat("y", 400<<10))
	server.next(t)
	end(t, h)
	if s := h.Stats(); s.Dropped.TooLong != 1 || s.Sent != 1 || s.Local != 1 || len(next.records(t)) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestFlush: what was logged before is sent when Flush returns; a closed handler says so.
func TestFlush(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address})
	log.Info("a")
	if err := h.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if s := h.Stats(); s.Sent != 1 {
		t.Errorf("%+v", s)
	}
	log.Error("b")
	server.next(t)
	server.next(t)
	end(t, h)
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := h.Flush(t.Context()); err == nil {
		t.Error("a closed handler is flushed")
	}
}

// TestWhileClosing: each call beside Close is sent or counted.
func TestWhileClosing(t *testing.T) {
	for range 10 {
		server := listen(t, "tcp", "NULL", nil)
		h, log := start(t, nil, scope.Options{Address: server.address, Local: scope.Never})
		const n = 2000
		var wg sync.WaitGroup
		wg.Go(func() { burst(log, n) })
		end(t, h)
		wg.Wait()
		if s := h.Stats(); s.Sent+s.Dropped.Total() != n {
			t.Errorf("%+v", s)
		}
		server.close()
		if got := uint64(len(server.received)); got != h.Stats().Sent {
			t.Errorf("%d of %d arrived", got, h.Stats().Sent)
		}
	}
}

// TestDeepAny: what a value's own JSON has is passed on.
func TestDeepAny(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	h, log := start(t, nil, scope.Options{Address: server.address})
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	log.Info("x", "deep", json.RawMessage(deep))
	if got, _ := json.Marshal(server.next(t)["deep"]); string(got) != deep {
		t.Errorf("%s", got)
	}
	end(t, h)
}
