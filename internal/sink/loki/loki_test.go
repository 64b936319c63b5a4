package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/source/push"
)

// receiver takes pushes, and answers as it is told.
type receiver struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	got    []string
	labels []string
	calls  int
	header http.Header
	judge  func(lines []string) (status int, after string)
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

type lines struct{ labels, all []string }

func (v *lines) Stream(l lokipush.Labels) bool {
	v.labels = append(v.labels, string(l.Text))
	return true
}

func (v *lines) Entry(e *lokipush.Entry) error {
	v.all = append(v.all, string(e.Line))
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	packed, err := io.ReadAll(req.Body)
	if err != nil || req.URL.Path != pushPath {
		r.t.Error(err, req.URL)
	}
	body, err := compress.UncompressSnappy(nil, packed, 1<<20)
	if err != nil {
		r.t.Error(err)
	}
	var d lokipush.Decoder
	var v lines
	if err := d.Visit(lokipush.Protobuf, body, &v); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.header, r.labels = req.Header, v.labels
	if r.judge != nil {
		if status, after := r.judge(v.all); status != 0 {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			http.Error(w, "for a reason", status)
			return
		}
	}
	r.got = append(r.got, v.all...)
	w.WriteHeader(http.StatusNoContent)
}

func newTarget(t *testing.T, url string, change func(*Config)) *target {
	t.Helper()
	c := Default()
	c.URL = url
	if change != nil {
		change(&c)
	}
	client, err := c.HTTP.NewClient(c.address(), http.Header{"Content-Type": {"application/x-protobuf"}, "X-Scope-Orgid": {c.Tenant}}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &target{config: c, deps: deliver.Deps{Node: "web-1", Log: slog.New(slog.DiscardHandler)}, client: client, parts: c.Parts()}
}

// batch returns records with these texts.
func batch(first uint64, texts ...string) *record.Batch {
	b := &record.Batch{Stream: &record.Stream{ID: "app/x", Labels: record.NewLabels(map[string]string{"source": "app"})}, First: first}
	for i, text := range texts {
		b.Records = append(b.Records, record.Record{Time: int64(i + 1), Body: b.Append([]byte(text))})
	}
	return b
}

func TestSend(t *testing.T) {
	r := newReceiver(t)
	target := newTarget(t, r.server.URL, func(c *Config) {
		c.MaxRecords, c.Tenant, c.Labels = 2, "shop", map[string]string{"machine": "{node}", "source": "not this"}
	})
	b := batch(1, "a", "left out", "b", "c")
	b.Records[1].Flags = record.Dropped
	if result, err := target.Send(t.Context(), b); err != nil || result != (deliver.Result{}) {
		t.Error(result, err)
	}
	if !slices.Equal(r.got, []string{"a", "b", "c"}) || r.calls != 2 || r.header.Get("X-Scope-OrgID") != "shop" || r.labels[0] != `{machine="web-1", source="app"}` {
		t.Error(r.got, r.calls, r.header, r.labels)
	}
	r.calls = 0
	target.parts.MaxRecords, target.parts.MaxBytes = 100, 3000
	var long []string
	for range 10 {
		long = append(long, strings.Repeat("x", 1000))
	}
	if _, err := target.Send(t.Context(), batch(5, long...)); err != nil || r.calls != 5 {
		t.Error(err, r.calls)
	}
}

// TestBad: what is not wanted is found, dropped and counted, and the rest goes out.
func TestBad(t *testing.T) {
	r := newReceiver(t)
	target := newTarget(t, r.server.URL, nil)
	r.judge = func(all []string) (int, string) {
		switch {
		case slices.Contains(all, "old"):
			return 400, ""
		case len(all) > 2:
			return 413, ""
		}
		return 0, ""
	}
	result, err := target.Send(t.Context(), batch(1, "a", "old", "b", "c", "d", "old"))
	if err != nil || result != (deliver.Result{Refused: 2, Why: "refused with status 400"}) || !slices.Equal(r.got, []string{"a", "b", "c", "d"}) {
		t.Error(result, err, r.got)
	}
}

// TestAgain: whatever may go by is waited for; what went out before does not come twice.
func TestAgain(t *testing.T) {
	r := newReceiver(t)
	for _, status := range []int{301, 401, 404, 429, 500, 503} {
		target := newTarget(t, r.server.URL, func(c *Config) { c.MaxRecords = 1 })
		r.got, r.judge = nil, func(all []string) (int, string) {
			if all[0] == "b" {
				return status, ""
			}
			return 0, ""
		}
		b := batch(1, "a", "b", "c")
		if _, err := target.Send(t.Context(), b); err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || !strings.Contains(err.Error(), "for a reason") {
			t.Error(status, err)
		}
		r.judge = nil
		if _, err := target.Send(t.Context(), b); err != nil || !slices.Equal(r.got, []string{"a", "b", "c"}) {
			t.Error(status, err, r.got)
		}
	}
	target := newTarget(t, r.server.URL, nil)
	r.judge = func([]string) (int, string) { return 429, "600" }
	_, err := target.Send(t.Context(), batch(1, "x"))
	calls := r.calls
	_, again := target.Send(t.Context(), batch(1, "x"))
	if err == nil || again == nil || !strings.Contains(again.Error(), "left alone for 10m") || r.calls != calls {
		t.Error(err, again)
	}
}

// TestPage: a web page with status 200 is of something else than Loki, which took nothing.
func TestPage(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Sign in</title>"))
	}))
	defer page.Close()
	if _, err := newTarget(t, page.URL, nil).Send(t.Context(), batch(1, "a")); err == nil || !strings.Contains(err.Error(), "web page") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	c := Default()
	c.URL = "http://127.0.0.1:1/x"
	s, err := New(c, deliver.Deps{})
	if err != nil || s.Close() != nil || c.address() != c.URL {
		t.Error(err)
	}
	bad := func(key string, change func(*Config)) {
		t.Helper()
		c := Default()
		c.URL = "http://127.0.0.1:3100"
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	bad("url", func(c *Config) { c.URL = "" })
	bad("tenant", func(c *Config) { c.Tenant = "a\nb" })
	bad("labels.a-b", func(c *Config) { c.Labels = map[string]string{"a-b": "x"} })
	bad("max_records", func(c *Config) { c.MaxRecords = 0 })
	bad("max_bytes", func(c *Config) { c.MaxBytes = 1 })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"x-scope-orgid": "x"} })
}

// taken are the records that another weir's source gets.
type taken struct {
	got     []string
	settled chan struct{}
}

func (*taken) Known() []flow.Input { return nil }
func (l *taken) Settle()           { close(l.settled) }
func (l *taken) Open(in flow.Input) (flow.Line, error) {
	return takenLine{l, in.Stream.Labels.String()}, nil
}

type takenLine struct {
	*taken
	labels string
}

func (takenLine) Position() record.Position { return record.Position{} }
func (takenLine) Close(bool)                {}
func (l takenLine) Write(_ context.Context, b *record.Batch) error {
	l.got = append(l.got, shown(l.labels, b)...)
	return nil
}

func shown(labels string, b *record.Batch) (all []string) {
	for i := range b.Records {
		r := &b.Records[i]
		text := fmt.Sprintf("%s %d %s %q", labels, r.Time, r.Level, b.Bytes(r.Body))
		for _, f := range b.Fields {
			if f.Record == i {
				text += fmt.Sprintf(" %s=%q", b.Bytes(f.Name), b.Bytes(f.Value))
			}
		}
		all = append(all, text)
	}
	return all
}

// TestSame: what one weir pushes to another is there what it was here.
func TestSame(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	l, err := ledger.New(metric.New(), log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := push.New(push.Default(), flow.Deps{Name: "other", Log: log, Ledger: l.Component("source", "other", "push"), Batches: flow.NewPool(2), Sync: func(context.Context) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	other := &taken{settled: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx, other) })
	<-other.settled
	server := httptest.NewServer(s.Handler())
	b := &record.Batch{First: 7, Stream: &record.Stream{ID: "docker/shop", Labels: record.NewLabels(map[string]string{
		"source": "docker", "container": "shop", "filename": "/srv/app.log", "odd_label": "a \"quote\"\n\\",
	})}}
	for i, text := range []string{"first", `{"json": "text"}`, "two\nlines", "no \xff letter", "é"} {
		b.Fields = append(b.Fields, record.Field{Record: i, Name: b.Append([]byte("status")), Value: b.Append([]byte("20\"0"))}, record.Field{Record: i, Name: b.Append([]byte("task")), Value: b.Append([]byte("t"))})
		b.Records = append(b.Records, record.Record{Time: int64(i+1)*1e9 + 5, Level: record.Level(i), Body: b.Append([]byte(text))})
	}
	if result, err := newTarget(t, server.URL, nil).Send(t.Context(), b); err != nil || result.Refused > 0 {
		t.Error(result, err)
	}
	if want := shown(b.Stream.Labels.String(), b); !slices.Equal(other.got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(other.got, "\n"), strings.Join(want, "\n"))
	}
	server.Close()
	cancel()
	running.Wait()
}
