// Package docker follows the logs of all containers of a Docker Engine, and measures them.
//
//	s, err := docker.New(docker.Default(), deps)
//	err = s.Run(ctx, lines)
//
// The engine's events and, now and then, its list say which containers there are. Each gets
// a follower, a goroutine that reads its log: from the json-file on the disk where that can
// be read, for it keeps exact positions and does not need the engine to be there, else
// through the API. One cursor serves both ways, so that a log may be read first in one and
// then in the other: it knows the last records by time and content.
//
// Through the API a log is always asked for by order ("the last 200 records"), never by
// time: engines leave out what was written while the clock stood back behind the time that
// was asked for, and the two sub-streams are not in order of time anyway.
//
// An input is one container; its stream has the identity of what the container stands for,
// so that the log of its successor goes on in the same stream. Requests to the engine only
// read. Weir does not follow its own container. The numbers are those of package stats, which
// hears of containers what the followers hear.
package docker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

// Source follows the containers of one engine.
type Source struct {
	cfg     Config
	deps    flow.Deps
	silence time.Duration // tests have less patience
}

// New returns a source that does nothing until Run.
func New(cfg Config, deps flow.Deps) (flow.Source, error) {
	if cfg.Host == "" {
		cfg.Host = dockerapi.DefaultHost
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("docker source %s: %w", deps.Name, err)
	}
	return &Source{cfg: cfg, deps: deps, silence: silence}, nil
}

// Run follows containers until ctx ends. An engine that is not there is waited for. With
// Once it reads what exists and returns; without an engine that is an error.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &fleet{
		cfg: s.cfg, deps: s.deps, lines: lines, began: time.Now(), silence: s.silence,
		watcher:   follow.NewWatcher(follow.WatchOptions{Polling: func(string) { s.deps.Ledger.Event("polling files") }, Hurry: s.deps.Hurry}),
		followers: map[string]*follower{}, known: map[string][]flow.Input{},
		busy:   make(chan struct{}, maxBusy),
		health: health{component: s.deps.Ledger, problems: map[string]problem{}},
	}
	f.first.Store(s.deps.First && !s.deps.Once)
	f.ownID, f.ownHost = ownContainer()
	for _, in := range lines.Known() {
		f.known[in.ID] = append(f.known[in.ID], in)
	}
	var watching sync.WaitGroup
	watching.Go(func() { f.watcher.Run(ctx) })
	watching.Go(func() { f.measure(ctx) })
	defer watching.Wait()
	defer cancel()
	defer f.running.Wait()
	if s.deps.Once {
		return f.once(ctx)
	}
	var err error
	if f.stats, err = f.collector(); err != nil {
		return err
	}
	f.announce()
	watching.Go(func() { f.stats.Run(ctx) })
	if s.cfg.Events {
		watching.Go(func() { f.chronicle(ctx) })
	} else {
		f.forgetChronicle()
	}
	for id := range f.known {
		if id != "" { // the chronicle's
			f.ensure(ctx, id) // files can be read on whether the engine is there or not
		}
	}
	f.keep(ctx)
	return nil
}

// collector returns what measures the containers, nil if nothing does.
func (f *fleet) collector() (*stats.Collector, error) {
	if f.cfg.StatsInterval == 0 || f.deps.Metrics == nil {
		stats.Forget(f.deps.State)
		return nil, nil
	}
	return stats.New(stats.Options{
		Interval: f.cfg.StatsInterval, Retention: f.cfg.StatsRetention, Read: f.cfg.StatsRead, Root: f.cfg.StatsRoot,
		Registry: f.deps.Metrics, Ledger: f.deps.Ledger, State: f.deps.State,
		Engine:  func() (stats.Engine, error) { return f.engine() },
		Name:    func(d *dockerapi.Details) (string, bool) { return displayName(d), f.cfg.wanted(d) },
		Problem: func(err error) { f.health.stats(err) },
		Round:   func(at time.Time) { f.stamp("last_metrics_file", f.cfg.LastMetricsFile, at) },
	})
}
