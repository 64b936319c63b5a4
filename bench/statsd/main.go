// Command statsd counts with one of the StatsD clients that Go programs use, weir's among
// them, as fast as its goroutines can, and prints how long a call took:
//
//	go run . NAME ADDRESS CALLS GOROUTINES
//
// All do the same: count one call of a counter with two tags, over UDP. It is a module of
// its own, so that nobody else needs these clients.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// result is what is printed, as JSON.
type result struct {
	// NsPerCall is the wall time of the calls by their number: of n goroutines on n
	// processors, an n-th of what one call takes.
	NsPerCall float64
	// Allocs is how many allocations a call made.
	Allocs float64
	// Dropped is what the client says it dropped; -1 if it does not say.
	Dropped int64
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "statsd:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: statsd NAME ADDRESS CALLS GOROUTINES")
	}
	calls, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	goroutines, err := strconv.Atoi(args[3])
	if err != nil || goroutines < 1 {
		return fmt.Errorf("goroutines: %q", args[3])
	}
	c, err := dial(args[0], args[1])
	if err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range calls / goroutines {
				c.Incr()
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	r := result{Dropped: c.Close()}
	r.NsPerCall = float64(took.Nanoseconds()) / float64(calls)
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(calls)
	return json.NewEncoder(out).Encode(r)
}
