// Package crawl is the source of records that HTTP APIs and programs give when they are asked,
// with a cursor that says how far they were read.
//
//	src, err := crawl.New(cfg, deps)
//	err = src.Run(ctx, lines)
//
// Each stream has a line, and a goroutine that asks, takes what is new, waits and asks again:
// one that fails, or is slow, holds up no other. The cursor is the position of the batches,
// so it is committed with the records, or neither is; wherever weir is killed, it goes on
// with the record behind the last that is in the journal. The position belongs to the name
// of the source and of the stream, so that a change of any other setting forgets nothing.
//
// What a server may send again is told from what is new by its id and time, which are in the
// cursor too. Responses are read as they come, so a page needs no more memory than a chunk
// of it, or its longest record, however large it is.
//
// Left out: what weir does with the records, and who else may send them.
package crawl

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

// Source is the flow.Source of this package.
type Source struct {
	cfg     Config
	deps    flow.Deps
	counts  *counts
	signer  *signer
	limit   *limiter
	streams []*stream

	mu       sync.Mutex           // guards problems
	problems map[string][2]string // of streams that do not work, with remedies
}

// New returns a source for a valid configuration.
func New(cfg Config, deps flow.Deps) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, deps: deps, limit: newLimiter(cfg.Rate), problems: map[string][2]string{}}
	var err error
	if s.counts, err = newCounts(deps); err != nil {
		return nil, err
	}
	if s.signer, err = newSigner(&s.cfg); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Streams)) {
		st, err := s.newStream(name, cfg.Streams[name])
		if err != nil {
			return nil, err
		}
		s.streams = append(s.streams, st)
	}
	return s, nil
}

// Run asks until ctx ends; once each, where the source is asked to read what exists.
func (s *Source) Run(ctx context.Context, lines flow.Lines) error {
	var running sync.WaitGroup
	defer running.Wait()
	for _, st := range s.streams {
		line, err := lines.Open(st.input)
		if err != nil {
			s.problem(st.name, err, "change the rules that match the stream; it is not crawled until then")
			continue
		}
		running.Go(func() {
			defer line.Close(false)
			s.keep(ctx, st, line)
		})
	}
	lines.Settle()
	return nil
}

// keep runs a stream again and again.
func (s *Source) keep(ctx context.Context, st *stream, line flow.Line) {
	if err := st.open(line); err != nil {
		s.problem(st.name, err, "install a weir that is not older than the one that ran last; the cursor stays as it is")
		if !s.deps.Once {
			<-ctx.Done()
		}
		return
	}
	failing := retry.Backoff{Min: s.cfg.Interval, Max: max(longestWait, s.cfg.Interval)}
	for {
		err := st.runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		s.ended(st, err)
		if s.deps.Once {
			return
		}
		wait := s.cfg.Interval
		if s.cfg.Jitter > 0 {
			wait += rand.N(s.cfg.Jitter)
		}
		if err != nil {
			wait = max(wait, failing.Next(), time.Until(st.later))
		} else {
			failing.Reset()
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// sleep waits, or returns the error of ctx when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended says how a run ended.
func (s *Source) ended(st *stream, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	s.counts.runs.Series(s.deps.Name, st.name, result).Add(1)
	s.problem(st.name, err, cmp.Or(deliver.TLSRemedy(err), "weir asks again by itself, from where it was"))
}

// mostProblems is how many streams are named that do not work.
const mostProblems = 3

// problem notes that a stream does not work, or works again. What is told is of all that do not.
func (s *Source) problem(stream string, err error, remedy string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.problems, stream); err != nil {
		s.problems[stream] = [2]string{err.Error(), remedy}
	}
	var told []string
	for i, name := range slices.Sorted(maps.Keys(s.problems)) {
		if i == mostProblems {
			told = append(told, fmt.Sprintf("and %d more", len(s.problems)-i))
			break
		}
		if i == 0 {
			remedy = s.problems[name][1]
		}
		told = append(told, name+": "+s.problems[name][0])
	}
	if len(told) == 0 {
		s.deps.Ledger.Healthy()
		return
	}
	s.deps.Ledger.Degraded(strings.Join(told, "; "), remedy)
}

// newInput returns the input of a stream.
func newInput(source, name string, labels ...map[string]string) flow.Input {
	m := map[string]string{}
	for _, some := range labels {
		maps.Copy(m, some)
	}
	m["source"], m["stream"] = source, name
	return flow.Input{Stream: record.Stream{ID: source + "/" + name, Source: source, Labels: record.NewLabels(m)}, Whole: true}
}
