package child

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// Job is one run of a program, from its start to its end.
type Job struct {
	// Input is what it reads from its standard input, which then ends.
	Input []byte
	// MaxBytes is how much it may write to its standard output, MaxLine how long a line is.
	MaxBytes, MaxLine int64
	// Take gets each line without its newline, which is valid until it returns. An error ends
	// the program.
	Take func(line []byte) error
	// Idle is called when the next line may take a while. An error ends the program.
	Idle func() error
}

// Run runs a program until it ends, or ctx does: then it is killed with all that is of its
// process group. The error says how it ended, unless that was well. Its Timeout counts from here;
// zero means none.
func Run(ctx context.Context, o Options, j Job) error {
	if o.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("the program took longer than %s", config.FormatDuration(o.Timeout)))
		defer cancel()
		ctx = limited
	}
	r, err := start(o)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_, _ = r.in.Write(j.Input) // one that does not read it is no worse for that
		r.in.Close()
	}()
	rest, err := r.drain(j)
	patience := grace
	if err != nil {
		patience = 0
	}
	ended := r.stop(patience)
	<-fed
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case !errors.Is(ended, errWell):
		return fmt.Errorf("the program ended: %w", ended)
	case len(rest) > 0:
		return j.Take(rest)
	}
	return nil
}

// drain reads lines until the output ends. It returns what the last one has without a newline:
// whether that is whole is known only when the program has ended.
func (r *running) drain(j Job) (rest []byte, err error) {
	left := j.MaxBytes
	for {
		// The next line may take a while where there is none, and where there is a part of one.
		if there, _ := r.lines.Peek(r.lines.Buffered()); bytes.IndexByte(there, '\n') < 0 {
			if err := j.Idle(); err != nil {
				return nil, err
			}
		}
		line, err := r.limited(j.MaxLine)
		if left -= int64(len(line)); left < 0 {
			return nil, fmt.Errorf("the program wrote more than %s", config.Bytes(j.MaxBytes))
		}
		if errors.Is(err, io.EOF) {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
		if err := j.Take(line[:len(line)-1]); err != nil {
			return nil, err
		}
	}
}

// limited reads a line with its newline, or what is left.
func (r *running) limited(most int64) ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.lines.ReadSlice('\n')
		if err == nil && len(r.long) == 0 {
			return part, nil
		}
		r.long = append(r.long, part...)
		switch {
		case int64(len(r.long)) > most:
			return nil, fmt.Errorf("the program wrote a line of more than %s", config.Bytes(most))
		case !errors.Is(err, bufio.ErrBufferFull):
			return r.long, err
		}
	}
}
