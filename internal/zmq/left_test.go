package zmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

var errAgain = errors.New("again")

// turns are sockets that follow each other at one address.
type turns struct {
	t    *testing.T
	at   Address
	addr net.Addr
	end  func(cause error) *Left // the present one's
}

// next runs a socket that takes over from the one before.
func (u *turns) next(bind func(ctx context.Context, a Address) (*Left, error)) {
	u.t.Helper()
	a := u.at
	if u.end != nil {
		if a.Before = u.end(errAgain); a.Before == nil {
			u.t.Fatal("nothing is left")
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	bound, ended := make(chan net.Addr, 1), make(chan *Left, 1)
	a.Bound = func(at net.Addr) { bound <- at }
	go func() {
		left, err := bind(ctx, a)
		if err != nil {
			u.t.Error(err)
		}
		ended <- left
	}()
	u.end = func(cause error) *Left {
		cancel(cause)
		return <-ended
	}
	u.addr = <-bound
}

func (u *turns) stop() {
	if left := u.end(nil); left != nil {
		u.t.Error("something is left at the end")
	}
}

// securities are both sides of each mechanism.
func securities(t *testing.T) map[string][2]Security {
	server, client := pair(t), pair(t)
	return map[string][2]Security{
		"null":  {},
		"plain": {{Mechanism: zmtp.Plain, Users: map[string]string{"a": "b"}}, {Mechanism: zmtp.Plain, User: "a", Password: "b"}},
		"curve": {{Mechanism: zmtp.Curve, Keys: server, Clients: map[zmtp.Key]bool{client.Public: true}}, {Mechanism: zmtp.Curve, Keys: client, ServerKey: server.Public}},
	}
}

func client(s Security, typ string) zmtp.Config {
	return zmtp.Config{Socket: typ, Mechanism: s.Mechanism, Keys: s.Keys, ServerKey: s.ServerKey, Credentials: zmtp.Credentials{User: s.User, Password: s.Password}}
}

// TestReceiverIsFollowed: receivers follow each other while peers send in pieces and connect:
// every message arrives, in order, and no connection breaks.
func TestReceiverIsFollowed(t *testing.T) {
	for name, security := range securities(t) {
		for _, at := range []string{"tcp://127.0.0.1:0", "ipc://" + filepath.Join(t.TempDir(), "s")} {
			t.Run(name+" "+at[:3], func(t *testing.T) { follow(t, security, at) })
		}
	}
}

func follow(t *testing.T, security [2]Security, at string) {
	got := &inbox{got: make(chan string, 100_000)}
	e := newEvents()
	u := &turns{t: t, at: Address{Endpoint: endpoint(t, at)}}
	next := func() {
		r, err := NewReceiver(Options{Type: zmtp.Pull, Security: security[0], Event: e.add, Reload: errAgain}, func(Peer) Taker { return &inbox{got: got.got} })
		if err != nil {
			t.Fatal(err)
		}
		u.next(r.Bind)
	}
	next()
	const peers, messages = 3, 300
	var sending sync.WaitGroup
	for k := range peers {
		p := dial(t, u.addr, client(security[1], zmtp.Push))
		p.step = 1 + 6*k
		sending.Go(func() { // the handshake is cut into pieces as well
			p.write(p.session.Greet(nil))
			if item, err := p.receive(); err != nil || item.Kind != zmtp.Ready {
				t.Errorf("no handshake: %v, %v", item, err)
				return
			}
			for i := range messages {
				p.send(fmt.Sprint(k), fmt.Sprint(i), strings.Repeat("x", i%90))
			}
		})
	}
	had := map[string]int{}
	for n := 0; n < peers*messages; n++ {
		if n%60 == 0 {
			next()
		}
		select {
		case m := <-got.got:
			parts := strings.Split(m, " ")
			if parts[1] != fmt.Sprint(had[parts[0]]) {
				t.Fatalf("peer %s: message %s comes after %d", parts[0], parts[1], had[parts[0]])
			}
			had[parts[0]]++
		case <-time.After(patience):
			t.Fatalf("messages do not come: %v", had)
		}
	}
	sending.Wait()
	u.stop()
	e.wait(t, Connected, peers)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n[Connected] != peers || e.n[Disconnected] != peers || len(e.n) != 2 {
		t.Errorf("what happened: %v", e.n)
	}
}

// TestPublisherIsFollowed: what waits for a peer that does not read goes to the publisher that
// follows, with what the peer wants.
func TestPublisherIsFollowed(t *testing.T) {
	for name, security := range securities(t) {
		t.Run(name, func(t *testing.T) {
			u := &turns{t: t, at: Address{Endpoint: endpoint(t, "tcp://127.0.0.1:0")}}
			var p *Publisher
			next := func() {
				var err error
				p, err = NewPublisher(Options{Security: security[0], Reload: errAgain, Limits: Limits{Queue: 1 << 20, QueueBytes: 1 << 30}, Lost: func(n int) { t.Errorf("%d are lost", n) }})
				if err != nil {
					t.Fatal(err)
				}
				u.next(p.Bind)
			}
			next()
			s := dial(t, u.addr, client(security[1], zmtp.Sub))
			s.greet()
			s.write(s.session.AppendSubscription(nil, []byte("PL"), true))
			wanted(t, p, "PL")
			body := strings.Repeat("x", 20_000)
			const rounds, each = 6, 100 // more than the kernel holds
			for round := range rounds {
				for i := range each {
					if sent, full := p.Send([]byte("PLJ"), fmt.Append(nil, round*each+i), []byte(body)); sent != 1 || full != 0 {
						t.Fatalf("sent %d, full %d", sent, full)
					}
				}
				next()
				for end := time.Now().Add(patience); p.Peers() != 1; <-time.After(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("the peer is gone")
					}
				}
			}
			for i := range rounds * each {
				if got := s.message(); got != fmt.Sprintf("PLJ %d %s", i, body) {
					t.Fatalf("got %.20q, want %d", got, i)
				}
			}
			u.stop()
		})
	}
}

// TestNobodyFollows: what is left is closed, and what waited for peers is counted as lost; so is
// what the follower does not allow.
func TestNobodyFollows(t *testing.T) {
	for name, allow := range map[string][]netip.Prefix{"closed": nil, "refused": {netip.MustParsePrefix("192.0.2.0/24")}} {
		t.Run(name, func(t *testing.T) {
			e, lost := newEvents(), make(chan int, 2)
			made := func(allow []netip.Prefix) *Publisher {
				p, err := NewPublisher(Options{Security: Security{Allow: allow}, Event: e.add, Reload: errAgain, Lost: func(n int) { lost <- n }, Limits: Limits{Queue: 1 << 20, QueueBytes: 1 << 30}})
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			u := &turns{t: t, at: Address{Endpoint: endpoint(t, "tcp://127.0.0.1:0")}}
			p := made(nil)
			u.next(p.Bind)
			s := sub(t, u.addr, "")
			wanted(t, p, "")
			for range 1000 {
				p.Send([]byte(strings.Repeat("x", 20_000)))
			}
			if allow == nil {
				if err := u.end(errAgain).Close(); err != nil {
					t.Error(err)
				}
			} else {
				u.next(made(allow).Bind)
				e.wait(t, Refused, 1)
				defer u.stop()
			}
			select {
			case n := <-lost:
				if n < 100 || n > 1000 {
					t.Errorf("%d are lost", n)
				}
			case <-time.After(patience):
				t.Error("nothing is lost")
			}
			_ = s.conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, s.conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("the connection stays open")
			}
		})
	}
}

// TestConnectionIsFollowed: a receiver that connects goes on with the connection of the one before.
func TestConnectionIsFollowed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := &inbox{got: make(chan string, 1000)}
	u := &turns{t: t, at: Address{Endpoint: endpoint(t, "tcp://"+l.Addr().String())}}
	next := func() {
		r, err := NewReceiver(Options{Type: zmtp.Sub, Topics: []string{"P"}, Reload: errAgain}, func(Peer) Taker { return &inbox{got: got.got} })
		if err != nil {
			t.Fatal(err)
		}
		u.next(func(ctx context.Context, a Address) (*Left, error) {
			a.State = func(err error) {
				if err != nil {
					t.Error(err)
					return
				}
				a.Bound(l.Addr())
			}
			return r.Connect(ctx, a), nil
		})
	}
	var p *peer
	ready := make(chan bool)
	go func() {
		defer close(ready)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		s, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Pub, Server: true})
		if err != nil {
			t.Error(err)
			return
		}
		p = &peer{t: t, conn: conn, session: s}
		if _, err := conn.Write(s.Greet(nil)); err != nil {
			t.Error(err)
		}
		if item, err := p.receive(); err != nil || item.Kind != zmtp.Ready {
			t.Error(item, err)
		}
	}()
	next()
	<-ready
	defer p.conn.Close()
	if item := p.next(); item.Kind != zmtp.Subscribe || string(item.Body) != "P" {
		t.Fatalf("%+v", item)
	}
	for i := range 20 {
		p.send("P", fmt.Sprint(i))
		next()
		got.want(t, fmt.Sprint("P ", i))
	}
	u.stop()
}
