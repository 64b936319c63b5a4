// Package statsd sends the numbers of windows to a StatsD server: for each series how much
// its counter grew from one boundary of windows to the next.
//
//	s, err := statsd.New(cfg, []statsd.Export{{Family: f, Name: "nginx.status_count"}}, deps)
//	go s.Run(ctx) // nginx.status_count:12|g|#status:200 every 10 s
//
// Windows end at whole multiples of their length on the clock, with or without traffic. A
// series that was silent is sent as 0 until it expires. What was sent is a baseline kept
// in State, so that over restarts no line is missing and none is sent twice; a crash
// between sending and keeping repeats one window. A window can be sent until the next one
// ends: after that a gauge has missed it, which the ledger counts, while a count carries
// it over. A baseline lives as long as its series does in the registry, also when the
// series has expired here, since its counter goes on from there.
//
// Run and Flush may be called concurrently; what they do they do in turn. The package
// leaves out what the numbers mean and how they are made durable.
package statsd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// sendTimeout bounds one attempt to connect and to send what is pending.
	sendTimeout = 5 * time.Second
	// finalTimeout bounds the last attempt, when weir stops.
	finalTimeout = 2 * time.Second
	// maxPause is the longest pause between attempts: well below a window, so that a
	// target that comes back misses as few as can be.
	maxPause = 5 * time.Second
	// chunkBytes is how much goes into a stream at once.
	chunkBytes = 16 << 10
)

// Deps is what a sink sees of the world.
type Deps struct {
	// Name is the sink's name in the configuration; its states are kept under it.
	Name string
	// Ledger is where the sink says how it fares.
	Ledger *ledger.Component
	// State keeps the baselines.
	State State
	// Feeds are the sources whose numbers are sent as well.
	Feeds []Feed
}

// Sink sends windows to one server.
type Sink struct {
	address string
	limit   int // bytes of a packet; 0: a packet for each metric
	deps    Deps
	wall    func() time.Time // time.Now, but in tests
	flushed atomic.Int64     // Unix nanoseconds of the last complete delivery

	turn    chan struct{} // holds a token while free; whoever has it owns all below
	exports []*export
	target  target
	peer    string // what listens there, for people
	own     *own   // what is sent about the sink itself; nil: nothing
	begun   bool
	down    bool      // said so to the ledger
	wrote   bool      // since the last outcome
	bytes   int       // written so far
	lastOK  time.Time // when all that was pending was sent
	retryAt time.Time
	backoff retry.Backoff
	buf     []byte // metrics to be written
	line    []byte
	lines   []sentLine // of buf
	state   []byte
}

// sentLine is a metric in the buffer.
type sentLine struct {
	export *export
	points []*point
	end    int // in the buffer
}

// New returns a sink for exports. What they have counted so far becomes the baseline of
// those that were never sent, so make the sink before sources start. It fails for a
// configuration that Validate refuses and for families that have no windows.
func New(c Config, exports []Export, deps Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s, err := newSink(c, deps)
	if err != nil {
		return nil, err
	}
	s.peer = "StatsD"
	for _, x := range exports {
		made, err := newExport(c, x, deps.Name)
		if err != nil {
			return nil, err
		}
		s.exports = append(s.exports, made)
	}
	for _, f := range deps.Feeds {
		s.exports = append(s.exports, newFeed(c, f, deps.Name))
	}
	s.seed()
	return s, nil
}

// NewGraphite returns a sink that sends exports as lines of Graphite, as New does.
func NewGraphite(c GraphiteConfig, exports []Export, deps Deps) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s, err := newSink(c.common(), deps)
	if err != nil {
		return nil, err
	}
	g := newGraphite(c)
	s.peer, s.own = "Graphite", newOwn(g, c.Window, deps.Feeds)
	for _, x := range exports {
		x.As = ""
		made, err := newExport(c.common(), x, deps.Name)
		if err != nil {
			return nil, err
		}
		made.format, made.stamped = g, true
		s.exports = append(s.exports, made)
	}
	for _, f := range deps.Feeds {
		made := newFeed(c.common(), f, deps.Name)
		made.format, made.stamped, made.carries = g, true, false
		s.exports = append(s.exports, made)
	}
	s.seed()
	return s, nil
}

func newSink(c Config, deps Deps) (*Sink, error) {
	e, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	s := &Sink{
		address: c.Address, limit: c.packetBytes(e), deps: deps, wall: time.Now, turn: make(chan struct{}, 1),
		target:  target{endpoint: e, dial: new(net.Dialer).DialContext},
		backoff: retry.Backoff{Max: maxPause},
	}
	if !e.packets() {
		s.limit = chunkBytes
	}
	s.turn <- struct{}{}
	return s, nil
}

// seed gives those exports a baseline that were never sent. The series of a feed are there
// only once its source is made, so it gets its own when the sink begins.
func (s *Sink) seed() {
	for _, e := range s.exports {
		switch {
		case s.deps.State.Load(e.keys[0]) != nil:
		case e.feed != nil:
			e.fresh = true
		default:
			e.seed(s.wall())
			s.state = e.save(s.deps.State, s.state)
		}
	}
}

func newExport(c Config, x Export, sink string) (*export, error) {
	desc := x.Family.Desc()
	e := &export{Export: x, kind: 'g', parts: []part{value}}
	if e.Window == 0 {
		e.Window = c.Window
	}
	switch {
	case x.As == "count":
		e.kind, e.carries = 'c', true
	case x.As != "" && x.As != "gauge":
		return nil, fmt.Errorf("send %s as %q: use gauge or count", x.Name, x.As)
	}
	switch {
	case desc.Kind == metric.Gauge:
		return nil, fmt.Errorf("send %s: %s is a gauge, which has no windows", x.Name, desc.Name)
	case e.Window < minWindow:
		return nil, fmt.Errorf("send %s: window %v is too short, use at least 1s", x.Name, e.Window)
	case desc.Kind == metric.Histogram:
		e.parts = []part{count, sum}
	}
	e.keys = []string{strings.Join([]string{StatePrefix + sink, desc.Name, desc.Owner, x.Name, string(e.kind), e.Window.String()}, "\x00")}
	e.begin(c)
	return e, nil
}

// newFeed returns the export of a feed, whose counters are sent as such.
func newFeed(c Config, f Feed, sink string) *export {
	f.Registry.KeepOrigins()
	e := &export{Export: Export{Window: c.Window}, kind: 'c', carries: true, feed: &feed{Feed: f, made: time.Now(), origins: map[string]*origin{}}}
	for i := range feedShards {
		e.keys = append(e.keys, strings.Join([]string{StatePrefix + sink, "", f.Owner, strconv.Itoa(i), c.Window.String()}, "\x00"))
	}
	e.begin(c)
	return e
}

func (e *export) begin(c Config) {
	e.format = statsdFormat{writer{prefix: c.Prefix, plain: c.Dialect == Plain}}
	e.points = map[pointKey]*point{}
	e.dirty = make([]bool, len(e.keys))
	e.quiet = uint64((c.Expiry + e.Window - 1) / e.Window)
}

// StatePrefix begins the keys of all states that sinks of this package keep.
const StatePrefix = "statsd\x00"

// States returns the keys of the states that s keeps.
func (s *Sink) States() []string {
	var keys []string
	for _, e := range s.exports {
		keys = append(keys, e.keys...)
	}
	return keys
}

// LastFlush returns when all that was due had last been sent; zero when it never was.
func (s *Sink) LastFlush() time.Time {
	if n := s.flushed.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Run sends windows as they end, until ctx does; then it sends what the unfinished ones
// have, within two seconds, and returns nil. With flow.ErrReload as the cause it leaves
// them to its successor. A target that is down is tried again, calmly.
func (s *Sink) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), flow.ErrReload) {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalTimeout)
				defer cancel()
				_ = s.Flush(last) // the ledger has it
			}
			<-s.turn
			s.target.close()
			s.turn <- struct{}{}
			return nil
		case <-timer.C:
		}
		<-s.turn
		s.step(ctx)
		timer.Reset(time.Until(s.wake()))
		s.turn <- struct{}{}
	}
}

// Flush sends what was counted up to now, in windows that have not ended. The error is
// also in the ledger.
func (s *Sink) Flush(ctx context.Context) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	s.begin()
	err := s.deliver(ctx) // the windows that wait, first
	if err == nil {
		for _, e := range s.exports {
			s.missed(e.cut(true))
		}
		err = s.deliver(ctx)
	}
	s.outcome(err)
	s.save()
	return err
}

// begin takes up the kept state. It is done as late as can be, because before a reload
// another sink of this name is still at work.
func (s *Sink) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.lastOK = time.Now()
	for _, e := range s.exports {
		if e.feed != nil && e.fresh {
			e.seed(s.wall())
			e.fresh = false
		} else if old, damaged := e.load(s.deps.State); damaged {
			s.deps.Ledger.Event("state damaged")
			e.seed(s.wall())
		} else {
			s.missed(e.resume(old, s.wall()))
		}
		e.schedule(s.wall(), time.Now(), false)
	}
	s.own.begin(s.wall(), time.Now())
}

// step ends the windows that are due, and sends what is pending.
func (s *Sink) step(ctx context.Context) {
	first := !s.begun
	s.begin()
	now := time.Now()
	for _, e := range s.exports {
		if !now.Before(e.due) {
			s.missed(e.cut(false))
			e.schedule(s.wall(), now, true)
		}
	}
	s.own.cut(s.wall(), now, s.exports)
	if (first || s.pending()) && !now.Before(s.retryAt) {
		timeout := min(max(time.Until(s.wake()), sendTimeout/10), sendTimeout)
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := s.deliver(attempt)
		cancel()
		if ctx.Err() == nil { // else the end of weir was in the way, and Run tries once more
			s.outcome(err)
		}
	}
	s.save()
}

// wake returns when there is something to do next.
func (s *Sink) wake() time.Time {
	next := time.Now().Add(time.Hour)
	if s.own != nil {
		next = s.own.window.due
	}
	for _, e := range s.exports {
		if e.due.Before(next) {
			next = e.due
		}
	}
	if s.retryAt.Before(next) && time.Now().Before(s.retryAt) && s.pending() {
		next = s.retryAt
	}
	return next
}

func (s *Sink) pending() bool {
	for _, e := range s.exports {
		for _, p := range e.order {
			if p.pending {
				return true
			}
		}
	}
	return s.own.pending()
}

// missed counts what a gauge could not send in time.
func (s *Sink) missed(n float64) {
	if n >= 1 {
		s.deps.Ledger.Dropped("missed window", int(math.Round(min(n, 1<<53))))
	}
}

// outcome tells the ledger how a delivery went. It changes state once for an outage,
// whatever the errors in it are.
func (s *Sink) outcome(err error) {
	now := time.Now()
	refused := s.target.refused
	s.target.refused = false
	if err != nil {
		s.retryAt = now.Add(s.backoff.Next())
		s.deps.Ledger.Behind(now.Sub(s.lastOK))
	} else {
		s.backoff.Reset()
		s.retryAt, s.lastOK = time.Time{}, now
		s.flushed.Store(s.wall().UnixNano())
		s.deps.Ledger.Behind(0)
	}
	switch {
	case err == nil && !refused:
		if s.down && (s.wrote || s.target.network != "udp") { // an unused UDP socket proves nothing
			s.down = false
			s.deps.Ledger.Event("reconnected")
			s.deps.Ledger.Healthy()
		}
	case !s.down:
		s.down = true
		why := "nobody listens there"
		if err != nil {
			why = reason(err)
		}
		s.deps.Ledger.Degraded("send to "+s.address+": "+why, "start the "+s.peer+" server there, or correct the sink's address")
	}
	s.wrote = false
}

// save stores the states that have changed.
func (s *Sink) save() {
	for _, e := range s.exports {
		s.state = e.save(s.deps.State, s.state)
	}
}

// deliver sends all that is pending. What could not be sent stays pending.
func (s *Sink) deliver(ctx context.Context) error {
	began, before := time.Now(), s.bytes
	err := s.deliverAll(ctx)
	s.own.attempted(began, s.bytes-before, err)
	return err
}

func (s *Sink) deliverAll(ctx context.Context) error {
	s.buf, s.lines = s.buf[:0], s.lines[:0]
	if err := s.target.ready(ctx); err != nil {
		return err
	}
	for _, e := range s.exports {
		for i, j := 0, 0; i < len(e.order); i = j {
			for j = i + 1; j < len(e.order) && compareText(e.order[i], e.order[j]) == 0; j++ {
			}
			if err := s.add(ctx, e, e.order[i:j]); err != nil {
				return err
			}
		}
	}
	return s.deliverOwn(ctx)
}

// add puts a metric into the buffer, and writes it when it is full. The points are those
// that look alike on the wire, where one would hide the other.
func (s *Sink) add(ctx context.Context, e *export, points []*point) error {
	value, pending := valueOf(points)
	if !pending {
		return nil
	}
	if absent(value) {
		if points[0].part != stat || !math.IsNaN(value) { // else its interval was without values
			s.deps.Ledger.Dropped("not a number", 1)
		}
		e.settle(points)
		return nil
	}
	s.line = e.format.append(s.line[:0], e, points, value)
	if len(s.line) == 0 {
		e.settle(points)
		return nil
	}
	return s.put(ctx, sentLine{export: e, points: points})
}

// put adds s.line to the buffer.
func (s *Sink) put(ctx context.Context, l sentLine) error {
	if len(s.buf) > 0 && len(s.buf)+1+len(s.line) > s.limit {
		if err := s.write(ctx); err != nil {
			return err
		}
	}
	packets := s.target.packets()
	if packets && len(s.buf) > 0 {
		s.buf = append(s.buf, '\n')
	}
	s.buf = append(s.buf, s.line...)
	if !packets {
		s.buf = append(s.buf, '\n')
	}
	l.end = len(s.buf)
	s.lines = append(s.lines, l)
	return nil
}

// write writes the buffer and settles the lines that went out whole.
func (s *Sink) write(ctx context.Context) error {
	if len(s.buf) == 0 {
		return nil
	}
	n, err := s.target.write(ctx, s.buf)
	s.wrote = true
	s.bytes += n
	tooLong := errors.Is(err, syscall.EMSGSIZE)
	sent := 0
	for _, l := range s.lines {
		if l.end > n && !tooLong {
			break
		}
		if l.export != nil {
			l.export.settle(l.points)
		}
		sent++
	}
	switch {
	case tooLong:
		s.deps.Ledger.Dropped("too long for a packet", sent)
		err = nil
	case sent > 0:
		s.deps.Ledger.Sent(sent)
	}
	s.buf, s.lines = s.buf[:0], s.lines[:0]
	return err
}
