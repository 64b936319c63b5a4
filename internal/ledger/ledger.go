// Package ledger keeps, for every component of a running weir, what a user needs to trust
// it: what it took in and gave out, what it dropped and why, how far it is behind, and
// whether it works or what to do when it does not.
//
//	c := l.Component("source", "access", "file")
//	c.Dropped("too long", 1)
//	c.Degraded("open access.log: permission denied", "add weir's user to the group adm")
//	c.Healthy()
//
// The numbers are volatile families of the registry given to New, so /metrics shows them;
// Components lists them with their states for the status page. Counts about records are
// not kept here: they ride on commits. All methods may be called concurrently.
package ledger

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// sampleEvery is how often one component shows a bad input in the log.
const sampleEvery = 10 * time.Second

// maxSampleBytes is how much of a bad input is shown.
const maxSampleBytes = 120

// Ledger is the list of components.
type Ledger struct {
	log      *slog.Logger
	families families

	mu         sync.Mutex // guards components
	components []*Component
}

type families struct{ up, dropped, sent, events, behindBytes, behindSeconds *metric.Family }

// New returns a ledger whose numbers are families of reg. Changes of state are logged to log.
func New(reg *metric.Registry, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{log: log}
	var first error
	family := func(name, help string, kind metric.Kind, labels ...string) *metric.Family {
		f, err := reg.Family(metric.Desc{Name: name, Help: help, Kind: kind, Owner: "ledger", Labels: append([]string{"component"}, labels...), MaxSeries: 10000})
		if err != nil && first == nil {
			first = err
		}
		return f
	}
	l.families = families{
		up:            family("weir_component_up", "1 while the component works, 0 while it is degraded.", metric.Gauge),
		dropped:       family("weir_component_dropped_total", "What the component dropped, by reason.", metric.Counter, "reason"),
		sent:          family("weir_component_sent_total", "What the component delivered; lines that say what is missing are not counted.", metric.Counter),
		events:        family("weir_component_events_total", "What happened to the component, by kind of event.", metric.Counter, "event"),
		behindBytes:   family("weir_component_behind_bytes", "Bytes that exist and were not read or sent yet.", metric.Gauge),
		behindSeconds: family("weir_component_behind_seconds", "Age of the oldest data not read or sent yet.", metric.Gauge),
	}
	return l, first
}

// Component returns the component of that kind ("source", "rule", "sink", "journal",
// "http") and name, making it if need be. typ is its type in the configuration.
func (l *Ledger) Component(kind, name, typ string) *Component {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.components {
		if c.Kind == kind && c.Name == name {
			return c
		}
	}
	id := kind + "/" + name
	c := &Component{Kind: kind, Name: name, Type: typ, ledger: l, log: l.log.With(kind, name), id: id, up: l.families.up.Series(id), since: time.Now()}
	c.up.Set(1)
	l.components = append(l.components, c)
	return c
}

// Remove forgets the component, as after a reload that took it out of the configuration.
func (l *Ledger) Remove(c *Component) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.components = slices.DeleteFunc(l.components, func(o *Component) bool { return o == c })
}

// Components returns all components, by kind and name.
func (l *Ledger) Components() []*Component {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.components)
	slices.SortFunc(all, func(a, b *Component) int { return strings.Compare(a.id, b.id) })
	return all
}

// Component is one source, rule or sink.
type Component struct {
	Kind, Name, Type string

	ledger *Ledger
	log    *slog.Logger
	id     string
	up     *metric.Series

	mu        sync.Mutex // guards below
	problem   string     // "" while healthy
	remedy    string
	since     time.Time // of the present state
	sampled   time.Time // when the last bad input was shown
	unsampled int       // bad inputs not shown since
}

// State is whether a component works.
type State struct {
	Healthy bool
	Problem string // what is wrong; "" when healthy
	Remedy  string // what the user can do
	Since   time.Time
}

// State returns the present state.
func (c *Component) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{Healthy: c.problem == "", Problem: c.problem, Remedy: c.remedy, Since: c.since}
}

// Degraded says that the component cannot do all its work, why, and what to do. The log
// shows it once for each change.
func (c *Component) Degraded(problem, remedy string) {
	c.mu.Lock()
	changed := c.problem != problem
	if changed {
		c.problem, c.remedy, c.since = problem, remedy, time.Now()
	}
	c.mu.Unlock()
	if changed {
		c.up.Set(0)
		c.log.Warn("degraded", "problem", problem, "remedy", remedy)
	}
}

// Healthy says that the component works (again).
func (c *Component) Healthy() {
	c.mu.Lock()
	changed, since := c.problem != "", c.since
	if changed {
		c.problem, c.remedy, c.since = "", "", time.Now()
	}
	c.mu.Unlock()
	if changed {
		c.up.Set(1)
		c.log.Info("working again", "after", time.Since(since).Round(time.Millisecond).String())
	}
}

// Dropped counts n things that were given up for a reason, a short constant phrase.
func (c *Component) Dropped(reason string, n int) {
	c.ledger.families.dropped.Series(c.id, reason).Add(float64(n))
}

// Sent counts n things that were delivered.
func (c *Component) Sent(n int) { c.ledger.families.sent.Series(c.id).Add(float64(n)) }

// Event counts one occurrence of a short constant phrase: "rotated", "reconnected".
func (c *Component) Event(event string) { c.ledger.families.events.Series(c.id, event).Add(1) }

// Events counts n of them.
func (c *Component) Events(event string, n int) {
	c.ledger.families.events.Series(c.id, event).Add(float64(n))
}

// BehindBytes sets how much exists that the component has not handled.
func (c *Component) BehindBytes(n int64) {
	c.ledger.families.behindBytes.Series(c.id).Set(float64(n))
}

// Behind sets the age of the oldest thing that the component has not handled.
func (c *Component) Behind(d time.Duration) {
	c.ledger.families.behindSeconds.Series(c.id).Set(d.Seconds())
}

// Bad counts one bad input as dropped for reason and shows it in the log, shortened, at
// most once in ten seconds.
func (c *Component) Bad(reason string, input []byte) {
	c.Dropped(reason, 1)
	c.sample(reason, input)
}

// Odd is Bad for an input of which nothing was dropped: it is counted as an event.
func (c *Component) Odd(event string, input []byte) {
	c.Event(event)
	c.sample(event, input)
}

// sample shows an input in the log, now and then.
func (c *Component) sample(reason string, input []byte) {
	c.mu.Lock()
	now := time.Now()
	show := now.Sub(c.sampled) >= sampleEvery
	hidden := c.unsampled
	if show {
		c.sampled, c.unsampled = now, 0
	} else {
		c.unsampled++
	}
	c.mu.Unlock()
	if show {
		c.log.Warn("bad input", "reason", reason, "bytes", len(input), "input", Shorten(input), "not_shown_before", hidden)
	}
}

// Shorten returns the start of b as valid text, marked when something was cut off.
func Shorten(b []byte) string {
	if len(b) <= maxSampleBytes {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(b[:maxSampleBytes]), "\uFFFD") + "…"
}
