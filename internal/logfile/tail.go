// Package logfile turns a followed log file into batches of a line: whole lines, in one of
// the formats that log files have, with positions from which reading resumes exactly.
//
//	t := logfile.New(logfile.Options{Path: path, Stream: stream, Bell: watcher.File(path), ...})
//	err := t.Open(ctx, line, logfile.Start{})
//	err = t.Run(ctx, line)
//
// Text is read straight into the batch's arena and never copied. A batch is taken from the
// pool when there is something to read and given back before waiting, so idle files cost a
// goroutine each and nothing else.
//
// A Tail belongs to the goroutine that runs it, but for Drain and Behind. Left out: which
// files there are, and what is done with their lines.
package logfile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/record"
)

// DefaultMaxLineBytes is the longest line that is kept whole.
const DefaultMaxLineBytes = 1 << 20

const (
	// heldPeriod is how often a line that holds back a record is written an empty batch.
	heldPeriod = 300 * time.Millisecond
	// heldTries bounds how long the end of an input waits for the line to let go.
	heldTries = 20
	// problemPeriod is how soon something that failed is tried again.
	problemPeriod = 2 * time.Second
)

// ErrGone is returned by Run when the file has been missing for Options.Gone.
var ErrGone = errors.New("the file is gone")

// positionVersion begins the encoding: version, format, then follow's own.
const positionVersion = 1

// A Bell says when to look at a file. It is what a follow.Watcher gives.
type Bell interface {
	// Wait returns when the bell was rung, after most unless that is zero, or with ctx's error.
	Wait(ctx context.Context, most time.Duration) error
	// Ring ends a Wait.
	Ring()
	// Target adds the file that the path leads to over symbolic links.
	Target(path string)
}

// Options say what to read and how.
type Options struct {
	Path   string
	Stream record.Stream
	Format Format
	// MaxLineBytes is where lines are cut; zero means 1 MiB.
	MaxLineBytes int
	// Gone is how long the file must have been missing for Run to end; zero means for ever.
	Gone time.Duration

	Bell    Bell
	Batches *flow.Pool
	Ledger  *ledger.Component
	// Report, unless nil, is told when the file cannot be read, and with nil when it can
	// be again.
	Report func(err error)
}

// Tail reads one log file.
type Tail struct {
	opt      Options
	log      *follow.Log
	opened   bool
	start    Start
	format   Format   // Auto until lines were seen
	resume   [2]int64 // records of a sub-stream before it are accounted for
	low      int64    // nothing before it will be asked for again
	held     bool     // the line holds back a record
	wrote    time.Time
	problem  error // what was reported last
	draining atomic.Bool
	behind   atomic.Int64
}

// New returns a tail that reads nothing yet.
func New(opt Options) *Tail {
	if opt.MaxLineBytes <= 0 {
		opt.MaxLineBytes = DefaultMaxLineBytes
	}
	t := &Tail{opt: opt, format: opt.Format}
	t.log = t.newLog()
	return t
}

func (t *Tail) newLog() *follow.Log {
	return follow.New(follow.Options{Path: t.opt.Path, Notice: t.opt.Ledger.Event})
}

// Drain asks Run to read to the end and return: nothing will be written to the file any
// more. It may be called concurrently.
func (t *Tail) Drain() {
	t.draining.Store(true)
	t.opt.Bell.Ring()
}

// Behind returns how many bytes exist that were not read when the file was last looked at.
// It may be called concurrently.
func (t *Tail) Behind() int64 { return t.behind.Load() }

// Close closes the files.
func (t *Tail) Close() { t.log.Close() }

// Open resumes from the line's position or, if there is none, begins at start and makes
// that the line's position: it must hold over a restart even if nothing is read before, and
// the file be known if it is rotated meanwhile. Run opens again what could not be opened.
func (t *Tail) Open(ctx context.Context, line flow.Line, start Start) error {
	t.start = start
	pos := line.Position()
	if len(pos.Source) > 0 {
		err := t.resumeAt(pos)
		if err == nil {
			t.opened = true
			return nil
		}
		t.report(err)
		t.log, start = t.newLog(), Start{} // rather twice than never
	}
	now := time.Now()
	if err := t.log.Begin(t.begin(start, now), now); err != nil {
		return err
	}
	t.opened = true
	return t.writeEmpty(ctx, line)
}

// resumeAt sets the tail to go on at pos.
func (t *Tail) resumeAt(pos record.Position) error {
	src := pos.Source
	if len(src) < 2 || src[0] != positionVersion || src[1] >= byte(formats) {
		return fmt.Errorf("resume %s: position is damaged or of a newer version", t.opt.Path)
	}
	low := min(pos.Resume[0], pos.Resume[1])
	if err := t.log.Resume(src[2:], low); err != nil {
		return fmt.Errorf("resume %s: %w", t.opt.Path, err)
	}
	if t.opt.Format == Auto {
		t.format = Format(src[1])
	}
	t.resume, t.low = pos.Resume, t.log.Pos()
	return nil
}

// LastWrite returns when the log was last written to as far as its position knows.
func LastWrite(pos record.Position) time.Time {
	l := follow.New(follow.Options{})
	if len(pos.Source) < 2 || l.Resume(pos.Source[2:], 0) != nil {
		return time.Time{}
	}
	return l.LastWrite()
}

// Run reads until ctx ends (then its error is nil), the file is gone, or, after Drain, its
// end. Any other error is the line's: what was not accepted is read again by a new Tail.
func (t *Tail) Run(ctx context.Context, line flow.Line) error {
	for {
		draining := t.draining.Load() // before the look, which then sees all that was written
		wait, err := t.pass(ctx, line)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if wait == 0 {
			continue
		}
		if draining {
			return t.finish(ctx, line)
		}
		if err := t.opt.Bell.Wait(ctx, max(wait, 0)); err != nil {
			return nil
		}
	}
}

// forever is the wait of a file at rest, which only the bell ends.
const forever = -1

// pass looks at the file and writes at most one batch. It returns how long to wait before
// the next pass: zero when there is more to read.
func (t *Tail) pass(ctx context.Context, line flow.Line) (time.Duration, error) {
	if !t.opened {
		if err := t.Open(ctx, line, t.start); err != nil {
			if t.opened {
				return 0, err // of the line
			}
			t.report(err)
			return problemPeriod, nil
		}
	}
	now := time.Now()
	err := t.log.Look(now)
	t.opt.Bell.Target(t.log.Target())
	t.behind.Store(t.log.Behind())
	wrote := false
	if t.log.Unread() {
		var lineErr error
		if wrote, err, lineErr = t.batch(ctx, line, err); lineErr != nil {
			return 0, lineErr
		}
	}
	t.report(err)
	switch {
	case wrote && (err != nil || t.log.Unread()):
		return 0, nil
	case err != nil:
		return problemPeriod, nil
	case t.held && now.Sub(t.wrote) >= heldPeriod:
		if err := t.writeEmpty(ctx, line); err != nil {
			return 0, err
		}
	}
	return t.rest(now)
}

// rest returns how long a tail with nothing to read waits.
func (t *Tail) rest(now time.Time) (time.Duration, error) {
	wait := sooner(0, t.log.Pace(now))
	if t.held {
		wait = sooner(wait, min(max(heldPeriod-now.Sub(t.wrote), 1), heldPeriod))
	}
	if absent := t.log.Absent(now); t.opt.Gone > 0 && absent > 0 {
		left := max(t.opt.Gone-now.Sub(t.log.LastWrite()), min(t.opt.Gone, time.Minute)-absent)
		if left <= 0 {
			return 0, ErrGone
		}
		wait = sooner(wait, left)
	}
	if wait == 0 {
		return forever, nil
	}
	return wait, nil
}

// sooner returns the shorter of two waits, zero being none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// report tells of a change between working and not.
func (t *Tail) report(err error) {
	same := (err == nil) == (t.problem == nil) && (err == nil || err.Error() == t.problem.Error())
	t.problem = err
	if !same && t.opt.Report != nil {
		t.opt.Report(err)
	}
}
