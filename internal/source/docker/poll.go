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
	// pollPeriod is how soon after a fetch the next one follows.
	pollPeriod = 250 * time.Millisecond
	// quietMin is how soon a log is fetched though its stream is silent; that doubles as long
	// as there is nothing.
	quietMin = time.Second
	// busyLog is how many messages a fetch of a log has that is fetched without being asked
	// for; below calmLog the stream is opened again.
	busyLog = 500
	calmLog = 100
	// spareFactor is how much more than what one fetch brings must be left of a log that is
	// fetched without its stream.
	spareFactor = 16
	// bellTail is how many messages that exist already a stream begins with.
	bellTail = 256
	// lateness is how much later than another a message may come that was written before it.
	lateness = 100 * time.Millisecond
)

// errCalm is the outcome of reading a log until it is calm.
var errCalm = errors.New("the log is calm")

// poll reads a log whose stream cannot be trusted, in the way that merge.go says. If that is
// so only because there is much to tell, it returns errCalm once there is not.
func (x *follower) poll(ctx context.Context, c *dockerapi.Client, untilCalm bool) error {
	p := &poller{x: x, client: c, quiet: quietMin, untilCalm: untilCalm}
	defer p.close()
	x.fill = newFill(&x.details)
	if x.cursor.n > 0 || x.cursor.since > 0 {
		x.fill.unknown()
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	expect := 0
	for {
		began := time.Now()
		ended := x.bell != nil && x.bell.ended()
		if x.bell != nil {
			expect = x.bell.mark()
		}
		got, err := x.fetch(ctx, c, expect)
		if errors.Is(err, dockerapi.ErrNotFound) && x.bell != nil {
			return p.lastWords(ctx)
		}
		if err != nil {
			return err
		}
		expect = 2 * got.records
		if over, err := p.isOver(ctx, ended); err != nil || over && (ended || got.records == 0) {
			return err
		}
		if ended { // the engine lost its way, and says nothing more
			p.close()
		}
		again, err := p.after(ctx, got)
		if err != nil {
			return err
		}
		if p.waited = !again; again {
			continue
		}
		if err := p.wait(ctx, began.Add(pollPeriod)); err != nil {
			return err
		}
	}
}

// poller reads one log by fetching.
type poller struct {
	x         *follower
	client    *dockerapi.Client
	over      time.Time // since when the container is known to have ended
	quiet     time.Duration
	total     int64     // how much the stream had told at the fetch before
	deaf      time.Time // since when it tells nothing of what is fetched; zero if it does
	measured  bool
	untilCalm bool // reading ends once there is little to read
	waited    bool // before the fetch that was last
	stop      func()
	ring      sync.WaitGroup
}

func (p *poller) open(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	// Not from the end on, for an engine finds that some time after it has answered: what is
	// written meanwhile must be heard.
	logs, err := p.client.Logs(ctx, p.x.id, dockerapi.LogOptions{Tail: bellTail, Follow: true, TTY: p.x.details.TTY})
	if err != nil {
		cancel()
		return err
	}
	b := &bell{rung: make(chan struct{}, 1)}
	p.x.bell, p.total, p.deaf = b, 0, time.Time{}
	p.stop = func() { cancel(); logs.Close() }
	p.ring.Go(func() { b.listen(logs) })
	return nil
}

func (p *poller) close() {
	if p.x.bell != nil {
		p.stop()
		p.ring.Wait()
		p.x.bell = nil
	}
}

// isOver tells whether the container has ended, so that its log has to.
func (p *poller) isOver(ctx context.Context, ended bool) (bool, error) {
	if ended && p.over.IsZero() {
		if _, err := p.x.look(ctx, &p.over); err != nil {
			return false, err
		}
		return !p.over.IsZero(), nil
	}
	return !p.over.IsZero() && (ended || time.Since(p.over) >= lastWords), nil
}

// after does what is due after a fetch: it lets the stream go while it is of no use, has one
// that is, and tells whether to fetch again at once.
func (p *poller) after(ctx context.Context, got fetched) (again bool, err error) {
	x := p.x
	if got.records > 0 {
		p.quiet = quietMin
	}
	if !p.measured && x.cursor.n > 0 {
		p.measured = true
		if err := x.measure(ctx, p.client); err != nil {
			return false, err
		}
	}
	if p.untilCalm && p.waited && got.records < calmLog && p.over.IsZero() {
		return false, errCalm
	}
	files, size := rotation(&x.details)
	spare := int64(files-1) * size
	ample := spareFactor*got.bytes <= spare
	switch {
	case x.bell == nil && ample && got.records >= calmLog:
		return false, nil
	case x.bell == nil:
		return true, p.open(ctx)
	case ample && got.records >= busyLog:
		p.close()
		return false, nil
	}
	x.bell.release(&x.cursor)
	if p.isDeaf(got) {
		x.fleet.deps.Ledger.Event("stalled stream opened anew")
		p.close()
		return true, p.open(ctx)
	}
	return got.rotated && spare > 0, nil // all of it was new: perhaps there is more already
}

// isDeaf tells whether the stream has told nothing for a while, though there was something.
func (p *poller) isDeaf(got fetched) bool {
	total := p.x.bell.count()
	told := total > p.total
	p.total = total
	switch {
	case told:
		p.deaf = time.Time{}
	case got.records > 0 && p.deaf.IsZero():
		p.deaf = time.Now()
	}
	return !p.deaf.IsZero() && time.Since(p.deaf) >= suspicion
}

// wait waits until there is something to fetch, but at least until a time.
func (p *poller) wait(ctx context.Context, least time.Time) error {
	x := p.x
	most := min(p.quiet, x.fleet.silence)
	var rung <-chan struct{}
	if x.bell != nil {
		rung = x.bell.rung
	}
	if x.held || x.bell == nil || !p.over.IsZero() {
		most = pollPeriod
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-rung:
		p.quiet = quietMin
	case <-t.C:
		p.quiet = min(2*p.quiet, x.fleet.silence)
	case <-x.wake:
		if _, err := x.look(ctx, &p.over); err != nil {
			return err
		}
		return ctx.Err() // at once: the container may be about to be removed
	case <-ctx.Done():
		return ctx.Err()
	}
	if x.held && time.Since(x.wrote) >= heldPeriod {
		if err := x.writeEmpty(ctx); err != nil {
			return err
		}
	}
	t.Reset(max(time.Until(least), 0))
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lastWords writes what the stream told since the last fetch of a container that is gone.
func (p *poller) lastWords(ctx context.Context) error {
	x := p.x
	words, all := x.bell.rest(ctx, &x.cursor)
	if err := ctx.Err(); err != nil {
		return err
	}
	var gaps []record.Gap
	if !all {
		gaps = append(gaps, gapRemoved)
	}
	words, _ = x.unwritten(words)
	return x.writeWords(ctx, words, gaps)
}

// measure finds out how full the log's file is up to the cursor.
func (x *follower) measure(ctx context.Context, c *dockerapi.Client) error {
	if x.fill.capacity == 0 || x.fill.bytes >= 0 {
		return nil
	}
	logs, err := c.Logs(ctx, x.id, dockerapi.LogOptions{TTY: x.details.TTY})
	if err != nil {
		return err
	}
	defer logs.Close()
	found, last := fill{capacity: x.fill.capacity}, x.cursor.back(0).hash
	for {
		m, err := logs.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		found.add(m)
		if m.Time == x.cursor.time && recordHash(m.Time, m.Stderr, m.Text) == last {
			x.fill = found // of several alike it is the last
		}
	}
}
