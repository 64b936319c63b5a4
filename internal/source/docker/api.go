package docker

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

const (
	// silence is how long a log that is followed may be silent before the engine is asked
	// whether that is true: streams have been known to stall.
	silence = 30 * time.Second
	// suspicion is how long the stream may take to deliver what the engine says is there.
	suspicion = 2 * time.Second
	// lastWords is how long the log of a container that ended may take to end.
	lastWords = 5 * time.Second
	// calmPeriod is how often a stream is thought about of which nothing is expected.
	calmPeriod = 5 * time.Second
	// Bounds of a batch.
	batchRecords = 2048
	batchBytes   = 256 << 10
	// streamMost is how many messages the stream of a log that is rotated may tell without a
	// pause. An engine keeps up to 4096 for a reader that is slow. With more it does not go on
	// reading the log, and then leaves out what was rotated twice meanwhile.
	streamMost = 2000
	// largeFile is a file that an engine begins to tell before it is full, unless there is
	// much that it has not told.
	largeFile = 1_000_000
)

var (
	errStalled  = errors.New("the log goes on, but its stream does not")
	errMismatch = errors.New("the log's stream is not what the log is")
	errBusy     = errors.New("the log's stream may leave out what it has no time for")
)

// readAPI reads the log through the engine until it ends: when the container does, or when
// the engine or something before it ends the stream.
func (x *follower) readAPI(ctx context.Context) error {
	c, err := x.fleet.engine()
	if err != nil {
		return err
	}
	if x.recent == nil {
		x.recent = new(recent)
	}
	if !x.details.Running || x.fleet.deps.Once {
		if _, err := x.fetch(ctx, c, 0); err != nil {
			return err
		}
	} else if err = x.followAPI(ctx, c); err != nil {
		return err
	}
	x.drained = true
	return x.letGo(ctx)
}

func (x *follower) followAPI(ctx context.Context, c *dockerapi.Client) error {
	for !x.distrust && x.streams(c) {
		got, err := x.fetch(ctx, c, 0)
		if err != nil {
			return err
		}
		err = x.stream(ctx, c, got)
		switch {
		case x.line == nil: // it did not take the last batch
			return err
		case errors.Is(err, errMismatch):
			x.fleet.deps.Ledger.Event("stream of a log distrusted")
			x.distrust = true
		case !errors.Is(err, errBusy):
			return err
		default:
			if err = x.poll(ctx, c, true); !errors.Is(err, errCalm) {
				return err
			}
		}
	}
	return x.poll(ctx, c, false)
}

// streams tells whether the stream of the log tells all that is written, as long as it is
// not too much. Those of old engines do not when the log is rotated, and those of new ones
// leave out what was rotated twice before they came to it, which small files are soon. Of a
// log of one file, what only the stream may have told must be compared with what is there.
func (x *follower) streams(c *dockerapi.Client) bool {
	files, size := rotation(&x.details)
	return size <= 0 || c.FollowsRotation() && files > 1 && size >= largeFile
}

// stream follows the log as long as that works, after all that exists was fetched.
func (x *follower) stream(ctx context.Context, c *dockerapi.Client, got fetched) error {
	o, skip := got.rest(&x.cursor)
	o.TTY, o.Follow = x.details.TTY, true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logs, err := c.Logs(ctx, x.id, o)
	if err != nil {
		return err
	}
	r := &apiReader{x: x, client: c, logs: logs, skip: skip, heard: time.Now(), pace: heldPeriod}
	_, size := rotation(&x.details)
	r.rotates = size > 0
	arrivals, next := make(chan arrival), make(chan struct{}, 1) // one: the pump may have left
	var pumping sync.WaitGroup
	defer pumping.Wait()
	defer logs.Close()
	defer cancel()
	pumping.Go(func() { pump(ctx, logs, arrivals, next) })
	return r.read(ctx, arrivals, next)
}

// arrival is a message that was waited for, or the end of the log.
type arrival struct {
	message dockerapi.Message
	err     error
	paused  bool // nothing came for a while before
}

// pump waits for messages on behalf of a reader that has more to wait for. The log is the
// reader's from each arrival until it says next.
func pump(ctx context.Context, logs *dockerapi.Logs, out chan<- arrival, next <-chan struct{}) {
	for {
		asked := time.Now()
		m, err := logs.Next()
		select {
		case out <- arrival{m, err, time.Since(asked) >= pollPeriod}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// apiReader reads one stream of a log.
type apiReader struct {
	x       *follower
	client  *dockerapi.Client
	logs    *dockerapi.Logs
	skip    skipper
	heard   time.Time // when the last message came
	rotates bool      // the engine begins a new file now and then
	since   int       // how many messages were read since there was a pause
	probed  time.Time // when the engine was last asked about the silence
	suspect bool      // the engine says that there is more
	over    time.Time // when the container ended, so that the stream has to; zero while it runs
	pace    time.Duration
}

// read reads to the end of the stream.
func (r *apiReader) read(ctx context.Context, arrivals <-chan arrival, next chan<- struct{}) error {
	tick := time.NewTicker(r.pace)
	defer tick.Stop()
	for {
		select {
		case a := <-arrivals:
			if a.err == io.EOF && !r.skip.pending() {
				return nil
			}
			if a.err == io.EOF {
				return errMismatch
			}
			if a.err != nil {
				return a.err
			}
			if a.paused {
				r.since = 0
			}
			if err := r.take(ctx, a.message); err != nil {
				return err
			}
			next <- struct{}{}
		case <-tick.C:
			if ended, err := r.quiet(ctx); ended || err != nil {
				return err
			}
		case <-r.x.wake:
			changed, err := r.x.look(ctx, &r.over)
			if changed || err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		r.setPace(tick)
	}
}

// setPace makes the reader think as often as there is something to think about.
func (r *apiReader) setPace(tick *time.Ticker) {
	pace := calmPeriod
	if r.x.held || r.suspect || !r.over.IsZero() || r.skip.pending() {
		pace = heldPeriod
	}
	if pace != r.pace {
		r.pace = pace
		tick.Reset(pace)
	}
}

// take makes a batch of m and of what arrived with it.
func (r *apiReader) take(ctx context.Context, m dockerapi.Message) error {
	r.heard, r.suspect = time.Now(), false
	m, ok, err := r.skip.past(r.logs, m)
	if err != nil || !ok {
		return err
	}
	x := r.x
	b, err := x.fleet.deps.Batches.Get(ctx, &x.in)
	if err != nil {
		return err
	}
	defer x.fleet.deps.Batches.Put(b)
	for {
		if x.repeated(m) {
			err = errMismatch
			break
		}
		if r.rotates && r.since >= streamMost {
			err = errBusy
			break
		}
		r.since++
		x.appendMessage(b, m)
		if len(b.Records) >= batchRecords || len(b.Arena) >= batchBytes || !r.logs.Ready() {
			break
		}
		if m, err = r.logs.Next(); err != nil {
			break
		}
	}
	if len(b.Records) == 0 {
		return err
	}
	x.setPosition(b)
	return errors.Join(x.write(ctx, b), err)
}

// repeated tells whether a message of a stream was read before: engines before Docker 23
// repeat some when a log is rotated. Only one that is not later than the message before it
// can have been, and the pieces of a line may be the same.
func (x *follower) repeated(m dockerapi.Message) bool {
	if m.Time > x.cursor.time || m.Time == x.cursor.time && m.Partial || x.cursor.n == 0 {
		return false
	}
	return x.recent.has(m)
}

// quiet does what is due while nothing arrives.
func (r *apiReader) quiet(ctx context.Context) (ended bool, err error) {
	now := time.Now()
	x := r.x
	if x.held && now.Sub(x.wrote) >= heldPeriod {
		return false, x.writeEmpty(ctx)
	}
	silent := now.Sub(r.heard)
	switch {
	case !r.over.IsZero() && silent >= lastWords && now.Sub(r.over) >= lastWords:
		return true, nil // the stream outlives its container: what is left will be fetched
	case r.skip.pending() && silent >= lastWords:
		return false, errMismatch
	case r.suspect && silent >= suspicion && now.Sub(r.probed) >= suspicion:
		x.fleet.deps.Ledger.Event("stalled stream opened anew")
		return false, errStalled
	case !r.suspect && silent >= x.fleet.silence && now.Sub(r.probed) >= x.fleet.silence:
		r.probed = now
		r.suspect, err = x.behind(ctx, r.client)
	}
	return false, err
}

// look finds out what happened to the container, and notes since when it is over. It
// returns an error if the container is to be read in another way or not at all.
func (x *follower) look(ctx context.Context, over *time.Time) (changed bool, err error) {
	d, err := x.inspect(ctx)
	if errors.Is(err, dockerapi.ErrNotFound) {
		d, err = x.details, nil
		d.Running = false
	}
	if err != nil {
		return false, nil // the stream itself will tell
	}
	if !x.fleet.cfg.wanted(&d) || x.fleet.cfg.stream(x.fleet.deps.Name, &d).ID != x.in.ID {
		return true, errMoved
	}
	x.mayWrite.Store(d.Running)
	switch {
	case d.Running:
		*over = time.Time{}
	case over.IsZero():
		*over = time.Now()
	}
	return false, nil
}

// behind asks the engine whether the log's last message is one that was not read.
func (x *follower) behind(ctx context.Context, c *dockerapi.Client) (bool, error) {
	logs, err := c.Logs(ctx, x.id, dockerapi.LogOptions{Tail: 1, TTY: x.details.TTY})
	if err != nil {
		return false, err
	}
	defer logs.Close()
	m, err := logs.Next()
	switch {
	case err == io.EOF:
		return false, nil
	case err != nil:
		return false, err
	case x.cursor.n == 0:
		return m.Time >= x.cursor.since, nil
	}
	return m.Time != x.cursor.time || recordHash(m.Time, m.Stderr, m.Text) != x.cursor.back(0).hash, nil
}

// writeAgain writes what was read before and held back by a stage, and what was lost.
func (x *follower) writeAgain(ctx context.Context, again []oldMessage, gaps []record.Gap) error {
	if len(again) == 0 && len(gaps) == 0 {
		return nil
	}
	return x.writeBatch(ctx, func(b *record.Batch) {
		b.Gaps = append(b.Gaps, gaps...)
		for _, m := range again {
			appendRecord(b, m.Message, m.pos)
		}
	})
}
