package docker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

const (
	// pollPeriod is how soon after a fetch the next one follows.
	pollPeriod = 250 * time.Millisecond
	// busyLog is how many messages a fetch of a log has that is fetched without being asked
	// for; below calmLog the stream is opened again.
	busyLog = 500
	calmLog = 100
	// bellTail is how many messages that exist already a stream begins with.
	bellTail = 256
	// maxRungBytes bounds the text that is remembered between two fetches.
	maxRungBytes = 1 << 20
)

// poll reads a log whose stream cannot be trusted: engines before Docker 23 lose and repeat
// messages in it when they rotate the log. What they answer without following is right. So
// the stream serves to say that there is something to fetch, and is trusted only for what
// came after the last fetch of a container that is gone by now.
func (x *follower) poll(ctx context.Context, c *dockerapi.Client) error {
	p := &poller{x: x, client: c}
	defer p.close()
	if err := p.open(ctx); err != nil {
		return err
	}
	expect := 0
	for {
		began := time.Now()
		ended := p.bell != nil && p.bell.ended()
		if p.bell != nil {
			expect = p.bell.mark()
		}
		got, err := x.fetch(ctx, c, expect)
		if errors.Is(err, dockerapi.ErrNotFound) && p.bell != nil {
			return p.lastWords(ctx)
		}
		if err != nil {
			return err
		}
		if p.bell != nil {
			p.bell.release()
		}
		expect = 2 * got.records
		over := !p.over.IsZero() && time.Since(p.over) >= lastWords
		switch {
		case ended, over && got.records == 0:
			return nil
		case p.bell != nil && got.records >= busyLog:
			p.close()
		case p.bell == nil && got.records < calmLog:
			if err := p.open(ctx); err != nil {
				return err
			}
			continue
		}
		if err := p.wait(ctx, began.Add(pollPeriod)); err != nil {
			return err
		}
	}
}

// poller reads one log by fetching.
type poller struct {
	x      *follower
	client *dockerapi.Client
	over   time.Time // since when the container is known to have ended
	bell   *bell     // nil while there is so much to fetch that none is needed
	stop   func()
	ring   sync.WaitGroup
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
	p.bell = b
	p.stop = func() { cancel(); logs.Close() }
	p.ring.Go(func() { b.listen(logs) })
	return nil
}

func (p *poller) close() {
	if p.bell != nil {
		p.stop()
		p.ring.Wait()
		p.bell = nil
	}
}

// wait waits until there is something to fetch, but at least until a time.
func (p *poller) wait(ctx context.Context, least time.Time) error {
	x := p.x
	most := x.fleet.silence
	var rung <-chan struct{}
	if p.bell != nil {
		rung = p.bell.rung
	}
	if x.held || p.bell == nil || !p.over.IsZero() {
		most = pollPeriod
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-rung:
	case <-t.C:
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
	x, b := p.x, p.bell
	b.wait(ctx)
	words, gap := b.all()
	var after int // behind the cursor, if it is among them
	for i, m := range words {
		if m.Time == x.cursor.time && x.cursor.n > 0 && recordHash(m.Time, m.Stderr, m.Text) == x.cursor.back(0).hash {
			after = i + 1
		}
	}
	if words = words[after:]; len(words) == 0 && !gap {
		return nil
	}
	return x.writeWords(ctx, words, gap)
}

// writeWords writes messages, each once.
func (x *follower) writeWords(ctx context.Context, words []dockerapi.Message, gap bool) error {
	b, err := x.fleet.deps.Batches.Get(ctx, &x.in)
	if err != nil {
		return err
	}
	defer x.fleet.deps.Batches.Put(b)
	if gap {
		b.Gaps = append(b.Gaps, record.Gap{Bytes: -1, Reason: "removed"})
	}
	written := map[uint32]bool{}
	for _, m := range words {
		if h := recordHash(m.Time, m.Stderr, m.Text); m.Partial || !written[h] {
			written[h] = true
			x.appendMessage(b, m)
		}
	}
	x.setPosition(b)
	return x.write(ctx, b)
}

// bell listens to the stream of a log.
type bell struct {
	rung chan struct{} // holds a token when there is something to fetch

	mu     sync.Mutex // guards below
	heard  []dockerapi.Message
	bytes  int
	marked int  // how many were heard before the fetch that is going on
	lost   bool // some of heard were dropped
	closed bool
}

// listen hears messages until the stream ends.
func (b *bell) listen(logs *dockerapi.Logs) {
	for {
		m, err := logs.Next()
		b.mu.Lock()
		if err != nil {
			b.closed = true
			b.lost = b.lost || err != io.EOF
		} else {
			b.hearLocked(m)
		}
		b.mu.Unlock()
		select {
		case b.rung <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (b *bell) hearLocked(m dockerapi.Message) {
	m.Text = slices.Clone(m.Text)
	b.heard = append(b.heard, m)
	b.bytes += len(m.Text)
	for b.bytes > maxRungBytes && len(b.heard) > 1 {
		b.bytes -= len(b.heard[0].Text)
		b.heard = b.heard[1:]
		b.marked = max(b.marked-1, 0)
		b.lost = true
	}
}

// ended tells whether the stream has ended.
func (b *bell) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// mark returns how much was heard; if the fetch that follows succeeds, it has all of that.
func (b *bell) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.marked = len(b.heard)
	return b.marked
}

// release forgets what the fetch has.
func (b *bell) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.heard[:b.marked] {
		b.bytes -= len(m.Text)
	}
	b.heard = append(b.heard[:0:0], b.heard[b.marked:]...)
	b.marked, b.lost = 0, false
}

// wait waits for the stream to end, as it has to.
func (b *bell) wait(ctx context.Context) {
	late := time.NewTimer(lastWords)
	defer late.Stop()
	for !b.ended() {
		select {
		case <-b.rung:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// all returns what was heard and not fetched, and whether that is less than there was.
func (b *bell) all() ([]dockerapi.Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard, b.lost
}
