package zmq

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

func publish(t *testing.T, o Options) (*Publisher, net.Addr) {
	t.Helper()
	p, err := NewPublisher(o)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := serve(t, func(ctx context.Context, bound func(net.Addr)) error {
		return closed(p.Bind(ctx, Address{Endpoint: endpoint(t, "tcp://127.0.0.1:0"), Bound: bound}))
	})
	return p, at
}

// wanted waits until a peer wants a topic.
func wanted(t *testing.T, p *Publisher, topic string) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		p.mu.Lock()
		for s := range p.peers {
			if s.wants([]byte(topic)) {
				p.mu.Unlock()
				return
			}
		}
		p.mu.Unlock()
		if time.Now().After(end) {
			t.Fatalf("nobody wants %s", topic)
		}
	}
}

func unwanted(t *testing.T, p *Publisher, topic string) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		if sent, full := p.Send([]byte(topic)); sent+full == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("somebody wants %s", topic)
		}
	}
}

// sub connects as a SUB that wants topics.
func sub(t *testing.T, at net.Addr, topics ...string) *peer {
	t.Helper()
	p := dial(t, at, zmtp.Config{Socket: zmtp.Sub})
	p.greet()
	for _, topic := range topics {
		p.write(p.session.AppendSubscription(nil, []byte(topic), true))
	}
	return p
}

// message waits for a message.
func (p *peer) message() string {
	p.t.Helper()
	var parts []string
	for {
		item := p.next()
		if item.Kind != zmtp.Frame {
			p.t.Fatalf("got %+v", item)
		}
		if parts = append(parts, string(item.Body)); !item.More {
			return strings.Join(parts, " ")
		}
	}
}

func TestSubscriptions(t *testing.T) {
	p, at := publish(t, Options{})
	s := sub(t, at, "PL", "TLJ", "PL")
	wanted(t, p, "TLJ")
	wanted(t, p, "PLJ")
	for _, topic := range []string{"SLJ", "PL", "PLP", "P", "", "TLJ", "TLP"} {
		p.Send([]byte(topic), []byte("to "+topic))
	}
	for _, want := range []string{"PL to PL", "PLP to PLP", "TLJ to TLJ"} {
		if got := s.message(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s.write(s.session.AppendSubscription(nil, []byte("TLJ"), false))
	unwanted(t, p, "TLJ")
	s.write(s.session.AppendSubscription(nil, []byte("PL"), false)) // it was wanted twice
	s.write(s.session.AppendSubscription(nil, []byte("X"), true))
	wanted(t, p, "X")
	p.Send([]byte("PLJ"), []byte("still"))
	if got := s.message(); !strings.HasSuffix(got, "still") && got != "TLJ" {
		t.Errorf("got %q", got)
	}
	s.write(s.session.AppendSubscription(nil, []byte("PL"), false))
	unwanted(t, p, "PLJ")
	// Peers of version 3.0 say what they want in messages.
	s.write([]byte("\x00\x04\x01OLD"))
	wanted(t, p, "OLDER")
	s.write([]byte("\x00\x04\x00OLD"))
	unwanted(t, p, "OLDER")
}

// TestSlowSubscriber: one that does not read loses messages, which are counted, and holds up
// neither the publisher nor another subscriber.
func TestSlowSubscriber(t *testing.T) {
	e := newEvents()
	p, at := publish(t, Options{Event: e.add, Limits: Limits{Queue: 10, QueueBytes: 1 << 20, Unfinished: 300 * time.Millisecond}})
	sub(t, at, "")
	wanted(t, p, "")
	fast := sub(t, at, "fast")
	for p.Peers() < 2 || !bothWant(p) {
		<-time.After(time.Millisecond)
	}
	body := []byte(strings.Repeat("x", 100<<10))
	dropped := 0
	for i := range 500 {
		_, full := p.Send([]byte("slow"), body)
		dropped += full
		if i%100 == 0 {
			p.Send(fmt.Appendf(nil, "fast%d", i))
			if got := fast.message(); got != fmt.Sprintf("fast%d", i) {
				t.Fatalf("got %q", got)
			}
		}
	}
	if dropped == 0 {
		t.Error("50 MB wait for a peer that does not read")
	}
	e.wait(t, QueueFull, dropped)
	e.wait(t, NotReading, 1) // it is cut off in the end
	p.Send([]byte("fast"))
	if got := fast.message(); got != "fast" {
		t.Errorf("got %q", got)
	}
}

func bothWant(p *Publisher) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for s := range p.peers {
		if s.wants([]byte("fast")) {
			n++
		}
	}
	return n == 2
}

// TestEase: a burst that is longer than the queue reaches a peer that takes it as it comes, and
// one that takes nothing is waited for once.
func TestEase(t *testing.T) {
	p, at := publish(t, Options{Limits: Limits{Queue: 20}})
	fast := sub(t, at, "a")
	wanted(t, p, "a")
	const n = 2000
	got := make(chan int)
	go func() {
		defer close(got)
		for i := range n {
			if fast.message() != fmt.Sprint("a ", i) {
				got <- i
				return
			}
		}
	}()
	for i := range n {
		if sent, full := p.Send([]byte("a"), fmt.Append(nil, i)); sent != 1 || full != 0 {
			t.Fatalf("message %d: sent %d, full %d", i, sent, full)
		}
		p.Ease(t.Context())
	}
	if i, bad := <-got; bad {
		t.Errorf("message %d is not the next one", i)
	}
	sub(t, at, "stuck")
	wanted(t, p, "stuck")
	body := []byte(strings.Repeat("x", 100<<10))
	for late := false; !late; { // what the kernel holds comes first
		for full := 0; full == 0; {
			_, full = p.Send([]byte("stuck"), body)
		}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		p.Ease(short)
		late = short.Err() != nil
		cancel()
	}
	p.Ease(t.Context()) // returns
}

// TestLateSubscriber gets what is sent from then on.
func TestLateSubscriber(t *testing.T) {
	p, at := publish(t, Options{})
	if sent, full := p.Send([]byte("a")); sent+full != 0 {
		t.Error("there is nobody")
	}
	s := sub(t, at, "")
	wanted(t, p, "")
	p.Send([]byte("b"), []byte("c"))
	if got := s.message(); got != "b c" {
		t.Errorf("got %q", got)
	}
}

// TestTooManyTopics: a peer cannot want without bounds.
func TestTooManyTopics(t *testing.T) {
	e := newEvents()
	_, at := publish(t, Options{Event: e.add})
	s := sub(t, at)
	go func() {
		var b []byte
		for i := range 100 {
			b = s.session.AppendSubscription(b[:0], append([]byte(strings.Repeat("x", 60_000)), byte(i)), true)
			if _, err := s.conn.Write(b); err != nil {
				return
			}
		}
	}()
	readAll(t, s.conn)
	e.wait(t, TooLong, 1)
}

// TestLinger: what waits for a peer when the end comes still reaches it.
func TestLinger(t *testing.T) {
	p, err := NewPublisher(Options{Limits: Limits{Queue: 5000, QueueBytes: 64 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	at, stop := serve(t, func(ctx context.Context, bound func(net.Addr)) error {
		return closed(p.Bind(ctx, Address{Endpoint: endpoint(t, "tcp://127.0.0.1:0"), Bound: bound}))
	})
	s := sub(t, at, "")
	wanted(t, p, "")
	body := []byte(strings.Repeat("x", 10_000))
	for i := range 200 {
		p.Send(fmt.Append(nil, i), body)
	}
	go stop()
	for i := range 200 {
		if got := s.message(); !strings.HasPrefix(got, fmt.Sprint(i, " ")) {
			t.Fatalf("got %.20q, want %d", got, i)
		}
	}
}
