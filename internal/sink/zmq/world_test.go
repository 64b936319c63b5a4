package zmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/zmq"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// states keeps values as a journal does: they are durable after Sync.
type states struct {
	now, durable map[string][]byte
	fail         error
}

func newStates() *states { return &states{now: map[string][]byte{}, durable: map[string][]byte{}} }

func (s *states) Load(key string) []byte         { return s.now[key] }
func (s *states) Store(key string, value []byte) { s.now[key] = slices.Clone(value) }

func (s *states) Sync(context.Context) error {
	if s.fail == nil {
		s.durable = maps.Clone(s.now)
	}
	return s.fail
}

// world is a sink that serves.
type world struct {
	t        *testing.T
	config   Config
	state    *states
	registry *metric.Registry
	ledger   *ledger.Component
	handover flow.Handover
	address  string
	sink     *Sink
	end      func(cause error)
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, config: Default(), state: newStates(), registry: metric.New(), address: "tcp://" + free(t)}
	w.config.Listen = []string{w.address}
	if change != nil {
		change(&w.config)
	}
	l, err := ledger.New(w.registry, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l.Component("sink", "public", "zmq")
	w.open()
	return w
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// open makes the sink and lets it serve until the test ends, or end is called.
func (w *world) open() {
	w.t.Helper()
	s, err := New(w.config, deliver.Deps{
		Name: "public", Node: "web-1", Log: slog.New(slog.DiscardHandler), Ledger: w.ledger, State: w.state, Metrics: w.registry, Handover: &w.handover,
		Type: func(source string) string { return map[string]string{"app": "distlog", "files": "file"}[source] },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	w.sink = s
	var once sync.Once
	w.end = func(cause error) {
		once.Do(func() {
			cancel(cause)
			serving.Wait()
			if err := s.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(func() { w.end(nil); w.handover.Close() })
}

func (w *world) write(b *record.Batch) {
	w.t.Helper()
	if err := errors.Join(w.sink.Write(w.t.Context(), b), w.sink.Flush(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
}

// metric returns a sample of the registry.
func (w *world) metric(name string) (v float64) {
	for line := range strings.Lines(string(w.registry.AppendText(nil, metric.Text))) {
		if strings.HasPrefix(line, name) {
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v)
		}
	}
	return v
}

// until waits until something is so.
func (w *world) until(what string, ok func() bool) {
	t := w.t
	t.Helper()
	for end := time.Now().Add(patience); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s\n%s", what, w.registry.AppendText(nil, metric.Text))
		}
	}
}

// subscriber is a SUB.
type subscriber struct {
	t       *testing.T
	got     chan string   // topic, a space, body
	hold    chan struct{} // while holding, nothing is read before it is closed
	holding atomic.Bool
	stop    func()
	probe   string        // the topic of messages that tell whether it is known
	known   chan struct{} // has an element when such a message has come
}

func (s *subscriber) Message(_ context.Context, parts [][]byte) error {
	if bytes.HasPrefix(parts[0], []byte("?")) {
		if string(parts[0]) == s.probe {
			select {
			case s.known <- struct{}{}:
			default:
			}
		}
		return nil
	}
	s.got <- string(bytes.Join(parts, []byte(" ")))
	return nil
}

func (s *subscriber) Flush(ctx context.Context) error {
	if s.holding.Load() {
		select {
		case <-s.hold:
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *subscriber) Close(context.Context) {}

// subscribe connects as a SUB, and waits until the sink knows what it wants.
func (w *world) subscribe(security zmq.Security, topics ...string) *subscriber {
	w.t.Helper()
	s := &subscriber{t: w.t, got: make(chan string, 200_000)}
	w.connect(s, security, topics...)
	return s
}

func (w *world) connect(s *subscriber, security zmq.Security, topics ...string) {
	w.t.Helper()
	s.probe, s.known = fmt.Sprintf("?%p", s), make(chan struct{}, 1)
	r, err := zmq.NewReceiver(zmq.Options{Type: zmtp.Sub, Security: security, Topics: append(topics, s.probe)}, func(zmq.Peer) zmq.Taker { return s })
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := zmq.ParseEndpoint(w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Connect(ctx, zmq.Address{Endpoint: e})
	}()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	w.t.Cleanup(s.stop)
	w.until("somebody subscribes", func() bool {
		w.sink.publisher.Send([]byte(s.probe))
		select {
		case <-s.known:
			return true
		default:
			return false
		}
	})
}

// next waits for a message.
func (s *subscriber) next() string {
	s.t.Helper()
	select {
	case m := <-s.got:
		return m
	case <-time.After(patience):
		s.t.Fatal("no message comes")
		return ""
	}
}

// Streams of the tests.
var (
	files = record.Stream{ID: "files//a.log", Source: "files", Labels: record.Labels{{Name: "filename", Value: "/a.log"}, {Name: "source", Value: "files"}}}
	logs  = record.Stream{ID: "app/1", Source: "app", Labels: record.Labels{{Name: "host", Value: "h"}, {Name: "kind", Value: "log"}, {Name: "system", Value: "test"}}}
	other = record.Stream{ID: "app/2", Source: "app", Labels: record.Labels{{Name: "host", Value: "h"}, {Name: "kind", Value: "performance"}, {Name: "system", Value: "other"}}}
)

// batch returns n records of a stream from the number first on.
func batch(s *record.Stream, first, n int) *record.Batch {
	b := &record.Batch{Stream: s, First: uint64(first)}
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(first+i) * 1e9, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "line %d", first+i))})
	}
	return b
}

// with gives the last record of b fields, names and values in turn.
func with(b *record.Batch, fields ...string) *record.Batch {
	for i := 0; i < len(fields); i += 2 {
		b.Fields = append(b.Fields, record.Field{Record: len(b.Records) - 1, Name: b.Append([]byte(fields[i])), Value: b.Append([]byte(fields[i+1]))})
	}
	return b
}
