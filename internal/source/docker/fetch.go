package docker

import (
	"context"
	"io"
	"slices"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

const (
	// leastTail is how many of the last messages are searched for the cursor's place beside
	// those that are expected behind it, tailFactor how many times more are searched if it
	// is not there.
	leastTail  = 64
	tailFactor = 16
	maxTail    = 1 << 22 // beyond it the whole log is read
	// slack is how many messages may be written between a fetch and the stream after it.
	slack = 1024
	// maxHeldBytes bounds the text that is read again because it was held back.
	maxHeldBytes = 4 << 20
)

// fetched says what a fetch saw.
type fetched struct {
	records int   // new ones
	bytes   int64 // of their texts
	seen    int   // all
	whole   bool  // seen from the log's first on
	rotated bool  // all that was read before was rotated away
}

// fetch reads what the log has behind the cursor now. It asks for the end of the log and
// passes over what the cursor has passed; if the cursor's place is not in it, for more.
// About expect messages are expected to be new.
func (x *follower) fetch(ctx context.Context, c *dockerapi.Client, expect int) (fetched, error) {
	if x.cursor.n == 0 {
		f := fetching{x: x, client: c, options: dockerapi.LogOptions{Since: x.cursor.since}, rotated: true}
		err := f.run(ctx)
		return f.got(x.cursor.since == 0), err
	}
	held, exact := 0, true
	if x.fresh {
		held, exact = x.cursor.held(min(x.resume[0], x.resume[1]))
	}
	var lost []record.Gap
	if !exact {
		lost = append(lost, gapHeld)
	}
	for tail := expect + leastTail + held; ; tail *= tailFactor {
		if tail > maxTail {
			tail = 0
		}
		f := fetching{x: x, client: c, options: dockerapi.LogOptions{Tail: tail}, held: held, gaps: lost}
		f.skip = skipper{kind: skipToMatch, matcher: newMatcher(&x.cursor, tail == 0), left: -1}
		place := x.cursor // the matcher's, while the cursor itself moves on
		f.skip.matcher.want = &place
		if err := f.run(ctx); err != nil {
			return fetched{}, err
		}
		switch whole := tail == 0 || f.seen < tail; {
		case !f.skip.pending():
			return f.got(whole), nil
		case tail == 0:
			return x.fetchUncertain(ctx, &f)
		case whole:
			tail = maxTail // once more, knowing that there is no more than this
		}
	}
}

var gapHeld = record.Gap{Bytes: -1, Reason: "held back at the last end"}

// fetchUncertain reads on where the whole log, which f has seen, most likely has the
// cursor's place. If there is no such place, all of it is new, and what was before is lost.
func (x *follower) fetchUncertain(ctx context.Context, f *fetching) (fetched, error) {
	at := f.skip.matcher.best()
	again := fetching{x: x, client: f.client, skip: skipper{kind: skipCount, left: at}, gaps: f.gaps, rotated: at == 0}
	if at > 0 {
		x.fill.unknown()
	}
	if at > 0 && f.held > 0 {
		again.gaps = append(again.gaps, gapHeld)
	}
	err := again.run(ctx)
	got := again.got(true)
	got.rotated = at == 0 && f.seen > 0
	return got, err
}

// rest says how to follow on after a fetch that reached the cursor.
func (f fetched) rest(c *cursor) (dockerapi.LogOptions, skipper) {
	if c.n == 0 {
		return dockerapi.LogOptions{Since: c.since}, skipper{}
	}
	place := *c
	s := skipper{kind: skipToMatch, matcher: newMatcher(&place, f.whole && f.seen <= slack), left: -1}
	if s.matcher.whole {
		return dockerapi.LogOptions{}, s
	}
	tail := int(c.run) + slack
	s.left = int64(tail)
	return dockerapi.LogOptions{Tail: tail}, s
}

// fetching is one request of a fetch.
type fetching struct {
	x       *follower
	client  *dockerapi.Client
	options dockerapi.LogOptions
	skip    skipper
	held    int // how many messages up to the cursor's place are to be read again
	gaps    []record.Gap
	rotated bool          // nothing was read of what the log still has
	told    map[name]bool // but these were, if they should come
	namer   namer

	seen, records int
	written       int64 // bytes of text
	recent        []dockerapi.Message
	bytes         int
}

func (f *fetching) got(whole bool) fetched {
	return fetched{records: f.records, bytes: f.written, seen: f.seen, whole: whole}
}

// run reads to the end of what there is. When the cursor's place is not in it, nothing was
// written.
func (f *fetching) run(ctx context.Context) error {
	x := f.x
	f.options.TTY = x.details.TTY
	logs, err := f.client.Logs(ctx, x.id, f.options)
	if err != nil {
		return err
	}
	defer logs.Close()
	if f.skip.kind != skipToMatch {
		if err := f.resume(ctx); err != nil {
			return err
		}
	}
	for {
		m, err := logs.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f.seen++
		switch {
		case f.skip.pending():
			err = f.pass(ctx, m)
		case f.rotated && f.seen == 1:
			if err = f.begin(ctx, m); err != nil {
				return err
			}
			fallthrough
		default:
			err = f.take(ctx, logs, m)
		}
		if err != nil {
			return err
		}
	}
}

// pass goes over a message that was read before.
func (f *fetching) pass(ctx context.Context, m dockerapi.Message) error {
	if f.held > 0 {
		f.keep(m)
	}
	if err := f.skip.step(m); err != nil || f.skip.pending() || f.skip.kind == skipCount {
		return err
	}
	if len(f.recent) < f.held {
		f.gaps = append(f.gaps, gapHeld)
	}
	return f.resume(ctx)
}

// resume writes what was held back. From here on the cursor is of the API.
func (f *fetching) resume(ctx context.Context) error {
	x := f.x
	again := x.heldBack(f.recent)
	x.cursor.path, x.cursor.file, x.cursor.shift = "", nil, 0
	if err := x.writeAgain(ctx, again, f.gaps); err != nil {
		return err
	}
	x.fresh, f.recent = false, nil
	return nil
}

// begin writes what came before first, the first message that the log still has, if its
// stream has told that, and what was lost.
func (f *fetching) begin(ctx context.Context, first dockerapi.Message) (err error) {
	switch x := f.x; {
	case x.bell != nil:
		f.told, err = x.bridge(ctx, first)
		return err
	case x.cursor.n > 0:
		return x.writeGap(ctx, gapRotated)
	}
	return nil
}

// take makes a batch of m and of what arrived with it.
func (f *fetching) take(ctx context.Context, logs *dockerapi.Logs, m dockerapi.Message) error {
	x := f.x
	b, err := x.fleet.deps.Batches.Get(ctx, &x.in)
	if err != nil {
		return err
	}
	defer x.fleet.deps.Batches.Put(b)
	f.add(b, m)
	for len(b.Records) < batchRecords && len(b.Arena) < batchBytes && logs.Ready() {
		if m, err = logs.Next(); err != nil {
			return err
		}
		f.seen++
		f.add(b, m)
	}
	f.records += len(b.Records)
	f.written += int64(len(b.Arena))
	x.setPosition(b)
	return x.write(ctx, b)
}

func (f *fetching) add(b *record.Batch, m dockerapi.Message) {
	if f.told == nil || !f.told[f.namer.name(m)] {
		f.x.appendMessage(b, m)
	}
}

// keep remembers a message while it may be one of those held back.
func (f *fetching) keep(m dockerapi.Message) {
	m.Text = slices.Clone(m.Text)
	f.recent = append(f.recent, m)
	f.bytes += len(m.Text)
	for len(f.recent) > f.held || f.bytes > maxHeldBytes && len(f.recent) > 1 {
		f.bytes -= len(f.recent[0].Text)
		f.recent = f.recent[1:]
	}
}

// oldMessage is a message from before the cursor that a stage had held back.
type oldMessage struct {
	dockerapi.Message
	pos int64
}

// heldBack returns those of the last messages whose sub-stream was not accounted for.
func (x *follower) heldBack(recent []dockerapi.Message) []oldMessage {
	again := make([]oldMessage, 0, len(recent))
	pos := x.cursor.pos
	for i := range recent {
		size := int64(1)
		if i < x.cursor.n {
			size = x.cursor.back(i).size
		}
		pos -= size
		m := recent[len(recent)-1-i]
		sub := 0
		if m.Stderr {
			sub = 1
		}
		if pos >= x.resume[sub] {
			again = append(again, oldMessage{m, pos})
		}
	}
	slices.Reverse(again)
	return again
}

// skipper passes over what was read before.
type skipper struct {
	kind    skipKind
	matcher matcher
	left    int64 // messages to pass over, or at most so many until the match; -1: any number
}

type skipKind uint8

const (
	skipNone skipKind = iota
	skipCount
	skipToMatch
)

// pending tells whether the first new message is still to come.
func (s *skipper) pending() bool { return s.kind == skipToMatch || s.kind == skipCount && s.left > 0 }

// step passes over one message.
func (s *skipper) step(m dockerapi.Message) error {
	s.left--
	if s.kind == skipCount {
		return nil
	}
	if s.left == -1 {
		return errMismatch
	}
	if s.matcher.step(m.Time, recordHash(m.Time, m.Stderr, m.Text)) {
		s.kind = skipNone
	}
	return nil
}

// past returns the first new message, which may be m or one that has arrived as well; ok is
// false if there is none yet.
func (s *skipper) past(logs *dockerapi.Logs, m dockerapi.Message) (first dockerapi.Message, ok bool, err error) {
	for s.pending() {
		if err := s.step(m); err != nil || !logs.Ready() {
			return m, false, err
		}
		if m, err = logs.Next(); err != nil {
			return m, false, err
		}
	}
	return m, true, nil
}
