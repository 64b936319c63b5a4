package lines

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// overlap is how far back a follower that had much to catch up with looks again, for lines
// that came late.
const overlap = 10 * time.Second

// Follow calls emit with the lines that are there, as Read does, and then with those to come,
// in the order they come, until ctx ends or emit fails. A line is there for emit before it is
// on the disk. When none comes for a while it is called with none.
func (r *Reader) Follow(ctx context.Context, q Request, emit func([]Line) error) error {
	q.End = time.Time{}
	f := &follower{Reader: r, Request: q, choice: r.choose(q), emit: emit, hits: logql.NewFollower(q.Query), seen: map[string]int{}}
	if q.Before+q.After > 0 {
		f.all, f.streams = logql.NewFollower(&syntax.LogQuery{}), map[string]*recent{}
	}
	if err := f.catchUp(ctx); err != nil {
		return err
	}
	limit := r.TailBytes
	if limit <= 0 {
		limit = 4 << 20
	}
	f.old = map[string]uint64{}
	for _, s := range r.Archive.Streams() {
		v := s.View()
		f.old[s.ID()] = v.Next()
		v.Close()
	}
	tail := r.Archive.Tail(f.live, limit)
	defer tail.Close()
	if r.Sync != nil {
		if err := r.Sync(ctx); err != nil {
			return err
		}
	}
	if err := r.Read(ctx, f.Request, f.there); err != nil {
		return err
	}
	return f.run(ctx, tail)
}

// follower is one who follows.
type follower struct {
	*Reader
	Request
	choice
	emit func([]Line) error
	hits *logql.Follower
	// seen counts the lines that were there already and may come again, by identity: those
	// whose sequence numbers are at least those in old.
	seen map[string]int
	old  map[string]uint64

	// Of context:
	all     *logql.Follower
	streams map[string]*recent
	last    string // the stream of the last line
	some    bool   // there was one

	passed []logql.Entry
}

// catchUp reads what there is for who wants much, but for the last seconds. While that is
// read, which may take long, nothing is held back for it.
func (f *follower) catchUp(ctx context.Context) error {
	until := time.Now().Add(-overlap)
	if f.Limit > 0 && f.Limit <= pageLines || f.Start.After(until) {
		return nil
	}
	q := f.Request
	q.End = until
	if err := f.Read(ctx, q, f.emit); err != nil {
		return err
	}
	f.Start, f.Limit = until, 0
	return nil
}

// there emits lines that are there already.
func (f *follower) there(some []Line) error {
	for i := range some {
		if e := &some[i].Entry; some[i].Warning == "" && e.Sequence >= f.old[e.Stream] {
			f.seen[identity(e)]++
		}
	}
	return f.emit(some)
}

// identity tells records of the same stream apart as well as can be.
func identity(e *logql.Entry) string {
	return e.Stream + "\x00" + strconv.FormatInt(e.Time, 10) + "\x00" + e.Line
}

// run emits what comes. What is waiting at first may be among the lines that were there.
func (f *follower) run(ctx context.Context, tail *archive.Tail) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	chunks, lost, err := tail.Next(ended) // what there is, without waiting
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return err
		}
		some := f.lines(chunks, lost)
		if f.seen = nil; len(some) > 0 || err != nil {
			if err := f.emit(some); err != nil {
				return err
			}
		}
		chunks, lost, err = f.next(ctx, tail)
	}
}

func (f *follower) next(ctx context.Context, tail *archive.Tail) ([]archive.Chunk, int, error) {
	ping := f.Ping
	if ping <= 0 {
		ping = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, ping)
	defer cancel()
	return tail.Next(ctx)
}

// lines returns what of some chunks is to be shown.
func (f *follower) lines(chunks []archive.Chunk, lost int) []Line {
	var some []Line
	for _, c := range chunks {
		if !f.stream(c.Stream.ID, c.Stream.Labels) {
			continue
		}
		if f.all != nil {
			some = f.withContext(some, c)
			continue
		}
		f.passed = f.hits.Append(f.passed[:0], c)
		for i := range f.passed {
			if !f.again(&f.passed[i]) {
				some = append(some, Line{Entry: f.passed[i]})
			}
		}
		clear(f.passed)
	}
	if f.all == nil {
		slices.SortStableFunc(some, func(a, b Line) int { return cmp.Compare(a.Time, b.Time) })
	}
	if lost > 0 { // there was no room for them behind the others
		some = append(some, Line{Lost: lost})
	}
	return some
}

// again tells whether a line was there already.
func (f *follower) again(e *logql.Entry) bool {
	if f.seen == nil {
		return false
	}
	id := identity(e)
	f.seen[id]--
	return f.seen[id] >= 0
}

// recent is what of a stream may be wanted as context.
type recent struct {
	before  []string // records as they are kept, the last ones
	after   int      // how many more are wanted
	skipped bool     // records were left out since the last one shown
}

// withContext appends the lines of a chunk with those around them.
func (f *follower) withContext(dst []Line, c archive.Chunk) []Line {
	s := f.streams[c.Stream.ID]
	if s == nil {
		s = &recent{}
		f.streams[c.Stream.ID] = s
	}
	for text := range kept.Lines(c.Text) {
		one := archive.Chunk{Stream: c.Stream, Text: text}
		f.passed = f.hits.Append(f.passed[:0], one)
		switch {
		case len(f.passed) > 0 && f.again(&f.passed[0]):
			s.before, s.skipped = s.before[:0], true
		case len(f.passed) > 0:
			for _, before := range s.before {
				dst = f.near(dst, s, archive.Chunk{Stream: c.Stream, Text: []byte(before)})
			}
			s.before, s.after = s.before[:0], f.After
			dst = append(dst, Line{Entry: f.passed[0], Apart: f.apart(s, c.Stream.ID)})
		case s.after > 0:
			s.after--
			dst = f.near(dst, s, one)
		default:
			if len(s.before) == f.Before {
				s.skipped = true
			}
			if s.before = append(s.before, string(text)); len(s.before) > f.Before {
				s.before = s.before[1:]
			}
		}
	}
	return dst
}

// near appends a record as context.
func (f *follower) near(dst []Line, s *recent, c archive.Chunk) []Line {
	for _, e := range f.all.Append(nil, c) {
		dst = append(dst, Line{Entry: e, Context: true, Apart: f.apart(s, c.Stream.ID)})
	}
	return dst
}

// apart tells whether the next line of a stream does not follow the one shown before.
func (f *follower) apart(s *recent, stream string) bool {
	apart := f.some && (s.skipped || f.last != stream)
	f.some, f.last, s.skipped = true, stream, false
	return apart
}
