package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/record"
)

// states keeps values as a journal does: they are durable after Sync.
type states struct{ now, durable map[string][]byte }

func newStates() *states { return &states{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (s *states) Load(key string) []byte         { return s.now[key] }
func (s *states) Store(key string, value []byte) { s.now[key] = slices.Clone(value) }

func (s *states) Sync(context.Context) error {
	s.durable = maps.Clone(s.now)
	return nil
}

func (s *states) crash() { s.now = maps.Clone(s.durable) }

// world is a server with a sink.
type world struct {
	t        *testing.T
	config   Config
	state    *states
	registry *metric.Registry
	ledger   *ledger.Component
	client   *client.Client
	sink     *deliver.Sink
}

func newWorld(t *testing.T, change func(*Config), settings ...string) *world {
	t.Helper()
	server := realtest.StartRedis(t, "", t.TempDir(), settings...)
	w := &world{t: t, config: Default(), state: newStates(), registry: metric.New()}
	w.config.URL = "redis://" + server.Address
	if change != nil {
		change(&w.config)
	}
	l, err := ledger.New(w.registry, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l.Component("sink", "central", "redis")
	w.client = client.NewClient(&client.Options{Addr: server.Address, Password: string(w.config.Password), Protocol: 2})
	t.Cleanup(func() { w.client.Close() })
	w.open()
	return w
}

// open makes the sink, as at a start.
func (w *world) open() {
	w.t.Helper()
	s, err := New(w.config, deliver.Deps{Name: "central", Node: "web-1", Ledger: w.ledger, State: w.state})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.sink = s
}

var shop = record.Stream{ID: "docker/shop", Source: "docker", Labels: record.Labels{{Name: "container", Value: "shop"}}}

// batch returns n records from the number first on.
func batch(first, n int) *record.Batch {
	b := &record.Batch{Stream: &shop, First: uint64(first)}
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(first+i) * 1e9, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "line %d", first+i))})
	}
	return b
}

func (w *world) write(b *record.Batch) {
	w.t.Helper()
	if err := errors.Join(w.sink.Write(w.t.Context(), b), w.sink.Flush(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
}

// bodies returns the texts in a Redis stream.
func (w *world) bodies(key string) (all []string) {
	w.t.Helper()
	entries, err := w.client.XRange(w.t.Context(), key, "-", "+").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, body(w.t, e.Values["record"].(string)))
	}
	return all
}

func body(t *testing.T, text string) string {
	t.Helper()
	var r struct{ Body, Stream string }
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Stream != shop.ID {
		t.Fatalf("%s: %v", text, err)
	}
	return r.Body
}

// lines returns the texts that batches have, from one number to another.
func lines(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint("line ", i))
	}
	return all
}

const key = "weir:web-1:docker/shop"

// TestStreamOnce crashes between what was sent and what was noted of it.
func TestStreamOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	if err := w.state.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(batch(4, 5))
	w.state.crash()
	w.open()
	next, _ := w.sink.Next(shop.ID)
	if next != 4 {
		t.Fatalf("after the crash it goes on with %d", next)
	}
	w.write(batch(4, 7)) // 5 of which are there
	if got := w.bodies(key); !slices.Equal(got, lines(1, 10)) {
		t.Errorf("the stream has %q", got)
	}
	text := string(w.registry.AppendText(nil, metric.Text))
	for _, want := range []string{`event="had it already"} 5`, `weir_component_sent_total{component="sink/central"} 10`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestStreamChosen leaves out what was not chosen, and keeps numbers.
func TestStreamChosen(t *testing.T) {
	w := newWorld(t, nil)
	b := batch(1, 4)
	b.Records[1].Flags, b.Records[3].Flags = record.Dropped, record.Dropped
	w.write(b)
	w.write(batch(5, 1))
	if got := w.bodies(key); !slices.Equal(got, []string{"line 1", "line 3", "line 5"}) {
		t.Errorf("the stream has %q", got)
	}
}

// TestStreamOfAnother is not taken for one that has the records already.
func TestStreamOfAnother(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	if err := w.client.XAdd(t.Context(), &client.XAddArgs{Stream: key, Values: []any{"a", "b"}, ID: "99999999999999-1"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := w.sink.Write(t.Context(), batch(4, 1)); !errors.Is(err, errForeign) {
		t.Errorf("the error is %v", err)
	}
}

// TestNewDataDir begins anew behind what an earlier data directory sent.
func TestNewDataDir(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	for before := time.Now().UnixMilli(); time.Now().UnixMilli() == before; { // an identity is of a millisecond
	}
	w.state = newStates()
	w.open()
	w.write(batch(1, 2))
	if got := w.bodies(key); !slices.Equal(got, append(lines(1, 3), lines(1, 2)...)) {
		t.Errorf("the stream has %q", got)
	}
}

func TestMaxLen(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxLen, c.Expire = 100, time.Hour })
	for i := range 10 {
		w.write(batch(1+1000*i, 1000))
	}
	if n, err := w.client.XLen(t.Context(), key).Result(); n < 100 || n > 300 || err != nil {
		t.Errorf("the stream has %d records, %v", n, err)
	}
	if left, err := w.client.PTTL(t.Context(), key).Result(); left <= 0 || left > time.Hour || err != nil {
		t.Errorf("it stays for %v, %v", left, err)
	}
}

// TestFull: a server without memory refuses the whole batch, and has it once afterwards.
func TestFull(t *testing.T) {
	w := newWorld(t, nil)
	w.write(batch(1, 3))
	if err := w.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := w.sink.Write(t.Context(), batch(4, 3)); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("the error is %v", err)
	}
	if err := w.client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	w.write(batch(4, 3))
	if got := w.bodies(key); !slices.Equal(got, lines(1, 6)) {
		t.Errorf("the stream has %q", got)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.As, c.Key, c.MaxLen, c.Password = List, "logs:{container}", 4, "secret" }, "--requirepass", "secret")
	w.write(batch(1, 3))
	w.write(batch(4, 3))
	got, err := w.client.LRange(t.Context(), "logs:shop", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = body(t, got[i])
	}
	if !slices.Equal(got, lines(3, 6)) {
		t.Errorf("the list has %q", got)
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.As, c.Key = Publish, "logs" })
	subscription := w.client.Subscribe(t.Context(), "logs")
	defer subscription.Close()
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(batch(1, 3))
	for i := range 3 {
		m, err := subscription.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, m.Payload); got != lines(1, 3)[i] {
			t.Errorf("message %d is %q", i, got)
		}
	}
}

// TestRefusals are errors that say what is wrong, without the password.
func TestRefusals(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Password = "secret" }, "--requirepass", "another")
	if err := w.sink.Write(t.Context(), batch(1, 1)); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	if _, ok := w.sink.Next(shop.ID); ok {
		t.Error("it has a cursor all the same")
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.URL = "" }, "url: say where"},
		{func(c *Config) { c.URL = "http://a" }, "url: use redis"},
		{func(c *Config) { c.URL = "redis://me:secret@a" }, "url: leave out the user"},
		{func(c *Config) { c.URL = "unix:///run/redis.sock?db=2" }, ""},
		{func(c *Config) { c.Key = "logs" }, "key: put {stream} in it"},
		{func(c *Config) { c.Key, c.As = "logs", List }, ""},
		{func(c *Config) { c.Key = "" }, "key: name"},
		{func(c *Config) { c.MaxLen = -1 }, "max_len:"},
		{func(c *Config) { c.Expire = 1 }, "expire:"},
		{func(c *Config) { c.Timeout = 0 }, "timeout:"},
		{func(c *Config) { c.Match = "{" }, "match:"},
	} {
		c := Default()
		c.URL = "redis://127.0.0.1:6379"
		test.change(&c)
		err := c.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %s", c, err, test.want)
		}
	}
}
