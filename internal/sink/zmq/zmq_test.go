package zmq

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/peers"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/zmq"
)

func TestConfig(t *testing.T) {
	good := func(change func(*Config)) {
		t.Helper()
		c := Default()
		if change(&c); c.Validate() != nil {
			t.Error(c.Validate())
		}
	}
	bad := func(want string, change func(*Config)) {
		t.Helper()
		c := Default()
		if change(&c); c.Validate() == nil || !strings.Contains(c.Validate().Error(), want) {
			t.Errorf("%v; want %s", c.Validate(), want)
		}
	}
	good(func(*Config) {})
	good(func(c *Config) { c.Listen = []string{"ipc:///run/x", "ipc://@x", "tcp://[::1]:1"} })
	good(func(c *Config) { c.Listen, c.Connect = nil, []string{"tcp://proxy:5558"} })
	good(func(c *Config) { c.Listen, c.Allow = []string{"tcp://*:5011"}, []string{"10.0.0.0/8"} })
	good(func(c *Config) { c.Listen, c.Insecure = []string{"tcp://*:5011"}, true })
	bad("read records", func(c *Config) { c.Listen = []string{"tcp://*:5011"} })
	bad("listen and connect", func(c *Config) { c.Listen = nil })
	bad("connect[0]", func(c *Config) { c.Connect = []string{"x"} })
	bad("curve.secret_key", func(c *Config) { c.Curve = &peers.Curve{} })
	bad("match", func(c *Config) { c.Match = "{" })
	bad("level", func(c *Config) { c.Level = "loud" })
	bad("queue", func(c *Config) { c.Queue = 0 })
	bad("queue_bytes", func(c *Config) { c.QueueBytes = 1 })
	bad("max_connections", func(c *Config) { c.MaxConnections = 0 })
	bad("handshake_timeout", func(c *Config) { c.HandshakeTimeout = 0 })
	bad("write_timeout", func(c *Config) { c.WriteTimeout = 0 })
	bad("heartbeat", func(c *Config) { c.Heartbeat = 0 })
}

// TestPublish: subscribers get what they want, once it is durable that it was sent.
func TestPublish(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(&files, 1, 2))
	if n := w.metric(`weir_zmq_messages_total{sink="public",fate="unwanted"}`); n != 2 {
		t.Errorf("%v messages are unwanted", n)
	}
	all, tests := w.subscribe(zmq.Security{}, ""), w.subscribe(zmq.Security{}, "T", "SL")
	b := batch(&files, 3, 3)
	b.Records[1].Flags = record.Dropped
	w.write(b)
	w.write(with(batch(&logs, 1, 1), "wire_topic", "TLP", "wire_pickle", base64.StdEncoding.EncodeToString([]byte("\x80\x02}q\x00."))))
	for i, want := range []string{`PLJ {"name":"files","msg":"line 3",`, `PLJ {"name":"files","msg":"line 5",`, "TLP \x80\x02}q\x00."} {
		if got := all.next(); !strings.HasPrefix(got, want) {
			t.Errorf("message %d is %q", i, got)
		}
	}
	if got := tests.next(); got != "TLP \x80\x02}q\x00." {
		t.Errorf("got %q", got)
	}
	if w.metric(`weir_zmq_messages_total{sink="public",fate="sent"}`) != 4 || w.metric(`weir_component_sent_total{component="sink/public"}`) != 3 || w.metric("weir_zmq_subscribers") != 2 {
		t.Errorf("counted: %s", w.registry.AppendText(nil, 0))
	}
	if _, ok := w.state.durable[deliver.Prefix("public")+files.ID]; !ok {
		t.Error("a message was sent before that was durable")
	}
}

// TestOnceAtMost: nothing is sent that could be sent again after a crash.
func TestOnceAtMost(t *testing.T) {
	w := newWorld(t, nil)
	s := w.subscribe(zmq.Security{}, "")
	w.state.fail = errors.New("no disk")
	if err := errors.Join(w.sink.Write(t.Context(), batch(&files, 1, 1)), w.sink.Flush(t.Context())); !errors.Is(err, w.state.fail) {
		t.Errorf("the error is %v", err)
	}
	if n := w.metric(`weir_zmq_messages_total{sink="public",fate="sent"}`); n != 0 {
		t.Errorf("%v were sent", n)
	}
	w.state.fail = nil
	w.write(batch(&files, 2, 1))
	for _, want := range []string{"line 1", "line 2"} {
		if got := s.next(); !strings.Contains(got, want) {
			t.Errorf("got %s", got)
		}
	}
	if err := w.sink.Write(t.Context(), batch(&files, 3, 1)); err != nil {
		t.Fatal(err)
	}
	w.end(nil) // what was not flushed is lost, and counted
	if n := w.metric(`weir_component_dropped_total{component="sink/public",reason="not sent before the end"}`); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

// TestSlowSubscriber loses messages, which are counted; another one gets them all.
func TestSlowSubscriber(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueBytes = 24 << 20 })
	fast := w.subscribe(zmq.Security{}, "")
	slow := &subscriber{t: t, got: make(chan string, 200_000), hold: make(chan struct{})}
	w.connect(slow, zmq.Security{}, "PL")
	slow.holding.Store(true)
	defer close(slow.hold)
	b := batch(&files, 1, 1000)
	long := b.Append([]byte(strings.Repeat("x", 10_000)))
	for i := range b.Records {
		b.Records[i].Body = long
	}
	const rounds = 5 // of 20 MB, which fit
	for range rounds {
		w.write(b)
		for range b.Records {
			if m := fast.next(); len(m) < 20_000 {
				t.Fatalf("got %.200s", m)
			}
		}
	}
	full := w.metric(`weir_zmq_messages_total{sink="public",fate="queue_full"}`)
	if full == 0 || full != w.metric(`weir_component_dropped_total{component="sink/public",reason="queue of a subscriber is full"}`) {
		t.Errorf("%v messages found no room", full)
	}
	if sent := w.metric(`weir_zmq_messages_total{sink="public",fate="sent"}`); sent+full != 2*rounds*1000 {
		t.Errorf("%v sent and %v not, of %d", sent, full, 2*rounds*1000)
	}
	w.end(nil)
	if n := w.metric(`weir_zmq_messages_total{sink="public",fate="subscriber_gone"}`); n == 0 {
		t.Error("what waited for it is not counted")
	}
}

// TestReload: subscribers stay connected and miss nothing.
func TestReload(t *testing.T) {
	keys, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Curve = &peers.Curve{SecretKey: config.Secret(keys.Secret.Text())} })
	s := w.subscribe(zmq.Security{Mechanism: zmtp.Curve, Keys: mine, ServerKey: keys.Public}, "P")
	for round := range 5 {
		w.write(batch(&files, 1+10*round, 10))
		w.end(flow.ErrReload)
		w.config.Queue++
		w.open()
		w.handover.Close()
	}
	for i := range 50 {
		if got := s.next(); !strings.Contains(got, fmt.Sprintf(`"line %d"`, i+1)) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	if w.metric(`weir_component_events_total{component="sink/public",event="peer connected"}`) != 1 {
		t.Error("somebody had to connect again")
	}
	w.end(flow.ErrReload) // with other keys nobody stays
	w.config.Curve = &peers.Curve{SecretKey: config.Secret(mine.Secret.Text())}
	w.open()
	w.handover.Close()
	w.write(batch(&files, 51, 1))
	if len(s.got) > 0 || w.metric(`weir_zmq_messages_total{sink="public",fate="unwanted"}`) != 1 {
		t.Error("one with another key is still connected")
	}
}

// TestListensNowhere: records wait for the address.
func TestListensNowhere(t *testing.T) {
	first := newWorld(t, nil)
	if err := first.sink.listening(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Listen = slices.Clone(first.config.Listen) })
	w.until("it says so", func() bool { return !w.ledger.State().Healthy })
	err := errors.Join(w.sink.Write(t.Context(), batch(&files, 1, 1)), w.sink.Flush(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "listens nowhere") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error is %v", err)
	}
	first.end(nil)
	w.until("it listens", func() bool { return w.ledger.State().Healthy })
	w.write(batch(&files, 2, 1))
	if n := w.metric(`weir_zmq_messages_total{sink="public",fate="unwanted"}`); n != 2 {
		t.Errorf("%v were sent", n)
	}
}
