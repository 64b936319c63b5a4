package crawl

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// world is a journal that remembers what was written to it, whatever source writes.
type world struct {
	t        testing.TB
	registry *metric.Registry
	ledger   *ledger.Component
	log      *strings.Builder

	mu        sync.Mutex
	positions map[string]record.Position
	states    map[string][]byte
	got       map[string][]string // records, by stream
	all       []string            // in the order of all streams
	writes    int
	largest   int // batch, in records
	gaps      []string
	api       http.HandlerFunc // answers instead of a network
	fail      error            // of Write
	wrote     func(stream string)
	stored    func() // with mu
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, registry: metric.New(), log: &strings.Builder{}, positions: map[string]record.Position{}, states: map[string][]byte{}, got: map[string][]string{}}
	l, err := ledger.New(w.registry, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l.Component("source", "acme", "crawl")
	return w
}

// source returns a source of these settings.
func (w *world) source(c Config, once bool) *Source {
	w.t.Helper()
	s, err := New(c, flow.Deps{Name: "acme", Log: slog.New(slog.NewTextHandler(w.log, nil)), Ledger: w.ledger, Metrics: w.registry, State: w, Batches: flow.NewPool(3), Once: once})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, st := range s.streams {
		if w.api != nil && st.asks != nil {
			st.asks.client.Transport = handler(w.api)
		}
	}
	if w.api != nil && s.signer.client != nil {
		s.signer.client.Transport = handler(w.api)
	}
	return s
}

// handler is a network that leads to a server at once.
type handler http.HandlerFunc

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	to := r.Clone(r.Context())
	if to.Body == nil {
		to.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	h(answer, to)
	response := answer.Result()
	response.Request = r
	return response, nil
}

// problem returns what is wrong with the source, "" if nothing is.
func (w *world) problem() string { return w.ledger.State().Problem }

// number returns a sample of /metrics.
func (w *world) number(series string) string {
	w.t.Helper()
	for line := range strings.Lines(string(w.registry.AppendText(nil, metric.Text))) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return v
		}
	}
	return ""
}

// skipped returns how many records were left out for a reason.
func (w *world) skipped(reason string) string {
	return w.number(`weir_crawl_skipped_records_total{source="acme",stream="events",reason="` + reason + `"}`)
}

// expect compares what the stream events got.
func (w *world) expect(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.got["acme/events"]; !slices.Equal(got, want) {
		w.t.Errorf("got %q\nwant %q", got, want)
	}
}

// once lets every stream run once.
func (w *world) once(c Config) {
	w.t.Helper()
	if err := w.source(c, true).Run(w.t.Context(), w); err != nil {
		w.t.Fatal(err)
	}
}

// Load implements flow.State.
func (w *world) Load(key string) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.states[key])
}

// Store implements flow.State.
func (w *world) Store(key string, value []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(value) == 0 {
		delete(w.states, key)
	} else {
		w.states[key] = slices.Clone(value)
	}
	if w.stored != nil {
		w.stored()
	}
}

func (w *world) Known() []flow.Input { return nil }
func (w *world) Settle()             {}
func (w *world) Open(in flow.Input) (flow.Line, error) {
	if !in.Whole || in.Stream.Source != "acme" {
		w.t.Errorf("opened %+v", in)
	}
	return &worldLine{w, in.Stream.ID}, nil
}

type worldLine struct {
	*world
	id string
}

func (l *worldLine) Position() record.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.positions[l.id]
	p.Source = append([]byte{}, p.Source...)
	return p
}

func (l *worldLine) Close(forget bool) {
	if forget {
		l.t.Error("a position is to be forgotten")
	}
}

func (l *worldLine) Write(_ context.Context, b *record.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.writes++
	l.largest = max(l.largest, len(b.Records))
	for _, g := range b.Gaps {
		l.gaps = append(l.gaps, fmt.Sprintf("%s before record %d", g.Reason, len(l.got[l.id])))
	}
	fields := b.Fields
	for i := range b.Records {
		r := &b.Records[i]
		text := string(b.Bytes(r.Body))
		if r.Level != 0 {
			text = r.Level.String() + " " + text
		}
		for len(fields) > 0 && fields[0].Record == i {
			text += fmt.Sprintf(" %s=%s", b.Bytes(fields[0].Name), b.Bytes(fields[0].Value))
			fields = fields[1:]
		}
		l.got[l.id] = append(l.got[l.id], text)
		l.all = append(l.all, text)
	}
	p := record.Position{Source: append([]byte{}, b.Position.Source...), Resume: b.Position.Resume}
	l.positions[l.id] = p
	for _, d := range b.Deltas {
		l.registry.Apply([]record.Delta{d})
	}
	if l.wrote != nil {
		l.wrote(l.id)
	}
	return nil
}

// stream returns the settings of a stream as they are where a file says nothing.
func streamConfig(change func(*Stream)) Stream {
	var s Stream
	s.SetDefaults()
	change(&s)
	return s
}

// config returns the settings of a source with one stream, named events.
func testConfig(change func(*Stream)) Config {
	c := Default()
	c.Streams = map[string]Stream{"events": streamConfig(change)}
	return c
}
