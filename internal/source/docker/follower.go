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
	"github.com/weirlog/weir/internal/logfile"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// againMin and againMax bound the pauses between attempts at one container.
	againMin = 250 * time.Millisecond
	againMax = 5 * time.Second
)

// follower reads the log of one container from its first to its last byte, over stops and
// starts of the container. Everything but what is marked belongs to its goroutine.
type follower struct {
	fleet *fleet
	id    string

	wake     chan struct{}                // holds a token when something happened to the container; anyone's
	opened   chan struct{}                // closed once it has a line, or will have none
	once     sync.Once                    // closes opened
	mayWrite atomic.Bool                  // the container's last known state; read by anyone
	tail     atomic.Pointer[logfile.Tail] // while the log is read from its file; read by anyone

	details  dockerapi.Details
	line     flow.Line // nil until the container is known to be wanted
	in       record.Stream
	cursor   cursor
	resume   [2]int64 // of a line just opened: records of a sub-stream before it are accounted for
	fresh    bool     // resume counts
	held     bool     // the line holds back a record
	wrote    time.Time
	recent   *recent // what was written last through the API; nil before
	distrust bool    // its stream through the API is not to be trusted
	bell     *bell   // that stream while it only rings, or nil
	fill     fill    // of the engine's file, while the bell rings
	ignored  bool    // what the journal had of it was forgotten
	started  bool    // the container has run: it may have written
	drained  bool    // its log was read to the end, and nothing can have come since
}

func newFollower(f *fleet, id string) *follower {
	return &follower{fleet: f, id: id, wake: make(chan struct{}, 1), opened: make(chan struct{})}
}

// poke tells the follower that something happened to its container.
func (x *follower) poke() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// The outcomes of a pass that are not failures.
var (
	errGone    = errors.New("the container is gone")
	errIgnored = errors.New("the container is not to be followed")
	errMoved   = errors.New("the container has another name")
	errAgain   = errors.New("the log ended, but perhaps not the container")
)

// run reads until ctx ends or the container is removed.
func (x *follower) run(ctx context.Context) {
	defer x.closeLine(false)
	pause := retry.Backoff{Min: againMin, Max: againMax}
	tries := 0
	for {
		began := time.Now()
		err := x.pass(ctx)
		if errors.Is(err, errGone) {
			x.fleet.deps.Containers.Set(x.id, nil)
		}
		if ctx.Err() != nil || errors.Is(err, errGone) {
			return
		}
		x.report(err)
		if tries++; x.fleet.deps.Once && x.onceDone(err, tries) {
			return
		}
		var most time.Duration // zero: until something happens to the container
		switch {
		case errors.Is(err, errMoved):
			continue
		case err != nil && !errors.Is(err, errIgnored) && !errors.Is(err, dockerapi.ErrUnsupported):
			if time.Since(began) > againMax {
				pause.Reset()
			}
			most = pause.Next()
		default:
			pause.Reset()
		}
		if x.waitFor(ctx, most) != nil {
			return
		}
	}
}

// onceTries is how often a log is tried that is to be read once.
const onceTries = 5

// onceDone tells whether a log that is to be read once was, or cannot be.
func (x *follower) onceDone(err error, tries int) bool {
	switch {
	case err == nil, errors.Is(err, errIgnored), errors.Is(err, dockerapi.ErrUnsupported):
		return true
	case tries >= onceTries:
		x.fleet.health.container(x.id, x.details.Name, err)
		return true
	}
	return false
}

// waitFor waits until it is poked, at most that long unless most is zero.
func (x *follower) waitFor(ctx context.Context, most time.Duration) error {
	var over <-chan time.Time
	if most > 0 {
		t := time.NewTimer(most)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-x.wake:
	case <-over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// report shows a problem of this container alone; that the engine is away is shown by the
// fleet.
func (x *follower) report(err error) {
	var refused *dockerapi.Error
	if errors.As(err, &refused) {
		x.once.Do(func() { close(x.opened) }) // nobody need wait for this one
	}
	switch {
	case err == nil, errors.Is(err, errIgnored), errors.Is(err, errMoved), errors.Is(err, errAgain):
		err = nil
	case errors.Is(err, dockerapi.ErrNotFound), errors.Is(err, dockerapi.ErrConflict):
		return // it is being removed
	case errors.Is(err, dockerapi.ErrUnsupported):
		x.fleet.deps.Ledger.Event("log driver without reading")
		err = nil
	case refused == nil && !errors.Is(err, errUnreadable):
		x.fleet.deps.Log.Debug("read a container's log", "container", x.details.Name, "error", err)
		return
	}
	x.fleet.health.container(x.id, x.details.Name, err)
}

// pass looks at the container and reads its log until there is no more, or the container
// changes. It returns nil when the log was read to its end.
func (x *follower) pass(ctx context.Context) error {
	d, err := x.inspect(ctx)
	switch {
	case errors.Is(err, dockerapi.ErrNotFound):
		return x.bury(ctx)
	case err != nil && x.offline(ctx):
		x.mayWrite.Store(true) // the engine is away, but the file is here
		if err := x.readFile(ctx, x.cursor.path); err != nil {
			return err
		}
		return errAgain
	case err != nil:
		return err
	}
	x.details = d
	x.mayWrite.Store(d.Running)
	x.started = x.started || !d.Started.IsZero()
	if isSelf(d.ID, x.fleet.ownID, x.fleet.ownHost) || !x.fleet.cfg.wanted(&d) {
		return x.ignore(ctx)
	}
	if err := x.open(ctx, x.fleet.cfg.stream(x.fleet.deps.Name, &d)); err != nil {
		return err
	}
	if d.Running {
		x.cursor.ended, x.drained = false, false
	}
	if d.Status == "created" {
		return x.rest(ctx) // it never ran: there is no log
	}
	path, err := x.choose()
	if err != nil {
		return err
	}
	if path != "" {
		err = x.readFile(ctx, path)
	} else {
		err = x.readAPI(ctx)
	}
	switch {
	case err != nil:
		return err
	case d.Running && !x.fleet.deps.Once:
		return errAgain
	case d.Running:
		return nil
	}
	return x.rest(ctx)
}

func (x *follower) inspect(ctx context.Context) (dockerapi.Details, error) {
	if err := x.fleet.enter(ctx); err != nil {
		return dockerapi.Details{}, err
	}
	defer x.fleet.leave()
	c, err := x.fleet.engine()
	if err != nil {
		return dockerapi.Details{}, err
	}
	d, err := c.Inspect(ctx, x.id)
	if err == nil {
		x.fleet.deps.Containers.Set(x.id, d.Addresses)
	}
	return d, err
}

// rest notes that the log of a container that ended was read to its end.
func (x *follower) rest(ctx context.Context) error {
	x.drained = true
	if x.cursor.ended {
		return nil
	}
	x.cursor.ended = true
	if err := x.writeEmpty(ctx); err != nil {
		x.cursor.ended = false
		return err
	}
	return nil
}

// ignore lets go of a container that is not to be followed, or not any more.
func (x *follower) ignore(ctx context.Context) error {
	if x.line == nil && !x.ignored {
		for _, in := range x.fleet.known[x.id] {
			line, err := x.fleet.lines.Open(in)
			if err != nil {
				return err
			}
			line.Close(true)
		}
	}
	x.ignored = true
	x.closeLine(true)
	x.once.Do(func() { close(x.opened) })
	return errIgnored
}

// bury ends the follower of a container that was removed. What its file still has is read,
// and what could not be read is stated.
func (x *follower) bury(ctx context.Context) error {
	defer x.once.Do(func() { close(x.opened) })
	x.mayWrite.Store(false)
	if x.line == nil {
		in, c, ok := x.lastKnown()
		if !ok {
			return errGone
		}
		if err := x.open(ctx, in.Stream); err != nil {
			return err
		}
		if c.path != "" && canOpen(c.path) == nil {
			if err := x.readFile(ctx, c.path); err != nil {
				return err
			}
		}
	}
	if !x.drained && !x.cursor.ended && x.started {
		if err := x.writeGap(ctx, gapRemoved); err != nil {
			return err
		}
	}
	x.closeLine(true)
	return errGone
}

// open makes sure that the follower has the line of its stream. The position of a container
// that was renamed goes with it.
func (x *follower) open(ctx context.Context, stream record.Stream) error {
	if x.line != nil && x.in.ID == stream.ID {
		return nil
	}
	renamed := x.line
	line, err := x.fleet.lines.Open(flow.Input{Stream: stream, ID: x.id})
	if err != nil {
		return err
	}
	x.line, x.in = line, stream
	pos := line.Position()
	if len(pos.Source) == 0 && renamed != nil {
		pos = renamed.Position()
	}
	var former []flow.Line
	for _, in := range x.fleet.known[x.id] {
		if in.Stream.ID == stream.ID || renamed != nil {
			continue
		}
		old, err := x.fleet.lines.Open(in)
		if err != nil {
			return fmt.Errorf("open the stream of a former name: %w", err)
		}
		if p := old.Position(); len(pos.Source) == 0 {
			pos = p
		}
		former = append(former, old)
	}
	if renamed != nil {
		former = append(former, renamed)
	}
	if err := x.begin(ctx, pos); err != nil {
		return err
	}
	for _, old := range former {
		old.Close(true)
	}
	x.once.Do(func() { close(x.opened) })
	return nil
}

// begin sets the cursor to a position, or for a container never read to where it starts,
// and makes that the line's position.
func (x *follower) begin(ctx context.Context, pos record.Position) error {
	x.held, x.fresh, x.recent = false, false, nil
	if len(pos.Source) == 0 {
		x.cursor = cursor{since: x.since()}
		return x.writeEmpty(ctx)
	}
	c, err := decodeCursor(pos.Source)
	if err != nil {
		// Rather a gap than everything twice.
		x.fleet.deps.Log.Warn("cannot read a position", "stream", x.in.ID, "error", err)
		x.cursor = cursor{since: time.Now().UnixNano(), pos: max(pos.Resume[0], pos.Resume[1], 0)}
		return x.writeGap(ctx, record.Gap{Bytes: -1, Reason: "position lost"})
	}
	x.cursor, x.resume, x.fresh = c, pos.Resume, true
	x.started = x.started || !c.ended
	if len(x.line.Position().Source) > 0 {
		return nil
	}
	return x.writeBatch(ctx, func(b *record.Batch) { b.Position.Resume = pos.Resume })
}

// since returns from which time on a container that was never read is read, 0 for all.
func (x *follower) since() int64 {
	f := x.fleet
	if !f.first.Load() || x.details.Created.After(f.began) {
		return 0
	}
	back, beginning, err := parseStart(f.cfg.start(&x.details))
	if err != nil || beginning {
		return 0
	}
	return f.began.Add(-back).UnixNano()
}

func (x *follower) closeLine(forget bool) {
	if x.line != nil {
		x.line.Close(forget)
		x.line = nil
	}
}
