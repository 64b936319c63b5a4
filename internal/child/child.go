// Package child runs a program that weir talks to in lines: a request goes to its standard
// input, and so many lines of its standard output are the answer.
//
//	p := child.New(child.Options{Program: program, Log: log, Ledger: component})
//	defer p.Close()
//	err := p.Exchange(ctx, request, 3, func(k int, line []byte) error { … })
//
// The program is started when it is needed. One that ends, does not answer in time, answers
// more or longer lines than it was asked for, or nonsense, is killed with all that it has
// started, and started again after a pause that grows: it never keeps weir waiting for longer
// than its timeout. It gets a process group of its own, ends with weir however that ends, and
// is waited for, so that nothing is left of it. What it writes to standard error is logged,
// within bounds.
//
// Run is for a program that is run from its start to its end, for what it writes meanwhile.
//
// A Process may be used concurrently; one exchange is made at a time. Its goroutines end with
// the program, for which Close waits. The package leaves out what the lines mean.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/retry"
)

// Program says what is run.
type Program struct {
	// Command is the program and its arguments, as [/usr/bin/python3, /etc/weir/page.py]. No
	// shell looks at it. Needed.
	Command []string `yaml:"command"`
	// Dir is the directory it runs in. Default: the root directory.
	Dir string `yaml:"dir"`
	// Env are its environment variables. Of weir's own it gets PATH, HOME, LANG and TZ
	// alone, so that it learns no secrets. Default none.
	Env map[string]config.Secret `yaml:"env"`
	// Timeout is how long it may take for a batch; one that takes longer is killed and
	// started again. Default 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// The bounds of what makes sense.
const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = 10 * time.Minute
)

// Validate returns what is wrong with p.
func (p Program) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if len(p.Command) == 0 || p.Command[0] == "" {
		problem("command", "name the program and its arguments, as [/usr/bin/python3, /etc/weir/page.py]")
	}
	for name := range p.Env {
		if !isVariable(name) {
			problem("env", fmt.Sprintf("%q is no name of a variable", name))
		}
	}
	if p.Timeout < minTimeout || p.Timeout > maxTimeout {
		problem("timeout", "use 100ms to 10m")
	}
	return config.Join(problems...)
}

func isVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// Options are what a Process is made of.
type Options struct {
	Program
	// Log gets what the program writes to standard error.
	Log *slog.Logger
	// Ledger is told how often it was started. It may be nil.
	Ledger *ledger.Component
}

// Process is a program that runs when it is needed.
type Process struct {
	opts Options
	turn chan struct{} // has a token while nobody uses what follows

	running *running // nil: it does not run
	pause   retry.Backoff
	earlier time.Time // it is not started before
	closed  bool
}

// The pauses between starts.
const (
	minPause = 500 * time.Millisecond
	maxPause = 30 * time.Second
)

// New returns a process that does not run yet.
func New(o Options) *Process {
	p := &Process{opts: o, turn: make(chan struct{}, 1), pause: retry.Backoff{Min: minPause, Max: maxPause}}
	p.turn <- struct{}{}
	return p
}

// ErrPausing says that the program failed a moment ago, and is not started yet.
var ErrPausing = errors.New("the program failed and is started again after a pause")

// errClosed is for what comes after Close.
var errClosed = errors.New("the program has been ended")

// maxLine is how long a line of an answer may be.
const maxLine = 4 << 20

// Exchange writes a request, whole lines, and calls take with each of n lines of the answer,
// which are valid until it returns. An error of take, as any other, ends the program.
func (p *Process) Exchange(ctx context.Context, request []byte, n int, take func(k int, line []byte) error) error {
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.ready(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, p.opts.Timeout, fmt.Errorf("the program did not answer within %s", config.FormatDuration(p.opts.Timeout)))
	defer cancel()
	if err := p.running.exchange(limited, request, n, take); err != nil {
		if cause := context.Cause(limited); cause != nil {
			err = cause
		}
		if ended := p.running.stop(0); ended != nil && errors.Is(err, io.EOF) {
			err = fmt.Errorf("the program closed its standard output, and ended: %w", ended)
		}
		p.running = nil
		if ctx.Err() == nil { // else it is not its fault
			p.earlier = time.Now().Add(p.pause.Next())
		}
		return err
	}
	p.pause.Reset()
	return nil
}

// ready starts the program unless it runs.
func (p *Process) ready() error {
	if p.closed {
		return errClosed
	}
	if p.running != nil {
		if !p.running.surplus() {
			return nil
		}
		// Nobody asked for what it wrote; it might be taken for the next answer. It may
		// also have ended.
		ended := p.running.stop(0)
		p.running = nil
		p.earlier = time.Now().Add(p.pause.Next())
		if ended != nil {
			return fmt.Errorf("the program ended while it was not asked, or wrote more than it was asked for: %w", ended)
		}
	}
	if time.Now().Before(p.earlier) {
		return ErrPausing
	}
	started, err := start(p.opts)
	if err != nil {
		p.earlier = time.Now().Add(p.pause.Next())
		return err
	}
	p.running = started
	if p.opts.Ledger != nil {
		p.opts.Ledger.Event("program started")
	}
	return nil
}

// grace is how long a program may take to end when its standard input does.
const grace = 2 * time.Second

// Close ends the program: its standard input ends, and if it is still there after two seconds
// it is killed. It may be called twice.
func (p *Process) Close() error {
	<-p.turn
	defer func() { p.turn <- struct{}{} }()
	p.closed = true
	if p.running != nil {
		_ = p.running.stop(grace)
		p.running = nil
	}
	return nil
}

// exchange writes the request while it reads the answer, for a program may answer before it has
// read all.
func (r *running) exchange(ctx context.Context, request []byte, n int, take func(k int, line []byte) error) error {
	stop := context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		_ = r.in.SetWriteDeadline(past)
		_ = r.out.SetReadDeadline(past)
	})
	defer stop()
	written := make(chan error, 1)
	go func() {
		_, err := r.in.Write(request)
		written <- err
	}()
	var err error
	for k := 0; k < n && err == nil; k++ {
		var line []byte
		if line, err = r.line(); err == nil {
			err = take(k, line)
		}
	}
	if err != nil {
		_ = r.in.SetWriteDeadline(time.Unix(1, 0))
		<-written
		return err
	}
	if err := <-written; err != nil {
		return fmt.Errorf("write to the program: %w", err)
	}
	if r.lines.Buffered() > 0 {
		return errors.New("the program wrote more lines than it was asked for")
	}
	return nil
}

// line reads a line, without its newline.
func (r *running) line() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.lines.ReadSlice('\n')
		if err == nil && len(r.long) == 0 {
			return part[:len(part)-1], nil
		}
		r.long = append(r.long, part...)
		switch {
		case len(r.long) > maxLine:
			return nil, fmt.Errorf("the program wrote a line of more than %d bytes", maxLine)
		case err == nil:
			return r.long[:len(r.long)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, err
			}
			return nil, io.EOF
		}
	}
}
