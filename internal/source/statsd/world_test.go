package statsd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// world is a source whose lines commit at once, and a registry that a restart restores.
type world struct {
	t      *testing.T
	cfg    Config
	dir    string
	source *Source
	reg    *metric.Registry
	log    syncBuffer
	stop   func()

	containers flow.Containers

	mu      sync.Mutex
	records []string
	fail    error // of Write
	cond    *sync.Cond
	commits int
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// newWorld runs a source with these settings. Tests that have one wait most of the time, for commits,
// and run side by side.
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, cfg: Default(), dir: t.TempDir(), stop: func() {}}
	w.cond = sync.NewCond(&w.mu)
	w.cfg.Listen = []string{"udp://127.0.0.1:0"}
	if change != nil {
		change(&w.cfg)
	}
	for i, text := range w.cfg.Listen {
		w.cfg.Listen[i] = strings.ReplaceAll(text, "$DIR", w.dir)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs a source on what the registry before had.
func (w *world) start(change ...func(*Source)) {
	w.t.Helper()
	before := w.reg
	w.reg = metric.New(record.Label{Name: "machine", Value: "m"})
	if before != nil {
		for _, d := range before.Snapshot() {
			if err := w.reg.Restore(d); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	l, err := ledger.New(w.reg, log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.source, err = New(w.cfg, flow.Deps{
		Name: "app", Log: log, Ledger: l.Component("source", "app", "statsd"), Metrics: w.reg, Batches: flow.NewPool(2), Containers: &w.containers,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reg.DropUnclaimed()
	for _, f := range change {
		f(w.source)
	}
	w.run()
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.source.Run(ctx, worldLines{w}); err != nil {
			w.t.Error(err)
		}
	}()
	for _, l := range w.source.listeners {
		<-l.ready
	}
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
}

// restart ends the source and starts another from what it has committed.
func (w *world) restart() { w.stop(); w.start() }

type worldLines struct{ *world }

func (l worldLines) Known() []flow.Input { return nil }
func (l worldLines) Settle()             {}
func (l worldLines) Open(in flow.Input) (flow.Line, error) {
	return &worldLine{world: l.world, events: in.Stream.Labels.Get("log") == "events"}, nil
}

type worldLine struct {
	*world
	events bool
}

func (l *worldLine) Position() record.Position { return record.Position{} }
func (l *worldLine) Close(bool)                {}
func (l *worldLine) Write(_ context.Context, b *record.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	if l.events == (len(b.Deltas) > 0) || !l.events && len(b.Records) > 0 {
		l.t.Errorf("a batch of %d records and %d deltas for %s", len(b.Records), len(b.Deltas), b.Stream.ID)
	}
	l.reg.Apply(b.Deltas)
	for i := range b.Records {
		text := fmt.Sprintf("%s %q", b.Records[i].Level, b.Bytes(b.Records[i].Body))
		for _, f := range b.Fields {
			if f.Record == i {
				text += fmt.Sprintf(" %s=%s", b.Bytes(f.Name), b.Bytes(f.Value))
			}
		}
		l.world.records = append(l.world.records, text)
	}
	l.commits++
	l.cond.Broadcast()
	return nil
}

// addr returns where listener i is, as net.Dial has it.
func (w *world) addr(i int) (network, address string) {
	l := w.source.listeners[i]
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.network, l.bound[0].String()
}

func (w *world) dial(i int) net.Conn {
	w.t.Helper()
	network, address := w.addr(i)
	c, err := net.Dial(network, address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *world) send(i int, text string) {
	w.t.Helper()
	c := w.dial(i)
	if _, err := c.Write([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
	c.Close()
}

// lines waits until that many lines were received, all told, and committed.
func (w *world) lines(n float64) {
	w.t.Helper()
	w.until(func() bool { return w.sum("weir_statsd_lines_total") >= n })
}

// until waits for a commit after which ok holds.
func (w *world) until(ok func() bool) {
	w.t.Helper()
	const patience = 20 * time.Second
	end := time.Now().Add(patience)
	timeout := time.AfterFunc(patience, w.cond.Broadcast)
	defer timeout.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ok() {
		if time.Now().After(end) {
			w.t.Fatalf("it does not come to that\n%s\n%s", w.log.String(), w.reg.AppendText(nil, metric.Text))
		}
		w.cond.Wait()
	}
}

// sum adds up the samples of a name that have all these labels.
func (w *world) sum(name string, labels ...string) (sum float64) {
	w.t.Helper()
	scan := bufio.NewScanner(bytes.NewReader(w.reg.AppendText(nil, metric.Text)))
	for scan.Scan() {
		line := scan.Text()
		rest, ok := strings.CutPrefix(line, name+"{")
		if !ok || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			w.t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// has compares samples, `name{labels} value` without those of the machine.
func (w *world) has(samples ...string) {
	w.t.Helper()
	text := "\n" + string(w.reg.AppendText(nil, metric.Text))
	text = strings.ReplaceAll(strings.ReplaceAll(text, `{machine="m"}`, ""), `{machine="m",`, "{")
	for _, s := range samples {
		if !strings.Contains(text, "\n"+s+"\n") {
			name, _, _ := strings.Cut(strings.Fields(s)[0], "{")
			w.t.Errorf("want %s, have:", s)
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, name) {
					w.t.Errorf("  %s", strings.TrimSpace(line))
				}
			}
		}
	}
}

// agrees sees that every line that was received has one fate.
func (w *world) agrees() {
	w.t.Helper()
	lines, counted := w.sum("weir_statsd_lines_total"), w.sum("weir_statsd_counted_lines_total")
	bad, dropped := w.sum("weir_statsd_bad_lines_total"), w.sum("weir_statsd_dropped_lines_total")
	if lines != counted+bad+dropped {
		w.t.Errorf("%v lines, of which %v counted, %v bad, %v dropped", lines, counted, bad, dropped)
	}
}
