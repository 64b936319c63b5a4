package agent

import (
	"context"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/stage/level"
)

// generation is what one configuration makes and runs.
type generation struct {
	cfg     Config
	rules   []*rule
	sources []*source
	sinks   []*sink
	plugins []plugin

	stop     context.CancelCauseFunc // ends the sources
	stopSink context.CancelCauseFunc
	feeding  sync.WaitGroup
	draining sync.WaitGroup
}

// source is a flow.Source with its lines.
type source struct {
	name, typ string
	flow.Source
	ledger  *ledger.Component
	lines   *lines
	settled sync.Once
	ready   chan struct{} // closed once it has settled
}

// sink is a part that reads what is committed and sends it on.
type sink struct {
	name, typ string
	outlet
	ledger *ledger.Component
}

// outlet is what the agent needs of a sink.
type outlet interface {
	// Run sends until ctx ends, and then, unless that is for a reload, what is left.
	Run(ctx context.Context) error
	// LastFlush returns when all that was due had been sent.
	LastFlush() time.Time
	// States returns the keys under which it keeps what it knows over restarts.
	States() []string
}

// build makes the parts of cfg without starting anything.
func (a *Agent) build(cfg Config) (*generation, error) {
	g := &generation{cfg: cfg}
	var err error
	if g.rules, err = compileRules(cfg.Rules, a.registry); err != nil {
		return nil, err
	}
	if err := a.addPlugins(g); err != nil {
		return nil, err
	}
	parts, err := cfg.components()
	if err != nil {
		return nil, err
	}
	for _, p := range parts.sinks {
		if err := a.addSink(g, p); err != nil {
			return nil, err
		}
	}
	for _, p := range parts.sources {
		if err := a.addSource(g, p, cfg.mapping); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// takers returns the names of the sinks that take the text of a stream.
func (g *generation) takers(labels record.Labels) []string {
	var names []string
	for _, s := range g.sinks {
		if text, ok := s.outlet.(*textOutlet); ok && text.matches.Matches(labels) {
			names = append(names, s.name)
		}
	}
	return names
}

func (a *Agent) addSource(g *generation, p sourcePart, mapping *level.Mapping) error {
	c := a.ledger.Component("source", p.name, p.typ)
	s := &source{name: p.name, typ: p.typ, ledger: c, ready: make(chan struct{})}
	s.lines = &lines{
		source: p.name, journal: a.journal, rules: g.rules, mapping: mapping,
		tally: a.tallies.of(p.name), filtered: a.tallies.filters(p.name), dropped: a.tallies.filtered.Series(p.name, "plugin").ID(), open: map[*line]bool{},
		takers: g.takers, settled: func() {
			s.settled.Do(func() {
				a.journal.Store("settled/"+p.name, []byte{1})
				close(s.ready)
			})
		},
	}
	if p.typ == "docker" {
		s.lines.logs = &a.tallies.logs
	}
	var err error
	s.Source, err = p.build(flow.Deps{
		Name: p.name, Log: a.opts.Log.With("source", p.name), Ledger: c, Metrics: a.registry, State: sourceState{a.journal, p.name}, Batches: a.batches, Sync: a.journal.Sync, Hurry: a.journal.Archive().Hurry,
		Handover: &a.handover, Containers: &a.containers, Once: a.opts.Once, Own: ownDirs(a.dataDir, g.cfg.parts.sinks), First: len(a.journal.Load("settled/"+p.name)) == 0,
	})
	if err != nil {
		return err
	}
	g.sources = append(g.sources, s)
	return nil
}

func (a *Agent) addSink(g *generation, p sinkPart) error {
	c := a.ledger.Component("sink", p.name, p.typ)
	out, err := p.build(sinkDeps{
		name: p.name, node: g.cfg.Node, log: a.opts.Log.With("sink", p.name), ledger: c, rules: g.rules, state: a.journal, registry: a.registry, statsd: g.cfg.parts.statsdSources(),
		types: g.cfg.parts.sourceTypes(), handover: &a.handover, history: a.history, interval: a.historyInterval, version: a.opts.Version,
	})
	if err != nil {
		return err
	}
	g.sinks = append(g.sinks, &sink{name: p.name, typ: p.typ, outlet: out, ledger: c})
	return nil
}

// start runs the sinks, then the sources. Sources end with what feed makes, sinks with
// background or stopSinks.
func (g *generation) start(background context.Context, feed func() (context.Context, context.CancelCauseFunc)) {
	sinking, stopSink := context.WithCancelCause(background)
	g.stopSink = stopSink
	for _, s := range g.sinks {
		g.draining.Go(func() { keep(sinking, s.ledger, s.Run) })
	}
	feeding, stop := feed()
	g.stop = stop
	for _, s := range g.sources {
		g.feeding.Go(func() {
			keep(feeding, s.ledger, func(ctx context.Context) error { return s.Run(ctx, s.lines) })
		})
	}
}

// keep runs a part until it ends without an error or ctx does. A part that fails is
// degraded and runs again after a pause; it stops no other.
func keep(ctx context.Context, c *ledger.Component, run func(context.Context) error) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		err := run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.Degraded(err.Error(), "weir tries again by itself; the problem says what it waits for")
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// stopSources ends the sources for a cause, flow.ErrReload or nil, and waits for them; false says
// that ctx ended first.
func (g *generation) stopSources(ctx context.Context, cause error) bool {
	if g.stop != nil {
		g.stop(cause)
	}
	ended := make(chan struct{})
	go func() {
		g.feeding.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopSinks ends the sinks for a cause, flow.ErrReload or nil, and waits for them.
func (g *generation) stopSinks(cause error) {
	if g.stopSink != nil {
		g.stopSink(cause)
	}
	g.draining.Wait()
	g.closePlugins()
}
