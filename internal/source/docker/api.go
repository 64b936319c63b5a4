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
	// Bounds of a batch.
	batchRecords = 2048
	batchBytes   = 256 << 10
)

var (
	errStalled  = errors.New("the log goes on, but its stream does not")
	errMismatch = errors.New("the log is not what it was a moment ago")
)

// readAPI reads the log through the engine until it ends: when the container does, or when
// the engine or something before it ends the stream.
func (x *follower) readAPI(ctx context.Context) error {
	c, err := x.fleet.engine()
	if err != nil {
		return err
	}
	p, err := x.locate(ctx, c)
	if err != nil {
		return err
	}
	x.cursor.path, x.cursor.file, x.cursor.shift = "", nil, 0
	if len(p.gaps) > 0 || len(p.again) > 0 {
		if err := x.writeAgain(ctx, p); err != nil {
			return err
		}
	}
	x.fresh = false
	if p.nothing && !x.details.Running {
		x.drained = true
		return x.letGo(ctx)
	}
	p.options.TTY = x.details.TTY
	p.options.Follow = x.details.Running && !x.fleet.deps.Once
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logs, err := c.Logs(ctx, x.id, p.options)
	if err != nil {
		return err
	}
	r := &apiReader{x: x, client: c, logs: logs, skip: p.skip, heard: time.Now()}
	arrivals, next := make(chan arrival), make(chan struct{}, 1) // one: the pump may have left
	var pumping sync.WaitGroup
	defer pumping.Wait()
	defer logs.Close()
	defer cancel()
	pumping.Go(func() { pump(ctx, logs, arrivals, next) })
	if err := r.read(ctx, arrivals, next); err != nil {
		return err
	}
	x.drained = true
	return x.letGo(ctx)
}

// writeAgain writes what was read before and held back by a stage, and what was lost.
func (x *follower) writeAgain(ctx context.Context, p place) error {
	return x.writeBatch(ctx, func(b *record.Batch) {
		b.Gaps = append(b.Gaps, p.gaps...)
		for _, m := range p.again {
			appendRecord(b, m.Message, m.pos)
		}
	})
}

// arrival is a message that was waited for, or the end of the log.
type arrival struct {
	message dockerapi.Message
	err     error
}

// pump waits for messages on behalf of a reader that has more to wait for. The log is the
// reader's from each arrival until it says next.
func pump(ctx context.Context, logs *dockerapi.Logs, out chan<- arrival, next <-chan struct{}) {
	for {
		m, err := logs.Next()
		select {
		case out <- arrival{m, err}:
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
	probed  time.Time // when the engine was last asked about the silence
	suspect bool      // the engine says that there is more
	over    bool      // the container ended: the stream has to end soon
	changed time.Time // since when
	pace    time.Duration
}

// read reads to the end of the stream.
func (r *apiReader) read(ctx context.Context, arrivals <-chan arrival, next chan<- struct{}) error {
	r.pace = heldPeriod
	tick := time.NewTicker(r.pace)
	defer tick.Stop()
	for {
		select {
		case a := <-arrivals:
			if a.err == io.EOF {
				if r.skip.pending() {
					return errMismatch
				}
				return nil
			}
			if a.err != nil {
				return a.err
			}
			if err := r.take(ctx, a.message); err != nil {
				return err
			}
			next <- struct{}{}
			r.setPace(tick)
		case <-tick.C:
			if ended, err := r.quiet(ctx); ended || err != nil {
				return err
			}
			r.setPace(tick)
		case <-r.x.wake:
			if err := r.look(ctx); err != nil {
				return err
			}
			r.setPace(tick)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// calmPeriod is how often a stream is thought about of which nothing is expected.
const calmPeriod = 5 * time.Second

// setPace makes the reader think as often as there is something to think about.
func (r *apiReader) setPace(tick *time.Ticker) {
	pace := calmPeriod
	if r.x.held || r.over || r.suspect || r.skip.pending() {
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
	b, err := x.fleet.deps.Batches.Get(ctx, &x.stream)
	if err != nil {
		return err
	}
	defer x.fleet.deps.Batches.Put(b)
	for {
		x.appendMessage(b, m)
		if len(b.Records) >= batchRecords || len(b.Arena) >= batchBytes || !r.logs.Ready() {
			break
		}
		if m, err = r.logs.Next(); err != nil {
			break
		}
	}
	x.setPosition(b)
	if writeErr := x.write(ctx, b); writeErr != nil {
		return writeErr
	}
	return err
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
	case r.over && silent >= lastWords && now.Sub(r.changed) >= lastWords:
		return true, nil // the stream outlives its container: what is left will be read anew
	case r.skip.pending() && silent >= lastWords:
		return false, errMismatch
	case r.suspect && silent >= suspicion && now.Sub(r.probed) >= suspicion:
		x.fleet.deps.Ledger.Event("stalled stream opened anew")
		return false, errStalled
	case !r.suspect && silent >= silence && now.Sub(r.probed) >= silence:
		r.probed = now
		r.suspect, err = x.behind(ctx, r.client)
	}
	return false, err
}

// look finds out what happened to the container.
func (r *apiReader) look(ctx context.Context) error {
	x := r.x
	d, err := x.inspect(ctx)
	if errors.Is(err, dockerapi.ErrNotFound) {
		d, err = x.details, nil
		d.Running = false
	}
	if err != nil {
		return nil // the stream itself will tell
	}
	if !x.fleet.cfg.wanted(&d) || x.fleet.cfg.stream(x.fleet.deps.Name, &d).ID != x.stream.ID {
		return errMoved
	}
	x.mayWrite.Store(d.Running)
	if over := !d.Running; over != r.over {
		r.over, r.changed = over, time.Now()
	}
	return nil
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
