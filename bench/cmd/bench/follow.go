package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

const (
	followRate = 1000             // lines a second
	warmUp     = 3 * time.Second  // lines flow this long before measuring starts
	settle     = 10 * time.Second // the longest a follower may take to count the last line
)

// follower is a contender that follows a growing file and serves its counts over HTTP.
type follower struct {
	name, skip string
	command    func(ctx context.Context, path, listen string) (*exec.Cmd, error)
}

// followers returns the contenders that can follow, weir first.
func (b *bench) followers() []follower {
	mtail, err := exec.LookPath("mtail")
	other := follower{name: "mtail"}
	if err != nil {
		other.skip = "no mtail (Debian: `apt-get install mtail`)"
	} else {
		other.name += " " + version(mtail, "--version")
	}
	other.command = func(ctx context.Context, path, listen string) (*exec.Cmd, error) {
		program, err := b.program("nginx.mtail")
		if err != nil {
			return nil, err
		}
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, mtail, "--logtostderr", "--address", host, "--port", port,
			"--progs", program, "--logs", path), nil
	}
	weir := func(rest string) func(ctx context.Context, path, listen string) (*exec.Cmd, error) {
		return func(ctx context.Context, path, listen string) (*exec.Cmd, error) {
			config, err := b.weirConfig(path, listen, rest)
			if err != nil {
				return nil, err
			}
			return exec.CommandContext(ctx, b.weir, "run", "--config", config), nil
		}
	}
	return []follower{
		{name: "**weir**, without its history, which mtail has not", command: weir("keep: none\nhistory: none")},
		{name: "**weir**", command: weir("keep: none")},
		other,
	}
}

// followed measures each follower for some time, one after another.
func (b *bench) followed(ctx context.Context) error {
	var ours time.Duration
	for i, f := range b.followers() {
		if !b.wants(f.name) {
			continue
		}
		r := row{work: fmt.Sprintf("follow %s lines/s, each written alone", number(followRate)), name: f.name, runs: "1"}
		if f.skip != "" {
			r.counts = "SKIP: " + f.skip
			b.table.add(r)
			continue
		}
		b.say("following for %v: %s", b.follow, f.name)
		cpu, err := b.follow1(ctx, f, &r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			b.fail(&r, err)
		default:
			if i == 0 {
				ours = cpu
			}
			r.ratio = times(cpu, ours)
		}
		b.table.add(r)
	}
	return nil
}

// follow1 starts a follower on a new file, measures it and stops it.
func (b *bench) follow1(ctx context.Context, f follower, r *row) (time.Duration, error) {
	dir, err := os.MkdirTemp(b.scratch, "follow-")
	if err != nil {
		return 0, err
	}
	file, err := os.Create(filepath.Join(dir, "access-json.log"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	listen, err := freeAddress()
	if err != nil {
		return 0, err
	}
	cmd, err := f.command(ctx, file.Name(), listen)
	if err != nil {
		return 0, err
	}
	said, err := os.Create(filepath.Join(dir, "messages"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	cost, err := b.measureFollower(ctx, r, subject{pid: cmd.Process.Pid, file: file, url: "http://" + listen + "/metrics"})
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, messages(said.Name()))
	}
	return cost, nil
}

// subject is a follower that runs.
type subject struct {
	pid  int
	file io.Writer // what it follows
	url  string    // where it serves its counts
}

// measureFollower writes lines to s, fills r and returns the CPU time that s used for them.
func (b *bench) measureFollower(ctx context.Context, r *row, s subject) (time.Duration, error) {
	// Some begin at the end of a file that they find, so nothing is written before they look.
	if _, err := settled(ctx, s.url, nil); err != nil {
		return 0, fmt.Errorf("it serves no metrics: %w", err)
	}
	lines := dataset.NewWriter(false)
	if err := write(ctx, s.file, lines, warmUp); err != nil {
		return 0, err
	}
	before, err := measure.CPU(s.pid)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := write(ctx, s.file, lines, b.follow); err != nil {
		return 0, err
	}
	after, err := measure.CPU(s.pid)
	if err != nil {
		return 0, err
	}
	elapsed := time.Since(start)
	memory, err := measure.Memory(s.pid)
	if err != nil {
		return 0, err
	}
	got, err := settled(ctx, s.url, lines.Counts())
	if err != nil {
		return 0, err
	}
	r.cpu = fmt.Sprintf("%.2f %% of a core", 100*(after-before).Seconds()/elapsed.Seconds())
	r.wall, r.peak = seconds(elapsed), mebibytes(memory.Peak)
	r.counts = b.table.verdict(got, lines.Counts())
	return after - before, nil
}

// write appends lines to file at followRate, each with a write of its own, as Docker does.
func write(ctx context.Context, file io.Writer, lines *dataset.Writer, how time.Duration) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var line []byte
	start, written := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		elapsed := time.Since(start)
		for due := int(min(elapsed, how).Seconds() * followRate); written < due; written++ {
			line = lines.Append(line[:0])
			if _, err := file.Write(line); err != nil {
				return err
			}
		}
		if elapsed >= how {
			return nil
		}
	}
}

// settled asks for the counts until they are as wanted, at most for a while, and returns
// the last it saw.
func settled(ctx context.Context, url string, want map[string]int) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	var got map[string]int
	var problem error
	for {
		text, err := get(ctx, url)
		switch {
		case err == nil:
			if got, problem = expositionCounts(text); problem == nil && total(got) >= total(want) {
				return got, nil
			}
		case ctx.Err() == nil:
			problem = err
		}
		select {
		case <-ctx.Done():
			if got != nil {
				problem = nil
			}
			return got, problem
		case <-again.C:
		}
	}
}

// get returns the body at url.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(url + " answers " + answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// messages returns the end of what a process said.
func messages(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-500):])
}
