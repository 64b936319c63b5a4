package zmq

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

const mebi = 1 << 20

// secured are a receiver's security and a client that it lets in, for each mechanism.
func secured(t *testing.T) map[zmtp.Mechanism]struct {
	security Security
	client   zmtp.Config
} {
	t.Helper()
	keys, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	return map[zmtp.Mechanism]struct {
		security Security
		client   zmtp.Config
	}{
		zmtp.Null:  {Security{}, zmtp.Config{Socket: zmtp.Push}},
		zmtp.Plain: {Security{Mechanism: zmtp.Plain, Users: map[string]string{"a": "b"}}, zmtp.Config{Socket: zmtp.Push, Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: "a", Password: "b"}}},
		zmtp.Curve: {Security{Mechanism: zmtp.Curve, Keys: keys}, zmtp.Config{Socket: zmtp.Push, Mechanism: zmtp.Curve, Keys: keys, ServerKey: keys.Public}},
	}
}

// until waits until ok holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(late) {
			t.Fatalf("not so: %s", what)
		}
		<-tick.C
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestIdleMemory: a connection that waits after a long message holds none of the memory that
// it took, neither by the socket's account nor really.
func TestIdleMemory(t *testing.T) {
	for mechanism, c := range secured(t) {
		t.Run(string(mechanism), func(t *testing.T) {
			const connections, size = 12, 3 * mebi
			r := receive(t, Options{Security: c.security}, "tcp://127.0.0.1:0")
			long, part := strings.Repeat("x", size), strings.Repeat("y", mebi/2)
			before := heap()
			for range connections {
				p := dial(t, r.addr, c.client)
				p.greet()
				p.send(part, long)
				r.want(t, "524288 bytes 3145728 bytes")
				p.session.Trim(0)
				p.in = nil
			}
			until(t, "all memory is given back", func() bool { return r.socket.used.Load() == 0 })
			until(t, "no memory is held", func() bool { return heap()-before < 2*size })
			p := dial(t, r.addr, c.client)
			p.greet()
			p.send("short")
			r.want(t, "short")
		})
	}
}

// TestBurst: a large buffer that many short messages have filled is given back as well, and
// the connection goes on.
func TestBurst(t *testing.T) {
	r := receive(t, Options{}, "tcp://127.0.0.1:0")
	p := push(t, r.addr)
	var b []byte
	for range 2000 {
		b = p.session.AppendFrame(b, []byte("a message of some length"), false)
	}
	for range 2 {
		p.write(b)
		for range 2000 {
			r.want(t, "a message of some length")
		}
		until(t, "all memory is given back", func() bool { return r.socket.used.Load() == 0 })
	}
}

// TestEncryptedMemory: what is decrypted is a part of the account, and refused if there is no
// room for it.
func TestEncryptedMemory(t *testing.T) {
	const size = 3 * mebi
	c := secured(t)[zmtp.Curve]
	take := func(memory int) *receiver {
		r := receive(t, Options{Security: c.security, Limits: Limits{Memory: memory}}, "tcp://127.0.0.1:0")
		p := dial(t, r.addr, c.client)
		p.greet()
		b := p.session.AppendFrame(nil, make([]byte, size), false)
		go func() { _, _ = p.conn.Write(b) }()
		return r
	}
	take(8*mebi).want(t, "3145728 bytes")
	r := take(6 * mebi)
	r.wait(t, NoMemory, 1)
	until(t, "all memory is given back", func() bool { return r.socket.used.Load() == 0 })
	if len(r.got) > 0 {
		t.Error("it was taken")
	}
}

// TestPartsMemory: parts that wait for the last one are a part of the account.
func TestPartsMemory(t *testing.T) {
	r := receive(t, Options{Limits: Limits{Memory: mebi}}, "tcp://127.0.0.1:0")
	p := push(t, r.addr)
	part := make([]byte, 100<<10)
	go func() {
		for range 30 {
			if _, err := p.conn.Write(p.session.AppendFrame(nil, part, true)); err != nil {
				return
			}
		}
	}()
	r.wait(t, NoMemory, 1)
	until(t, "all memory is given back", func() bool { return r.socket.used.Load() == 0 })
}

// TestTake: what is refused is not taken, and nothing is always there.
func TestTake(t *testing.T) {
	s := socket{Options: Options{Limits: Limits{Memory: 10}}}
	if !s.take(10) || s.take(1) || !s.take(0) || !s.take(-5) || s.used.Load() != 10 {
		t.Error(s.used.Load())
	}
}
