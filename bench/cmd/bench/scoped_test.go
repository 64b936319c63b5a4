package main

import (
	"testing"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

func TestScopeRow(t *testing.T) {
	var ours time.Duration
	run := func(cpu time.Duration, allocs float64, dropped int64) []scopeRun {
		return []scopeRun{{Cost: measure.Cost{CPU: cpu}, NsPerRecord: 700.25, Allocs: allocs, Dropped: dropped}}
	}
	for _, test := range []struct {
		runs []scopeRun
		want row
	}{
		{run(700*time.Millisecond, 0.001, 0), row{cpu: "700.0 ns", ratio: "1.00", wall: "700.2 ns", peak: "0 MiB", counts: "0.0 allocations a record", runs: "1"}},
		{run(1400*time.Millisecond, 7, logged/2), row{cpu: "1400.0 ns", ratio: "2.00", wall: "700.2 ns", peak: "0 MiB", counts: "7.0 allocations a record, 50.0 % dropped and counted", runs: "1"}},
	} {
		if got := scopeRow(test.runs, &ours); got != test.want {
			t.Errorf("%+v, want %+v", got, test.want)
		}
	}
}
