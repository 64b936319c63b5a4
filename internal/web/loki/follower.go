package loki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql"
)

// errSlow says that a client took nothing for too long.
var errSlow = errors.New("the client reads nothing")

const (
	// messageBytes is about how large a message gets.
	messageBytes = 512 << 10
	// maxHeldBytes is how much text is held back when lines are wanted with a delay.
	maxHeldBytes = 8 << 20
)

// follower sends the lines of one tail.
type follower struct {
	tailParams
	query   *logql.Follower
	live    *archive.Tail
	conn    *websocket.Conn
	ping    time.Duration
	numbers *numbers

	passed []logql.Entry
	held   []heldEntry // until their delay is over, in order of arrival
	bytes  int         // of the lines held
	lost   int         // records that came too fast, not reported yet
	out    out
	spoke  time.Time // when the client last proved to be there
}

// heldEntry is a line that waits for others that may be earlier.
type heldEntry struct {
	logql.Entry
	due time.Time
}

// run sends the lines that were there, and then those to come until ctx ends or the client
// takes none for too long.
func (t *follower) run(ctx context.Context, there []logql.Entry) error {
	t.spoke = time.Now()
	if err := t.send(ctx, there); err != nil {
		return err
	}
	if err := t.seam(ctx, there); err != nil {
		return err
	}
	for {
		chunks, lost, err := t.next(ctx)
		if err != nil {
			return err
		}
		t.take(chunks, lost, nil)
		if err := t.release(ctx); err != nil {
			return err
		}
	}
}

// seam takes the records that came while those that were there were looked for, without
// those that are among them.
func (t *follower) seam(ctx context.Context, there []logql.Entry) error {
	seen := map[string]int{}
	for i := range there {
		seen[identity(&there[i])]++
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	chunks, lost, err := t.live.Next(ended) // what there is, without waiting
	if err != nil {
		return ctx.Err()
	}
	t.take(chunks, lost, seen)
	return t.release(ctx)
}

// identity tells records of the same stream apart as well as can be.
func identity(e *logql.Entry) string {
	return e.Stream + "\x00" + strconv.FormatInt(e.Time, 10) + "\x00" + e.Line
}

// next waits for records, no longer than something else is due.
func (t *follower) next(ctx context.Context) (chunks []archive.Chunk, lost int, err error) {
	wait := time.Until(t.spoke.Add(t.ping))
	if len(t.held) > 0 {
		wait = min(wait, time.Until(t.held[0].due))
	}
	brief, cancel := context.WithTimeout(ctx, wait)
	chunks, lost, err = t.live.Next(brief)
	cancel()
	switch {
	case err == nil:
		return chunks, lost, nil
	case ctx.Err() != nil:
		return nil, 0, ctx.Err()
	case time.Since(t.spoke) >= t.ping:
		return nil, 0, t.knock(ctx)
	}
	return nil, 0, nil
}

// knock asks the client whether it is there.
func (t *follower) knock(ctx context.Context) error {
	patient, cancel := outlive(ctx)
	defer cancel()
	if err := t.conn.Ping(patient); err != nil {
		return slow(ctx, err)
	}
	t.spoke = time.Now()
	return nil
}

// outlive returns a context for one message, which may end a second after ctx: a message
// that is cut off ends the connection without a word.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), frameTime)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// slow tells a client that takes nothing from one that left and from the end of ctx.
func slow(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", errSlow, err)
}

// take sends records through the pipeline, and holds what passes until it is due. Records
// that were seen are left out, each as often as it was.
func (t *follower) take(chunks []archive.Chunk, lost int, seen map[string]int) {
	t.lose(lost)
	due := time.Now().Add(t.delay)
	for _, c := range chunks {
		t.passed = t.query.Append(t.passed[:0], c)
		for i := range t.passed {
			e := &t.passed[i]
			if seen != nil && seen[identity(e)] > 0 {
				seen[identity(e)]--
				continue
			}
			if t.bytes > maxHeldBytes {
				t.lose(1)
				continue
			}
			t.held = append(t.held, heldEntry{*e, due})
			t.bytes += len(e.Line)
		}
		clear(t.passed)
	}
}

func (t *follower) lose(n int) {
	t.lost += n
	t.numbers.lost.Add(float64(n))
}

// release sends what is due, by time.
func (t *follower) release(ctx context.Context) error {
	now := time.Now()
	n := 0
	for n < len(t.held) && !t.held[n].due.After(now) {
		n++
	}
	if n == 0 && t.lost == 0 {
		return nil
	}
	entries := make([]logql.Entry, n)
	for i := range entries {
		entries[i] = t.held[i].Entry
		t.bytes -= len(entries[i].Line)
	}
	t.held = slices.Delete(t.held, 0, n)
	slices.SortStableFunc(entries, func(a, b logql.Entry) int { return cmp.Compare(a.Time, b.Time) })
	return t.send(ctx, entries)
}

// send writes entries, and what was lost before them, in messages of a bounded size.
func (t *follower) send(ctx context.Context, entries []logql.Entry) error {
	for len(entries) > 0 || t.lost > 0 {
		t.out.buf = t.out.buf[:0]
		n := t.message(entries)
		entries = entries[n:]
		patient, cancel := outlive(ctx)
		err := t.conn.Write(patient, websocket.MessageText, t.out.buf)
		cancel()
		if err != nil {
			return slow(ctx, err)
		}
		t.spoke = time.Now()
	}
	return nil
}

// message makes a message of the first n entries. Lines with the same labels that follow
// one another are written together, so that the order of all is the order of time.
func (t *follower) message(entries []logql.Entry) (n int) {
	by := ofAll
	if t.usage.categorize {
		by = ofStream
	}
	o := &t.out
	o.raw(`{"streams":[`)
	for n < len(entries) && len(o.buf) < messageBytes {
		o.comma(n)
		first := &entries[n]
		o.raw(`{"stream":`)
		o.labels(first.Labels, by)
		o.raw(`,"values":[`)
		for k := 0; n < len(entries) && len(o.buf) < messageBytes && compareLabels(first.Labels, entries[n].Labels, by) == 0; k++ {
			o.comma(k)
			o.entry(&entries[n], t.usage.categorize)
			n++
		}
		o.raw(`]}`)
	}
	o.raw(`]`)
	if t.usage.categorize {
		o.raw(`,"encodingFlags":["` + categorizeFlag + `"]`)
	}
	if t.lost > 0 {
		t.dropped()
	}
	o.raw(`}`)
	return n
}

// dropped says how many records were lost. Loki names each with its labels; here they were
// never looked at, so there is one entry for all of them.
func (t *follower) dropped() {
	o := &t.out
	o.raw(`,"dropped_entries":[{"labels":{"reason":"the reader is too slow","records":"`)
	o.int(int64(t.lost))
	o.raw(`"},"timestamp":"`)
	o.int(time.Now().UnixNano())
	o.raw(`"}]`)
	t.lost = 0
}
