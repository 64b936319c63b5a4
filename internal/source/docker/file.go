package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/logfile"
	"github.com/weirlog/weir/internal/record"
)

var errUnreadable = errors.New("the log file cannot be read")

// fileDriver is the logging driver whose files can be read.
const fileDriver = "json-file"

// offline opens, while the engine does not answer, the line that the journal knows of the
// container, if its log was read from a file that still can be.
func (x *follower) offline(ctx context.Context) bool {
	if x.fleet.cfg.Read == ReadAPI {
		return false
	}
	if x.line == nil {
		in, c, ok := x.lastKnown()
		if !ok || c.path == "" || canOpen(c.path) != nil || x.open(ctx, in.Stream) != nil {
			return false
		}
	}
	return x.cursor.path != "" && canOpen(x.cursor.path) == nil
}

// lastKnown returns the input of the container that the journal knows; of several, as after
// a crash while it was renamed, the one that was read furthest.
func (x *follower) lastKnown() (in flow.Input, c cursor, ok bool) {
	for _, k := range x.fleet.known[x.id] {
		l, err := x.fleet.lines.Open(k)
		if err != nil {
			continue
		}
		if have, err := decodeCursor(l.Position().Source); !ok || err == nil && have.pos > c.pos {
			in, c, ok = k, have, true
		}
		l.Close(false)
	}
	return in, c, ok
}

func canOpen(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// choose returns the file to read the log from, "" if it is to be read through the API.
func (x *follower) choose() (string, error) {
	read := x.fleet.cfg.Read
	if read == ReadAPI || x.details.LogDriver != fileDriver {
		return "", nil
	}
	if x.details.LogPath == "" {
		return "", nil // it was never started
	}
	path := x.fleet.cfg.logPath(x.details.LogPath)
	err := canOpen(path)
	switch {
	case err == nil:
		return path, nil
	case read == ReadFile && x.details.Running:
		return "", fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return "", nil
}

// logPath is where a file of the engine's machine is seen from here.
func (c *Config) logPath(path string) string {
	if c.Root == "" {
		return path
	}
	if i := strings.LastIndex(path, "/containers/"); i >= 0 {
		return filepath.Join(c.Root, path[i:])
	}
	return path
}

// readFile reads the log from its file until the container ends, and then to its end. It
// does not need the engine.
func (x *follower) readFile(ctx context.Context, path string) error {
	at, err := x.enterFile(ctx, path)
	if err != nil {
		return err
	}
	bell := x.fleet.watcher.File(path)
	defer bell.Close()
	tail := x.newTail(path, bell)
	defer tail.Close()
	x.tail.Store(tail)
	defer x.tail.Store(nil)
	x.cursor.path = path
	reading, stop := context.WithCancel(ctx)
	var minding sync.WaitGroup
	defer minding.Wait()
	defer stop()
	var verdict error
	if x.fleet.deps.Once || !x.mayWrite.Load() {
		tail.Drain()
	} else {
		minding.Go(func() { verdict = x.mind(reading, tail, stop) })
	}
	l := &fileLine{x: x, at: at.position}
	err = tail.Open(reading, l, at.start)
	if err == nil {
		err = tail.Run(reading, l)
	}
	x.fresh = false
	stop()
	minding.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case errors.Is(verdict, errMoved):
		return verdict
	}
	x.drained = true
	if errors.Is(verdict, errGone) {
		return x.bury(ctx)
	}
	return nil
}

func (x *follower) newTail(path string, bell logfile.Bell) *logfile.Tail {
	return logfile.New(logfile.Options{
		Path: path, Stream: x.in, Format: logfile.Docker, Bell: bell,
		Batches: x.fleet.deps.Batches, Ledger: x.fleet.deps.Ledger,
		Report: func(err error) {
			if err != nil {
				err = fmt.Errorf("%w: %w", errUnreadable, err)
			}
			x.fleet.health.container(x.id, x.in.Labels.Get("container"), err)
		},
	})
}

// mind waits for the container to end, to vanish or to change while its file is read, and
// says which.
func (x *follower) mind(ctx context.Context, tail *logfile.Tail, stop func()) error {
	for x.waitFor(ctx, 0) == nil {
		d, err := x.inspect(ctx)
		switch {
		case errors.Is(err, dockerapi.ErrNotFound):
			tail.Drain()
			return errGone
		case err != nil: // the engine is away; when it is back this is asked again
		case !x.fleet.cfg.wanted(&d) || x.fleet.cfg.stream(x.fleet.deps.Name, &d).ID != x.in.ID:
			stop()
			return errMoved
		case !d.Running:
			x.mayWrite.Store(false)
			tail.Drain()
			return nil
		}
	}
	return nil
}

// beginning is where a file is read from: a position, or without one a start.
type beginning struct {
	position record.Position
	start    logfile.Start
}

// enterFile makes a beginning of the cursor.
func (x *follower) enterFile(ctx context.Context, path string) (beginning, error) {
	c := &x.cursor
	switch {
	case len(c.file) > 0:
		resume := [2]int64{c.pos, c.pos}
		if x.fresh {
			resume = x.resume
		}
		return beginning{position: record.Position{Source: c.file, Resume: [2]int64{resume[0] - c.shift, resume[1] - c.shift}}}, nil
	case c.n > 0:
		return x.changeOver(ctx, path)
	case c.since > 0:
		return beginning{start: logfile.Start{Since: time.Unix(0, c.since)}}, nil
	}
	return beginning{start: logfile.Start{Rotated: true}}, nil
}

// fileLine is the line as a tail of the file sees it: with the file's own positions. The
// cursor goes with what passes.
type fileLine struct {
	x       *follower
	at      record.Position
	scratch []byte
}

// Position implements flow.Line.
func (l *fileLine) Position() record.Position { return l.at }

// Close implements flow.Line. The line is the follower's to close.
func (l *fileLine) Close(bool) {}

// Write implements flow.Line.
func (l *fileLine) Write(ctx context.Context, b *record.Batch) error {
	x := l.x
	shift := x.cursor.shift
	l.advance(b, shift)
	x.cursor.file = append(x.cursor.file[:0], b.Position.Source...)
	b.Position.Source = x.cursor.appendTo(b.Position.Source[:0])
	for sub := range b.Position.Resume {
		b.Position.Resume[sub] += shift
	}
	if err := x.write(ctx, b); err != nil {
		return err
	}
	for sub := range b.Position.Resume {
		b.Position.Resume[sub] -= shift
	}
	return nil
}

// advance moves records to the stream's positions, and the cursor over those that it has
// not passed. Only the last ones are hashed: no more are remembered.
func (l *fileLine) advance(b *record.Batch, shift int64) {
	c := &l.x.cursor
	hashed := len(b.Records) - maxMarks
	for i := range b.Records {
		r := &b.Records[i]
		trimReturn(b, r)
		r.Start += shift
		r.End += shift
		if r.Start < c.pos {
			continue // it was held back, and is known
		}
		m := mark{size: r.End - c.pos}
		if i >= hashed {
			m.hash, l.scratch = hashRecord(b, r, l.scratch)
		}
		c.add(r.Time, m)
	}
	// Lines that are no records belong to the record before them.
	if end := max(b.Position.Resume[0], b.Position.Resume[1]) + shift; end > c.pos {
		c.grow(end - c.pos)
	}
}

// trimReturn takes off the \r that a terminal puts before the line end. It is there in its
// escaped form, and what makes a text escaped at all.
func trimReturn(b *record.Batch, r *record.Record) {
	if r.Flags&(record.Escaped|record.Partial) != record.Escaped {
		return
	}
	text := b.Bytes(r.Body)
	if n := len(text); n >= 2 && text[n-1] == 'r' && text[n-2] == '\\' && !jsontext.Escaped(text[:n-2]) {
		r.Body.Len -= 2
	}
}

// hashRecord is recordHash of a record whose text may be escaped. It returns scratch, which
// it uses, for the next call.
func hashRecord(b *record.Batch, r *record.Record, scratch []byte) (uint32, []byte) {
	text := b.Bytes(r.Body)
	if r.Flags&record.Escaped != 0 {
		text = text[:min(len(text), 6*hashedBytes)] // six bytes of an escape make one at least
		scratch = dockerjson.Unescape(scratch[:0], text)
		text = scratch
	}
	return recordHash(r.Time, r.Flags&record.Stderr != 0, text), scratch
}
