package main

import (
	"testing"
	"time"

	"github.com/weirlog/weir/bench/measure"
)

func TestClientRow(t *testing.T) {
	ours := map[bool]time.Duration{}
	run := func(cpu time.Duration, arrived, dropped int64, allocs float64) []clientRun {
		return []clientRun{{Cost: measure.Cost{CPU: cpu}, NsPerCall: 17.5, Allocs: allocs, Dropped: dropped, calls: 1000, arrived: arrived}}
	}
	for _, test := range []struct {
		runs []clientRun
		want row
	}{
		{run(20*time.Microsecond, 1000, 0, 0), row{cpu: "20.0 ns", ratio: "1.00", wall: "17.5 ns", peak: "0 MiB", counts: "all arrived", runs: "1"}},
		{run(40*time.Microsecond, 500, 500, 0), row{cpu: "40.0 ns", ratio: "2.00", wall: "17.5 ns", peak: "0 MiB", counts: "50.0 % arrived, the rest is counted", runs: "1"}},
		{run(400*time.Microsecond, 500, -1, 1), row{cpu: "400.0 ns", ratio: "20", wall: "17.5 ns", peak: "0 MiB", counts: "50.0 % arrived, the rest is not told, 1.0 allocations a call", runs: "1"}},
	} {
		if got := clientRow(test.runs, ours, true); got != test.want {
			t.Errorf("%+v, want %+v", got, test.want)
		}
	}
}
