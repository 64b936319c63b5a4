package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

// slowCPU is the cost from which a contender is run only slowRounds times.
const (
	slowCPU    = 3 * time.Second
	slowRounds = 2
)

// tries are the runs of one contender.
type tries struct {
	cpu, wall []time.Duration
	peak      []int64
	out       []byte // what the last run printed
	err       error  // what ended it
}

// done says whether the contender has run often enough.
func (t *tries) done(rounds int) bool {
	if t.err != nil || len(t.cpu) >= rounds {
		return true
	}
	return len(t.cpu) >= slowRounds && t.cpu[0] > slowCPU
}

// once runs c on set one more time.
func (t *tries) once(ctx context.Context, c contender, set dataset.Set) {
	cmd, err := c.command(ctx, set)
	if err != nil {
		t.err = err
		return
	}
	out, cost, err := measure.Run(cmd)
	if err != nil {
		t.err = err
		return
	}
	t.out = out
	t.cpu, t.wall, t.peak = append(t.cpu, cost.CPU), append(t.wall, cost.Wall), append(t.peak, cost.Peak)
}

// wholeRuns measures every contender on set, in turn, and adds a row for each.
func (b *bench) wholeRuns(ctx context.Context, set dataset.Set) error {
	all := slices.DeleteFunc(b.contenders(), func(c contender) bool { return !b.wants(c.name) })
	results := make([]tries, len(all))
	for round := range b.rounds {
		for i, c := range all {
			if c.skip != "" || results[i].done(b.rounds) {
				continue
			}
			b.say("round %d: %s", round+1, c.name)
			results[i].once(ctx, c, set)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	var ours time.Duration
	work := fmt.Sprintf("count statuses: %s lines, %d MB", number(set.Lines), (set.Bytes+500_000)/1_000_000)
	for i, c := range all {
		r := row{work: work, name: c.name}
		switch t := &results[i]; {
		case c.skip != "":
			r.counts = "SKIP: " + c.skip
		case t.err != nil:
			b.fail(&r, t.err)
		default:
			if c.name == b.weirContender().name {
				ours = median(t.cpu)
			}
			b.fill(&r, c, t, set)
			r.ratio = times(median(t.cpu), ours)
		}
		b.table.add(r)
	}
	return nil
}

// fail shows in r that its contender did not work.
func (b *bench) fail(r *row, err error) {
	b.say("%s: %v", r.name, err)
	r.counts = "**FAILED**"
	b.table.wrong = true
}

// fill writes the figures of t into r.
func (b *bench) fill(r *row, c contender, t *tries, set dataset.Set) {
	r.cpu = seconds(median(t.cpu))
	if len(t.cpu) > 1 {
		r.cpu += fmt.Sprintf(" (%.2f–%.2f)", slices.Min(t.cpu).Seconds(), slices.Max(t.cpu).Seconds())
	}
	r.wall, r.peak = seconds(median(t.wall)), mebibytes(median(t.peak))
	r.runs = number(len(t.cpu))
	if c.counts == nil {
		r.counts = c.note(t.out)
		return
	}
	counts, err := c.counts(t.out)
	if err != nil {
		b.fail(r, err)
		return
	}
	r.counts = b.table.verdict(counts, set.Counts)
}

// flatness measures what a line costs weir in small and large sets, in one file and many.
func (b *bench) flatness(ctx context.Context, lines int) error {
	c := b.weirContender()
	if !b.wants(c.name) {
		return nil
	}
	specs := []dataset.Spec{{Lines: 1, Files: 1}, {Lines: lines, Files: 1}, {Lines: lines / 10, Files: 1}, {Lines: lines, Files: 1000}}
	if b.long {
		specs = append(specs, dataset.Spec{Lines: 10 * lines, Files: 1})
	}
	var base time.Duration
	for _, spec := range specs {
		b.say("cost per line: %s lines in %s", number(spec.Lines), files(spec.Files))
		set, err := b.set(spec)
		if err != nil {
			return err
		}
		var t tries
		for !t.done(b.rounds) {
			t.once(ctx, c, set)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		r := row{work: "cost per line", name: fmt.Sprintf("weir, %s lines in %s", number(spec.Lines), files(spec.Files))}
		if t.err != nil {
			b.fail(&r, t.err)
			b.table.add(r)
			continue
		}
		b.fill(&r, c, &t, set)
		if spec.Lines == 1 {
			r.name = "weir, a single line: start, commit, stop"
			b.table.add(r)
			continue
		}
		each := median(t.cpu) / time.Duration(spec.Lines)
		if base == 0 {
			base = each
		}
		r.cpu, r.ratio = fmt.Sprintf("%d ns/line", each.Nanoseconds()), times(each, base)
		b.table.add(r)
	}
	return nil
}

// files names a number of files.
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return number(n) + " files"
}
