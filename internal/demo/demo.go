package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

// DefaultRate is the average of lines a second when Options does not say.
const DefaultRate = 50

const (
	tickEvery    = 50 * time.Millisecond
	reportEvery  = 2 * time.Second
	stopDeadline = 20 * time.Second
	// What was written last is committed, and so seen, within a second or so.
	settleEvery    = 200 * time.Millisecond
	settleDeadline = 3 * time.Second
)

// Options say where the traffic goes.
type Options struct {
	// Dir is the folder of access.log and its rotated files; it is made if missing.
	Dir string
	// Rate is the average of lines a second, in the file and in the container each.
	// Zero means DefaultRate.
	Rate int
	// DockerHost is an engine as in DOCKER_HOST (unix://…, tcp://… without TLS). Empty:
	// no container.
	DockerHost string
	// Out gets a report every two seconds. Nil: none.
	Out io.Writer
	// Metrics is the URL of an exposition whose counts are shown beside what was written.
	// Empty: only what was written is shown.
	Metrics string
	// Series is the counter with a label status in Metrics, nginx_status_count_total say.
	Series string
	// Seed makes the lines repeatable. Zero: other lines each time.
	Seed uint64
}

// Run writes traffic until ctx ends. An engine that does not answer is reported and left
// out; an error is about the file. The container and its image are gone when Run returns.
func Run(ctx context.Context, o Options) error {
	if o.Out == nil {
		o.Out = io.Discard
	}
	log, err := openRotating(o.Dir, maxFileBytes)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(o.Out, "writing about %d lines/s to %s, rotated at 1 MiB\n", o.rate(), log.path)
	if o.DockerHost != "" {
		stop := o.startContainer(ctx)
		defer stop()
	}
	w := newWriter(log, o.rate(), o.Seed)
	lastReport := time.Now()
	err = w.run(ctx, func(now time.Time) {
		if now.Sub(lastReport) >= reportEvery {
			lastReport = now
			o.report(ctx, now, w)
		}
	})
	o.settle(ctx, w)
	return err
}

// Emit writes traffic to out until ctx ends: what the demo's container does.
func Emit(ctx context.Context, out io.Writer, rate int) error {
	o := Options{Rate: rate}
	return newWriter(out, o.rate(), 0).run(ctx, func(time.Time) {})
}

func (o *Options) rate() int {
	if o.Rate <= 0 {
		return DefaultRate
	}
	return o.Rate
}

// startContainer starts the container, or says why there is none, and returns what
// removes it.
func (o *Options) startContainer(ctx context.Context) (stop func()) {
	binary, err := os.Executable()
	var c *container
	if err == nil {
		c, err = startContainer(ctx, o.DockerHost, binary, o.rate())
	}
	if err != nil {
		fmt.Fprintf(o.Out, "no container: %v\n", err)
		return func() {}
	}
	fmt.Fprintf(o.Out, "writing about %d lines/s in the container %s\n", o.rate(), containerName)
	return func() {
		// ctx has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopDeadline)
		defer cancel()
		if err := c.remove(ctx); err != nil {
			fmt.Fprintf(o.Out, "the container %s is left behind: %v\n", containerName, err)
		}
	}
}

// report shows what was written to the file and, where known, what was counted.
func (o *Options) report(ctx context.Context, now time.Time, w *writer) {
	fmt.Fprintf(o.Out, "%s  written %s\n", now.Format(time.TimeOnly), w.tally.String())
	if o.Metrics == "" {
		return
	}
	counted, err := readCounts(ctx, o.Metrics, o.Series)
	if err != nil {
		fmt.Fprintf(o.Out, "          counted: %v\n", err)
		return
	}
	fmt.Fprintf(o.Out, "          counted %s\n", counted.String())
}

// settle reports once more when everything that was written is counted, if that can be
// seen: who stops counting only after Run has returned shows equal numbers at the end.
func (o *Options) settle(ctx context.Context, w *writer) {
	ctx = context.WithoutCancel(ctx)
	patience, cancel := context.WithTimeout(ctx, settleDeadline)
	defer cancel()
	again := time.NewTicker(settleEvery)
	defer again.Stop()
	for o.Metrics != "" {
		counted, err := readCounts(ctx, o.Metrics, o.Series)
		if err != nil {
			return // nobody counts any more
		}
		if counted.total() >= w.tally.total() {
			break
		}
		select {
		case <-again.C:
			continue
		case <-patience.Done():
		}
		break
	}
	o.report(ctx, time.Now(), w)
}

// writer makes lines at a pace and counts them.
type writer struct {
	out     io.Writer
	pace    pace
	traffic *Traffic
	tally   tally
	line    []byte
}

func newWriter(out io.Writer, rate int, seed uint64) *writer {
	if seed == 0 {
		seed = rand.Uint64()
	}
	return &writer{out: out, pace: pace{perSecond: float64(rate)}, traffic: NewTraffic(seed)}
}

// run writes what is due until ctx ends, and calls after each time it did.
func (w *writer) run(ctx context.Context, after func(now time.Time)) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		n := w.pace.due(now.Sub(last))
		last = now
		w.traffic.Trouble = w.pace.trouble()
		for range n {
			var hit Hit
			w.line, hit = w.traffic.Append(w.line[:0], now)
			if _, err := w.out.Write(w.line); err != nil {
				return err
			}
			w.tally.add(hit.Status, 1)
		}
		after(now)
	}
}

// tally is a number of lines by status.
type tally [1000]int

// add counts n lines with a status; what is no status is left out.
func (t *tally) add(status, n int) {
	if status >= 0 && status < len(t) {
		t[status] += n
	}
}

// total returns the lines of all statuses.
func (t *tally) total() int {
	sum := 0
	for _, n := range t {
		sum += n
	}
	return sum
}

// String writes the total and the statuses that occur.
func (t *tally) String() string {
	var parts bytes.Buffer
	for status, n := range t {
		if n > 0 {
			parts.WriteString("  " + strconv.Itoa(status) + ":" + strconv.Itoa(n))
		}
	}
	return fmt.Sprintf("%6d lines%s", t.total(), parts.Bytes())
}
