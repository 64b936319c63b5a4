// Package remotewrite sends the history of the numbers to a receiver of Prometheus' remote
// write, version 1 or 2.
//
//	s, err := remotewrite.New(cfg, remotewrite.Deps{Name: "central", History: db, …})
//	go s.Run(ctx)
//
// It reads the history round by round, from a cursor that State keeps, and moves the cursor
// on once the receiver has taken, or refused for good, all of a window of time. So whatever
// the history has is sent at least once, the samples of each series in order, over outages
// and crashes, as long as the history keeps it. What was taken since the cursor was last
// kept is sent again after a crash; a receiver takes an equal sample for the one it has.
//
// Samples that a receiver refuses with 4xx are dropped and counted, as the specification
// asks; at anything else the request is repeated, with growing pauses. Requests go one after
// another. New, States and LastFlush may be called while Run goes on. Exemplars go with
// the samples of the round that brought them; what a receiver does with them is not counted.
package remotewrite

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/tsdb"
)

// History is what is sent; a tsdb.DB is one.
type History interface {
	// Await returns the time of the newest round of samples once it is after last; a time
	// before last when the history went on from there.
	Await(ctx context.Context, last int64) (newest int64, err error)
	// Extent returns the time of the oldest sample and how many series there are now.
	Extent() (oldest int64, series int, err error)
	// Read visits the samples of a time, series by series.
	Read(ctx context.Context, from, until int64, visit func(*tsdb.Series)) error
}

// State keeps the cursor over restarts.
type State interface {
	// Load returns what was stored last, nil for a key never stored.
	Load(key string) []byte
	// Store copies value, and makes it durable with the next commit.
	Store(key string, value []byte)
}

// Ledger is where the sink says how it fares; a ledger.Component is one.
type Ledger interface {
	Health
	// Sent counts samples that the receiver has taken.
	Sent(n int)
	// Dropped counts what was given up, for a reason.
	Dropped(reason string, n int)
}

// Health is the part of a Ledger about the present.
type Health interface {
	// Degraded says what does not work, and what to do.
	Degraded(problem, remedy string)
	// Healthy says that everything works again.
	Healthy()
	// Behind sets the age of the oldest sample that is not sent yet.
	Behind(d time.Duration)
}

// Deps is what a sink sees of the world.
type Deps struct {
	// Name is the sink's name in the configuration; its cursor is kept under it.
	Name    string
	Ledger  Ledger
	State   State
	History History
	// Interval is how far the rounds of the history are apart.
	Interval time.Duration
	// Describe returns what is known of the metrics, by the names of their samples.
	Describe func() map[string]metric.Desc
	// Version is weir's, for the receiver's log.
	Version string
}

const (
	// windowSamples is about how many samples are read at once while catching up.
	windowSamples = 50_000
	// readAgain is how long after a failure the history is read again.
	readAgain = time.Second
	// maxReads is how often a window is read before it is given up.
	maxReads = 5
	// minPause and maxPause bound the pauses between attempts to send.
	minPause = 250 * time.Millisecond
	maxPause = 30 * time.Second
)

// Sink sends to one receiver.
type Sink struct {
	config  Config
	deps    Deps
	masks   deliver.Masks
	flushed atomic.Int64 // Unix nanoseconds of when all that there was had been sent

	// What follows belongs to Run.
	client  *http.Client
	header  http.Header
	cursor  int64 // the time up to which all is sent, in Unix milliseconds
	window  window
	backoff retry.Backoff
	again   time.Duration // after a failure to read
	trouble bool          // something of this window was refused
	until   int64         // the end of this window
}

// New returns a sink.
func New(c Config, d Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sink{config: c, deps: d, masks: c.masks(), backoff: retry.Backoff{Min: minPause, Max: maxPause}, again: readAgain, header: c.header(d.Version), window: newWindow(c)}, nil
}

// StatePrefix begins the keys of all states that sinks of this package keep.
const StatePrefix = "remote_write\x00"

// States returns the keys of the states that s keeps.
func (s *Sink) States() []string { return []string{StatePrefix + s.deps.Name} }

// LastFlush returns when all that there was had last been sent; zero when it never was.
func (s *Sink) LastFlush() time.Time {
	if n := s.flushed.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Run sends until ctx ends. What is not sent by then is sent by the next one.
func (s *Sink) Run(ctx context.Context) error {
	var err error
	if s.client, err = s.config.client(); err != nil {
		return err
	}
	defer s.client.CloseIdleConnections()
	s.resume(time.Now())
	for {
		newest, err := s.deps.History.Await(ctx, s.cursor)
		if err != nil {
			return nil // ctx has ended
		}
		if newest < s.cursor { // what was sent up to the cursor is of a clock that was ahead
			s.cursor = newest
			s.keep()
			continue
		}
		if !s.next(ctx, newest) {
			return nil
		}
		if s.cursor < newest {
			s.deps.Ledger.Behind(time.Since(time.UnixMilli(s.cursor)))
			continue
		}
		s.deps.Ledger.Behind(0)
		s.flushed.Store(time.Now().UnixNano())
	}
}

// beginning is a cursor before everything.
const beginning = math.MinInt64

// resume takes up the kept cursor, or begins where the configuration says.
func (s *Sink) resume(now time.Time) {
	if kept := s.deps.State.Load(s.States()[0]); len(kept) == 8 {
		s.cursor = int64(binary.LittleEndian.Uint64(kept))
		return
	}
	since, _ := s.config.since() // Validate has tried it
	if s.cursor = now.Add(-since).UnixMilli(); since < 0 {
		s.cursor = beginning
	}
	s.keep()
}

// keep stores the cursor.
func (s *Sink) keep() {
	s.deps.State.Store(s.States()[0], binary.LittleEndian.AppendUint64(nil, uint64(s.cursor)))
}

// next sends the window after the cursor, up to newest at most. False says that ctx ended.
func (s *Sink) next(ctx context.Context, newest int64) bool {
	until, ok := s.read(ctx, newest)
	if !ok {
		return false
	}
	s.trouble, s.until = false, until
	for i := range s.window.requests {
		if s.deliver(ctx, &s.window.requests[i]) {
			continue
		}
		return ctx.Err() == nil // the history went back: what there is now is sent from the cursor on
	}
	if len(s.window.requests) > 0 && !s.trouble {
		s.deps.Ledger.Healthy()
	}
	s.cursor = until
	s.keep()
	return true
}

// read fills the window. A window that cannot be read again and again is given up.
func (s *Sink) read(ctx context.Context, newest int64) (until int64, ok bool) {
	for tries := 1; ; tries++ {
		from, until, err := s.bounds(newest)
		if err == nil {
			err = s.window.fill(ctx, s.deps, span{from, until})
		}
		switch {
		case err == nil:
			return until, true
		case ctx.Err() != nil:
			return 0, false
		case tries >= maxReads && !errors.Is(err, tsdb.ErrNotReady):
			s.deps.Ledger.Dropped("window that cannot be read", 1)
			s.window.reset()
			return until, true
		}
		s.deps.Ledger.Degraded("read the history: "+err.Error(), "see what history/tsdb says; weir tries again by itself")
		if !pause(ctx, s.again) {
			return 0, false
		}
	}
}

// bounds returns the first and last time of the next window.
func (s *Sink) bounds(newest int64) (from, until int64, err error) {
	oldest, series, err := s.deps.History.Extent()
	if err != nil {
		return 0, 0, err
	}
	interval := max(s.deps.Interval.Milliseconds(), 1)
	from = oldest
	if s.cursor != beginning {
		from = s.cursor + 1
	}
	if from < oldest {
		if lost := (oldest - from) / interval; lost > 0 {
			s.deps.Ledger.Dropped("round that the history did not keep", int(lost))
		}
		from, s.cursor = oldest, oldest-1
	}
	rounds := int64(max(1, windowSamples/max(series, 1)))
	return from, min(newest, from+rounds*interval-1), nil
}

// pause sleeps. False says that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
