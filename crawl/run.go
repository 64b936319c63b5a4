package crawl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Options say how Run runs. The zero value is what a crawler that weir starts needs.
type Options struct {
	// State is the file that keeps the cursors of a program that was started by hand. Default:
	// crawl-state.json in the present directory. Weir keeps the cursors of one that it starts.
	State string
	// Interval is the least time from the end of one run to the next, of a program that was
	// started by hand; runs never overlap. Zero means 10s.
	Interval time.Duration
	// Jitter is added to each interval at random, at most. Zero means 5s, less than zero none.
	Jitter time.Duration
	// Once makes Run return after one run of each stream. Weir always asks for that.
	Once bool
	// Output gets a line of JSON for each record. Nil means os.Stdout.
	Output io.Writer
	// Log is told about runs that fail, and go on. Nil means text on os.Stderr.
	Log *slog.Logger
	// Getenv returns an environment variable. Nil means os.Getenv.
	Getenv func(name string) string
}

// The variables that weir starts a crawler with.
const (
	streamVariable = "WEIR_STREAM" // the name of the stream that is asked for
	cursorVariable = "WEIR_CURSOR" // its cursor; empty at first
)

// saveEvery is how often what was printed is passed on, and the cursor kept, during a run.
const saveEvery = time.Second

// Run gives out the records of streams, as lines of JSON: {"data": …, "cursor": …}.
//
// Started by weir, it makes one run of the stream that weir names, or of the only one there
// is, from the cursor that weir has, and returns that run's error.
//
// Else it makes runs of all streams, in their order, until ctx ends, and keeps the cursors in
// Options.State: each after what it stands for was written to Options.Output, so if the
// program is killed a record may come twice, and none is missing. A stream that fails is
// logged, holds up no other, and goes on behind its last record in the next run. One that neither
// ends nor heeds its context holds up the others: weir gives each a process and a deadline. Two
// programs at a time may not have one State.
func Run(ctx context.Context, o Options, streams ...Stream) error {
	r, err := newRunner(o, streams)
	if err != nil {
		return err
	}
	if name := r.getenv(streamVariable); name != "" {
		return r.asked(ctx, name)
	}
	if r.state, err = openState(r.Options.State); err != nil {
		return err
	}
	for {
		err := r.all(ctx)
		if r.failed != nil || r.Once {
			return err
		}
		wait := time.NewTimer(r.pause())
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

// runner is one call of Run.
type runner struct {
	Options
	getenv  func(string) string
	streams []Stream
	state   *state // nil: weir has the cursors
	out     *bufio.Writer
	saved   time.Time
	failed  error // of the output or the state: nothing can go on
}

func newRunner(o Options, streams []Stream) (*runner, error) {
	r := &runner{Options: o, getenv: o.Getenv, streams: streams}
	names := map[string]bool{}
	for _, s := range streams {
		if s == nil {
			return nil, errors.New("crawl: a stream is nil")
		}
		switch name := s.Name(); {
		case name == "":
			return nil, errors.New("crawl: a stream has no name: let Name return one that never changes")
		case !isName(name):
			return nil, fmt.Errorf("crawl: the name %q: use letters, digits, -, _ and . only, as weir's configuration does", name)
		case names[name]:
			return nil, fmt.Errorf("crawl: two streams have the name %q", name)
		default:
			names[name] = true
		}
	}
	if len(streams) == 0 {
		return nil, errors.New("crawl: Run needs a stream")
	}
	if r.getenv == nil {
		r.getenv = os.Getenv
	}
	if r.Output == nil {
		r.Output = os.Stdout
	}
	if r.Log == nil {
		r.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if r.State == "" {
		r.State = "crawl-state.json"
	}
	if r.Interval == 0 {
		r.Interval = 10 * time.Second
	}
	if r.Jitter == 0 {
		r.Jitter = 5 * time.Second
	}
	r.out = bufio.NewWriterSize(r.Output, 64<<10)
	return r, nil
}

// isName tells whether weir's configuration can have a stream of that name.
func isName(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		return c >= utf8.RuneSelf || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.", c)
	})
}

// pause returns the time to the next run.
func (r *runner) pause() time.Duration {
	if r.Jitter > 0 {
		return r.Interval + rand.N(r.Jitter)
	}
	return r.Interval
}

// asked makes the run that weir asks for.
func (r *runner) asked(ctx context.Context, name string) error {
	cursor, err := ParseCursor(r.getenv(cursorVariable))
	if err != nil {
		return err
	}
	chosen := r.streams[0]
	var names []string
	for _, s := range r.streams {
		names = append(names, s.Name())
		if s.Name() == name {
			chosen = s
		}
	}
	if len(names) > 1 && chosen.Name() != name {
		return fmt.Errorf("crawl: there is no stream %q: name it in weir's configuration as one of %s", name, strings.Join(names, ", "))
	}
	return r.one(ctx, chosen, cursor)
}

// all makes one run of each stream.
func (r *runner) all(ctx context.Context) error {
	var failed []error
	for _, s := range r.streams {
		if ctx.Err() != nil {
			break
		}
		err := r.one(ctx, s, r.state.cursor(s.Name()))
		if r.failed != nil {
			return r.failed
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Error("run failed", "stream", s.Name(), "error", err)
			failed = append(failed, fmt.Errorf("stream %s: %w", s.Name(), err))
		}
	}
	return errors.Join(failed...)
}

// one makes one run of a stream.
func (r *runner) one(ctx context.Context, s Stream, cursor Cursor) (err error) {
	last := cursor
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		err = errors.Join(err, r.save(s.Name(), last))
	}()
	for record, err := range s.Records(ctx, cursor) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next, err := r.write(s.Name(), record)
		if err != nil {
			return err
		}
		if !next.IsZero() {
			last = next
		}
		if time.Since(r.saved) >= saveEvery {
			if err := r.save(s.Name(), last); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// line is a record as it is written.
type line struct {
	Stream string          `json:"stream,omitempty"`
	Time   string          `json:"time,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// write writes a record, and returns its cursor.
func (r *runner) write(stream string, record Record) (Cursor, error) {
	var l line
	var err error
	if l.Data, err = encode(record.Data); err != nil {
		return Cursor{}, fmt.Errorf("the data of a record: %w", err)
	}
	if l.Cursor, err = encode(record.Cursor); err != nil {
		return Cursor{}, fmt.Errorf("the cursor of a record: %w", err)
	}
	if l.Data == nil && l.Cursor == nil {
		return Cursor{}, nil
	}
	if !record.Time.IsZero() {
		l.Time = record.Time.UTC().Format(time.RFC3339Nano)
	}
	if r.state != nil {
		l.Stream = stream
		if l.Data == nil {
			return Cursor{string(l.Cursor)}, nil // it is for the state alone
		}
	}
	text, err := encode(l)
	if err == nil && len(text) >= r.out.Available() { // a part of a line is of no use to who reads it
		err = r.out.Flush()
	}
	if err == nil {
		_, err = r.out.Write(append(text, '\n'))
	}
	if err != nil {
		r.failed = fmt.Errorf("crawl: write a record: %w", err)
		return Cursor{}, r.failed
	}
	return Cursor{string(l.Cursor)}, nil
}

// encode returns v as JSON, nil for nil.
func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Cursor:
		return []byte(v.text), nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if text == "null" {
		return nil, nil
	}
	return []byte(text), nil
}

// save passes on what was written, and then keeps the cursor.
func (r *runner) save(stream string, cursor Cursor) error {
	r.saved = time.Now()
	if err := r.out.Flush(); err != nil {
		r.failed = fmt.Errorf("crawl: write records: %w", err)
		return r.failed
	}
	if r.state == nil {
		return nil
	}
	if err := r.state.set(stream, cursor); err != nil {
		r.failed = fmt.Errorf("crawl: keep the cursor: %w", err)
		return r.failed
	}
	return nil
}
