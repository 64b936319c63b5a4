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
	"sync"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
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
	FS disk.FS
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
	tallies  tallies
	batches  *flow.Pool

	mu         sync.Mutex // guards below, and that one reload happens at a time
	generation *generation
	running    bool
	stop       context.Context // of what generations start; set by Run
}

// New opens the data directory and recovers its state. The configuration must be one that
// Load found no mistakes in.
func New(cfg Config, o Options) (*Agent, error) {
	a := &Agent{opts: o, node: cfg.Node, dataDir: cfg.DataDir, started: time.Now()}
	a.registry = metric.New(record.Label{Name: "machine", Value: cfg.Node})
	if err := metric.Process(a.registry, o.Version); err != nil {
		return nil, err
	}
	var err error
	if a.ledger, err = ledger.New(a.registry, o.Log); err != nil {
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
	})
	if err != nil {
		return nil, err
	}
	if a.tallies, err = newTallies(a.registry); err != nil {
		return nil, errors.Join(err, a.journal.Close())
	}
	a.batches = flow.NewPool(runtime.GOMAXPROCS(0) + 1)
	if a.generation, err = a.build(cfg); err != nil {
		return nil, errors.Join(err, a.journal.Close())
	}
	if n := a.registry.DropUnclaimed(); n > 0 {
		o.Log.Info("forgot series of rules that are gone or changed", "series", n)
	}
	return a, nil
}

// Registry returns the node's numbers.
func (a *Agent) Registry() *metric.Registry { return a.registry }

// Close releases the data directory. Run must have returned.
func (a *Agent) Close() error { return a.journal.Close() }

// Run reads, counts and sends until ctx ends or, with Options.Once, until every source has
// read its inputs to their end. Then what was read is committed and what was counted is
// sent, within a bounded time.
func (a *Agent) Run(ctx context.Context) error {
	background, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	committing := make(chan error, 1)
	go func() { committing <- a.journal.Run(background) }()
	var serving sync.WaitGroup
	serving.Go(func() { a.expire(background) })
	if !a.opts.Once {
		if err := a.serve(background, &serving); err != nil {
			abandon()
			serving.Wait()
			return errors.Join(err, <-committing)
		}
	}
	a.mu.Lock()
	a.stop, a.running = ctx, true
	a.generation.start(ctx, background)
	a.mu.Unlock()
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
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running = false
	ctx, cancel := context.WithTimeout(background, drainTime)
	defer cancel()
	a.generation.stopSources()
	err := a.journal.Sync(ctx)
	a.generation.stopSinks(nil)
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
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.running {
		return errors.New("not running")
	}
	if err := a.compatible(cfg); err != nil {
		return err
	}
	if _, err := compileRules(cfg.Rules, metric.New()); err != nil {
		return err
	}
	if _, err := cfg.components(); err != nil {
		return err
	}
	background := context.WithoutCancel(ctx)
	drain, cancel := context.WithTimeout(background, drainTime)
	defer cancel()
	old := a.generation
	old.stopSources()
	if err := a.journal.Sync(drain); err != nil {
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
	a.generation = next
	next.start(a.stop, background)
	return err
}

// compatible tells whether a reload can bring about what cfg wants.
func (a *Agent) compatible(cfg Config) error {
	switch {
	case cfg.Node != a.node:
		return fmt.Errorf("node is %q and cannot become %q without a restart", a.node, cfg.Node)
	case filepath.Clean(cfg.DataDir) != filepath.Clean(a.dataDir):
		return fmt.Errorf("data_dir is %s and cannot become %s without a restart", a.dataDir, cfg.DataDir)
	case !reflect.DeepEqual(cfg.HTTP, a.generation.cfg.HTTP):
		return errors.New("the http section cannot change without a restart")
	}
	return nil
}

// forgetChanged removes the families whose meaning the new rules change, so that they
// begin anew, and those that have no rule any more.
func (a *Agent) forgetChanged(old, next Config) {
	owners := metricOwners(next.Rules)
	was := metricOwners(old.Rules)
	shapes := map[string]string{}
	for _, r := range next.Rules {
		for _, c := range r.Count {
			shapes[c.MetricName()] = fmt.Sprint(c.Buckets)
		}
	}
	for _, r := range old.Rules {
		for _, c := range r.Count {
			name := c.MetricName()
			if owners[name] != was[name] || shapes[name] != fmt.Sprint(c.Buckets) {
				a.registry.Forget(name)
			}
		}
	}
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
