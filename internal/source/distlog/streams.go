package distlog

import (
	"context"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// maxHost is how much of a host's name is in its label.
const maxHost = 255

// key is what a stream is told by.
type key struct{ system, kind, host string }

// stream is one host with one system and kind.
type stream struct {
	key   key
	input flow.Input
	// overflow is set if it has the records of many hosts, which then is a field of each.
	overflow bool

	turn   chan struct{} // has an element while someone uses what is below, and counts
	line   flow.Line     // nil before the first record
	series series

	users int       // connections that have it; guarded by streams.mu
	last  time.Time // the same
}

// streams are those that are open.
type streams struct {
	cfg    *Config
	source string
	counts *counts

	mu  sync.Mutex // guards all
	all map[key]*stream
}

func newStreams(cfg *Config, source string, c *counts) *streams {
	return &streams{cfg: cfg, source: source, counts: c, all: map[key]*stream{}}
}

// get returns a stream, making it if need be, which stays until put. If there are too many it
// is the one of all that are too many.
func (s *streams) get(k key) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.all[k]
	if st == nil {
		if len(s.all) >= s.cfg.MaxStreams {
			k.host = ""
			st = s.all[k]
		}
		if st == nil {
			st = s.makeLocked(k)
		}
	}
	st.users++
	return st
}

func (s *streams) makeLocked(k key) *stream {
	labels := map[string]string{"system": k.system, "kind": k.kind, "host": k.host}
	if k.host == "" {
		labels["overflow"] = "true"
	}
	for name, value := range s.cfg.Labels {
		labels[name] = value
	}
	st := &stream{
		key: k, overflow: k.host == "", turn: make(chan struct{}, 1), series: s.counts.of(),
		input: flow.Input{Stream: newStream(s.source, labels), Whole: true},
	}
	s.all[k] = st
	return st
}

// put says that a connection does not need a stream any more.
func (s *streams) put(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.users--
	st.last = time.Now()
}

// closeIdle closes the streams that nobody uses and nobody has used since a time; the zero
// time closes all, when there are no connections.
func (s *streams) closeIdle(since time.Time) {
	var idle []*stream
	s.mu.Lock()
	for k, st := range s.all {
		if st.users == 0 && (since.IsZero() || st.last.Before(since)) {
			idle = append(idle, st)
			delete(s.all, k)
		}
	}
	s.mu.Unlock()
	for _, st := range idle {
		if st.line != nil {
			st.line.Close(true) // it has no position that one could come back to
		}
	}
}

// write writes a batch of st, when it is its turn.
func (s *Source) write(ctx context.Context, st *stream, b *record.Batch, t *tally) error {
	select {
	case st.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-st.turn }()
	if st.line == nil {
		line, err := s.lines.Open(st.input)
		if err != nil {
			return err
		}
		st.line = line
	}
	b.Stream = &st.input.Stream
	b.Deltas = s.counts.append(b.Deltas, st, t)
	return st.line.Write(ctx, b)
}
