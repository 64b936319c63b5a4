// Package push is the source of what others push: Loki's clients send streams of records
// over HTTP, and are answered once what they sent is committed and synced.
//
//	src, err := push.New(cfg, deps)
//	mux.Handle("POST /loki/api/v1/push", src.Handler())
//	err = src.Run(ctx, lines)
//
// A stream is a set of labels, and each has a line. There is no position: what a sender
// repeats because it got no answer may be there twice. A push is checked whole before any of
// it is taken; of a valid one, the streams whose labels are refused are left out and the rest
// is taken. Entries may come in any order and have any time, however far away; one without a
// time gets that of its arrival. A line beyond 1 MiB loses its end.
//
// The handler may be called concurrently, before, during and after Run; without a Run it
// answers 503. Everything that can grow is bounded: bodies by memory, pushes and streams by
// number. Left out: who may push, which is up to who mounts the handler.
package push

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
)

const (
	// idleTime is how long a stream stays open without a push.
	idleTime = 10 * time.Minute
	// idlePeriod is how often that is looked at.
	idlePeriod = time.Minute
	// maxPushes is how many pushes are in work, most of which wait for a commit.
	maxPushes = 1000
	// maxLineBytes is where lines are cut.
	maxLineBytes = 1 << 20
	// maxBatchBytes is how much text a batch has, but for a single record with its metadata:
	// so much that the batch's memory is kept for the next one. maxBatchRecords is how many
	// records it has, since two bytes make one without text.
	maxBatchBytes   = 512 << 10
	maxBatchRecords = 8 << 10
)

// Source is the flow.Source of this package.
type Source struct {
	cfg     Config
	deps    flow.Deps
	streams *streams
	commits *intake.Commits
	bodies  intake.Budget
	gate    intake.Gate
	jobs    sync.Pool    // of *job
	pushes  atomic.Int64 // in work
	handler http.Handler
}

// New returns a source for a valid configuration.
func New(cfg Config, deps flow.Deps) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Source{
		cfg: cfg, deps: deps,
		streams: newStreams(cfg, deps.Name),
		commits: intake.NewCommits(deps.Sync),
		bodies:  intake.Budget{Max: 4 * int64(cfg.MaxBody)},
		jobs:    sync.Pool{New: func() any { return new(job) }},
	}
	s.handler = s.newHandler()
	return s, nil
}

// Run lets pushes in until ctx ends, and waits for those that are being written.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	if s.deps.Once {
		lines.Settle()
		return nil
	}
	s.gate.Open(lines)
	lines.Settle()
	defer func() {
		s.gate.Shut()
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
