package logfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// commit is what a line made durable with one batch.
type commit struct {
	records  []string
	position record.Position
	gaps     []record.Gap
}

// fakeLine keeps what it is written. With join it holds back pieces as the join stage does.
type fakeLine struct {
	commits []commit
	join    bool
	held    [2]string
	heldAt  [2]int64
	fail    error
	after   func(n int) // called after each commit
	closed  bool
}

func (l *fakeLine) Write(_ context.Context, b *record.Batch) error {
	if l.fail != nil {
		return l.fail
	}
	c := commit{gaps: slices.Clone(b.Gaps)}
	for _, r := range b.Records {
		s := text(b, r)
		if l.join {
			sub := r.Flags.Sub()
			if l.held[sub] == "" {
				l.heldAt[sub] = r.Start
			}
			l.held[sub] += s
			if r.Flags&record.Partial != 0 {
				continue
			}
			s, l.held[sub] = l.held[sub], ""
		}
		c.records = append(c.records, s)
	}
	for sub := range l.held {
		if l.held[sub] != "" {
			b.Position.Resume[sub] = l.heldAt[sub]
			b.Held = true
		}
	}
	c.position = record.Position{Source: slices.Clone(b.Position.Source), Resume: b.Position.Resume}
	l.commits = append(l.commits, c)
	if l.after != nil {
		l.after(len(l.commits))
	}
	return nil
}

func (l *fakeLine) Position() record.Position {
	if len(l.commits) == 0 {
		return record.Position{}
	}
	return l.commits[len(l.commits)-1].position
}

func (l *fakeLine) Close(bool) { l.closed = true }

func (l *fakeLine) all() []string {
	var all []string
	for _, c := range l.commits {
		all = append(all, c.records...)
	}
	return all
}

// crash returns a line that knows the first n commits alone.
func (l *fakeLine) crash(n int) *fakeLine {
	return &fakeLine{commits: slices.Clone(l.commits[:n]), join: l.join}
}

func text(b *record.Batch, r record.Record) string {
	s := string(b.Bytes(r.Body))
	if r.Flags&record.Stderr != 0 {
		s = "E" + s
	}
	if r.Flags&record.Cut != 0 {
		s += "…"
	}
	return s
}

// fakeBell never waits: what it is asked to wait for is over, or it runs do.
type fakeBell struct {
	do    []func()
	waits []time.Duration
}

var errSilence = errors.New("nothing will ring")

func (b *fakeBell) Wait(ctx context.Context, most time.Duration) error {
	b.waits = append(b.waits, most)
	if len(b.do) == 0 {
		return errSilence // ends Run
	}
	b.do[0]()
	b.do = b.do[1:]
	return ctx.Err()
}

func (b *fakeBell) Ring()         {}
func (b *fakeBell) Target(string) {}

// bench is a log file, and what is needed to read it.
type bench struct {
	t    testing.TB
	path string
	bell *fakeBell
	line *fakeLine
	opt  Options
}

func newBench(t testing.TB) *bench {
	reg := metric.New()
	discard := slog.New(slog.NewTextHandler(io.Discard, nil))
	led, err := ledger.New(reg, discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "app.log"), bell: &fakeBell{}, line: &fakeLine{}}
	b.opt = Options{Path: b.path, Bell: b.bell, Batches: flow.NewPool(2), Ledger: led.Component("source", "app", "file"),
		Report: func(err error) {
			if err != nil {
				t.Log(err)
			}
		}}
	return b
}

func (b *bench) write(format string, args ...any) {
	b.t.Helper()
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, format, args...)
}

// run reads the file with a new Tail until it waits for what the bell does not do.
func (b *bench) run(start Start) *Tail {
	b.t.Helper()
	t := New(b.opt)
	if err := t.Open(b.t.Context(), b.line, start); err != nil {
		b.t.Fatal(err)
	}
	if err := t.Run(b.t.Context(), b.line); err != nil {
		b.t.Fatal(err)
	}
	t.Close()
	return t
}

func (b *bench) want(want ...string) {
	b.t.Helper()
	if got := b.line.all(); !slices.Equal(got, want) {
		b.t.Errorf("got %q, want %q", short(got), short(want))
	}
}

func short(s []string) []string {
	out := slices.Clone(s)
	for i, s := range out {
		if len(s) > 100 {
			out[i] = fmt.Sprintf("%s(%d bytes)%s", s[:20], len(s), s[len(s)-20:])
		}
	}
	return out
}
