package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

// logged is how many records each logger logs in one run.
const logged = 1_000_000

// scopeLogger is one way to log a record.
type scopeLogger struct {
	name    string // in the table
	command string // of bench/scope
	server  bool   // it sends to a server
}

var scopeLoggers = []scopeLogger{
	{"**weir** `scope`, distlog's form", "weir", false},
	{"**weir** `scope`, to a server over TCP", "weir", true},
	{"`slog.JSONHandler`, with the source", "slog", false},
	{"`slog.JSONHandler`, without", "slog-bare", false},
	{"zap, with the caller", "zap", false},
	{"zerolog, with the caller", "zerolog", false},
	{"phuslu/log, with the caller", "phuslu", false},
}

// scopeRun is one run of a logger.
type scopeRun struct {
	measure.Cost
	NsPerRecord, Allocs float64
	Dropped             int64
}

// scopeRecords measures what a record of each logger costs.
func (b *bench) scopeRecords(ctx context.Context) error {
	if !slices.ContainsFunc(scopeLoggers, func(l scopeLogger) bool { return b.wants(l.name) }) {
		return nil
	}
	binary := filepath.Join(b.data, "scope")
	if skip := b.buildModule(ctx, "scope", binary); skip != "" {
		b.table.add(row{work: "log with scopes", name: "all loggers", counts: "SKIP: " + skip})
		return ctx.Err()
	}
	results := make([][]scopeRun, len(scopeLoggers))
	failures := make([]error, len(scopeLoggers))
	for round := range b.rounds {
		for i, l := range scopeLoggers {
			if !b.wants(l.name) || failures[i] != nil {
				continue
			}
			b.say("round %d: %s", round+1, l.name)
			r, err := scopeOnce(ctx, l, binary)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			results[i], failures[i] = append(results[i], r), err
		}
	}
	var ours time.Duration
	for i, l := range scopeLoggers {
		if len(results[i]) == 0 {
			continue
		}
		r := row{}
		if failures[i] != nil {
			b.fail(&r, failures[i])
		} else {
			r = scopeRow(results[i], &ours)
		}
		r.work = "log a record with five attributes and three bound ones, to nowhere"
		r.name = l.name
		b.table.add(r)
	}
	return nil
}

// scopeRow shows the runs of one logger. The first one is what the others are compared with.
func scopeRow(runs []scopeRun, ours *time.Duration) row {
	var cpu, wall []time.Duration
	var peak, allocs, dropped []int64
	for _, r := range runs {
		cpu = append(cpu, r.CPU*1000/logged) // picoseconds as nanoseconds
		wall, peak = append(wall, time.Duration(r.NsPerRecord*1000)), append(peak, r.Peak)
		allocs, dropped = append(allocs, int64(r.Allocs*10+0.5)), append(dropped, r.Dropped)
	}
	if *ours == 0 {
		*ours = median(cpu)
	}
	r := row{
		cpu: nanoseconds(median(cpu)), ratio: times(median(cpu), *ours), wall: nanoseconds(median(wall)),
		peak: mebibytes(median(peak)), runs: strconv.Itoa(len(runs)),
	}
	r.counts = fmt.Sprintf("%.1f allocations a record", float64(median(allocs))/10)
	if d := median(dropped); d > 0 {
		r.counts += fmt.Sprintf(", %.1f %% dropped and counted", float64(d)*100/logged)
	}
	return r
}

// scopeOnce lets one logger log.
func scopeOnce(ctx context.Context, l scopeLogger, binary string) (r scopeRun, err error) {
	args := []string{l.command, strconv.Itoa(logged)}
	if l.server {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return r, err
		}
		defer server.Close()
		go takeAll(server)
		args = append(args, "tcp://"+server.Addr().String())
	}
	out, cost, err := measure.Run(exec.CommandContext(ctx, binary, args...))
	if err != nil {
		return r, err
	}
	r.Cost = cost
	return r, json.Unmarshal(out, &r)
}

// takeAll is a PULL socket of ZMTP 3.0 that takes everything from one client.
func takeAll(server net.Listener) {
	conn, err := server.Accept()
	if err != nil {
		return // the run is over
	}
	defer conn.Close()
	greeting := "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + string(make([]byte, 48)) + "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL"
	if _, err := io.WriteString(conn, greeting); err == nil {
		_, _ = io.Copy(io.Discard, conn) // until the client has ended
	}
}
