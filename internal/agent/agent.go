// Package agent puts weir together: it checks the configuration against the catalogue of
// components, builds the lines, and runs, drains and reloads everything.
//
//	cfg, mistakes := agent.Load(agent.Files{Paths: []string{"weir.yaml"}, Env: os.LookupEnv})
//	a, err := agent.New(cfg, agent.Options{Log: log, Version: "1.0"})
//	err = a.Run(ctx)
//
// What outlives a reload (the journal, the registry, the listener) belongs to the Agent;
// what a configuration makes (rules, sources, sinks) belongs to a generation. Sources of
// the old generation have ended, and all they read is committed, before those of the new
// one begin at the same positions: a reload neither loses nor repeats a record.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/reader"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/sink/file"
	"github.com/weirlog/weir/internal/sink/remotewrite"
	"github.com/weirlog/weir/internal/sink/statsd"
	"github.com/weirlog/weir/internal/tsdb"
)

// drainTime is how long commits and sinks may take once sources have ended.
const drainTime = 10 * time.Second

// Options is what an agent gets from its process.
type Options struct {
	Log     *slog.Logger
	Version string
	// Once makes Run read every input to its end, from its beginning, commit, and return.
	Once bool
	// FS replaces the data directory; nil means Config.DataDir.
	FS disk.Tree
}

// Agent is one running weir.
type Agent struct {
	opts     Options
	node     string
	dataDir  string
	started  time.Time
	registry *metric.Registry
	ledger   *ledger.Ledger
	journal  *journal.Journal
	history  *tsdb.DB // nil where none is kept
	// historyInterval is how far its rounds are apart: what it was when weir started.
	historyInterval time.Duration
	tallies         tallies
	batches         *flow.Pool

	handover   flow.Handover   // what sources leave open over a reload
	containers flow.Containers // where they are, as sources say

	changing sync.Mutex                                        // held while a generation is started, replaced or drained
	feed     func() (context.Context, context.CancelCauseFunc) // made by Run: what sources end with; guarded by changing

	mu         sync.Mutex // guards generation
	generation *generation
}

// New opens the data directory and recovers its state. The configuration must be one that
// Load found no mistakes in.
func New(cfg Config, o Options) (*Agent, error) {
	a := &Agent{opts: o, node: cfg.Node, dataDir: cfg.DataDir, started: time.Now()}
	var err error
	if a.registry, a.tallies, a.ledger, err = baseRegistry(cfg.Node, o); err != nil {
		return nil, err
	}
	fs := o.FS
	if fs == nil {
		if fs, err = disk.OS(cfg.DataDir); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	a.journal, err = journal.Open(journal.Options{
		FS: fs, Registry: a.registry, Log: o.Log, Ledger: a.ledger.Component("journal", "commits", "journal"),
		Total: archive.Bound{Size: int64(cfg.Journal.Size), Age: cfg.Journal.Age}, Floor: int64(cfg.Journal.Free),
	})
	if err != nil {
		return nil, err
	}
	err = showArchive(a.registry, a.journal.Archive())
	if err == nil {
		a.history, err = a.newHistory(cfg)
		a.historyInterval = cfg.History.Interval
	}
	if err != nil {
		return nil, errors.Join(err, a.journal.Close())
	}
	a.batches = flow.NewPool(runtime.GOMAXPROCS(0) + 1)
	if a.generation, err = a.build(cfg); err != nil {
		return nil, errors.Join(err, a.journal.Close())
	}
	a.forgetStates(a.generation)
	if n := a.registry.DropUnclaimed(); n > 0 {
		o.Log.Info("forgot series of rules that are gone or changed", "series", n)
	}
	return a, nil
}

// baseRegistry returns a registry with all that is in it before any rule.
func baseRegistry(node string, o Options) (*metric.Registry, tallies, *ledger.Ledger, error) {
	reg := metric.New(record.Label{Name: "machine", Value: node})
	err := metric.Process(reg, o.Version)
	l, failed := ledger.New(reg, o.Log)
	t, failed2 := newTallies(reg)
	return reg, t, l, errors.Join(err, failed, failed2)
}

// scratch returns a registry as a node would have it, to try rules on, and its tallies.
func scratch(node string) (*metric.Registry, tallies, error) {
	reg, t, _, err := baseRegistry(node, Options{Log: slog.New(slog.DiscardHandler)})
	return reg, t, err
}

// Registry returns the node's numbers.
func (a *Agent) Registry() *metric.Registry { return a.registry }

// Close releases the data directory. Run must have returned.
func (a *Agent) Close() error { return a.journal.Close() }

// Run reads, counts and sends until ctx ends or, with Options.Once, until every source has
// read its inputs to their end. Then what was read is committed and what was counted is
// sent, within a bounded time.
func (a *Agent) Run(ctx context.Context) error {
	defer pace()()
	settleHeap(a.registry)
	background, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	committing := make(chan error, 1)
	go func() { committing <- a.journal.Run(background) }()
	var serving sync.WaitGroup
	serving.Go(func() { a.expire(background) })
	a.remember(background, &serving)
	if !a.opts.Once {
		trimProgram() // of what the configuration took
		defer time.AfterFunc(trimAfter, trimProgram).Stop()
		a.announce()
		if err := a.serve(background, &serving); err != nil {
			abandon()
			serving.Wait()
			return errors.Join(err, <-committing)
		}
	}
	a.changing.Lock()
	a.feed = func() (context.Context, context.CancelCauseFunc) { return context.WithCancelCause(ctx) }
	a.generation.start(background, a.feed)
	a.changing.Unlock()
	if a.opts.Once {
		a.current().feeding.Wait()
	} else {
		<-ctx.Done()
	}
	err := a.drain(background)
	abandon()
	serving.Wait()
	return errors.Join(err, <-committing)
}

// drain ends the present generation: sources first, then a commit of what they read, then
// the sinks with what was counted.
func (a *Agent) drain(background context.Context) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.feed = nil
	ctx, cancel := context.WithTimeout(background, drainTime)
	defer cancel()
	g := a.current()
	if !g.stopSources(ctx, nil) {
		a.opts.Log.Warn("a source did not end in time; what it has not committed will be read again")
	}
	err := a.journal.Sync(ctx)
	g.stopSinks(nil)
	return err
}

// current returns the present generation.
func (a *Agent) current() *generation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.generation
}

// Reload replaces the configuration. The new one was checked by Load; what only building
// it can tell is found before anything is stopped, and then the old one stays.
func (a *Agent) Reload(ctx context.Context, cfg Config) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.feed == nil {
		return errors.New("not running")
	}
	old := a.current()
	if err := a.compatible(old.cfg, cfg); err != nil {
		return err
	}
	reg, _, err := scratch(cfg.Node)
	if err != nil {
		return err
	}
	if _, err := compileRules(cfg.Rules, reg); err != nil {
		return err
	}
	if _, err := cfg.components(); err != nil {
		return err
	}
	background := context.WithoutCancel(ctx)
	old.stopSources(background, flow.ErrReload)
	if err := a.journal.Sync(ctx); err != nil {
		a.opts.Log.Warn("commit before reload", "error", err)
	}
	old.stopSinks(flow.ErrReload)
	a.forgetChanged(old.cfg, cfg)
	next, err := a.build(cfg)
	if err != nil { // cannot be, since it was tried; the old one goes on all the same
		again, failed := a.build(old.cfg)
		if failed != nil {
			return errors.Join(err, failed)
		}
		next, err = again, fmt.Errorf("the old configuration goes on: %w", err)
	}
	a.handover.Close()
	a.forgetStates(next)
	a.forgetComponents(old, next)
	a.mu.Lock()
	a.generation = next
	a.mu.Unlock()
	next.start(background, a.feed)
	return err
}

// forgetStates removes what sinks kept for numbers that they no longer send, and what sources
// kept that are gone.
func (a *Agent) forgetStates(g *generation) {
	used := map[string]bool{}
	for _, s := range g.sinks {
		for _, key := range s.States() {
			used[key] = true
		}
	}
	sources := map[string]bool{}
	for _, s := range g.sources {
		sources[s.name] = true
	}
	for _, prefix := range []string{statsd.StatePrefix, reader.StatePrefix, file.StatePrefix, deliver.StatePrefix, deliver.IdentityPrefix, remotewrite.StatePrefix, sourcePrefix} {
		for _, key := range a.journal.Stored(prefix) {
			if !used[key] && !sources[sourceOf(key)] {
				a.journal.Store(key, nil)
			}
		}
	}
}

// forgetComponents takes what a reload removed out of the ledger.
func (a *Agent) forgetComponents(old, next *generation) {
	kept := map[*ledger.Component]bool{}
	for _, s := range next.sources {
		kept[s.ledger] = true
	}
	for _, s := range next.sinks {
		kept[s.ledger] = true
	}
	for _, p := range next.plugins {
		kept[p.ledger] = true
	}
	for _, p := range old.plugins {
		if !kept[p.ledger] {
			a.ledger.Remove(p.ledger)
		}
	}
	for _, s := range old.sources {
		if !kept[s.ledger] {
			a.ledger.Remove(s.ledger)
		}
	}
	for _, s := range old.sinks {
		if !kept[s.ledger] {
			a.ledger.Remove(s.ledger)
		}
	}
}

// restartError is a change that only a restart can bring about.
type restartError struct{ what string }

// Error returns what would change.
func (e restartError) Error() string { return e.what + ", which takes a restart" }

// compatible tells whether a reload can bring about what cfg wants.
func (a *Agent) compatible(old, cfg Config) error {
	switch {
	case cfg.Node != a.node:
		return restartError{fmt.Sprintf("node is %q and would become %q", a.node, cfg.Node)}
	case filepath.Clean(cfg.DataDir) != filepath.Clean(a.dataDir):
		return restartError{fmt.Sprintf("data_dir is %s and would become %s", a.dataDir, cfg.DataDir)}
	case !reflect.DeepEqual(cfg.HTTP, old.HTTP):
		return restartError{"the http section is another one"}
	case cfg.Journal != old.Journal:
		return restartError{"the journal section is another one"}
	case cfg.History != old.History:
		return restartError{"the history section is another one"}
	}
	return nil
}

// forgetChanged removes the families whose meaning the new rules change, so that they
// begin anew, and those that have no rule any more. Exemplars go where others are asked for, or none.
func (a *Agent) forgetChanged(old, next Config) {
	a.forgetNumbers(old, next)
	owners := metricOwners(next.Rules)
	was := metricOwners(old.Rules)
	leads, led := exemplarFields(next.Rules), exemplarFields(old.Rules)
	shapes := map[string]string{}
	for _, r := range next.Rules {
		for _, c := range r.Count {
			shapes[c.MetricName()] = c.Shape()
		}
	}
	for _, r := range old.Rules {
		for _, c := range r.Count {
			name := c.MetricName()
			if owners[name] != was[name] || shapes[name] != c.Shape() {
				a.registry.Forget(name)
			} else if leads[name] != led[name] {
				a.registry.DropExemplars(name)
			}
		}
	}
}

// exemplarFields returns the fields of the exemplars of each metric name.
func exemplarFields(rules []Rule) map[string]string {
	fields := map[string]string{}
	for _, r := range rules {
		for _, c := range r.Count {
			fields[c.MetricName()] += strings.Join(c.Exemplar, ",") + ";"
		}
	}
	return fields
}

// expire drops idle series once a minute.
func (a *Agent) expire(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.registry.Expire(now)
		}
	}
}
