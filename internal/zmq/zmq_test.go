package zmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// events counts what a socket tells.
type events struct {
	mu   sync.Mutex
	cond *sync.Cond
	n    map[string]int
}

func newEvents() *events {
	e := &events{n: map[string]int{}}
	e.cond = sync.NewCond(&e.mu)
	return e
}

func (e *events) add(event string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n[event]++
	e.cond.Broadcast()
}

// wait waits until something has happened n times.
func (e *events) wait(t *testing.T, event string, n int) {
	t.Helper()
	late := time.Now().Add(patience)
	defer time.AfterFunc(patience, e.cond.Broadcast).Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.n[event] < n {
		if time.Now().After(late) {
			t.Fatalf("%q did not happen %d times: %v", event, n, e.n)
		}
		e.cond.Wait()
	}
}

// inbox is the Taker of all connections of a receiver.
type inbox struct {
	got   chan string
	block chan struct{} // Flush waits for it, unless nil
	some  int           // since the last flush
}

func (b *inbox) Message(_ context.Context, parts [][]byte) error {
	var text []string
	for _, p := range parts {
		text = append(text, shown(p))
	}
	b.got <- strings.Join(text, " ")
	b.some++
	return nil
}

func shown(p []byte) string {
	if len(p) > 100 {
		return fmt.Sprintf("%d bytes", len(p))
	}
	return string(p)
}

func (b *inbox) Flush(ctx context.Context) error {
	if b.block == nil || b.some == 0 {
		return nil
	}
	b.some = 0
	select {
	case <-b.block:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *inbox) Close(context.Context) {}

func (b *inbox) want(t *testing.T, messages ...string) {
	t.Helper()
	for _, m := range messages {
		select {
		case got := <-b.got:
			if got != m {
				t.Fatalf("got %q, want %q", got, m)
			}
		case <-time.After(patience):
			t.Fatalf("%q does not come", m)
		}
	}
}

// receiver is one that listens, with what it got.
type receiver struct {
	*inbox
	*events
	addr   net.Addr
	stop   func()
	socket *socket
}

func receive(t *testing.T, o Options, at string) *receiver {
	t.Helper()
	r := &receiver{inbox: &inbox{got: make(chan string, 10_000)}, events: newEvents()}
	if o.Type == "" {
		o.Type = zmtp.Pull
	}
	o.Event = r.add
	made, err := NewReceiver(o, func(Peer) Taker { return &inbox{got: r.got, block: r.block} })
	if err != nil {
		t.Fatal(err)
	}
	r.socket = made.socket
	r.addr, r.stop = serve(t, func(ctx context.Context, bound func(net.Addr)) error {
		return closed(made.Bind(ctx, Address{Endpoint: endpoint(t, at), Bound: bound}))
	})
	return r
}

// serve runs what listens until the test, or stop, ends it.
func serve(t *testing.T, bind func(context.Context, func(net.Addr)) error) (at net.Addr, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- bind(ctx, func(a net.Addr) { bound <- a }) }()
	select {
	case at = <-bound:
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return at, stop
}

// closed returns the error of a socket that leaves nothing open.
func closed(left *Left, err error) error {
	if left != nil {
		return errors.Join(err, errors.New("something is open"))
	}
	return err
}

func endpoint(t *testing.T, text string) Endpoint {
	t.Helper()
	e, err := ParseEndpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// peer is the other end of a connection, by hand.
type peer struct {
	t       *testing.T
	conn    net.Conn
	session *zmtp.Session
	in      []byte
	step    int // bytes that are written at a time, 0 is all
}

func dial(t *testing.T, at net.Addr, c zmtp.Config) *peer {
	t.Helper()
	conn, err := net.Dial(at.Network(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s, err := zmtp.NewSession(c)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn, session: s}
}

// push connects as a PUSH whose handshake is over.
func push(t *testing.T, at net.Addr) *peer {
	t.Helper()
	p := dial(t, at, zmtp.Config{Socket: zmtp.Push})
	p.greet()
	return p
}

func (p *peer) greet() {
	p.t.Helper()
	p.write(p.session.Greet(nil))
	if item := p.next(); item.Kind != zmtp.Ready {
		p.t.Fatalf("no handshake: %+v", item)
	}
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	step := p.step
	if step == 0 {
		step = max(len(b), 1)
	}
	for chunk := range slices.Chunk(b, step) {
		if _, err := p.conn.Write(chunk); err != nil {
			p.t.Fatal(err)
		}
	}
}

// next waits for something.
func (p *peer) next() zmtp.Item {
	p.t.Helper()
	item, err := p.receive()
	if err != nil {
		p.t.Fatal(err)
	}
	return item
}

func (p *peer) receive() (zmtp.Item, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		item, n, out, err := p.session.Receive(p.in, nil)
		p.in = p.in[n:]
		if err != nil {
			return item, err
		}
		p.write(out)
		if item.Kind != zmtp.Nothing {
			return item, nil
		}
		if n > 0 {
			continue
		}
		b := make([]byte, 4096)
		n, err = p.conn.Read(b)
		if p.in = append(p.in, b[:n]...); err != nil {
			return item, err
		}
	}
}

func (p *peer) send(parts ...string) {
	p.t.Helper()
	var b []byte
	for i, part := range parts {
		b = p.session.AppendFrame(b, []byte(part), i < len(parts)-1)
	}
	p.write(b)
}

// closed waits until the other side has closed the connection.
func (p *peer) closed() {
	p.t.Helper()
	for {
		if _, err := p.receive(); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				p.t.Fatal("the connection stays open")
			}
			return
		}
	}
}

func TestPull(t *testing.T) {
	for _, at := range []string{"tcp://127.0.0.1:0", "ipc://" + filepath.Join(t.TempDir(), "s"), "ipc://@weir-test-" + t.Name()} {
		r := receive(t, Options{}, at)
		p := push(t, r.addr)
		p.send("PLJ", "{}")
		p.send("one")
		p.send("", "", "")
		p.send("PLJ", strings.Repeat("x", 300_000))
		p.step = 1
		p.send("PLJ", strings.Repeat("y", 400))
		r.want(t, "PLJ {}", "one", "  ", "PLJ 300000 bytes", "PLJ 400 bytes")
		r.stop()
	}
}

// TestSegments sends a whole connection in segments of each small size.
func TestSegments(t *testing.T) {
	r := receive(t, Options{}, "tcp://127.0.0.1:0")
	for step := 1; step < 80; step += 3 {
		p := dial(t, r.addr, zmtp.Config{Socket: zmtp.Push})
		_ = p.conn.(*net.TCPConn).SetNoDelay(true)
		p.step = step
		p.greet()
		p.send("PLJ", strings.Repeat("z", step))
		p.send("PLP", strings.Repeat("long", 500))
		r.want(t, "PLJ "+strings.Repeat("z", step), "PLP 2000 bytes")
		p.conn.Close()
	}
}

// TestMechanisms has every mechanism both ways: weir listens, or connects.
func TestMechanisms(t *testing.T) {
	server, client, stranger := pair(t), pair(t), pair(t)
	plain := Security{Mechanism: zmtp.Plain, Users: map[string]string{"app": "secret"}, User: "app", Password: "secret"}
	curve := Security{Mechanism: zmtp.Curve, Keys: server, ServerKey: server.Public, Clients: map[zmtp.Key]bool{client.Public: true, server.Public: true}}
	for name, test := range map[string]struct {
		security  Security
		good, bad zmtp.Config
	}{
		"plain": {plain, zmtp.Config{Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: "app", Password: "secret"}},
			zmtp.Config{Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: "app", Password: "Secret"}}},
		"plain, a stranger": {plain, zmtp.Config{Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: "app", Password: "secret"}},
			zmtp.Config{Mechanism: zmtp.Plain}},
		"curve": {curve, zmtp.Config{Mechanism: zmtp.Curve, Keys: client, ServerKey: server.Public},
			zmtp.Config{Mechanism: zmtp.Curve, Keys: stranger, ServerKey: server.Public}},
		"curve, another server": {curve, zmtp.Config{Mechanism: zmtp.Curve, Keys: client, ServerKey: server.Public},
			zmtp.Config{Mechanism: zmtp.Curve, Keys: client, ServerKey: stranger.Public}},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t, Options{Security: test.security}, "tcp://127.0.0.1:0")
			test.good.Socket, test.bad.Socket = zmtp.Push, zmtp.Push
			p := dial(t, r.addr, test.good)
			p.greet()
			p.send("PLJ", "hello")
			p.send("PLJ", strings.Repeat("x", 100_000))
			r.want(t, "PLJ hello", "PLJ 100000 bytes")
			q := dial(t, r.addr, test.bad)
			q.write(q.session.Greet(nil))
			q.closed()
			r.wait(t, BadKey, 1)
			push := dial(t, r.addr, zmtp.Config{Socket: zmtp.Push})
			push.write(push.session.Greet(nil))
			push.closed()
			r.wait(t, BadMechanism, 1)
		})
	}
	t.Run("to another of ours", func(t *testing.T) {
		for _, security := range []Security{{}, plain, curve} {
			publisher, at := publish(t, Options{Security: security})
			in := &inbox{got: make(chan string, 10)}
			sub, err := NewReceiver(Options{Type: zmtp.Sub, Security: security, Topics: []string{"P", "SL"}}, func(Peer) Taker { return in })
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() { defer close(ended); sub.Connect(ctx, Address{Endpoint: endpoint(t, "tcp://"+at.String())}) }()
			wanted(t, publisher, "SLJ")
			publisher.Send([]byte("TLJ"), []byte("not wanted"))
			publisher.Send([]byte("SPJ"), []byte("not wanted"))
			publisher.Send([]byte("PLJ"), []byte("wanted"))
			in.want(t, "PLJ wanted")
			cancel()
			<-ended
		}
	})
}

func pair(t *testing.T) zmtp.KeyPair {
	k, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	again, err := zmtp.PairOf(k.Secret)
	if err != nil || again != k {
		t.Fatalf("the pair of a secret key is %v, %v", again, err)
	}
	return k
}

// TestBackPressure: while a taker does not take, nothing is read, and the peer cannot send on
// for ever; after that all comes.
func TestBackPressure(t *testing.T) {
	r := &receiver{inbox: &inbox{got: make(chan string, 10_000), block: make(chan struct{})}, events: newEvents()}
	made, err := NewReceiver(Options{Type: zmtp.Pull, Event: r.add}, func(Peer) Taker { return r.inbox })
	if err != nil {
		t.Fatal(err)
	}
	r.addr, r.stop = serve(t, func(ctx context.Context, bound func(net.Addr)) error {
		return closed(made.Bind(ctx, Address{Endpoint: endpoint(t, "tcp://127.0.0.1:0"), Bound: bound}))
	})
	p := push(t, r.addr)
	body := strings.Repeat("x", 1<<20)
	sent := 0
	for ; ; sent++ {
		_ = p.conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		b := p.session.AppendFrame(nil, []byte(body), false)
		n, err := p.conn.Write(b)
		if err != nil {
			close(r.block)
			_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
			p.write(b[n:])
			break
		}
		if sent > 1000 {
			t.Fatal("a gigabyte was taken that nobody wanted")
		}
	}
	for range sent + 1 {
		r.want(t, "1048576 bytes")
	}
}

// TestDrain: what has come in when the end comes is taken.
func TestDrain(t *testing.T) {
	r := receive(t, Options{}, "tcp://127.0.0.1:0")
	r.block = make(chan struct{})
	p := push(t, r.addr)
	p.send("first")
	r.want(t, "first")
	for i := range 1000 {
		p.send(fmt.Sprint(i))
	}
	go r.stop()
	close(r.block)
	for i := range 1000 {
		r.want(t, fmt.Sprint(i))
	}
}

func TestAllow(t *testing.T) {
	r := receive(t, Options{Security: Security{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}, "tcp://127.0.0.1:0")
	p := dial(t, r.addr, zmtp.Config{Socket: zmtp.Push})
	p.closed()
	r.wait(t, Refused, 1)
	r = receive(t, Options{Security: Security{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, "tcp://127.0.0.1:0")
	push(t, r.addr).send("a")
	r.want(t, "a")
}

func TestConnections(t *testing.T) {
	r := receive(t, Options{Limits: Limits{Connections: 2}}, "tcp://127.0.0.1:0")
	a, b := push(t, r.addr), push(t, r.addr)
	dial(t, r.addr, zmtp.Config{Socket: zmtp.Push}).closed()
	r.wait(t, TooMany, 1)
	a.conn.Close()
	r.wait(t, Disconnected, 1)
	b.send("still there")
	r.want(t, "still there")
}

// TestConnectAgain: a connection that ends is made again.
func TestConnectAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	in := &inbox{got: make(chan string, 10)}
	pull, err := NewReceiver(Options{Type: zmtp.Pull}, func(Peer) Taker { return in })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	states := make(chan error, 100)
	go func() {
		defer close(ended)
		pull.Connect(ctx, Address{Endpoint: endpoint(t, "tcp://"+l.Addr().String()), State: func(err error) { states <- err }})
	}()
	for i := range 3 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Push, Server: true})
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, conn: conn, session: s}
		p.greet()
		p.send(fmt.Sprint(i))
		in.want(t, fmt.Sprint(i))
		conn.Close()
		if err := <-states; err != nil {
			t.Errorf("not ready: %v", err)
		}
		if err := <-states; err != io.EOF {
			t.Errorf("it ended with %v", err)
		}
	}
	cancel()
	<-ended
}
