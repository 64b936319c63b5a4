// Package otlp is the source of what OpenTelemetry's SDKs and Collector send: logs and
// metrics, over HTTP and gRPC.
//
//	src, err := otlp.New(cfg, deps)
//	err = src.Run(ctx, lines)
//
// A request is answered once what it brought is committed and synced. It is checked whole
// before any of it is taken. There is no position: a request of logs that a sender repeats
// because it got no answer may be there twice; points of cumulative metrics may not, since
// each says all that came since its start.
//
// Of logs, a resource's attributes that are configured become the labels of a stream; all
// others, and those of scopes and records, become fields. What weir's own sink sends becomes
// what it was. Of metrics, points become durable series whose names and labels are those that
// Prometheus gives them.
//
// gRPC is spoken on top of net/http, which has HTTP/2: requests are single messages, so what
// is left of gRPC is five bytes before a message and a status behind it.
//
// Everything that can grow is bounded: connections, headers, bodies by memory, requests,
// streams and series by number. Left out: traces, which are refused.
package otlp

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/codec/lokipush"
	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// idleTime is how long a stream stays open without a request.
	idleTime = 10 * time.Minute
	// idlePeriod is how often that is looked at.
	idlePeriod = time.Minute
	// maxRequests is how many requests are in work, most of which wait for a commit.
	maxRequests = 1000
	// endTime is how long requests that are in work may take at the end.
	endTime = 5 * time.Second
)

// Source is the flow.Source of this package.
type Source struct {
	cfg       Config
	deps      flow.Deps
	streams   *intake.Streams
	commits   *intake.Commits
	bodies    intake.Budget
	gate      intake.Gate
	jobs      sync.Pool    // of *job
	requests  atomic.Int64 // in work
	labelled  map[string]string
	numbers   *numbers
	handler   http.Handler
	listeners []*listener

	mu       sync.Mutex        // guards problems
	problems map[string]string // of listeners that do not work
}

// job is the memory of one request.
type job struct {
	intake.Body
	decoder wire.Decoder
	checker wire.Decoder // for when the other is in the middle of the body
	survey  survey
	writer  writer
}

// New returns a source for a valid configuration.
func New(cfg Config, deps flow.Deps) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{
		cfg: cfg, deps: deps, problems: map[string]string{}, labelled: map[string]string{},
		streams: intake.NewStreams(deps.Name, cfg.MaxStreams, func(record.Labels) record.Level { return record.LevelUnknown }),
		commits: intake.NewCommits(deps.Sync),
		bodies:  intake.Budget{Max: 4 * int64(cfg.MaxBody)},
		jobs:    sync.Pool{New: func() any { return new(job) }},
	}
	for _, name := range cfg.StreamLabels {
		s.labelled[name] = string(lokipush.AppendName(nil, []byte(name)))
	}
	s.handler = s.newHandler()
	s.numbers = newNumbers(&s.cfg, deps)
	for _, address := range []string{cfg.HTTP, cfg.GRPC} {
		if address == "" {
			continue
		}
		l, err := newListener(s, address)
		if err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// Run takes requests until ctx ends, and waits for those that are in work.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	if s.deps.Once {
		lines.Settle()
		return nil
	}
	if err := s.numbers.open(lines); err != nil {
		return err
	}
	s.gate.Open(lines)
	var listening sync.WaitGroup
	listening.Add(1)
	go s.numbers.keep(ctx, &listening)
	for _, l := range s.listeners {
		listening.Go(func() { s.keep(ctx, l) })
	}
	lines.Settle()
	defer func() {
		listening.Wait()
		s.gate.Shut()
		s.numbers.close(ctx)
		s.streams.CloseIdle(time.Time{})
	}()
	tick := time.NewTicker(idlePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.streams.CloseIdle(now.Add(-idleTime))
		}
	}
}

// keep listens at an address, again after a pause if that fails, until ctx ends.
func (s *Source) keep(ctx context.Context, l *listener) {
	pause := retry.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		err := l.run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.problem(l.address, err)
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// problem notes that an address does not work, or works again.
func (s *Source) problem(address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.problems[address] = err.Error()
		s.deps.Ledger.Degraded("listen at "+address+": "+err.Error(), "weir tries again by itself; free the address or choose another")
		return
	}
	if delete(s.problems, address); len(s.problems) == 0 {
		s.deps.Ledger.Healthy()
	}
}

// job returns the memory for a request; done must be called with it.
func (s *Source) job() (*job, error) {
	j := s.jobs.Get().(*job)
	if !j.Begin(&s.bodies, int(s.cfg.MaxBody)) {
		s.jobs.Put(j)
		return nil, intake.ErrBusy
	}
	return j, nil
}

// done gives the memory of a request back.
func (s *Source) done(j *job) {
	j.End()
	s.jobs.Put(j)
}
