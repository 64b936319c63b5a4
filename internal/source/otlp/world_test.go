package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// world is a source that listens, with lines that write down what they get.
type world struct {
	t      testing.TB
	cfg    Config
	source *Source
	reg    *metric.Registry
	kept   map[string][]byte // state
	open   flow.Handover
	stop   func(cause error)
	client *http.Client // speaks HTTP/2 without TLS
	secure bool

	mu        sync.Mutex
	opened    map[string]int
	got       map[string][]string // records, by stream
	synced    int
	fail      error // of Write
	exemplars []string
	deltas    int   // the most that a batch had
	most      int   // records that a batch had
	refuse    error // of Open
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, cfg: Default(), kept: map[string][]byte{}, opened: map[string]int{}, got: map[string][]string{}, reg: metric.New(record.Label{Name: "machine", Value: "m"})}
	w.cfg.HTTP, w.cfg.GRPC = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&w.cfg)
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.Protocols.SetHTTP2(true)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	w.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	w.make()
	return w
}

func (w *world) make() {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	l, err := ledger.New(metric.New(), log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.source, err = New(w.cfg, flow.Deps{
		Name: "otlp", Log: log, Ledger: l.Component("source", "otlp", "otlp"), Batches: flow.NewPool(3), Sync: w.sync, Metrics: w.reg, State: state{w}, Handover: &w.open,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run lets the source run until the test, or stop, ends it.
func (w *world) run() *world {
	w.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	settled := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.source.Run(ctx, worldLines{w, settled})
	}()
	<-settled
	for _, l := range w.source.listeners {
		<-l.ready
	}
	w.stop = func(cause error) {
		w.client.CloseIdleConnections()
		cancel(cause)
		<-ended
	}
	w.t.Cleanup(func() { w.stop(nil) })
	return w
}

// restart ends the source and makes it anew.
func (w *world) restart(cause error) {
	w.t.Helper()
	w.stop(cause)
	w.make()
	w.run()
}

type state struct{ w *world }

func (s state) Load(key string) []byte { return s.w.kept[key] }

func (s state) Store(key string, value []byte) {
	if len(value) == 0 {
		delete(s.w.kept, key)
		return
	}
	s.w.kept[key] = bytes.Clone(value)
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
	l.opened[in.Stream.ID]++
	return &worldLine{l.world, in.Stream.ID}, nil
}

type worldLine struct {
	*world
	id string
}

func (l *worldLine) Position() record.Position { return record.Position{} }
func (l *worldLine) Close(bool)                {}

func (l *worldLine) Write(_ context.Context, b *record.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.most = max(l.most, len(b.Records))
	fields := b.Fields
	for i := range b.Records {
		r := &b.Records[i]
		text := fmt.Sprintf("%d %s %s", r.Time, r.Level, b.Bytes(r.Body))
		if r.Body.Len > 1000 {
			text = fmt.Sprintf("%d %s %d bytes", r.Time, r.Level, r.Body.Len)
		}
		if r.Flags != 0 || r.Weight != 0 {
			text += fmt.Sprintf(" flags %d weight %d", r.Flags, r.Weight)
		}
		var names []string
		for len(fields) > 0 && fields[0].Record == i {
			name := string(b.Bytes(fields[0].Name))
			if slices.Contains(names, name) {
				l.t.Errorf("%s has %s twice", text, name)
			}
			names = append(names, name)
			text += fmt.Sprintf(" %s=%s", name, b.Bytes(fields[0].Value))
			fields = fields[1:]
		}
		l.got[l.id] = append(l.got[l.id], text)
	}
	if len(fields) > 0 {
		l.t.Errorf("fields of no record: %v", fields)
	}
	l.reg.Apply(b.Deltas)
	l.deltas = max(l.deltas, len(b.Deltas))
	for _, e := range b.Exemplars {
		labels := strings.ReplaceAll(strings.TrimSuffix(string(b.Bytes(e.Labels)), record.LabelEnd), record.LabelEnd, " ")
		l.exemplars = append(l.exemplars, fmt.Sprintf("cell %d %v at %d %s", e.Cell, e.Value, e.Time, labels))
	}
	return nil
}

func (w *world) sync(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = w.records()
	return w.fail
}

func (w *world) records() (n int) {
	for _, got := range w.got {
		n += len(got)
	}
	return n
}

// address returns that of the first or second listener.
func (w *world) address(i int) string { return w.source.listeners[i].bound.String() }

func (w *world) scheme() string {
	if w.secure {
		return "https://"
	}
	return "http://"
}

// post sends a request over HTTP and returns the answer: its status and its body.
func (w *world) post(path string, body []byte, headers ...string) string {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.scheme()+w.address(0)+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if retry := res.StatusCode == 429 || res.StatusCode == 503; retry != (res.Header.Get("Retry-After") != "") {
		w.t.Errorf("%d with Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, text))
}

// message puts a message into gRPC's frame.
func message(body []byte, packed byte) []byte {
	framed := binary.BigEndian.AppendUint32([]byte{packed}, uint32(len(body)))
	return append(framed, body...)
}

// call makes a call over gRPC and returns its answer: the status, its text, how long to wait, and
// what is in the message.
func (w *world) call(method string, framed []byte, headers ...string) string {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.scheme()+w.address(len(w.source.listeners)-1)+method, bytes.NewReader(framed))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/grpc" {
		w.t.Fatal(err, res.Status, res.Header)
	}
	answer := strings.TrimSpace(res.Trailer.Get("Grpc-Status") + " " + res.Trailer.Get("Grpc-Message"))
	if details := res.Trailer.Get("Grpc-Status-Details-Bin"); details != "" {
		raw, err := base64.RawStdEncoding.DecodeString(details)
		s, ok := wire.ParseStatus(raw)
		if err != nil || !ok {
			w.t.Error(err, details)
		}
		answer += fmt.Sprintf(" (after %v s)", s.RetryAfter)
	}
	if res.Trailer.Get("Grpc-Status") == "0" {
		p, err := wire.ParseResponse(text[prefixBytes:])
		if err != nil || text[0] != 0 || int(binary.BigEndian.Uint32(text[1:])) != len(text)-prefixBytes {
			w.t.Errorf("%v %x", err, text)
		}
		if p != (wire.Partial{}) {
			answer += fmt.Sprintf("rejected %d: %s", p.Rejected, p.Message)
		}
	}
	return answer
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

var errTest = errors.New("it does not work")
