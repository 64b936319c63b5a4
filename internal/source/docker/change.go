package docker

import (
	"context"
	"errors"
	"time"

	"github.com/weirlog/weir/internal/logfile"
	"github.com/weirlog/weir/internal/record"
)

// changeOver finds in the file the place of a cursor that was made through the API.
func (x *follower) changeOver(ctx context.Context, path string) (beginning, error) {
	c := &x.cursor
	held, exact := [2]int{}, true
	if x.fresh {
		for sub := range held {
			n, ok := c.held(x.resume[sub])
			held[sub], exact = n, exact && ok
		}
	}
	s := &fileSearch{x: x, matcher: newMatcher(c, true), held: max(held[0], held[1])}
	tail := x.newTail(path, silent{})
	defer tail.Close()
	tail.Drain()
	err := tail.Open(ctx, s, logfile.Start{Rotated: true})
	if err == nil {
		err = tail.Run(ctx, s)
	}
	if err != nil && !errors.Is(err, errFound) {
		return beginning{}, err
	}
	if ctx.Err() != nil {
		return beginning{}, ctx.Err()
	}
	err = nil
	at, ok := s.best()
	if !ok {
		c.shift = c.pos
		if s.matcher.seen > 0 {
			err = x.writeGap(ctx, record.Gap{Bytes: -1, Reason: "rotated away"})
		}
		return beginning{start: logfile.Start{Rotated: true}}, err
	}
	c.anchor(at, s.starts)
	b := beginning{position: record.Position{Source: s.source, Resume: [2]int64{at, at}}}
	for sub, n := range held {
		if n = min(n, len(s.starts)); n > 0 {
			b.position.Resume[sub] = s.starts[len(s.starts)-n]
		}
	}
	if !exact || len(s.starts) < s.held {
		err = x.writeGap(ctx, record.Gap{Bytes: -1, Reason: "held back at the last end"})
	}
	return b, err
}

// errFound ends the search of a file.
var errFound = errors.New("found")

// fileSearch is a line that takes nothing: it looks for the cursor's place in what a tail
// reads. The tail is told to keep all it has passed, so that it can be gone back to.
type fileSearch struct {
	x       *follower
	matcher matcher
	held    int     // how many records up to the place are wanted
	starts  []int64 // where they begin; the last one is the last that was seen, or the place's
	found   int64   // where the certain place is
	certain bool
	similar int64 // where the matcher's other places are
	same    int64
	source  []byte // a position behind the place
	scratch []byte
}

// Position implements flow.Line.
func (s *fileSearch) Position() record.Position { return record.Position{} }

// Close implements flow.Line.
func (s *fileSearch) Close(bool) {}

// Write implements flow.Line.
func (s *fileSearch) Write(_ context.Context, b *record.Batch) error {
	s.source = append(s.source[:0], b.Position.Source...)
	b.Position.Resume = [2]int64{}
	for i := range b.Records {
		r := &b.Records[i]
		trimReturn(b, r)
		var hash uint32
		hash, s.scratch = hashRecord(b, r, s.scratch)
		s.keep(r.Start)
		similar, same := s.matcher.similar, s.matcher.sameTime
		if s.matcher.step(r.Time, hash) {
			s.found, s.certain = r.End, true
			return errFound
		}
		if s.matcher.similar != similar {
			s.similar = r.End
		}
		if s.matcher.sameTime != same {
			s.same = r.End
		}
	}
	return nil
}

func (s *fileSearch) keep(start int64) {
	if s.held == 0 {
		return
	}
	s.starts = append(s.starts, start)
	if len(s.starts) > 2*s.held {
		s.starts = append(s.starts[:0], s.starts[len(s.starts)-s.held:]...)
	}
}

// best returns the likeliest place, false if there is none.
func (s *fileSearch) best() (at int64, ok bool) {
	if s.certain {
		if n := len(s.starts) - s.held; n > 0 {
			s.starts = s.starts[n:]
		}
		return s.found, true
	}
	s.starts = nil // of another place
	if s.matcher.similar > 0 {
		return s.similar, true
	}
	return s.same, s.matcher.sameTime > 0
}

// silent is the bell of a file that is read as it is.
type silent struct{}

// Wait implements logfile.Bell: it only waits.
func (silent) Wait(ctx context.Context, most time.Duration) error {
	t := time.NewTimer(max(most, time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ring implements logfile.Bell.
func (silent) Ring() {}

// Target implements logfile.Bell.
func (silent) Target(string) {}
