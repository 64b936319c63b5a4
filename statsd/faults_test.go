package statsd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/statsd"
)

var errDown = errors.New("the server is down")

// piped is a server whose connections are pipes, for tests in synctest's time.
type piped struct {
	mu    sync.Mutex
	down  bool
	dials []time.Time
	asked []string
	ends  chan net.Conn
}

func newPiped() *piped { return &piped{ends: make(chan net.Conn, 100)} }

// dial is an Options.Dial.
func (p *piped) dial(_ context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials = append(p.dials, time.Now())
	p.asked = append(p.asked, network+"!"+address)
	if p.down {
		return nil, errDown
	}
	ours, theirs := net.Pipe()
	p.ends <- theirs
	return ours, nil
}

func (p *piped) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *piped) attempts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dials)
}

// options are those of a client of p.
func (p *piped) options(o statsd.Options) statsd.Options {
	o.Dial = p.dial
	if o.Address == "" {
		o.Address = "tcp://server.example:8125"
	}
	return o
}

// collect reads a connection to its end.
func collect(conn net.Conn) <-chan string {
	all := make(chan string, 1)
	go func() {
		var text strings.Builder
		_, _ = io.Copy(&text, conn) // a pipe's end is no error
		all <- text.String()
	}()
	return all
}

// TestServerDownAtStart: what is recorded before the first connection is sent after it, the
// first 1,000 lines, in order, and the rest is counted.
func TestServerDownAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		var log bytes.Buffer
		c := start(t, p.options(statsd.Options{Aggregate: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))}))
		for i := range 1200 {
			c.Gauge("g", float64(i))
		}
		time.Sleep(time.Minute)
		stats := c.Stats()
		if stats.Connected || !errors.Is(stats.LastError, errDown) || stats.QueuedLines != 1000 || stats.Dropped.QueueFull != 200 {
			t.Errorf("while down: %+v", stats)
		}
		if n := p.attempts(); n < 8 || n > 20 {
			t.Errorf("%d attempts in a minute", n)
		}
		p.setDown(false)
		got := collect(<-p.ends)
		end(t, c)
		var want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&want, "g:%d|g\n", i)
		}
		if text := <-got; text != want.String() {
			t.Errorf("received %d bytes, want %d", len(text), want.Len())
		}
		if n := strings.Count(log.String(), "no connection"); n != 1 || strings.Count(log.String(), "again") != 1 || strings.Count(log.String(), "queue of metrics is full") != 1 {
			t.Errorf("the log:\n%s", log.String())
		}
	})
}

// TestDropOldest keeps the newest lines.
func TestDropOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		c := start(t, p.options(statsd.Options{Aggregate: -1, DropOldest: true, QueueLines: 10}))
		for i := range 25 {
			c.Gauge("g", float64(i))
		}
		p.setDown(false)
		got := collect(<-p.ends)
		end(t, c)
		if text := lines(<-got); len(text) != 10 || text[0] != "g:15|g" || text[9] != "g:24|g" {
			t.Errorf("received %q", text)
		}
		if stats := c.Stats(); stats.Dropped.Oldest != 15 || stats.Dropped.Total() != 15 || stats.Sent != 10 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestQueueBytes bounds the bytes as well.
func TestQueueBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		c := start(t, p.options(statsd.Options{Aggregate: -1, QueueLines: -1, QueueBytes: 10_000}))
		for range 1000 {
			c.Incr(strings.Repeat("x", 96), 1) // 100 bytes a line
		}
		if stats := c.Stats(); stats.QueuedLines != 100 || stats.QueuedBytes != 10_000 || stats.Dropped.QueueFull != 900 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestServerNeverReads: nobody waits for it, what does not fit is counted, and Close ends
// when it is told to.
func TestServerNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		c := start(t, p.options(statsd.Options{Aggregate: -1}))
		synctest.Wait()
		before := time.Now()
		for range 5000 {
			c.Incr("n", 1)
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("the calls waited for %s", waited)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		before = time.Now()
		err := c.Close(ctx)
		if waited := time.Since(before); err == nil || waited != 2*time.Second {
			t.Errorf("Close: %v after %s", err, waited)
		}
		if stats := c.Stats(); stats.Sent+stats.Dropped.Total() != 5000 || stats.Dropped.Closed == 0 || stats.QueuedLines != 0 {
			t.Errorf("%+v", stats)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		c.Incr("late", 1)
		if stats := c.Stats(); stats.Sent+stats.Dropped.Total() != 5001 {
			t.Errorf("after a late call: %+v", stats)
		}
	})
}

// TestHalfOpen: a server that vanished without a word is given up after 10 s, and what it
// did not take goes to the next one.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		c := start(t, p.options(statsd.Options{Aggregate: -1}))
		vanished := <-p.ends
		c.Incr("n", 1)
		c.Incr("n", 2)
		half := make([]byte, 9) // the first line and two bytes of the second
		if _, err := io.ReadFull(vanished, half); err != nil {
			t.Fatal(err)
		}
		got := collect(<-p.ends)
		end(t, c)
		if text := <-got; text != "n:2|c\n" {
			t.Errorf("the second connection got %q", text)
		}
		if stats := c.Stats(); stats.Sent != 2 || stats.Connections != 2 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestCloseWithoutServer: Close tries as long as it may, and counts what it could not send.
func TestCloseWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		c := start(t, p.options(statsd.Options{}))
		c.Incr("added", 1)
		c.Incr("added", 1)
		c.Timing("t", time.Second)
		before := time.Now()
		if err := c.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "2 metrics") {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(before); took != 5*time.Second {
			t.Errorf("without a deadline Close took %s", took)
		}
		if stats := c.Stats(); stats.Dropped.Closed != 2 || stats.Dropped.Total() != 2 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestCloseWhenNothingWaits does not wait for a server.
func TestCloseWhenNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		c := start(t, p.options(statsd.Options{}))
		before := time.Now()
		if err := c.Close(t.Context()); err != nil || time.Since(before) != 0 {
			t.Errorf("Close: %v after %s", err, time.Since(before))
		}
	})
}

// TestDialHangs: Close also ends an attempt to connect.
func TestDialHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, statsd.Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		c.Incr("n", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		if err := c.Close(ctx); err == nil || time.Since(before) != time.Second {
			t.Errorf("Close: %v after %s", err, time.Since(before))
		}
	})
}

// elsewhere is a connection to another address.
type elsewhere struct {
	net.Conn
	address string
}

func (e elsewhere) RemoteAddr() net.Addr { return &net.UnixAddr{Name: e.address, Net: "test"} }

// TestNameMoves: the name of a UDP server is looked up again once a minute.
func TestNameMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		address, lookups := "192.0.2.1", 0
		got := map[string]string{}
		c := start(t, statsd.Options{Address: "udp://statsd.example", Aggregate: -1, Dial: func(_ context.Context, network, name string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if lookups++; network != "udp" || name != "statsd.example:8125" {
				t.Errorf("asked for %s %s", network, name)
			}
			if address == "" {
				return nil, errDown // the name is not known any more
			}
			ours, theirs := net.Pipe()
			all, from := collect(theirs), address
			go func() {
				text := <-all
				mu.Lock()
				defer mu.Unlock()
				got[from] += text
			}()
			return elsewhere{ours, address}, nil
		}})
		move := func(to string) {
			mu.Lock()
			defer mu.Unlock()
			address = to
		}
		for second := range 200 {
			switch second {
			case 70:
				move("192.0.2.2")
			case 130:
				move("")
			}
			c.Incr("n", 1)
			time.Sleep(time.Second)
		}
		end(t, c)
		synctest.Wait()
		one, two := strings.Count(got["192.0.2.1"], "n:1|c"), strings.Count(got["192.0.2.2"], "n:1|c")
		if one < 110 || one > 130 || one+two != 200 || lookups != 4 {
			t.Errorf("%d at the first address, %d at the second, %d lookups", one, two, lookups)
		}
	})
}

// TestSlowNames: while the name is looked up again, which takes long, lines go to where they
// went before.
func TestSlowNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		lookups := 0
		var got <-chan string
		c := start(t, statsd.Options{Address: "udp://statsd.example", Aggregate: -1, QueueLines: 5, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if lookups++; lookups > 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			ours, theirs := net.Pipe()
			got = collect(theirs)
			return elsewhere{ours, "192.0.2.1"}, nil
		}})
		for range 100 {
			c.Incr("n", 1)
			time.Sleep(time.Second)
		}
		end(t, c)
		if n := strings.Count(<-got, "n:1|c"); n != 100 || lookups != 2 {
			t.Errorf("%d lines of 100, %d lookups; %+v", n, lookups, c.Stats())
		}
	})
}

// TestNewStreamAsksAgain: a stream's name is looked up for every connection.
func TestNewStreamAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		c := start(t, p.options(statsd.Options{Aggregate: -1}))
		for range 5 {
			time.Sleep(10 * time.Second)
			if err := (<-p.ends).Close(); err != nil {
				t.Fatal(err)
			}
		}
		got := collect(<-p.ends)
		c.Incr("n", 1)
		end(t, c)
		if text := <-got; text != "n:1|c\n" || len(p.asked) != 6 {
			t.Errorf("received %q after %q", text, p.asked)
		}
	})
}

// TestAddsUpWhileAway: no outage is too long for what is added up.
func TestAddsUpWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		p.setDown(true)
		c := start(t, p.options(statsd.Options{}))
		for range 3600 {
			c.Incr("requests", 2)
			c.Gauge("load", 0.5)
			c.GaugeDelta("open", 1)
			c.Set("users", "anna")
			time.Sleep(time.Second)
		}
		p.setDown(false)
		got := collect(<-p.ends)
		end(t, c)
		want := map[string]bool{"requests:7200|c": true, "load:0.5|g": true, "open:+3600|g": true, "users:anna|s": true}
		for _, line := range lines(<-got) {
			if !want[line] {
				t.Errorf("received %q", line)
			}
			delete(want, line)
		}
		if len(want) > 0 || c.Stats().Dropped.Total() != 0 {
			t.Errorf("not received: %v; %+v", want, c.Stats())
		}
	})
}

// TestIdleSeriesGo: series that are not heard of any more make room for others.
func TestIdleSeriesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		c := start(t, p.options(statsd.Options{MaxSeries: 1000}))
		got := collect(<-p.ends)
		for round := range 5 {
			for i := range 1000 {
				c.Incr(fmt.Sprintf("round%d.n%d", round, i), 1)
			}
			if n := c.Stats().Series; n != 1000 {
				t.Errorf("round %d: %d series", round, n)
			}
			time.Sleep(15 * time.Second)
			// They are looked for as soon as they are a quarter of all.
			if n := c.Stats().Series; n >= 250 {
				t.Errorf("round %d: %d series are left", round, n)
			}
		}
		end(t, c)
		if n := strings.Count(<-got, ":1|c\n"); n != 5000 || c.Stats().Dropped.Total() > 0 {
			t.Errorf("%d lines; %+v", n, c.Stats())
		}
	})
}

// TestUnixSockets: a server that goes and comes back, over real sockets.
func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c := start(t, statsd.Options{Address: "unix://" + path, Aggregate: -1})
	c.Incr("before", 1)
	for i := range 3 {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn := (&stream{listener: l}).accept(t)
		c.Incr("during", int64(i))
		in := bufio.NewScanner(conn)
		for want := fmt.Sprintf("during:%d|c", i); in.Scan() && in.Text() != want; {
			if in.Text() != "before:1|c" || i > 0 {
				t.Errorf("received %q", in.Text())
			}
		}
		if err := errors.Join(conn.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFramed: in a stream of packets each has its length before it.
func TestFramed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	got := (&stream{"unixstream://" + path, l}).record(t, statsd.Options{Dialect: statsd.DogStatsD, Aggregate: -1, PacketSize: 12}, func(c *statsd.Client) {
		c.Incr("a", 1)
		c.Gauge("b", -2)
		c.Incr("c", 3)
	})
	if want := "\x0c\x00\x00\x00a:1|c\nb:-2|g\x05\x00\x00\x00c:3|c"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

// TestRefused: datagrams that nobody takes are uncertain, the others wait.
func TestRefused(t *testing.T) {
	s := listenPackets(t, "udp")
	address := s.conn.LocalAddr().String()
	if err := s.conn.Close(); err != nil {
		t.Fatal(err)
	}
	c := start(t, statsd.Options{Address: "udp://" + address, Aggregate: -1})
	c.Incr("lost", 1)
	for c.Stats().Uncertain == 0 { // the system tells it as soon as the line is sent
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_ = c.Flush(ctx) // which waits as long as nobody listens
		cancel()
	}
	c.Incr("kept", 1)
	conn, err := net.ListenPacket("udp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		t.Skip("the port has been taken by another program")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	defer func() { _ = conn.Close() }()
	for !strings.HasSuffix(s.next(t), "kept:1|c") {
	}
	end(t, c)
	stats := c.Stats()
	if stats.Uncertain == 0 || stats.Uncertain >= stats.Sent || stats.Dropped.Total() > 0 {
		t.Errorf("%+v", stats)
	}
}

// TestNilClient calls every method there is on a client that is off.
func TestNilClient(t *testing.T) {
	c, err := statsd.New(statsd.Options{Off: true, Address: "nonsense"})
	if c != nil || err != nil {
		t.Fatalf("New = %v, %v", c, err)
	}
	v := reflect.ValueOf(c)
	for i := range v.NumMethod() {
		m := v.Method(i)
		var args []reflect.Value
		for j := range m.Type().NumIn() {
			switch in := m.Type().In(j); {
			case m.Type().IsVariadic() && j == m.Type().NumIn()-1:
			case in == reflect.TypeFor[context.Context]():
				args = append(args, reflect.ValueOf(t.Context()))
			default:
				args = append(args, reflect.Zero(in))
			}
		}
		for _, result := range m.Call(args) {
			if err, ok := result.Interface().(error); ok && err != nil {
				t.Errorf("%s: %v", v.Type().Method(i).Name, err)
			}
		}
	}
	c.StartTimer("t").Stop()
	c.WithPrefix("p").WithTags("t").WithRate(0.5).Incr("n", 1)
}
