// Package stats measures containers: processor, memory, network, disk and processes, and
// keeps the numbers, with the state of each container, in the registry.
//
//	c, err := stats.New(stats.Options{Interval: 20 * time.Second, Registry: reg, …})
//	go c.Run(ctx)
//	c.Observe(list, true) // the engine's list, at the beginning and now and then
//	c.Event(e)            // each of its events
//
// What a container uses is read from the kernel's files where these can be read and are
// certainly the container's, else the engine is asked; both give the same numbers. The engine
// is asked about a container only when something happened to it.
//
// Series follow a container's life. Usage ends with the run that it belongs to; state and
// limits end when the container is removed; the heartbeat and the start time stay for
// Options.Retention after that, so that an alert on the age of the heartbeat fires, and
// belong to the name, so that a successor goes on with them.
package stats

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
)

// Engine is what is asked of a Docker engine.
type Engine interface {
	// Inspect tells what a container is, and how it fares.
	Inspect(ctx context.Context, id string) (dockerapi.Details, error)
	// Stats measures a container that runs.
	Stats(ctx context.Context, id string) (dockerapi.Stats, error)
}

// Read is a way to measure.
type Read string

// The ways to measure.
const (
	ReadAuto Read = "auto"
	ReadFile Read = "file"
	ReadAPI  Read = "api"
)

// Values lists the ways, for the configuration.
func (Read) Values() []string { return []string{string(ReadAuto), string(ReadFile), string(ReadAPI)} }

// Options say what is measured, and how.
type Options struct {
	// Interval is the time from one measurement to the next.
	Interval time.Duration
	// Retention is how long the heartbeat of a container stays that is gone.
	Retention time.Duration
	// Read says where numbers are taken from.
	Read Read
	// Root is where the file system of the engine's machine is seen; empty means /.
	Root string
	// Registry gets the numbers.
	Registry *metric.Registry
	// Ledger counts what had to be left out.
	Ledger *ledger.Component
	// State keeps heartbeats over restarts; nil: they end with Run.
	State State
	// Engine returns the engine; its error is that there is none to be had.
	Engine func() (Engine, error)
	// Name returns the name under which a container is known, and whether it is wanted.
	Name func(d *dockerapi.Details) (name string, wanted bool)
	// Problem is told why containers cannot be measured, and nil when they can again.
	Problem func(err error)
	// Round, unless nil, is told when a round of measurements ended without a problem.
	Round func(at time.Time)
}

// Bounds.
const (
	// maxContainers is how many are measured, maxGone of how many that are gone the
	// heartbeat is kept.
	maxContainers = 2000
	maxGone       = 500
	// maxLooking is how many containers the engine is asked about at a time.
	maxLooking = 4
	// maxWaiting is how many measurements by the engine are waited for at a time: it measures
	// once a second, and an answer waits for that.
	maxWaiting = 128
	// askTimeout bounds a request: an engine that hangs must not hold up what is read from
	// files.
	askTimeout = 10 * time.Second
)

// Collector measures containers. A nil one is off.
type Collector struct {
	o      Options
	host   *host
	series *families
	now    func() time.Time // tests have a clock of their own
	wake   chan struct{}    // holds a token when something was heard

	mu     sync.Mutex // guards what was heard since the last pass
	marks  map[string]mark
	listed map[string]string // the engine's list: states by id; nil if there was none
	again  bool              // events may have been missed

	// These belong to Run.
	containers map[string]*container // by id
	names      map[string]*named
	problem    bool
	reading    reading

	// What keep stored, and what it works with.
	round, roundStored time.Time // when the last round began
	beats              []heartbeat
	text, stored       []byte
}

// mark is what the engine's events told of a container.
type mark struct {
	look  bool // something changed: inspect it
	ended bool // its run has ended
	ooms  int  // how often it was out of memory
}

// New returns a collector that does nothing until Run. It fails when the registry has other
// families of the same names.
func New(o Options) (*Collector, error) {
	fams, err := newFamilies(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("metrics of containers: %w", err)
	}
	return &Collector{
		o: o, host: newHost(o.Root), series: fams, now: time.Now, wake: make(chan struct{}, 1),
		marks: map[string]mark{}, containers: map[string]*container{}, names: map[string]*named{},
	}, nil
}

// Observe takes the engine's list of all containers. With again all are looked at, because
// events may have been missed. It may be called from any goroutine.
func (c *Collector) Observe(all []dockerapi.Container, again bool) {
	if c == nil {
		return
	}
	listed := make(map[string]string, len(all))
	for _, x := range all {
		listed[x.ID] = x.State
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed, c.again = listed, c.again || again
	c.ring()
}

// Event takes an event of the engine. It may be called from any goroutine.
func (c *Collector) Event(e dockerapi.Event) {
	if c == nil {
		return
	}
	action, _, _ := strings.Cut(e.Action, ":") // "health_status: healthy"
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks[e.ID]
	switch action {
	case "create", "start", "restart", "rename", "pause", "unpause", "update", "health_status", "destroy":
		m.look = true
	case "die":
		m.look, m.ended = true, true
	case "oom":
		m.ooms++
	default:
		return
	}
	c.marks[e.ID] = m
	c.ring()
}

// ring wakes Run.
func (c *Collector) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run measures until ctx ends, and takes all series away then. Heartbeats that Options.State
// has are shown at once.
func (c *Collector) Run(ctx context.Context) {
	if c == nil {
		return
	}
	defer c.dropAll()
	defer c.keep(true)
	c.restore()
	tick := time.NewTicker(c.o.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.pass(ctx, true)
		case <-c.wake:
			c.pass(ctx, false)
		}
	}
}
