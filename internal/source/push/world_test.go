package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// world is a source with lines that write down what they get.
type world struct {
	t      testing.TB
	source *Source
	stop   func()
	ended  chan struct{}

	mu      sync.Mutex
	opened  map[string]int // how often, by stream
	closed  map[string]int
	got     map[string][]string // records, by stream
	synced  int                 // how many records there were at the last sync
	syncs   int
	largest int   // arena
	most    int   // records of a batch
	refuse  error // of Open
	fail    error // of Write
	block   chan struct{}
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, opened: map[string]int{}, closed: map[string]int{}, got: map[string][]string{}}
	c := Default()
	if change != nil {
		change(&c)
	}
	log := slog.New(slog.DiscardHandler)
	l, err := ledger.New(metric.New(), log)
	if err != nil {
		t.Fatal(err)
	}
	w.source, err = New(c, flow.Deps{Name: "push", Log: log, Ledger: l.Component("source", "push", "push"), Batches: flow.NewPool(3), Sync: w.sync})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run lets the source run until the test, or the returned stop, ends it.
func (w *world) run() *world {
	ctx, cancel := context.WithCancel(context.Background())
	w.ended = make(chan struct{})
	settled := make(chan struct{})
	go func() {
		defer close(w.ended)
		_ = w.source.Run(ctx, worldLines{w, settled})
	}()
	<-settled
	w.stop = func() { cancel(); <-w.ended }
	w.t.Cleanup(w.stop)
	return w
}

type worldLines struct {
	*world
	settled chan struct{}
}

func (l worldLines) Known() []flow.Input { return nil }
func (l worldLines) Settle()             { close(l.settled) }
func (l worldLines) Open(in flow.Input) (flow.Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	if !in.Whole || in.Stream.Source != "push" {
		l.t.Errorf("opened %+v", in)
	}
	l.opened[in.Stream.ID]++
	return &worldLine{world: l.world, id: in.Stream.ID}, nil
}

type worldLine struct {
	*world
	id    string
	inUse bool // not guarded: the race detector and the test see two writers
}

func (l *worldLine) Position() record.Position { return record.Position{} }

func (l *worldLine) Close(forget bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !forget {
		l.t.Error("a position was kept")
	}
	l.closed[l.id]++
}

func (l *worldLine) Write(ctx context.Context, b *record.Batch) error {
	if l.inUse {
		l.t.Error("two pushes write to one line")
	}
	l.inUse = true
	defer func() { l.inUse = false }()
	if l.block != nil {
		select {
		case <-l.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	if b.Stream.ID != l.id || len(b.Position.Source) > 0 {
		l.t.Errorf("a batch of %s for %s", b.Stream.ID, l.id)
	}
	l.largest, l.most = max(l.largest, len(b.Arena)), max(l.most, len(b.Records))
	fields := b.Fields
	for i := range b.Records {
		r := &b.Records[i]
		text := fmt.Sprintf("%d %s %s", r.Time, r.Level, b.Bytes(r.Body))
		if r.Flags != 0 {
			text = fmt.Sprintf("%d %s %d bytes, flags %d", r.Time, r.Level, r.Body.Len, r.Flags)
		}
		for len(fields) > 0 && fields[0].Record == i {
			text += fmt.Sprintf(" %s=%s", b.Bytes(fields[0].Name), b.Bytes(fields[0].Value))
			fields = fields[1:]
		}
		l.got[l.id] = append(l.got[l.id], text)
	}
	if len(fields) > 0 {
		l.t.Errorf("fields of no record: %v", fields)
	}
	return nil
}

func (w *world) sync(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.syncs++
	w.synced = w.records()
	return w.fail
}

func (w *world) records() (n int) {
	for _, got := range w.got {
		n += len(got)
	}
	return n
}

// send pushes and returns the answer: the status, and after a space its text.
func (w *world) send(body []byte, headers ...string) string {
	w.t.Helper()
	r := httptest.NewRequest("POST", "/loki/api/v1/push", bytes.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return w.answer(r)
}

func (w *world) answer(r *http.Request) string {
	rec := httptest.NewRecorder()
	w.source.Handler().ServeHTTP(rec, r)
	if (rec.Code == 429 || rec.Code == 503) != (rec.Header().Get("Retry-After") != "") {
		w.t.Errorf("%d with Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", rec.Code, rec.Body))
}

// sendJSON pushes a body of JSON.
func (w *world) sendJSON(body string, headers ...string) string {
	w.t.Helper()
	return w.send([]byte(body), append(headers, "Content-Type: application/json")...)
}

// expect compares what the lines got, and sees that all of it was synced.
func (w *world) expect(want map[string][]string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, got := range w.got {
		if !slices.Equal(got, want[id]) {
			w.t.Errorf("%s got\n%s\nwant\n%s", id, strings.Join(got, "\n"), strings.Join(want[id], "\n"))
		}
	}
	if len(w.got) != len(want) {
		w.t.Errorf("%d streams, want %d", len(w.got), len(want))
	}
	if w.synced != w.records() {
		w.t.Errorf("%d of %d records were synced before the answer", w.synced, w.records())
	}
}

// entry is one of a push.
type entry struct {
	Time     int64
	Line     string
	Metadata map[string]string
}

// jsonPush returns a body of one stream.
func jsonPush(labels map[string]string, entries ...entry) string {
	values := []any{}
	for _, e := range entries {
		value := []any{fmt.Sprint(e.Time), e.Line}
		if e.Metadata != nil {
			value = append(value, e.Metadata)
		}
		values = append(values, value)
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// protoPush returns a body of streams, each with one entry, packed.
func protoPush(labelsAndLines ...string) []byte {
	var body []byte
	for i := 0; i < len(labelsAndLines); i += 2 {
		body = append(body, protoStream(labelsAndLines[i], labelsAndLines[i+1])...)
	}
	return compress.AppendSnappy(nil, body)
}

// protoStream returns one stream of a push.
func protoStream(labels string, lines ...string) []byte {
	stream := protoField(1, []byte(labels))
	for _, line := range lines {
		e := append(protoField(1, []byte{1 << 3, 1}), protoField(2, []byte(line))...)
		stream = append(stream, protoField(2, e)...)
	}
	return protoField(1, stream)
}

func protoField(number byte, content []byte) []byte {
	out := []byte{number<<3 | 2}
	for n := len(content); ; n >>= 7 {
		if n < 0x80 {
			return append(append(out, byte(n)), content...)
		}
		out = append(out, byte(n)|0x80)
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

var errTest = errors.New("it does not work")

// nowhere is lines that take everything and note nothing.
type nowhere struct{}

func (nowhere) Open(flow.Input) (flow.Line, error)         { return nowhere{}, nil }
func (nowhere) Known() []flow.Input                        { return nil }
func (nowhere) Settle()                                    {}
func (nowhere) Position() record.Position                  { return record.Position{} }
func (nowhere) Close(bool)                                 {}
func (nowhere) Write(context.Context, *record.Batch) error { return nil }
