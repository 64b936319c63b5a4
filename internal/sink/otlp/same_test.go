package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	otlpsource "github.com/weirlog/weir/internal/source/otlp"
)

// taken are the records that another weir's source gets.
type taken struct {
	mu      sync.Mutex
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
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, shown(l.labels, b)...)
	return nil
}

// shown returns the records of a batch as text.
func shown(labels string, b *record.Batch) (all []string) {
	for i := range b.Records {
		r := &b.Records[i]
		text := fmt.Sprintf("%s %d %s %d %d %q", labels, r.Time, r.Level, r.Flags, r.Weight, b.Bytes(r.Body))
		var fields []string
		for _, f := range b.Fields {
			if f.Record == i {
				fields = append(fields, fmt.Sprintf("%s=%q", b.Bytes(f.Name), b.Bytes(f.Value)))
			}
		}
		slices.Sort(fields)
		all = append(all, text+" "+strings.Join(fields, " "))
	}
	return all
}

// TestSame: what one weir sends to another is there what it was here.
func TestSame(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	reg := metric.New()
	l, err := ledger.New(reg, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Protocol{HTTP, GRPC} {
		listening := addresses{all: make(chan string, 1)}
		c := otlpsource.Default()
		c.HTTP, c.GRPC = "127.0.0.1:0", "" // which takes gRPC as well
		s, err := otlpsource.New(c, flow.Deps{
			Name: "other", Log: slog.New(listening), Ledger: l.Component("source", "other", "otlp"), Batches: flow.NewPool(2), Metrics: reg,
			Sync: func(context.Context) error { return nil }, State: nothing{},
		})
		if err != nil {
			t.Fatal(err)
		}
		lines := &taken{settled: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx, lines) })
		sink := Default()
		sink.URL, sink.Protocol = "http://"+<-listening.all, p
		target := newTarget(t, sink)
		b := everything()
		if result, err := target.Send(t.Context(), b); err != nil || result.Refused > 0 {
			t.Error(result, err)
		}
		if want := shown(b.Stream.Labels.String(), b); !slices.Equal(lines.got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", p, strings.Join(lines.got, "\n"), strings.Join(want, "\n"))
		}
		target.client.Close()
		cancel()
		running.Wait()
	}
}

// everything returns records with all that they can have.
func everything() *record.Batch {
	b := &record.Batch{First: 7, Stream: &record.Stream{ID: "docker/shop", Labels: record.NewLabels(map[string]string{
		"source": "docker", "container": "shop", "service_name": "shop", "k8s_pod_name": "p", "filename": "/srv/app.log", "odd_label": "a \"quote\"\n",
	})}}
	for i, text := range []string{"first", "", `{"json": "text"}`, "two\nlines", "é"} {
		r := record.Record{Time: int64(i+1) * 1e9, Level: record.Level(i), Body: b.Append([]byte(text))}
		r.Flags = []record.Flags{0, record.Stderr, record.Cut, record.Lost, 0}[i]
		r.Weight = []uint32{0, 0, 10, 0, 0}[i]
		for _, kv := range [][2]string{
			{"trace_id", "5b8efff798038103d269b633813fc60c"}, {"span_id", "eee19b7ec3c1b174"}, {"flags", "1"}, {"status", "200"}, {"severity_text", "odd"}, {"empty_not", " "},
		}[:i+2] {
			if i == 4 && kv[0] != "status" {
				kv[1] = strings.ToUpper(kv[1]) + "X" // no ids and no flags
			}
			b.Fields = append(b.Fields, record.Field{Record: i, Name: b.Append([]byte(kv[0])), Value: b.Append([]byte(kv[1]))})
		}
		b.Records = append(b.Records, r)
	}
	return b
}

// addresses is a log that tells where something listens.
type addresses struct {
	slog.Handler
	all chan string
}

func (addresses) Enabled(context.Context, slog.Level) bool { return true }
func (a addresses) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(at slog.Attr) bool {
		if at.Key == "address" {
			a.all <- at.Value.String()
		}
		return true
	})
	return nil
}

type nothing struct{}

func (nothing) Load(string) []byte   { return nil }
func (nothing) Store(string, []byte) {}
