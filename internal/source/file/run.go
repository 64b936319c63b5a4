package file

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/logfile"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/retry"
)

// run is one run of a source.
type run struct {
	*source
	lines   flow.Lines
	watcher *follow.Watcher
	tails   sync.WaitGroup
	slots   chan struct{} // bounds how many files are read at a time; nil: all
}

// first opens what the first look found and what has a position from earlier, and settles
// once all of them have begun.
func (r *run) first(ctx context.Context, l logs) {
	begin := logfile.Start{}
	if r.deps.First && !r.deps.Once {
		begin.End = r.start.end
		if r.start.back > 0 {
			begin.Since = time.Now().Add(-r.start.back)
		}
	}
	known := r.lines.Known()
	var begun sync.WaitGroup
	for path := range l.files {
		b := begin
		b.Rotated = b == (logfile.Start{}) && (r.deps.First || r.deps.Once) && l.rotated[path]
		begun.Add(1)
		r.follow(ctx, path, b, begun.Done)
	}
	for _, in := range known {
		path, ok := strings.CutPrefix(in.Stream.ID, r.deps.Name+"/")
		switch {
		case !ok || r.followed(path):
		case r.scanner.wants(path) && l.own.file(path, true) == "":
			begun.Add(1)
			r.follow(ctx, path, logfile.Start{}, begun.Done)
		default:
			r.outgrown(in)
		}
	}
	begun.Wait()
	if ctx.Err() == nil {
		r.lines.Settle()
	}
}

// outgrown forgets a log that the configuration does not name any more, once it is old.
func (r *run) outgrown(in flow.Input) {
	line, err := r.lines.Open(in)
	if err != nil {
		return // it stays
	}
	line.Close(time.Since(logfile.LastWrite(line.Position())) > forgetAfter)
}

// discover follows the files that appear until the context ends.
func (r *run) discover(ctx context.Context, last time.Time, bell *follow.Bell) error {
	defer bell.Close()
	pause := time.NewTimer(scanPause)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		if err := r.wait(ctx, bell, last.Add(scanPeriod)); err != nil {
			return nil
		}
		now := time.Now()
		l := r.scan(now)
		for path := range l.files {
			if !r.followed(path) {
				// Rotated since it appeared, it began in a file of another name. The time of a
				// file may be a little behind the clock.
				r.follow(ctx, path, logfile.Start{Rotated: true, Since: last.Add(-time.Second)}, func() {})
			}
		}
		bell.SetDirs(l.sortedDirs()...)
		last = now
		pause.Reset(scanPause)
	}
}

// wait waits for the bell until a time at most, and keeps the ledger up to date meanwhile.
func (r *run) wait(ctx context.Context, bell *follow.Bell, until time.Time) error {
	if len(r.scanner.orphans) > 0 {
		until = time.Now().Add(orphanTime)
	}
	for {
		r.sumBehind()
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if left <= behindPeriod {
			return bell.Wait(ctx, left)
		}
		before := time.Now()
		if err := bell.Wait(ctx, behindPeriod); err != nil || time.Since(before) < behindPeriod {
			return err
		}
	}
}

// follow starts to follow a file in a goroutine of its own, which calls begun once the
// line knows where reading begins.
func (r *run) follow(ctx context.Context, path string, begin logfile.Start, begun func()) {
	bell := r.watcher.File(path)
	opt := r.options(path, bell)
	if !r.add(path, logfile.New(opt)) {
		bell.Close()
		begun()
		return
	}
	r.tails.Go(func() {
		defer bell.Close()
		once := sync.OnceFunc(begun)
		defer once()
		if r.slots != nil {
			r.slots <- struct{}{}
			defer func() { <-r.slots }()
		}
		r.keep(ctx, opt, begin, once)
		if !r.deps.Once && ctx.Err() == nil { // else what was wrong is the result
			r.trouble.set(path, nil)
		}
		r.replace(path, nil)
	})
}

func (r *run) options(path string, bell *follow.Bell) logfile.Options {
	labels := map[string]string{"filename": path, "source": r.deps.Name}
	maps.Copy(labels, r.cfg.Labels)
	opt := logfile.Options{
		Path:         path,
		Stream:       record.Stream{ID: r.deps.Name + "/" + path, Source: r.deps.Name, Labels: record.NewLabels(labels)},
		Format:       r.format,
		MaxLineBytes: int(r.cfg.MaxLine),
		Bell:         bell,
		Batches:      r.deps.Batches,
		Ledger:       r.deps.Ledger,
		Report:       func(err error) { r.trouble.set(path, err) },
	}
	if !r.deps.Once {
		opt.Gone = forgetAfter
	}
	return opt
}

// keep follows one file until it is done with, beginning again where the line is when the
// line fails.
func (r *run) keep(ctx context.Context, opt logfile.Options, begin logfile.Start, begun func()) {
	var pause retry.Backoff
	for ctx.Err() == nil {
		err := r.tail(ctx, opt, begin, begun)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.trouble.set(opt.Path, err)
		begun() // a line that fails must not hold up the others
		if pause.Wait(ctx) != nil {
			return
		}
	}
}

// tail follows one file over one opened line.
func (r *run) tail(ctx context.Context, opt logfile.Options, begin logfile.Start, begun func()) error {
	line, err := r.lines.Open(flow.Input{Stream: opt.Stream})
	if err != nil {
		return err
	}
	t := logfile.New(opt)
	defer t.Close()
	r.replace(opt.Path, t)
	if r.deps.Once {
		t.Drain()
	}
	if err := t.Open(ctx, line, begin); err != nil && ctx.Err() == nil {
		opt.Report(err) // Run tries again
	}
	begun()
	err = t.Run(ctx, line)
	line.Close(err == logfile.ErrGone)
	if err == logfile.ErrGone {
		return nil
	}
	return err
}
