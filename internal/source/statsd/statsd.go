// Package statsd is the source of what StatsD's and DogStatsD's clients send, over UDP, TCP
// and unix sockets.
//
//	src, err := statsd.New(cfg, deps)
//	err = src.Run(ctx, lines)
//
// Lines are added up in memory, and once a second what they came to goes to the journal, as a
// batch without records: counters, gauges and histograms are durable series, which a commit
// raises, so that a restart or a crash loses at most what was not committed and counts nothing
// twice. What is set stays set: a gauge that is changed by +5 after a restart goes on from
// where it was. Events and service checks are records of a stream of their own.
//
// Each line that comes in is counted with its fate, in the same commit as its values: it is
// counted, or bad for a reason, or dropped for one. What the kernel drops is told beside that.
//
// Everything that can grow is bounded: series, values of sets, events, connections, lines,
// senders, lines that wait to be passed on to another server as they came. Left out: what is added
// up for other servers, which is a sink's business.
package statsd

import (
	"context"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// commitInterval is how often what lines came to goes to the journal.
	commitInterval = time.Second
	// expireInterval is how often idle series are looked for.
	expireInterval = time.Minute
	// lastCommit is how long the commit at the end may wait for a batch.
	lastCommit = 5 * time.Second
)

// Source is the flow.Source of this package.
type Source struct {
	cfg    Config
	deps   flow.Deps
	names  *names
	sets   sets
	counts *counts

	summaries summaries
	proc      string // where the kernel tells of processes
	times     times

	listeners []*listener
	relays    []*relay
	console   *console // nil: there are no management commands
	metrics   record.Stream
	events    record.Stream

	// Used by the one goroutine that commits.
	pending []record.Delta // not in the journal yet
	flushed time.Time
	records record.Batch // events that are being written

	mu       sync.Mutex        // guards problems
	problems map[string]string // of listeners that do not work
}

// New returns a source for a valid configuration. The series of a source of this name that ran
// before become its own.
func New(cfg Config, deps flow.Deps) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, proc: "/proc", deps: deps, sets: sets{active: map[*metric.Series]*set{}}, problems: map[string]string{}}
	s.summaries.stats = newStats(cfg.Percentiles)
	s.names = newNames(&s.cfg, deps.Metrics, deps.Name)
	var err error
	if s.counts, err = newCounts(deps); err != nil {
		return nil, err
	}
	for _, text := range cfg.Listen {
		a, err := cfg.address(text)
		if err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, newListener(s, a))
	}
	for _, text := range cfg.Relay {
		a, err := cfg.address(text)
		if err != nil {
			return nil, err
		}
		s.relays = append(s.relays, newRelay(s, a))
	}
	if cfg.Management != "" {
		s.console = &console{source: s, started: time.Now()}
	}
	stream := func(labels map[string]string) record.Stream {
		labels["source"] = deps.Name
		ls := record.NewLabels(labels)
		return record.Stream{ID: deps.Name + "/" + ls.String(), Source: deps.Name, Labels: ls}
	}
	s.metrics = stream(map[string]string{})
	s.events = stream(map[string]string{"log": "events"})
	return s, nil
}

// Run takes lines until ctx ends, then those that have come in already, and commits.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	if s.deps.Once {
		lines.Settle()
		return nil
	}
	numbers, err := lines.Open(flow.Input{Stream: s.metrics, Whole: true})
	if err != nil {
		return err
	}
	defer numbers.Close(true) // it has no position that one could come back to
	events, err := lines.Open(flow.Input{Stream: s.events, Whole: true})
	if err != nil {
		return err
	}
	defer events.Close(true)
	s.flushed = time.Now().Truncate(s.cfg.FlushInterval)
	s.sets.restore(s.names.restoredSets())
	s.pending = s.summaries.reset(s.pending, s.names.restoredTimers())
	var listening sync.WaitGroup
	ended := make(chan struct{})
	for _, l := range s.listeners {
		listening.Go(func() { s.keep(ctx, l.name, l.run) })
	}
	if s.console != nil {
		listening.Go(func() { s.keep(ctx, "management", s.console.run) })
	}
	finish := s.startRelays(ctx)
	defer finish()
	lines.Settle()
	go func() {
		listening.Wait()
		close(ended)
	}()
	err = s.commits(ctx, ended, outlets{numbers, events})
	<-ended
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCommit)
	defer cancel()
	if failed := s.commit(last, outlets{numbers, events}, time.Now()); err == nil {
		err = failed
	}
	return err
}

// startRelays has lines passed on until finish is called, once no more come.
func (s *Source) startRelays(ctx context.Context) (finish func()) {
	patient, stop := context.WithCancel(context.WithoutCancel(ctx))
	var passing sync.WaitGroup
	for _, r := range s.relays {
		passing.Go(func() {
			r.run(patient, func(err error) {
				s.problem("relay to "+r.name, err, "weir tries again by itself; start the server there, or correct the address")
			})
		})
	}
	return func() {
		for _, r := range s.relays {
			close(r.queue)
		}
		defer time.AfterFunc(relayLast, stop).Stop()
		passing.Wait()
		stop()
	}
}

// outlets are the lines that the source writes to.
type outlets struct{ numbers, events flow.Line }

// commits commits once a second until the listeners have ended. A commit that fails is made
// again with the next.
func (s *Source) commits(ctx context.Context, ended <-chan struct{}, to outlets) error {
	tick := time.NewTicker(commitInterval)
	defer tick.Stop()
	looked := time.Now()
	for {
		select {
		case <-ended:
			return nil
		case now := <-tick.C:
			if ctx.Err() != nil {
				continue // the last commit comes when all have ended
			}
			err := s.commit(ctx, to, now)
			s.problem("commit", err, "the journal says what it waits for; counts go on")
			if now.Sub(looked) >= expireInterval {
				looked = now
				s.expire(now)
			}
		}
	}
}

// keep listens at an address, again after a pause if that fails, until ctx ends.
func (s *Source) keep(ctx context.Context, name string, run func(context.Context) error) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.problem(name, err, "weir tries again by itself; free the address or choose another")
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// problem notes that a part does not work, or works again.
func (s *Source) problem(part string, err error, remedy string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.problems[part] = err.Error()
		s.deps.Ledger.Degraded(part+": "+err.Error(), remedy)
		return
	}
	if delete(s.problems, part); len(s.problems) == 0 {
		s.deps.Ledger.Healthy()
	}
}

// expire forgets slots and series that had no line for a long time.
func (s *Source) expire(now time.Time) {
	for _, l := range s.listeners {
		for _, w := range l.workers {
			gone := w.expire(s.cfg.Expiry)
			s.names.release(gone, now)
			s.times.forget(gone)
		}
	}
	if s.cfg.Expiry > 0 {
		s.names.expire(now.Add(-s.cfg.Expiry))
	}
}
