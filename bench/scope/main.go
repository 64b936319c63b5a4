// Command scope logs with one of the loggers that Go programs use, weir's scope among them, to
// nowhere or to a server, and prints how long a record took:
//
//	go run . NAME RECORDS [ADDRESS]
//
// All do the same: a record with three bound attributes, five of its own, and the place in the
// program; weir's belongs to a task and is sent in distlog's form. It is a module of its own,
// so that nobody else needs these loggers.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"
)

// result is what is printed, as JSON.
type result struct {
	// NsPerRecord is the wall time of the calls by their number.
	NsPerRecord float64
	// Allocs is how many allocations a record made.
	Allocs float64
	// Dropped is how many records the logger dropped.
	Dropped int64
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scope:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 2 && len(args) != 3 {
		return fmt.Errorf("usage: scope NAME RECORDS [ADDRESS]")
	}
	records, err := strconv.Atoi(args[1])
	if err != nil || records < 1 {
		return fmt.Errorf("records: %q", args[1])
	}
	address := ""
	if len(args) == 3 {
		address = args[2]
	}
	l, err := open(args[0], io.Discard, address)
	if err != nil {
		return err
	}
	l.Log() // what is looked up once is no record's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range records {
		l.Log()
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	r := result{Dropped: l.Close()}
	r.NsPerRecord = float64(took.Nanoseconds()) / float64(records)
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(records)
	return json.NewEncoder(out).Encode(r)
}
