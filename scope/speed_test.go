package scope_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/scope"
)

// nowhere is a connection to a server that takes everything at once.
type nowhere struct {
	net.Conn
	said *strings.Reader
	over chan struct{}
	once *sync.Once
}

func dialNowhere(context.Context, string, string) (net.Conn, error) {
	greeting := "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + string(make([]byte, 48)) + "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"
	return nowhere{said: strings.NewReader(greeting), over: make(chan struct{}), once: new(sync.Once)}, nil
}

func (c nowhere) Read(b []byte) (int, error) {
	if c.said.Len() > 0 {
		return c.said.Read(b)
	}
	<-c.over
	return 0, io.EOF
}

func (c nowhere) Write(b []byte) (int, error) { return len(b), nil }

func (c nowhere) Close() error {
	c.once.Do(func() { close(c.over) })
	return nil
}

func (c nowhere) CloseWrite() error                { return c.Close() }
func (c nowhere) SetDeadline(time.Time) error      { return nil }
func (c nowhere) SetReadDeadline(time.Time) error  { return nil }
func (c nowhere) SetWriteDeadline(time.Time) error { return nil }

// task returns a logger and a context of a task with three bound attributes.
func task(tb testing.TB) (*scope.Handler, *slog.Logger, context.Context) {
	tb.Helper()
	h, err := scope.New(nil, scope.Options{Address: "tcp://x", Dial: dialNowhere, QueueRecords: 1 << 20, QueueBytes: 64 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	log := slog.New(h)
	ctx, _ := scope.Task(scope.WithLogger(tb.Context(), log), "order", "user", "leo", "shop", 17, "vip", true)
	tb.Cleanup(func() { _ = h.Close(context.Background()) }) // the test's own context is done
	return h, log, ctx
}

// five logs the record that is measured.
func five(ctx context.Context, log *slog.Logger) {
	log.LogAttrs(ctx, slog.LevelInfo, "request served", slog.String("method", "GET"), slog.String("path", "/orders/17"),
		slog.Int("status", 200), slog.Float64("seconds", 0.0123), slog.Bool("cached", false))
}

// TestAllocations: a record of a task with five attributes and three bound ones makes at most
// one allocation, in the distlog form. What is counted is all that the process does.
func TestAllocations(t *testing.T) {
	_, log, ctx := task(t)
	if got := testing.AllocsPerRun(2000, func() { five(ctx, log) }); got > 1 {
		t.Errorf("%g allocations", got)
	}
}

// BenchmarkScope sends the record in the distlog form to a server that takes everything.
func BenchmarkScope(b *testing.B) {
	h, log, ctx := task(b)
	b.ReportAllocs()
	for b.Loop() {
		five(ctx, log)
	}
	if err := h.Flush(b.Context()); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(h.Stats().Dropped.Total())/float64(b.N), "dropped/op")
}

// BenchmarkJSONHandler is what slog itself takes to write the same attributes to nowhere.
func BenchmarkJSONHandler(b *testing.B) {
	log := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{AddSource: true})).With("key", "0@x", "user", "leo", "shop", 17, "vip", true)
	b.ReportAllocs()
	for b.Loop() {
		five(b.Context(), log)
	}
}
