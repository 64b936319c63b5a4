package statsd

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Client sends metrics to a server. All methods may be called by any number of goroutines
// at the same time, none blocks for the server, and on a nil Client all do nothing.
//
// Names, tags and members of sets may be any text: what has a meaning in the protocol, what
// ends a line somewhere and what is not UTF-8 becomes an underscore.
type Client struct {
	scope scope
	core  *core
}

// core is what a client and those derived from it have in common.
type core struct {
	settings
	queue     *queue
	texts     *texts
	aggregate *aggregate // nil if every call is a line
	sender    *sender
}

// with returns a client that shares everything with c but its scope.
func (c *Client) with(change func(*scope)) *Client {
	if c == nil {
		return nil
	}
	s := c.scope
	change(&s)
	return &Client{scope: newScope(s), core: c.core}
}

// WithPrefix returns a client that puts prefix and a dot before each name, after what c
// puts there. It shares everything else with c, and closing one closes both.
func (c *Client) WithPrefix(prefix string) *Client {
	return c.with(func(s *scope) { s.prefix += safePrefix(prefix) })
}

// WithTags returns a client that adds tags to those of every metric. It shares everything
// else with c, and closing one closes both.
func (c *Client) WithTags(tags ...string) *Client {
	return c.with(func(s *scope) { s.tags = string(s.appendTags([]byte(s.tags), tags, s.tags != "")) })
}

// WithRate returns a client that records only that share of the calls, chosen at random,
// and tells the server so, which multiplies. The rate is above 0 and below 1; anything else
// records all, whatever c's own rate is. It holds for counters, timers, histograms and
// distributions; gauges, sets, events and service checks are always recorded. It shares
// everything else with c.
func (c *Client) WithRate(rate float64) *Client {
	if !(rate > 0 && rate < 1) {
		rate = 1
	}
	return c.with(func(s *scope) { s.rate = rate })
}

func safePrefix(prefix string) string {
	prefix = strings.Trim(prefix, ".")
	if prefix == "" {
		return ""
	}
	return string(appendSafe(nil, prefix, inName)) + "."
}

// chosen says whether a call is among those that are recorded.
func (s *scope) chosen() bool { return s.rate == 1 || s.draw() }

//go:noinline // so that chosen is inlined
func (s *scope) draw() bool { return rand.Float64() < s.rate }

// Incr adds n to a counter.
func (c *Client) Incr(name string, n int64, tags ...string) {
	if c == nil || !c.scope.chosen() {
		return
	}
	if a := c.core.aggregate; a == nil || !a.count(&c.scope, name, tags, n) {
		c.integer(name, tags, n)
	}
}

// Decr takes n from a counter.
func (c *Client) Decr(name string, n int64, tags ...string) { c.Incr(name, -n, tags...) }

// Add adds v, which need not be whole, to a counter. NaN and infinities are dropped.
func (c *Client) Add(name string, v float64, tags ...string) {
	if c != nil && c.scope.chosen() {
		c.record(counter, metric{name, tags}, reading{value: v})
	}
}

// Gauge sets a gauge to v. NaN and infinities are dropped.
func (c *Client) Gauge(name string, v float64, tags ...string) {
	if c != nil {
		c.record(gauge, metric{name, tags}, reading{value: v})
	}
}

// GaugeDelta changes a gauge by v. The DogStatsD dialect has no changes: there the call is
// dropped as invalid.
func (c *Client) GaugeDelta(name string, v float64, tags ...string) {
	if c == nil {
		return
	}
	if !c.scope.signed() {
		c.core.queue.drop(invalid, 1)
		return
	}
	c.record(gauge, metric{name, tags}, reading{value: v, delta: true})
}

// Timing records that something took d. It is sent in milliseconds, with all digits. Servers
// refuse a time below zero, so it is dropped here as invalid.
func (c *Client) Timing(name string, d time.Duration, tags ...string) {
	if c != nil && c.scope.chosen() {
		c.record(timer, metric{name, tags}, reading{time: d, isTime: true})
	}
}

// Milliseconds is Timing for a time that is a number already. NaN and infinities are
// dropped, too.
func (c *Client) Milliseconds(name string, ms float64, tags ...string) {
	if c != nil && c.scope.chosen() {
		c.record(timer, metric{name, tags}, reading{value: ms})
	}
}

// Histogram records v for a histogram of the server. Servers that do not know the type,
// etsy's among them, take it for a counter.
func (c *Client) Histogram(name string, v float64, tags ...string) {
	if c != nil && c.scope.chosen() {
		c.record(histogram, metric{name, tags}, reading{value: v})
	}
}

// Distribution records v for a distribution, which is a histogram over all hosts. Servers
// that do not know the type, etsy's among them, take it for a counter.
func (c *Client) Distribution(name string, v float64, tags ...string) {
	if c != nil && c.scope.chosen() {
		c.record(distribution, metric{name, tags}, reading{value: v})
	}
}

// Set adds a member to a set, of which the server counts the different ones.
func (c *Client) Set(name, member string, tags ...string) {
	if c != nil {
		c.record(set, metric{name, tags}, reading{member: member})
	}
}

// A Timer measures a time from StartTimer on, with the monotonic clock.
type Timer struct {
	client *Client
	name   string
	start  time.Time
}

// StartTimer starts to measure a time:
//
//	defer client.StartTimer("render").Stop("page:home")
func (c *Client) StartTimer(name string) Timer {
	if c == nil {
		return Timer{}
	}
	return Timer{c, name, time.Now()}
}

// Stop records the time since the start, and returns it. Each call records one. The zero
// Timer, or that of a nil client, records nothing and returns 0.
func (t Timer) Stop(tags ...string) time.Duration {
	if t.client == nil {
		return 0
	}
	d := time.Since(t.start)
	t.client.Timing(t.name, d, tags...)
	return d
}

// record adds a reading to what is added up, or makes a line of it.
func (c *Client) record(k kind, m metric, r reading) {
	switch {
	case !finite(r.value) || k == set && r.member == "" || k == timer && (r.value < 0 || r.time < 0):
		c.core.queue.drop(invalid, 1)
		return
	case len(r.member) > maxLine:
		c.core.queue.drop(tooLong, 1)
		return
	}
	a := c.core.aggregate
	if a != nil && (k == counter || k == gauge || k == set || a.pack) && a.note(&c.scope, k, m, r) {
		return
	}
	c.line(k, m, r)
}

// line makes a line of a reading.
func (c *Client) line(k kind, m metric, r reading) {
	s, q := &c.scope, c.core.queue
	if t := c.core.texts.find(s, k, m.name, m.tags); t != nil && len(r.member) < maxLine/4 {
		if buf, ok := q.begin(1); ok {
			if k.clears(s, r) {
				buf = append(append(append(append(buf, t.head...), '0'), t.end...), '\n')
			}
			buf = s.appendReading(append(buf, t.head...), k, r)
			q.end(append(buf, t.end...), 1)
		}
		return
	}
	buf, ok := c.begin(m)
	if !ok {
		return
	}
	if k.clears(s, r) {
		buf = append(s.appendHead(buf, k, m.name, m.tags), '0')
		buf = append(s.appendEnd(buf, k, m.tags), '\n')
	}
	buf = s.appendReading(s.appendHead(buf, k, m.name, m.tags), k, r)
	q.end(s.appendEnd(buf, k, m.tags), 1)
}

// clears says whether a gauge has to be set to 0 before a reading: it is negative, and a
// server takes a line with a sign for a change.
func (k kind) clears(s *scope, r reading) bool {
	return k == gauge && !r.delta && r.value < 0 && s.signed()
}

// integer makes a line of a counter's amount.
func (c *Client) integer(name string, tags []string, n int64) {
	s, q := &c.scope, c.core.queue
	if t := c.core.texts.find(s, counter, name, tags); t != nil {
		if buf, ok := q.begin(1); ok {
			buf = strconv.AppendInt(append(buf, t.head...), n, 10)
			q.end(append(buf, t.end...), 1)
		}
		return
	}
	buf, ok := c.begin(metric{name, tags})
	if !ok {
		return
	}
	buf = strconv.AppendInt(s.appendHead(buf, counter, name, tags), n, 10)
	q.end(s.appendEnd(buf, counter, tags), 1)
}

// begin is queue.begin for a line about m, if there can be one.
func (c *Client) begin(m metric) ([]byte, bool) {
	size := len(m.name)
	for _, tag := range m.tags {
		size += len(tag)
	}
	switch {
	case m.name == "":
		c.core.queue.drop(invalid, 1)
		return nil, false
	case size > maxLine:
		c.core.queue.drop(tooLong, 1)
		return nil, false
	}
	return c.core.queue.begin(1)
}
