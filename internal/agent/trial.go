package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/sink/datadog"
	"github.com/weirlog/weir/internal/source/crawl"
)

// TrialOptions say how a source is tried.
type TrialOptions struct {
	// Source is the name of a crawl source.
	Source string
	// Start is where streams of a url begin: beginning, end, or a time before now as 24h. Empty: where
	// they say themselves, else at 24h.
	Start string
	// Most is how many records are wanted; then the run is ended.
	Most int
	// Dir is an empty directory, for as long as the trial lasts.
	Dir string
	Log *slog.Logger
}

// Trial is what one run of a source brought, through the rules, and what sinks would have sent.
type Trial struct {
	Streams []TrialStream `json:"streams"`
	Sinks   []TrialSink   `json:"sinks"`
	// Problem is why the run ended early; "" if it did not.
	Problem string `json:"problem,omitempty"`
	// More says that there were more records than were wanted.
	More bool `json:"more,omitempty"`
}

// TrialStream is what came of one stream.
type TrialStream struct {
	Name string `json:"name"`
	// Cursor is what the next run would go on from, in words.
	Cursor string `json:"cursor"`
	// Records are as all sinks but Datadog's would send them.
	Records []TrialRecord `json:"records"`
	// Skipped is how many records were left out, by reason.
	Skipped map[string]int `json:"skipped,omitempty"`
	// Bad is how many were none, or had no time, by reason.
	Bad map[string]int `json:"bad,omitempty"`
	// Missing is what no record had of that which the stream looks for.
	Missing []string `json:"missing,omitempty"`
}

// TrialRecord is one record.
type TrialRecord struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Body  string    `json:"body"`
	// Fields are names and values, as name=value.
	Fields []string `json:"fields,omitempty"`
}

// TrialSink is what a sink of the configuration would send.
type TrialSink struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Records is how many it would get, and First the first of them, as it goes out.
	Records int    `json:"records"`
	First   string `json:"first,omitempty"`
}

// Try runs one source once, through rules and journal to what would be sinks, and leaves nothing
// behind but what the source's own programs do.
func Try(ctx context.Context, cfg Config, o TrialOptions) (Trial, error) {
	part, settings, err := cfg.crawler(o.Source)
	if err != nil {
		return Trial{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &trial{options: o, node: cfg.Node, enough: cancel, streams: map[string]*TrialStream{}}
	part.build = func(d flow.Deps) (flow.Source, error) {
		made, err := crawl.New(startAt(settings, o.Start), d)
		if err != nil {
			return nil, err
		}
		made.Try()
		return &watched{Source: made, trial: t}, nil
	}
	for name := range settings.Streams {
		t.streams[o.Source+"/"+name] = &TrialStream{Name: name, Skipped: map[string]int{}, Bad: map[string]int{}}
	}
	sinks := []sinkPart{t.part("", "", deliver.SelectAll(), t.keep)}
	for _, s := range cfg.parts.sinks {
		if c, ok := s.settings.(selecting); ok {
			t.sinks = append(t.sinks, &TrialSink{Name: s.name, Type: s.typ})
			sinks = append(sinks, t.part(s.name, s.typ, c.Selected(), t.sending(s.settings, t.sinks[len(t.sinks)-1])))
		}
	}
	cfg.parts = parts{sources: []sourcePart{part}, sinks: sinks}
	cfg.DataDir, cfg.Journal.Free = o.Dir, 0
	a, err := New(cfg, Options{Log: o.Log, Once: true})
	if err != nil {
		return Trial{}, err
	}
	err = errors.Join(a.Run(ctx), a.Close())
	return t.result(a), err
}

// crawler returns a crawl source of the configuration.
func (c Config) crawler(name string) (sourcePart, crawl.Config, error) {
	var crawlers []string
	for _, s := range c.parts.sources {
		settings, ok := s.settings.(crawl.Config)
		if ok && s.name == name {
			return s, settings, nil
		}
		if ok {
			crawlers = append(crawlers, s.name)
		}
	}
	switch len(crawlers) {
	case 0:
		return sourcePart{}, crawl.Config{}, fmt.Errorf("no source of the type crawl is configured: weir crawl new %s writes one", name)
	default:
		return sourcePart{}, crawl.Config{}, fmt.Errorf("there is no crawl source %q; there is %q", name, crawlers)
	}
}

// startAt returns settings whose streams begin where a trial does.
func startAt(c crawl.Config, start string) crawl.Config {
	c.Streams = maps.Clone(c.Streams)
	for name, s := range c.Streams {
		switch {
		case len(s.Exec) > 0:
			continue
		case start != "":
			s.Start = start
		case s.Start == "":
			s.Start = "24h"
		}
		c.Streams[name] = s
	}
	return c
}

// trial collects what comes of a trial.
type trial struct {
	options TrialOptions
	node    string
	enough  context.CancelFunc

	mu      sync.Mutex // guards below
	streams map[string]*TrialStream
	sinks   []*TrialSink
	came    int
	written int
}

// watched is a source whose batches are counted, and that is asked at its end how far it is.
type watched struct {
	*crawl.Source
	trial *trial
}

// Run implements flow.Source.
func (w *watched) Run(ctx context.Context, lines flow.Lines) error {
	err := w.Source.Run(ctx, &watchedLines{Lines: lines, trial: w.trial})
	w.trial.mu.Lock()
	defer w.trial.mu.Unlock()
	missing := w.Missing()
	for name, cursor := range w.Cursors() {
		s := w.trial.streams[w.trial.options.Source+"/"+name]
		s.Cursor, s.Missing = cursor, missing[name]
	}
	return err
}

type watchedLines struct {
	flow.Lines
	trial *trial
}

// Open implements flow.Lines.
func (l *watchedLines) Open(in flow.Input) (flow.Line, error) {
	line, err := l.Lines.Open(in)
	return &watchedLine{Line: line, trial: l.trial}, err
}

type watchedLine struct {
	flow.Line
	trial *trial
}

// Write implements flow.Sink.
func (l *watchedLine) Write(ctx context.Context, b *record.Batch) error {
	n := len(b.Records)
	if err := l.Line.Write(ctx, b); err != nil {
		return err
	}
	t := l.trial
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written += n; t.options.Most > 0 && t.written > t.options.Most {
		t.enough()
	}
	return nil
}

// trialConfig is the configuration of what stands for a sink.
type trialConfig struct{ selection deliver.Selection }

// Selected implements selecting.
func (c trialConfig) Selected() deliver.Selection { return c.selection }

// part returns what stands for a sink.
func (t *trial) part(name, typ string, selection deliver.Selection, take func(*record.Batch, int)) sinkPart {
	selection.Start = "beginning"
	c := trialConfig{selection}
	return sinkPart{name: name, typ: typ, settings: c, build: func(d sinkDeps) (outlet, error) {
		return newTextOutlet(c, d, func(_ trialConfig, d deliver.Deps) (*deliver.Sink, error) {
			return deliver.New(d, collector(take), time.Minute), nil
		})
	}}
}

// collector is a target that sends nothing.
type collector func(b *record.Batch, i int)

// Send implements deliver.Target.
func (c collector) Send(_ context.Context, b *record.Batch) (deliver.Result, error) {
	for i := range b.Records {
		if b.Records[i].Flags&record.Dropped == 0 {
			c(b, i)
		}
	}
	return deliver.Result{}, nil
}

// Close implements deliver.Target.
func (c collector) Close() error { return nil }

// keep takes a record to show it.
func (t *trial) keep(b *record.Batch, i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.came++; t.options.Most > 0 && t.came > t.options.Most {
		return
	}
	r := &b.Records[i]
	shown := TrialRecord{Time: time.Unix(0, r.Time).UTC(), Level: r.Level.String(), Body: string(b.Bytes(r.Body))}
	for _, f := range b.Fields {
		if f.Record == i {
			shown.Fields = append(shown.Fields, string(b.Bytes(f.Name))+"="+string(b.Bytes(f.Value)))
		}
	}
	if s := t.streams[b.Stream.ID]; s != nil {
		s.Records = append(s.Records, shown)
	}
}

// sending returns what takes records as a sink with such settings.
func (t *trial) sending(settings any, to *TrialSink) func(*record.Batch, int) {
	return func(b *record.Batch, i int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if to.Records++; to.Records > 1 {
			return
		}
		if c, ok := settings.(datadog.Config); ok {
			to.First = string(datadog.Preview(c, t.node, b, i))
			return
		}
		var e deliver.Encoder
		e.Begin(b)
		to.First = string(e.Append(nil, b, i))
	}
}

// result returns what came.
func (t *trial) result(a *Agent) (out Trial) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.registry.Each(func(f *metric.Family, s *metric.Series) bool {
		v := s.Values()
		if s.Value() == 0 || len(v) != 3 || v[0] != t.options.Source || t.streams[v[0]+"/"+v[1]] == nil {
			return true
		}
		stream := t.streams[v[0]+"/"+v[1]]
		switch f.Desc().Name {
		case "weir_crawl_skipped_records_total":
			stream.Skipped[v[2]] = int(s.Value())
		case "weir_crawl_bad_records_total":
			stream.Bad[v[2]] = int(s.Value())
		}
		return true
	})
	for _, id := range slices.Sorted(maps.Keys(t.streams)) {
		out.Streams = append(out.Streams, *t.streams[id])
	}
	for _, s := range t.sinks {
		out.Sinks = append(out.Sinks, *s)
	}
	out.More = t.options.Most > 0 && t.written > t.options.Most
	for _, c := range a.ledger.Components() {
		if s := c.State(); c.Kind == "source" && !s.Healthy {
			out.Problem = s.Problem
		}
	}
	return out
}
