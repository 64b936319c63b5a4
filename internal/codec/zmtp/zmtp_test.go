package zmtp_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/zmtp"
)

// side is a session with what it has not read yet, and what it came to.
type side struct {
	*zmtp.Session
	in    []byte
	items []zmtp.Item // whose bodies are copies
	err   error
}

func newSide(t testing.TB, c zmtp.Config) *side {
	s, err := zmtp.NewSession(c)
	if err != nil {
		t.Fatal(err)
	}
	return &side{Session: s}
}

// take gives a side bytes, step at a time, and returns what it answers.
func (s *side) take(b []byte, step int) (out []byte) {
	for len(b) > 0 && s.err == nil {
		n := min(step, len(b))
		s.in = append(s.in, b[:n]...)
		b = b[n:]
		for s.err == nil {
			var item zmtp.Item
			var used int
			item, used, out, s.err = s.Receive(s.in, out)
			if item.Kind != zmtp.Nothing {
				item.Body = bytes.Clone(item.Body)
				s.items = append(s.items, item)
			}
			if s.in = s.in[used:]; used == 0 {
				break
			}
		}
	}
	return out
}

// talk brings what both say to each other until neither has more.
func talk(a, b *side, step int) {
	toB, toA := a.Greet(nil), b.Greet(nil)
	for len(toA)+len(toB) > 0 && a.err == nil && b.err == nil {
		answerB := b.take(toB, step)
		answerA := a.take(toA, step)
		toA, toB = answerB, answerA
	}
	// what is said at the end is still heard
	b.take(toB, step)
	a.take(toA, step)
}

func kinds(s *side) string {
	var b strings.Builder
	for _, item := range s.items {
		fmt.Fprintf(&b, "%s%q", [...]string{"", "ready", "frame", "subscribe", "cancel", "pong"}[item.Kind], item.Body)
		if item.More {
			b.WriteByte('+')
		}
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

func keys(t testing.TB) zmtp.KeyPair {
	pair, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// mechanisms returns a client's and a server's configuration for each.
func mechanisms(t testing.TB) map[zmtp.Mechanism][2]zmtp.Config {
	server, client := keys(t), keys(t)
	return map[zmtp.Mechanism][2]zmtp.Config{
		zmtp.Null: {{}, {Server: true}},
		zmtp.Plain: {{Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: "shop", Password: "secret"}},
			{Mechanism: zmtp.Plain, Server: true, Admit: func(c zmtp.Credentials) bool { return c.User == "shop" && c.Password == "secret" }}},
		zmtp.Curve: {{Mechanism: zmtp.Curve, Keys: client, ServerKey: server.Public},
			{Mechanism: zmtp.Curve, Server: true, Keys: server, Admit: func(c zmtp.Credentials) bool { return c.Key == client.Public }}},
	}
}

func TestSession(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for mechanism, c := range mechanisms(t) {
		for _, step := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprint(mechanism, "/", step), func(t *testing.T) {
				c[0].Socket, c[1].Socket = zmtp.Push, zmtp.Pull
				client, server := newSide(t, c[0]), newSide(t, c[1])
				talk(client, server, step)
				if client.err != nil || server.err != nil || kinds(client) != `ready""` || kinds(server) != `ready""` {
					t.Fatal(client.err, server.err, kinds(client), kinds(server))
				}
				if client.Peer.Socket != zmtp.Pull || server.Peer.Socket != zmtp.Push || server.Peer.Credentials.Password != "" {
					t.Errorf("%+v %+v", client.Peer, server.Peer)
				}
				out := client.AppendFrame(nil, []byte("PLJ"), true)
				out = client.AppendFrame(out, []byte("{}"), false)
				out = client.AppendPing(out, 5)
				out = client.AppendFrame(out, nil, false)
				out = client.AppendFrame(out, []byte(long), false)
				if mechanism == zmtp.Curve && bytes.Contains(out, []byte(long[:16])) { // fewer bytes may be there by chance
					t.Error("what is said can be read")
				}
				back := server.take(out, step)
				if want := fmt.Sprintf(`ready"" frame"PLJ"+ frame"{}" frame"" frame%q`, long); kinds(server) != want || server.err != nil {
					t.Errorf("%.200s, %v", kinds(server), server.err)
				}
				if client.take(back, step); kinds(client) != `ready"" pong""` || client.err != nil {
					t.Error(kinds(client), client.err)
				}
			})
		}
	}
}

func TestSubscriptions(t *testing.T) {
	for mechanism, c := range mechanisms(t) {
		c[0].Socket, c[1].Socket = zmtp.Sub, zmtp.Pub
		sub, pub := newSide(t, c[0]), newSide(t, c[1])
		talk(sub, pub, 1<<20)
		out := sub.AppendSubscription(nil, []byte("PL"), true)
		out = sub.AppendSubscription(out, nil, true)
		out = sub.AppendSubscription(out, []byte("PL"), false)
		pub.take(out, 3)
		if want := `ready"" subscribe"PL" subscribe"" cancel"PL"`; kinds(pub) != want || pub.err != nil {
			t.Error(mechanism, kinds(pub), pub.err)
		}
		if sub.take(pub.AppendFrame(nil, []byte("\x01topic"), false), 5); kinds(sub) != `ready"" frame"\x01topic"` {
			t.Error(mechanism, kinds(sub), sub.err)
		}
	}
}

// TestOldSubscriptions: peers of version 3.0 send them as messages.
func TestOldSubscriptions(t *testing.T) {
	pub := newSide(t, zmtp.Config{Socket: zmtp.Pub})
	greeting := pub.Greet(nil)
	greeting[11] = 0
	pub.take(append(greeting, "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x03\x01PL\x00\x03\x00PL"...), 1)
	if want := `ready"" subscribe"PL" cancel"PL"`; kinds(pub) != want || pub.err != nil {
		t.Error(kinds(pub), pub.err)
	}
	sub := newSide(t, zmtp.Config{Socket: zmtp.Sub})
	sub.take(append(greeting, "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"...), 1)
	if got := sub.AppendSubscription(sub.AppendSubscription(nil, []byte("a"), true), []byte("a"), false); string(got) != "\x00\x02\x01a\x00\x02\x00a" || sub.err != nil {
		t.Errorf("%q %v", got, sub.err)
	}
}

// TestCapture: what libzmq 4.3.4 has sent for a distlog handler.
func TestCapture(t *testing.T) {
	capture, err := os.ReadFile("testdata/tutorial.raw")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{1, 1 << 20} {
		pull := newSide(t, zmtp.Config{Socket: zmtp.Pull})
		pull.take(capture, step)
		if pull.err != nil || len(pull.in) > 0 || len(pull.items) != 1+2*7 {
			t.Fatal(pull.err, len(pull.in), len(pull.items))
		}
		for i, item := range pull.items[1:] {
			if topic := i%2 == 0; topic != (string(item.Body) == "PLJ") || topic != item.More {
				t.Errorf("frame %d: %.40q, more %v", i, item.Body, item.More)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	all := mechanisms(t)
	stranger, wrongServer := all[zmtp.Curve][0], all[zmtp.Curve][0]
	stranger.Keys, wrongServer.ServerKey = keys(t), keys(t).Public
	wrongPassword := all[zmtp.Plain][0]
	wrongPassword.Credentials.Password = "guess"
	of := func(c zmtp.Config, socket string) zmtp.Config {
		c.Socket = socket
		return c
	}
	for name, c := range map[string]struct {
		client, server       zmtp.Config
		clientErr, serverErr error
		reason               string
	}{
		"mechanism":        {of(all[zmtp.Null][0], zmtp.Push), of(all[zmtp.Plain][1], zmtp.Pull), zmtp.ErrMechanism, zmtp.ErrMechanism, ""},
		"two clients":      {of(all[zmtp.Plain][0], zmtp.Push), of(all[zmtp.Plain][0], zmtp.Pull), zmtp.ErrFormat, zmtp.ErrFormat, ""},
		"two servers":      {of(all[zmtp.Curve][1], zmtp.Push), of(all[zmtp.Curve][1], zmtp.Pull), zmtp.ErrRole, zmtp.ErrRole, ""},
		"sockets":          {of(all[zmtp.Null][0], zmtp.Push), of(all[zmtp.Null][1], zmtp.Pub), zmtp.ErrSocket, zmtp.ErrSocket, ""},
		"sockets of curve": {of(all[zmtp.Curve][0], zmtp.Sub), of(all[zmtp.Curve][1], zmtp.Pull), zmtp.ErrPeer, zmtp.ErrSocket, "Invalid socket type"},
		"password":         {of(wrongPassword, zmtp.Push), of(all[zmtp.Plain][1], zmtp.Pull), zmtp.ErrPeer, zmtp.ErrRefused, "Access denied"},
		"stranger":         {of(stranger, zmtp.Push), of(all[zmtp.Curve][1], zmtp.Pull), zmtp.ErrPeer, zmtp.ErrRefused, "Access denied"},
		"wrong server":     {of(wrongServer, zmtp.Push), of(all[zmtp.Curve][1], zmtp.Pull), nil, zmtp.ErrKeys, ""},
	} {
		client, server := newSide(t, c.client), newSide(t, c.server)
		talk(client, server, 1<<20)
		if client.err != c.clientErr || server.err != c.serverErr || client.Reason != c.reason {
			t.Errorf("%s: client %v, server %v, reason %q", name, client.err, server.err, client.Reason)
		}
		if _, _, _, err := server.Receive([]byte("\x00\x01x"), nil); !errors.Is(err, zmtp.ErrFormat) {
			t.Errorf("%s: it goes on: %v", name, err)
		}
	}
}

// TestHostile: what no peer of good will sends ends the session, before much is read.
func TestHostile(t *testing.T) {
	greeting := string(newSide(t, zmtp.Config{Socket: zmtp.Push}).Greet(nil))
	const ready = "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
	for name, c := range map[string]struct {
		sent string
		want error
	}{
		"HTTP":                      {"GET / HTTP/1.1\r\n", zmtp.ErrOld},
		"ZMTP 1":                    {"\x01\x00", zmtp.ErrOld},
		"ZMTP 2":                    {"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01", zmtp.ErrOld},
		"no ZMTP":                   {"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00", zmtp.ErrOld},
		"a message before READY":    {greeting + "\x00\x01x", zmtp.ErrFormat},
		"another command":           {greeting + "\x04\x06\x05HELLO", zmtp.ErrFormat},
		"no command":                {greeting + "\x04\x00", zmtp.ErrFormat},
		"a name beyond the command": {greeting + "\x04\x02\x05R", zmtp.ErrFormat},
		"a long handshake":          {greeting + "\x06\x00\x00\x00\x00\x00\x00\x10\x01", zmtp.ErrTooLong},
		"a handshake of 2^63":       {greeting + "\x06\xff\xff\xff\xff\xff\xff\xff\xff", zmtp.ErrTooLong},
		"no metadata":               {greeting + "\x04\x06\x05READY", zmtp.ErrSocket},
		"a value beyond the end":    {greeting + "\x04\x0b\x05READY\x01a\xff\xff\xff\xff"[:0] + "\x04\x0c\x05READY\x01a\xff\xff\xff\xff", zmtp.ErrFormat},
		"a name beyond the end":     {greeting + "\x04\x08\x05READY\xffa", zmtp.ErrFormat},
		"flags":                     {greeting + ready + "\x08\x00", zmtp.ErrFormat},
		"commands with more":        {greeting + ready + "\x05\x00", zmtp.ErrFormat},
		"a frame of 2^63":           {greeting + ready + "\x02\x80\x00\x00\x00\x00\x00\x00\x00", zmtp.ErrTooLong},
		"a frame that is too long":  {greeting + ready + "\x02\x00\x00\x00\x00\x00\x00\x04\x01", zmtp.ErrTooLong},
		"a long command":            {greeting + ready + "\x06\x00\x00\x00\x00\x00\x01\x00\x01", zmtp.ErrTooLong},
		"a ping without a ttl":      {greeting + ready + "\x04\x06\x04PING\x00", zmtp.ErrFormat},
		"a long ping":               {greeting + ready + "\x04\x18\x04PING\x00\x00" + strings.Repeat("x", 17), zmtp.ErrFormat},
		"an error":                  {greeting + "\x04\x09\x05ERROR\x02no", zmtp.ErrPeer},
		"an error without a reason": {greeting + "\x04\x06\x05ERROR", zmtp.ErrPeer},
	} {
		pull := newSide(t, zmtp.Config{Socket: zmtp.Pull, MaxFrame: 1024})
		if pull.take([]byte(c.sent), 1); pull.err != c.want {
			t.Errorf("%s: %v, want %v", name, pull.err, c.want)
		}
	}
	pull := newSide(t, zmtp.Config{Socket: zmtp.Pull})
	if pull.take([]byte(greeting+ready+"\x04\x05\x04LATE\x00\x01x"), 1); pull.err != nil || kinds(pull) != `ready"" frame"x"` {
		t.Error("an unknown command:", pull.err, kinds(pull))
	}
}

// TestCurveTampered: whatever bit is flipped in what was encrypted, and whatever is sent a
// second time, is noticed.
func TestCurveTampered(t *testing.T) {
	c := mechanisms(t)[zmtp.Curve]
	c[0].Socket, c[1].Socket = zmtp.Push, zmtp.Pull
	client, server := newSide(t, c[0]), newSide(t, c[1])
	talk(client, server, 1<<20)
	const head = 2
	message := client.AppendFrame(nil, []byte("pay 5"), false)
	for bit := range (len(message) - head) * 8 {
		changed := bytes.Clone(message)
		changed[head+bit/8] ^= 1 << (bit % 8)
		copied, _ := zmtp.NewSession(c[1])
		*copied = *server.Session
		if item, _, _, err := copied.Receive(changed, nil); err == nil {
			t.Fatalf("bit %d: %+v", bit, item)
		}
	}
	fresh, _ := newSide(t, c[0]), 0
	again := newSide(t, c[1])
	talk(fresh, again, 1<<20)
	message = fresh.AppendFrame(nil, []byte("pay 5"), false)
	if again.take(message, 1<<20); again.err != nil {
		t.Fatal(again.err)
	}
	if again.take(message, 1<<20); again.err != zmtp.ErrKeys {
		t.Error("a message that is sent again:", again.err)
	}
}

// TestTrim: what a session holds for long frames is told, and given back.
func TestTrim(t *testing.T) {
	for mechanism, c := range mechanisms(t) {
		c[0].Socket, c[1].Socket = zmtp.Push, zmtp.Pull
		client, server := newSide(t, c[0]), newSide(t, c[1])
		talk(client, server, 1<<20)
		for _, size := range []int{100, 1 << 20, 100} {
			b := client.AppendFrame(nil, make([]byte, size), false)
			if item, n, _, err := server.Receive(b, nil); err != nil || n != len(b) || len(item.Body) != size {
				t.Fatal(mechanism, n, err)
			}
			if curve := mechanism == zmtp.Curve; (server.Held() >= size) != curve || !curve && server.Held() > 0 {
				t.Errorf("%s: %d bytes are held for %d", mechanism, server.Held(), size)
			}
			for _, s := range []side{*client, *server} {
				if s.Trim(4096); s.Held() > 4096 {
					t.Errorf("%s: %d bytes are held", mechanism, s.Held())
				}
			}
		}
	}
}

func TestNewSession(t *testing.T) {
	for _, c := range []zmtp.Config{
		{}, {Socket: "REQ"}, {Socket: zmtp.Pull, Mechanism: "GSSAPI"}, {Socket: zmtp.Pull, Mechanism: zmtp.Curve, Server: true},
		{Socket: zmtp.Push, Mechanism: zmtp.Curve, Keys: keys(t)},
		{Socket: zmtp.Push, Mechanism: zmtp.Plain, Credentials: zmtp.Credentials{User: strings.Repeat("x", 256)}},
	} {
		if s, err := zmtp.NewSession(c); err == nil {
			t.Errorf("%+v: %v", c, s)
		}
	}
}

// FuzzReceive: whatever comes, a session takes no more than there is, and ends for good.
func FuzzReceive(f *testing.F) {
	capture, err := os.ReadFile("testdata/tutorial.raw")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(capture, uint8(0))
	for i, c := range []zmtp.Config{{Socket: zmtp.Push}, mechanisms(f)[zmtp.Plain][0], mechanisms(f)[zmtp.Curve][0]} {
		c.Socket = zmtp.Push
		s := newSide(f, c)
		f.Add(append(s.Greet(nil), "\x04\x0d\x05HELLO\x01a\x04abcd\x04\x05READY"...), uint8(i))
	}
	server := keys(f)
	f.Fuzz(func(t *testing.T, in []byte, mechanism uint8) {
		c := zmtp.Config{Socket: zmtp.Pub, Server: true, Keys: server, MaxFrame: 1 << 16}
		c.Mechanism = [...]zmtp.Mechanism{zmtp.Null, zmtp.Plain, zmtp.Curve}[mechanism%3]
		c.Socket = [...]string{zmtp.Pull, zmtp.Pub}[mechanism>>2&1]
		whole, parts := newSide(t, c), newSide(t, c)
		whole.take(in, len(in)+1)
		parts.take(in, 3)
		if whole.err != parts.err || kinds(whole) != kinds(parts) {
			t.Errorf("at once %v %s, in parts %v %s", whole.err, kinds(whole), parts.err, kinds(parts))
		}
		if n := whole.Held(); n > 2*len(in)+64 {
			t.Errorf("%d bytes are held after %d", n, len(in))
		}
		if whole.Trim(0); whole.Held() > 0 {
			t.Errorf("%d bytes are held for ever", whole.Held())
		}
	})
}

func ExampleSession() {
	push, _ := zmtp.NewSession(zmtp.Config{Socket: zmtp.Push})
	pull, _ := zmtp.NewSession(zmtp.Config{Socket: zmtp.Pull})
	in := push.Greet(nil)
	for range 3 {
		item, n, out, err := pull.Receive(in, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch item.Kind {
		case zmtp.Ready:
			fmt.Println("talks to", pull.Peer.Socket)
			in = push.AppendFrame(in, []byte("hello"), false)
		case zmtp.Frame:
			fmt.Printf("%s\n", item.Body)
		default:
			_, _, ready, _ := push.Receive(pull.Greet(nil), nil)
			in, _ = append(in, ready...), out
		}
		in = in[n:]
	}
	// Output:
	// talks to PUSH
	// hello
}
