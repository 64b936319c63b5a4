package stats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/codec/cgroup"
	"github.com/weirlog/weir/internal/dockerapi"
)

// container is one that exists, as far as is known.
type container struct {
	id, name string
	details  dockerapi.Details
	look     bool // something happened to it: the engine has to be asked
	running  bool // paused counts as running
	fresh    bool // not measured in this run
	files    *files
	limits   limits
	basis    basis   // what the processor's share is counted from
	percent  float64 // the share; negative: not known yet
	ooms     float64 // told by the engine's events
	killed   uint64  // by the kernel's count, in runs before this one
	kills    uint64  // by the kernel's count, in this run
	before   float64 // how often it was out of memory before this run
	own      owned
}

// basis is a moment from which the processor's time is counted.
type basis struct {
	at            time.Time
	usage, system uint64
}

// pass takes in what was heard and measures: every container at a tick, else those that have
// just started.
func (c *Collector) pass(ctx context.Context, tick bool) {
	c.takeMarks()
	c.lookAll(ctx)
	if ctx.Err() != nil {
		return
	}
	c.measureAll(ctx, tick)
	c.expire()
	if tick {
		c.series.collector.Set(float64(c.now().Unix()))
		if c.o.Round != nil && !c.problem && ctx.Err() == nil {
			c.o.Round(c.now())
		}
	}
	c.keep(false)
}

// takeMarks turns what was heard into what is to be done.
func (c *Collector) takeMarks() {
	c.mu.Lock()
	marks, listed, again := c.marks, c.listed, c.again
	c.marks, c.listed, c.again = map[string]mark{}, nil, false
	c.mu.Unlock()
	for id, state := range listed {
		if x := c.container(id); x != nil && (again || state != x.details.Status) {
			x.look = true
		}
	}
	if listed != nil {
		for id, x := range c.containers {
			// The list may be older than the container: that it is gone is for the engine to say.
			_, there := listed[id]
			x.look = x.look || !there
			x.readLimits(c.host)
		}
	}
	for id, m := range marks {
		x := c.container(id)
		if x == nil {
			continue
		}
		x.look = x.look || m.look
		x.ooms += float64(m.ooms)
		if m.ended {
			c.endRun(x)
		}
	}
}

// container returns the container of that id, new if need be; nil for one too many.
func (c *Collector) container(id string) *container {
	x := c.containers[id]
	if x == nil {
		if len(c.containers) >= maxContainers {
			c.o.Ledger.Event("container not measured")
			return nil
		}
		x = &container{id: id, look: true, percent: -1}
		c.containers[id] = x
	}
	return x
}

// answer is what the engine said of a container.
type answer struct {
	x       *container
	details dockerapi.Details
	stats   dockerapi.Stats
	err     error
}

// Why a container is not measured.
var (
	errAway = errors.New("the engine does not answer")
	// ErrUnreadable is told where the files alone are to be read.
	ErrUnreadable = errors.New("the control group's files cannot be read")
)

// ask has the engine answer about each of them, so many at a time.
func (c *Collector) ask(ctx context.Context, all []answer, most int, question func(context.Context, Engine, *answer)) {
	if len(all) == 0 {
		return
	}
	engine, err := c.o.Engine()
	if err != nil {
		for i := range all {
			all[i].err = err
		}
		return
	}
	next := make(chan *answer)
	var asking sync.WaitGroup
	var away atomic.Bool // an engine that hangs is not waited for again and again
	for range min(most, len(all)) {
		asking.Go(func() {
			for a := range next {
				if a.err = errAway; away.Load() {
					continue
				}
				bounded, cancel := context.WithTimeout(ctx, askTimeout)
				question(bounded, engine, a)
				cancel()
				var refused *dockerapi.Error
				if a.err != nil && !errors.As(a.err, &refused) {
					away.Store(true)
				}
			}
		})
	}
	for i := range all {
		next <- &all[i]
	}
	close(next)
	asking.Wait()
}

// lookAll inspects the containers that something happened to. Where the engine does not
// answer, that is done in the next pass.
func (c *Collector) lookAll(ctx context.Context) {
	var all []answer
	for _, x := range c.containers {
		if x.look {
			all = append(all, answer{x: x})
		}
	}
	c.ask(ctx, all, maxLooking, func(ctx context.Context, e Engine, a *answer) { a.details, a.err = e.Inspect(ctx, a.x.id) })
	for i := range all {
		switch a := &all[i]; {
		case a.err == nil:
			c.learn(a.x, &a.details)
		case errors.Is(a.err, dockerapi.ErrNotFound):
			c.forget(a.x)
		}
	}
}

// learn takes what the engine says of a container.
func (c *Collector) learn(x *container, d *dockerapi.Details) {
	name, wanted := c.o.Name(d)
	if !wanted {
		c.disown(x.id, "")
		c.release(x)
		x.own.dropAll()
		x.details, x.look, x.running = *d, false, false // kept, so that it is not asked about each time
		return
	}
	if name != x.name {
		c.rename(x, name)
	}
	running := d.Pid > 0 && d.Running
	if x.running && (!running || !d.Started.Equal(x.details.Started) || d.Pid != x.details.Pid) {
		c.endRun(x)
	}
	x.details, x.look = *d, false
	if running {
		if !x.running {
			x.running, x.fresh, x.before = true, true, x.outOfMemory()
		}
		x.files = nil
		if c.o.Read != ReadAPI {
			x.files = c.host.locate(d)
		}
		x.limits = limitsOf(d)
		x.readLimits(c.host)
	}
	if !running && d.OOMKilled && x.outOfMemory() == x.before {
		x.ooms = x.before + 1 // neither the event nor the kernel's count was seen
	}
	c.publishFacts(x)
}

// outOfMemory is how often x was out of memory, as far as is known.
func (x *container) outOfMemory() float64 { return max(x.ooms, float64(x.killed+x.kills)) }

// endRun takes away what a container used in a run that is over.
func (c *Collector) endRun(x *container) {
	x.running, x.fresh, x.files = false, false, nil
	x.basis, x.percent = basis{}, -1
	x.killed, x.kills = x.killed+x.kills, 0
	x.own.dropUsage()
}

// measureAll measures the running containers.
func (c *Collector) measureAll(ctx context.Context, tick bool) {
	c.host.measure()
	if tick {
		c.round = c.now()
	}
	var rest []answer
	var failed error
	measured := false
	for _, x := range c.containers {
		if !x.running || !tick && !x.fresh {
			continue
		}
		measured = true
		switch {
		case x.files != nil:
			c.readOne(x)
		case c.o.Read == ReadFile:
			failed = fmt.Errorf("measure container %s: %w", x.name, ErrUnreadable)
		default:
			rest = append(rest, answer{x: x})
		}
	}
	c.ask(ctx, rest, maxWaiting, func(ctx context.Context, e Engine, a *answer) { a.stats, a.err = e.Stats(ctx, a.x.id) })
	for i := range rest {
		if err := c.take(&rest[i]); err != nil {
			failed = err
		}
	}
	if ctx.Err() == nil && measured && (failed != nil || c.problem) {
		c.problem = failed != nil
		c.o.Problem(failed)
	}
}

// readOne measures a container by its files.
func (c *Collector) readOne(x *container) {
	s := &c.host.sample
	if err := c.host.read(s, x.files); err != nil {
		// It ended a moment ago, or the files were taken from us: the engine knows.
		x.files, x.look = nil, true
		return
	}
	s.at = c.now()
	c.publish(x, s)
}

// take takes what the engine measured.
func (c *Collector) take(a *answer) error {
	switch {
	case a.err == nil && !a.stats.Read.IsZero():
		s := &c.host.sample
		s.fromEngine(&a.stats)
		s.at = c.now()
		c.publish(a.x, s)
	case a.err == nil, errors.Is(a.err, dockerapi.ErrNotFound), errors.Is(a.err, dockerapi.ErrConflict):
		a.x.look = true // it does not run any more
	default:
		return a.err
	}
	return nil
}

// minSpan is how long the processor's share is counted at least: its clock has hundredths of
// a second.
const minSpan = 500 * time.Millisecond

// share brings the processor's share of x up to date: how many processors it kept busy since
// the measurement before.
func (x *container) share(s *sample) {
	switch b := x.basis; {
	case s.cpu.Usage == cgroup.None || s.system == cgroup.None:
		return
	case b.at.IsZero():
	case s.at.Sub(b.at) < minSpan:
		return
	default:
		x.percent = share(b, s)
	}
	x.basis = basis{s.at, s.cpu.Usage, s.system}
}
