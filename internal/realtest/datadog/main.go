// Command datadog calls Datadog's own client of Go as often as it is told, with metrics that
// are easily told from each other, and ends when all has been sent:
//
//	datadog ADDRESS CALLS
//
// The address is as the client takes it: 127.0.0.1:8125, unix:///path, unixstream:///path. It is
// a module of its own, so that nobody else needs the client.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/DataDog/datadog-go/v5/statsd"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "datadog:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: datadog ADDRESS CALLS")
	}
	calls, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c, err := statsd.New(args[0], statsd.WithoutTelemetry(), statsd.WithoutOriginDetection())
	if err != nil {
		return err
	}
	for i := range calls {
		err = first(err, c.Incr("hits", []string{"env:prod", "web"}, 1))
		err = first(err, c.Count("bytes", int64(i), nil, 1))
		err = first(err, c.Decr("down", nil, 1))
		err = first(err, c.Gauge("level", float64(-i), []string{"pool:a"}, 1))
		err = first(err, c.Timing("took", 250*time.Millisecond, nil, 1))
		err = first(err, c.Histogram("size", 3, nil, 1))
		err = first(err, c.Distribution("spread", 4, nil, 1))
		if i%100 == 99 {
			err = first(err, c.Flush()) // else the client may drop some of a burst
		}
	}
	err = first(err, c.Event(statsd.NewEvent("deployed", "line one\nline two")))
	err = first(err, c.SimpleServiceCheck("db", statsd.Critical))
	return first(err, c.Close())
}

// first returns the first error of two.
func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
