package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

const (
	// maxBusy bounds how many followers inspect their containers at a time.
	maxBusy = 8
	// overlap is how far back events are asked for, so that none is lost while the stream
	// is being opened.
	overlap = 5 * time.Second
	// reconnectMin and reconnectMax bound the pauses while the engine is away.
	reconnectMin = time.Second
	reconnectMax = 5 * time.Second
)

// fleet is all followers of one Run.
type fleet struct {
	cfg     Config
	deps    flow.Deps
	lines   flow.Lines
	watcher *follow.Watcher
	health  health
	began   time.Time
	first   atomic.Bool // this source never settled: what exists may be older than weir
	ownID   string
	ownHost string
	busy    chan struct{} // holds a token for each follower that asks the engine
	running sync.WaitGroup
	known   map[string][]flow.Input // what the journal has of each container; read only
	settled bool                    // belongs to keep
	silence time.Duration           // as the constant
	stats   *stats.Collector        // nil: nothing is measured
	// introduced is what was said of the engine last; it belongs to introduce.
	introduced string
	attached   atomic.Bool // the engine answers

	mu        sync.Mutex // guards below
	followers map[string]*follower
	client    *dockerapi.Client
}

// engine returns the client, reading the certificates if that did not succeed before.
func (f *fleet) engine() (*dockerapi.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client == nil {
		o := dockerapi.Options{Host: f.cfg.Host, CertDir: f.cfg.TLS.CertDir}
		o.SkipVerify = o.CertDir != "" && !f.cfg.TLS.Verify
		c, err := dockerapi.Open(o)
		if err != nil {
			return nil, err
		}
		f.client = c
	}
	return f.client, nil
}

// keep attends to the engine until ctx ends, and comes back after every failure. One that
// is back at the next attempt is not worth a word.
func (f *fleet) keep(ctx context.Context) {
	pause := retry.Backoff{Min: reconnectMin, Max: reconnectMax}
	for {
		reached := false
		err := f.attend(ctx, func() { reached = true })
		if ctx.Err() != nil {
			return
		}
		if reached {
			f.deps.Ledger.Event("disconnected")
			pause.Reset()
		} else {
			f.health.engine(f.cfg.Host, err)
		}
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// attend opens the stream of events, then compares the list, so that nothing falls between
// the two, and goes on with both until the engine fails.
func (f *fleet) attend(ctx context.Context, connected func()) error {
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := f.engine()
	if err != nil {
		return err
	}
	events, err := c.Events(ctx, time.Now().Add(-overlap))
	if err != nil {
		return err
	}
	defer events.Close()
	var reading sync.WaitGroup
	defer reading.Wait()
	defer events.Close()
	all, err := c.Containers(ctx)
	if err != nil {
		return err
	}
	f.observe(parent, all, true)
	reading.Go(func() { cancel(f.readEvents(parent, events)) })
	connected()
	f.health.engine(f.cfg.Host, nil)
	reading.Go(func() { f.introduce(ctx, c) })
	f.attached.Store(true)
	defer f.attached.Store(false)
	if err := f.settle(ctx); err != nil {
		return context.Cause(ctx)
	}
	tick := time.NewTicker(f.cfg.Reconcile)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if all, err = c.Containers(ctx); err != nil {
				return err
			}
			f.observe(parent, all, false)
		}
	}
}

// settle waits, at the first look, until every container that was found has its line.
func (f *fleet) settle(ctx context.Context) error {
	for _, x := range f.all() {
		select {
		case <-x.opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.first.Store(false)
	if !f.settled {
		f.lines.Settle()
		f.settled = true
	}
	return nil
}

func (f *fleet) all() []*follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*follower, 0, len(f.followers))
	for _, x := range f.followers {
		all = append(all, x)
	}
	return all
}

// observe compares the list with the followers. Who does not fit it looks for itself; after
// a reconnection all do.
func (f *fleet) observe(ctx context.Context, all []dockerapi.Container, again bool) {
	f.stats.Observe(all, again)
	states := make(map[string]string, len(all))
	for _, c := range all {
		states[c.ID] = c.State
		f.ensure(ctx, c.ID)
	}
	for _, x := range f.all() {
		state, listed := states[x.id]
		if again || !listed || mayWrite(state) != x.mayWrite.Load() {
			x.poke()
		}
	}
}

// mayWrite tells whether a container in that state can write to its log.
func mayWrite(state string) bool {
	return state == "running" || state == "restarting" || state == "paused"
}

// readEvents hands what happens to the followers, until the stream ends.
func (f *fleet) readEvents(ctx context.Context, events *dockerapi.Events) error {
	for {
		e, err := events.Next()
		if err != nil {
			return err
		}
		f.stats.Event(e)
		switch e.Action {
		case "create", "start", "restart", "rename":
			f.ensure(ctx, e.ID).poke()
		case "die", "destroy", "stop", "kill", "oom":
			if x := f.find(e.ID); x != nil {
				x.poke()
			}
		}
	}
}

func (f *fleet) find(id string) *follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers[id]
}

// ensure returns the container's follower, starting it if it is new.
func (f *fleet) ensure(ctx context.Context, id string) *follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.followers[id]
	if x == nil {
		x = newFollower(f, id)
		f.followers[id] = x
		f.running.Go(func() {
			x.run(ctx)
			f.forget(x)
		})
	}
	return x
}

func (f *fleet) forget(x *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, x.id)
	f.health.set(x.id, "", "")
}

// measurePeriod is how often is said how far the files are behind, and that logs are read.
const measurePeriod = 5 * time.Second

// measure tells the ledger how much of the files was not read, until ctx ends.
func (f *fleet) measure(ctx context.Context) {
	tick := time.NewTicker(measurePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			bytes := int64(0)
			for _, x := range f.all() {
				if t := x.tail.Load(); t != nil {
					bytes += t.Behind()
				}
			}
			f.deps.Ledger.BehindBytes(bytes)
			if f.attached.Load() {
				f.stamp("last_logs_file", f.cfg.LastLogsFile, time.Now())
			}
		case <-ctx.Done():
			return
		}
	}
}

// errNoEngine is the error of a run with Once that found no engine.
var errNoEngine = errors.New("no docker engine")

// once reads all that exists.
func (f *fleet) once(ctx context.Context) error {
	c, err := f.engine()
	var all []dockerapi.Container
	if err == nil {
		all, err = c.Containers(ctx)
	}
	if err != nil {
		f.health.engine(f.cfg.Host, err)
		return fmt.Errorf("%w at %s: %w", errNoEngine, f.cfg.Host, err)
	}
	for _, x := range all {
		f.ensure(ctx, x.ID)
	}
	f.running.Wait()
	if ctx.Err() == nil {
		f.lines.Settle()
	}
	return nil
}

// enter waits for a turn to ask the engine; leave ends it.
func (f *fleet) enter(ctx context.Context) error {
	select {
	case f.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fleet) leave() { <-f.busy }
