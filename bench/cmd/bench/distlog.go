package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

// scopedRecords is how many records of distlog are taken in one run.
const scopedRecords = 500_000

// scopedLimit is how long that may take.
const scopedLimit = 2 * time.Minute

// taker is one way to take records over ZeroMQ.
type taker struct {
	name     string
	decoding string // of the loop in Python; empty: it is weir
}

// scoped measures what taking a record costs, in JSON and in pickles, until weir has it in its
// journal, and beside that loops in Python that keep nothing.
func (b *bench) scoped(ctx context.Context) error {
	for _, encoding := range []string{"json", "pickle"} {
		takers := []taker{
			{"**weir**, distlog: every record kept", ""}, {"Python 3 and libzmq, PULL without decoding", "none"},
			{"Python 3 and libzmq, PULL and `" + encoding + ".loads`", encoding},
		}
		if err := b.scopedIn(ctx, encoding, takers); err != nil {
			return err
		}
	}
	return nil
}

// scopedIn measures all takers of one encoding, in turn.
func (b *bench) scopedIn(ctx context.Context, encoding string, takers []taker) error {
	n := scopedRecords
	if b.quick {
		n /= 10
	}
	work := fmt.Sprintf("take %s records of distlog in %s over ZeroMQ", number(n), encoding)
	python, skip := pythonZMQ(ctx)
	results, ours := make([]tries, len(takers)), time.Duration(0)
	var sent []byte
	for round := range b.rounds {
		for i, t := range takers {
			if skip != "" || !b.wants(t.name) || results[i].done(b.rounds) {
				continue
			}
			if sent == nil {
				var err error
				if sent, err = b.scopedMessages(ctx, python, encoding, n); err != nil {
					return err
				}
			}
			b.say("round %d: %s: %s", round+1, work, t.name)
			r := &results[i]
			cost, err := b.scopedOnce(ctx, python, t, parcel{sent, n})
			if r.err = err; err == nil {
				r.cpu, r.wall, r.peak = append(r.cpu, cost.CPU), append(r.wall, cost.Wall), append(r.peak, cost.Peak)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	for i, t := range takers {
		r, got := row{work: work, name: t.name}, &results[i]
		switch {
		case !b.wants(t.name):
			continue
		case skip != "":
			r.counts = "SKIP: " + skip
		case got.err != nil:
			b.fail(&r, got.err)
		default:
			if i == 0 {
				ours = median(got.cpu)
			}
			all := contender{note: func([]byte) string {
				return fmt.Sprintf("all, %s a CPU second", number(int(float64(n)/median(got.cpu).Seconds())/1000*1000))
			}}
			b.fill(&r, all, got, dataset.Set{})
			r.ratio = times(median(got.cpu), ours)
		}
		b.table.add(r)
	}
	return nil
}

// parcel is what one taker gets.
type parcel struct {
	sent []byte
	n    int // messages
}

// pythonZMQ returns a Python that has libzmq.
func pythonZMQ(ctx context.Context) (path, skip string) {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(ctx, name, "-c", "import zmq").Run() == nil {
			return name, ""
		}
	}
	return "", "no python3-zmq (Debian: `apt-get install python3-zmq`)"
}

// scopedMessages returns n messages as they stand on the wire.
func (b *bench) scopedMessages(ctx context.Context, python, encoding string, n int) ([]byte, error) {
	path := filepath.Join(b.data, fmt.Sprintf("distlog-%s-%d", encoding, n))
	if sent, err := os.ReadFile(path); err == nil {
		return sent, nil
	}
	b.say("making %s", path)
	script, err := b.program("distlog.py")
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, python, script, "make", path+".new", strconv.Itoa(n), encoding).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make records: %w: %s", err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// scopedOnce starts a taker, sends it all messages over one connection, and returns what it
// has cost, its start included.
func (b *bench) scopedOnce(ctx context.Context, python string, t taker, r parcel) (cost measure.Cost, err error) {
	ctx, stop := context.WithTimeout(ctx, scopedLimit)
	defer stop()
	address, err := freeAddress()
	if err != nil {
		return cost, err
	}
	if t.decoding == "" {
		return b.scopedWeir(ctx, address, r)
	}
	script, err := b.program("distlog.py")
	if err != nil {
		return cost, err
	}
	sending := make(chan error, 1)
	go func() { sending <- pushAll(ctx, address, r.sent) }()
	_, cost, err = measure.Run(exec.CommandContext(ctx, python, script, "pull", "tcp://"+address, strconv.Itoa(r.n), t.decoding))
	return cost, errors.Join(err, <-sending)
}

// scopedWeir is scopedOnce of weir: it is over when all records are committed and shown.
func (b *bench) scopedWeir(ctx context.Context, address string, r parcel) (cost measure.Cost, err error) {
	listen, err := freeAddress()
	if err != nil {
		return cost, err
	}
	dir, err := os.MkdirTemp(b.scratch, "weir-")
	if err != nil {
		return cost, err
	}
	config := filepath.Join(dir, "weir.yaml")
	text := fmt.Sprintf("data_dir: %s\nhttp: {listen: '%s'}\nrules: []\nsources: {app: {type: distlog, listen: ['tcp://%s']}}\n", filepath.Join(dir, "state"), listen, address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return cost, err
	}
	cmd := exec.CommandContext(ctx, b.weir, "run", "--config", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return cost, err
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Cancel() }()
	if err := pushAll(ctx, address, r.sent); err != nil {
		return cost, err
	}
	for taken := 0; taken < r.n; {
		if taken, err = scopedTaken(ctx, "http://"+listen+"/metrics"); err != nil {
			return cost, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return cost, fmt.Errorf("%d of %d records: %w", taken, r.n, ctx.Err())
		}
	}
	cost.Wall = time.Since(start)
	memory, err := measure.Memory(cmd.Process.Pid)
	if err != nil {
		return cost, err
	}
	cost.Peak = memory.Peak
	cost.CPU, err = measure.CPU(cmd.Process.Pid)
	return cost, err
}

// scopedTaken returns how many records weir shows.
func scopedTaken(ctx context.Context, url string) (n int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("weir_distlog_records_total{")) {
			v, err := strconv.ParseFloat(string(bytes.TrimSpace(line[bytes.LastIndexByte(line, ' '):])), 64)
			if err != nil {
				return 0, err
			}
			n += int(v)
		}
	}
	return n, err
}

// pushAll sends messages as a PUSH does whose handshake is over at once, when somebody listens.
func pushAll(ctx context.Context, address string, sent []byte) error {
	var conn net.Conn
	for {
		var err error
		if conn, err = net.Dial("tcp", address); err == nil {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10], greeting[11] = 0xff, 0x7f, 3, 1
	copy(greeting[12:], "NULL")
	ready := "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
	answer := make([]byte, len(greeting)+len(ready)) // a PULL's is as long
	if _, err := conn.Write(append(greeting, ready...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if _, err := conn.Write(sent); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn) // until all was read
	return nil
}
