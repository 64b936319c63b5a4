package zmq

import (
	"context"
	"net"
	"testing"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// nobody takes messages and does nothing.
type nobody struct{ n int }

func (b *nobody) Message(_ context.Context, parts [][]byte) error { b.n += len(parts); return nil }
func (b *nobody) Flush(context.Context) error                     { return nil }
func (b *nobody) Close(context.Context)                           {}

// TestDoesNotAllocate: messages cost no allocation.
func TestDoesNotAllocate(t *testing.T) {
	taken := &nobody{}
	r, err := NewReceiver(Options{Type: zmtp.Pull}, func(Peer) Taker { return taken })
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go func() {
		for b := make([]byte, 100); ; {
			if _, err := theirs.Read(b); err != nil {
				return
			}
		}
	}()
	c, err := r.socket.newConn(ours, true)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Push})
	if err != nil {
		t.Fatal(err)
	}
	hello := peer.Greet(nil)
	if _, _, hello, err = peer.Receive(c.session.Greet(nil), hello); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, _, err := c.frames(ctx, hello); err != nil || c.taker == nil {
		t.Fatal(err)
	}
	var messages []byte
	for range 10 {
		messages = peer.AppendFrame(messages, []byte("PLJ"), true)
		messages = peer.AppendFrame(messages, make([]byte, 700), false)
	}
	take := func() {
		if rest, _, err := c.frames(ctx, messages); err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
	}
	take()
	if n := testing.AllocsPerRun(100, take); n != 0 {
		t.Errorf("%v allocations for 10 messages", n)
	}
	if taken.n == 0 {
		t.Error("nothing was taken")
	}
}
