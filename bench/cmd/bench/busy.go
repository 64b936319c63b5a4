package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

// takeInLimit is the longest that a whole set may take.
const takeInLimit = 2 * time.Minute

// keptBusy measures how fast a running weir takes in and keeps set while nobody asks, and
// while a client asks for what it has so far, again as soon as it is answered.
func (b *bench) keptBusy(ctx context.Context, set dataset.Set) error {
	for _, clients := range []int{0, 1} {
		name := "**weir**, with the text kept, nobody asks"
		if clients > 0 {
			name = "**weir**, with the text kept, a client counts a regex without pause"
		}
		if !b.wants(name) {
			continue
		}
		b.say("taking in while %d ask", clients)
		r := row{work: "take in the same lines while running", name: name, runs: "1"}
		if err := b.takeIn(ctx, &r, set, clients); err != nil {
			b.fail(&r, err)
		}
		b.table.add(r)
	}
	return ctx.Err()
}

// takeIn starts a weir that finds set, and measures until it has counted all.
func (b *bench) takeIn(ctx context.Context, r *row, set dataset.Set, clients int) error {
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	config, err := b.weirConfig(filepath.Join(set.Dir, "access-*.log"), listen, "keep: {}")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.weir, "run", "--config", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = settle
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Cancel()
	asking, stop := context.WithTimeout(ctx, takeInLimit)
	defer stop()
	var answers int
	var problem error
	var wg sync.WaitGroup
	if clients > 0 {
		wg.Go(func() { answers, problem = askOn(asking, "http://"+listen) })
	}
	var got map[string]int
	for total(got) < total(set.Counts) && asking.Err() == nil {
		if got, err = settled(asking, "http://"+listen+"/metrics", set.Counts); err != nil {
			return err
		}
	}
	took := time.Since(start)
	stop()
	wg.Wait()
	cpu, err := measure.CPU(cmd.Process.Pid)
	if err != nil {
		return errors.Join(problem, err)
	}
	memory, err := measure.Memory(cmd.Process.Pid)
	r.cpu, r.wall, r.peak = seconds(cpu), seconds(took), mebibytes(memory.Peak)
	r.counts = b.table.verdict(got, set.Counts)
	if clients > 0 {
		r.counts += fmt.Sprintf(", %d answers", answers)
	}
	return errors.Join(problem, err)
}

// askOn counts a regex in what there is, until ctx ends. It returns how often it was answered.
func askOn(ctx context.Context, base string) (answers int, err error) {
	path := "/loki/api/v1/query?" + url.Values{
		"query": {`sum(count_over_time({source="access"} |~ " 5\\d\\d " [2h]))`}, "time": {"2026-11-20T19:30:00Z"},
	}.Encode()
	if _, err := settled(ctx, base+"/metrics", nil); err != nil {
		return 0, err
	}
	for {
		if _, err := get(ctx, base+path); ctx.Err() != nil {
			return answers, nil
		} else if err != nil {
			return answers, err
		}
		answers++
	}
}
