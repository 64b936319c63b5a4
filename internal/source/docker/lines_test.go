package docker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// journal is a flow.Lines in memory. What a line got and the position are of one moment, as
// in a commit. Like the join stage it puts pieces together and holds back unfinished ones.
type journal struct {
	t *testing.T

	mu      sync.Mutex
	changed chan struct{}
	inputs  map[string]*input // by stream and container
	settled int
}

type input struct {
	in     flow.Input
	pos    record.Position
	got    []string
	gaps   []string
	labels record.Labels
	known  bool
	opens  int
	failed bool // Write fails
}

func newJournal(t *testing.T) *journal {
	return &journal{t: t, changed: make(chan struct{}), inputs: map[string]*input{}}
}

func (j *journal) lock(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) Settle() { j.lock(func() { j.settled++ }) }

func (j *journal) Known() []flow.Input {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []flow.Input
	for _, key := range slices.Sorted(maps.Keys(j.inputs)) {
		if i := j.inputs[key]; i.known {
			all = append(all, i.in)
		}
	}
	return all
}

func (j *journal) Open(in flow.Input) (flow.Line, error) {
	key := in.Stream.ID + " " + in.ID
	var l *line
	j.lock(func() {
		i := j.inputs[key]
		if i == nil {
			i = &input{in: in}
			j.inputs[key] = i
		}
		i.in = in
		i.labels = in.Stream.Labels
		i.opens++
		l = &line{journal: j, input: i}
	})
	return l, nil
}

type line struct {
	journal *journal
	input   *input
	pending [2]string
	start   [2]int64
	holding [2]bool
}

func (l *line) Position() record.Position {
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	p := l.input.pos
	p.Source = slices.Clone(p.Source)
	return p
}

func (l *line) Close(forget bool) {
	l.journal.lock(func() {
		if forget {
			l.input.known = false
			l.input.pos = record.Position{}
		}
	})
}

func (l *line) Write(_ context.Context, b *record.Batch) error {
	var err error
	l.journal.lock(func() {
		if l.input.failed {
			err = fmt.Errorf("the test's line refuses")
			return
		}
		last := int64(-1)
		for _, r := range b.Records {
			if r.Start < last || r.End <= r.Start {
				l.journal.t.Errorf("%s: positions %d to %d after %d", l.input.in.Stream.ID, r.Start, r.End, last)
			}
			last = r.End
			l.take(b, r)
		}
		for sub := range l.holding {
			if l.holding[sub] {
				b.Position.Resume[sub] = min(b.Position.Resume[sub], l.start[sub])
				b.Held = true
			}
		}
		for _, g := range b.Gaps {
			l.input.gaps = append(l.input.gaps, fmt.Sprint(g.Bytes, " ", g.Reason))
		}
		l.input.known = true
		l.input.pos = record.Position{Source: slices.Clone(b.Position.Source), Resume: b.Position.Resume}
	})
	return err
}

func (l *line) take(b *record.Batch, r record.Record) {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		text = dockerjson.Unescape(nil, text)
	}
	sub := r.Flags.Sub()
	if !l.holding[sub] {
		l.holding[sub], l.start[sub] = true, r.Start
	}
	l.pending[sub] += string(text)
	if r.Flags&record.Partial == 0 {
		l.input.got = append(l.input.got, l.pending[sub])
		l.pending[sub], l.holding[sub] = "", false
	}
}

// until waits for cond, which sees the journal locked.
func (j *journal) until(what string, cond func() bool) {
	j.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		j.mu.Lock()
		ok, changed := cond(), j.changed
		j.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			j.mu.Lock()
			defer j.mu.Unlock()
			for _, key := range slices.Sorted(maps.Keys(j.inputs)) {
				i := j.inputs[key]
				j.t.Logf("%s: %d records, gaps %v, known %v; last %.200q", key, len(i.got), i.gaps, i.known, i.got[max(0, len(i.got)-3):])
			}
			j.t.Fatal("waited in vain until ", what)
		}
	}
}

// has returns an input of a stream, which may have several; nil if there is none.
func (j *journal) has(stream string, c *fakeContainer) *input { return j.inputs[stream+" "+c.id] }

// untilCount waits until a stream's input has n records.
func (j *journal) untilCount(stream string, c *fakeContainer, n int) {
	j.t.Helper()
	j.until(fmt.Sprintf("%s has %d records", stream, n), func() bool {
		i := j.has(stream, c)
		return i != nil && len(i.got) >= n
	})
}

// exactly checks that a stream's input has the container's lines from first on, each once,
// those of a sub-stream in order, and no gap.
func (j *journal) exactly(stream string, c *fakeContainer, want []string) {
	j.t.Helper()
	j.untilCount(stream, c, len(want))
	j.mu.Lock()
	defer j.mu.Unlock()
	i := j.has(stream, c)
	if !slices.Equal(i.got, want) {
		for k := range max(len(i.got), len(want)) {
			g, w := "", ""
			if k < len(i.got) {
				g = i.got[k]
			}
			if k < len(want) {
				w = want[k]
			}
			if g != w {
				j.t.Errorf("%s: %d records, want %d; record %d is %.100q, want %.100q", stream, len(i.got), len(want), k, g, w)
				break
			}
		}
	}
	if len(i.gaps) > 0 {
		j.t.Errorf("%s: gaps %v", stream, i.gaps)
	}
}

// all returns the messages that the container wrote, pieces joined.
func (e *fakeEngine) all(c *fakeContainer) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	var pending [2]string
	for _, r := range c.records {
		sub := 0
		if r.stderr {
			sub = 1
		}
		text, ended := strings.CutSuffix(r.text, "\n")
		if c.tty {
			text = strings.TrimSuffix(text, "\r")
		}
		pending[sub] += text
		if ended {
			all = append(all, pending[sub])
			pending[sub] = ""
		}
	}
	return all
}

func testDeps(t *testing.T) flow.Deps {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	l, err := ledger.New(metric.New(), log)
	if err != nil {
		t.Fatal(err)
	}
	return flow.Deps{Name: "docker", Log: log, Ledger: l.Component("source", "docker", "docker"), Batches: flow.NewPool(3)}
}

// start runs a source until the returned function is called.
func start(t *testing.T, e *fakeEngine, j *journal, change func(*Config, *flow.Deps)) (stop func(), component *ledger.Component) {
	t.Helper()
	cfg, deps := Default(), testDeps(t)
	cfg.Host, cfg.Read, cfg.Root = e.host, ReadAPI, e.root
	if e.root != "" {
		cfg.Read = ReadAuto
	}
	if change != nil {
		change(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, j) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if b, err := deps.Batches.Get(context.Background(), &record.Stream{}); err != nil || b == nil {
			t.Error("a batch is missing from the pool")
		}
	})
	t.Cleanup(stop)
	return stop, deps.Ledger
}
