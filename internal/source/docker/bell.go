package docker

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
)

// maxHeardBytes bounds the text that is remembered between two fetches.
const maxHeardBytes = 1 << 20

// bell listens to the stream of a log: it says when there is something to fetch, and
// remembers what it heard in case the next fetch comes too late for that.
type bell struct {
	rung chan struct{} // holds a token when something was heard

	mu     sync.Mutex // guards below
	namer  namer
	heard  []heard // without what is known to be fetched
	bytes  int
	marked int   // how many were heard before the fetch that is going on
	total  int64 // how many were heard in all
	clock  clock
	// told is when the last message of the cursor that was at position at was heard: all of
	// heard comes after that, or is repeated. Zero if it was not heard.
	told   time.Time
	at     int64
	lost   bool // some were dropped that perhaps no fetch has
	closed bool
}

// heard is a message of the stream, its name, and when it came.
type heard struct {
	dockerapi.Message
	name name
	at   time.Time
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
		b.ring()
		if err != nil {
			return
		}
	}
}

func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

func (b *bell) hearLocked(m dockerapi.Message) {
	m.Text = slices.Clone(m.Text)
	now := time.Now()
	b.clock.see(m.Time, now)
	b.heard = append(b.heard, heard{m, b.namer.name(m), now})
	b.total++
	b.bytes += len(m.Text)
	for b.bytes > maxHeardBytes && len(b.heard) > 1 {
		b.dropLocked(1)
		b.told, b.lost = time.Time{}, true
	}
}

func (b *bell) dropLocked(n int) {
	for _, h := range b.heard[:n] {
		b.bytes -= len(h.Text)
	}
	b.heard = b.heard[n:]
	b.marked = max(b.marked-n, 0)
}

// ended tells whether the stream has ended.
func (b *bell) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// mark returns how much was heard. What a fetch that begins now does not show of it was in
// the log before all that the fetch shows.
func (b *bell) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.marked = len(b.heard)
	return b.marked
}

// count returns how many messages were heard in all.
func (b *bell) count() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// release forgets what is written after a fetch that has brought the cursor to c.
func (b *bell) release(c *cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.marked
	if i := b.placeLocked(c); i >= 0 {
		n = max(n, i+1)
		b.told, b.at = b.heard[i].at, c.pos
	} else if b.at != c.pos {
		b.told = time.Time{} // its place is still to be heard, or was dropped
	}
	b.dropLocked(n)
	b.heard = append(b.heard[:0:0], b.heard...) // of a size that fits
	b.marked, b.lost = 0, false
}

// placeLocked returns where the cursor's last message was heard last, -1 if it was not. What
// a stream repeats it repeats to the end: what came after an earlier place does so again.
func (b *bell) placeLocked(c *cursor) int {
	if c.n == 0 {
		return -1
	}
	last := c.back(0).hash
	for i, h := range slices.Backward(b.heard) {
		if h.name.hash == last && (h.Time == c.time || h.Time == 0) {
			return i
		}
	}
	return -1
}

// afterLocked returns from which index on messages come after the cursor, and by when the
// stream had told the cursor's last message; zero if it has not.
func (b *bell) afterLocked(c *cursor) (from int, told time.Time) {
	if i := b.placeLocked(c); i >= 0 {
		return i + 1, b.heard[i].at
	}
	if b.at == c.pos {
		told = b.told
	}
	return 0, told
}

// clock compares the engine's clock with ours.
type clock struct {
	// ahead is by how many nanoseconds at least the engine's clock is ahead, less the time
	// that the fastest message took to come.
	ahead int64
}

// see notes that a message has come by now.
func (c *clock) see(time int64, now time.Time) { c.ahead = max(c.ahead, time-now.UnixNano()) }

// before tells whether a message may have been written before one was told that came at a
// moment.
func (c *clock) before(time int64, moment time.Time) bool {
	return time <= moment.UnixNano()+c.ahead
}

// stretch is what was heard between a cursor and a message that was fetched.
type stretch struct {
	words []heard
	told  time.Time // by when the stream had told the cursor's last message; zero if it has not
	found bool      // the stream has told the message that was fetched
	clock clock
}

// between returns what was heard after the cursor and before first. It waits for the stream
// to come that far.
func (b *bell) between(ctx context.Context, c *cursor, first dockerapi.Message) stretch {
	defer b.ring() // for what comes later
	late := time.NewTimer(suspicion)
	defer late.Stop()
	for passed := false; ; {
		over := b.ended() // before looking
		s, beyond := b.upTo(c, first)
		if s.found || over {
			return s
		}
		if beyond && !passed { // it may have been left out; or it is late, for the other sub-stream
			passed = true
			late.Reset(lateness)
		}
		select {
		case <-b.rung:
		case <-late.C:
			return s
		case <-ctx.Done():
			return s
		}
	}
}

// upTo returns what was heard so far. Where the cursor's last message or first was not
// heard, its time stands for it; beyond tells that something newer than first was heard.
func (b *bell) upTo(c *cursor, first dockerapi.Message) (s stretch, beyond bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, told := b.afterLocked(c)
	all := b.heard[from:]
	hash := recordHash(first.Time, first.Stderr, first.Text)
	i := slices.IndexFunc(all, func(h heard) bool { return h.Time == first.Time && h.name.hash == hash })
	if i >= 0 {
		all = all[:i]
	}
	s = stretch{told: told, found: i >= 0, clock: b.clock}
	for _, h := range all {
		switch {
		case !s.found && h.Time >= first.Time:
			beyond = true
		case !told.IsZero() || c.n == 0 || h.Time > c.time:
			s.words = append(s.words, h)
		}
	}
	return s, beyond
}

// rest waits for the stream to end, as it has to, and returns what was heard after the
// cursor, and whether that is all there was.
func (b *bell) rest(ctx context.Context, c *cursor) (words []heard, all bool) {
	late := time.NewTimer(lastWords)
	defer late.Stop()
	for !b.ended() {
		select {
		case <-b.rung:
			continue
		case <-late.C:
		case <-ctx.Done():
		}
		break
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	from, told := b.afterLocked(c)
	return b.heard[from:], !b.lost && (!told.IsZero() || c.n == 0)
}
