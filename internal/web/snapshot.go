package web

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Snapshot is all that the page and the APIs show, at one moment. Whoever makes it leaves
// lists in the order in which they are to be read.
type Snapshot struct {
	Node     string      `json:"node"`
	Version  string      `json:"version"`
	Now      time.Time   `json:"now"`
	Started  time.Time   `json:"started"`
	Problems []Problem   `json:"problems"`
	Sources  []Source    `json:"sources"`
	Rules    []Rule      `json:"rules"`
	Sinks    []Component `json:"sinks"`
	// Containers are those that are measured.
	Containers []Container `json:"containers"`
	// PastOf is how long the past is that the page shows; zero if there is none.
	PastOf time.Duration `json:"-"`
	// Components are all components of the ledger, sources and sinks included.
	Components []Component `json:"components"`
}

// Problem is something the user should know, and what to do about it.
type Problem struct {
	Component string `json:"component"` // "source/access"
	// Warning marks what is odd; without it something does not work.
	Warning bool      `json:"warning,omitempty"`
	Problem string    `json:"problem"`
	Remedy  string    `json:"remedy,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Source is a source with its streams.
type Source struct {
	Component
	Streams []Stream `json:"streams"`
}

// Stream is a stream and how far it was read.
type Stream struct {
	ID     string        `json:"id"`
	Labels record.Labels `json:"-"`
	// State is a word or two: "reading", "gone", "waiting for permission".
	State string  `json:"state"`
	Lines float64 `json:"lines"`
	Bytes float64 `json:"bytes"`
	// Rate is in lines a second. The handler sets it from the Lines of an earlier
	// snapshot; negative while it is not known.
	Rate        float64   `json:"rate"`
	BehindBytes float64   `json:"behind_bytes"`
	Last        time.Time `json:"last,omitzero"` // when the last line came
	Gaps        float64   `json:"gaps"`
}

// Rule is a rule and what it made of the lines it was given.
type Rule struct {
	Name      string  `json:"name"`
	Match     string  `json:"match"`
	Matched   float64 `json:"matched"`   // lines that it parsed, or took as they are
	Unmatched float64 `json:"unmatched"` // lines of its streams that it could not parse
	// Samples are a few of the last lines that it could not parse, redacted.
	Samples  []string  `json:"samples,omitempty"`
	Counters []Counter `json:"counters"`
}

// Counter is a number that a rule makes, with its series, greatest first.
type Counter struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Labels []string `json:"labels"`
	Series []Series `json:"series"`
	// Overflow is what series beyond the rule's bound have counted.
	Overflow float64 `json:"overflow,omitempty"`
	More     int     `json:"more,omitempty"` // series that are not listed
}

// Series is one series of a counter. For a histogram, Value is the count and Sum the sum.
type Series struct {
	Values []string `json:"values"`
	Value  float64  `json:"value"`
	Sum    float64  `json:"sum,omitempty"`
	// Past is how fast Value grew before now, in a second, in steps of equal length of which
	// the newest is the last; NaN where it is not known. Nil if nothing is.
	Past []float64 `json:"-"`
}

// Component is a component of the ledger.
type Component struct {
	ID            string             `json:"id"` // "source/access"
	Kind          string             `json:"kind"`
	Name          string             `json:"name"`
	Type          string             `json:"type"`
	Detail        string             `json:"detail,omitempty"` // an address, a path
	Healthy       bool               `json:"healthy"`
	Problem       string             `json:"problem,omitempty"`
	Remedy        string             `json:"remedy,omitempty"`
	Since         time.Time          `json:"since,omitzero"`
	Sent          float64            `json:"sent"`
	LastFlush     time.Time          `json:"last_flush,omitzero"`
	Dropped       map[string]float64 `json:"dropped,omitempty"` // by reason
	Events        map[string]float64 `json:"events,omitempty"`
	BehindBytes   float64            `json:"behind_bytes"`
	BehindSeconds float64            `json:"behind_seconds"`
}

// Components returns what l and its numbers in reg say about every component.
func Components(l *ledger.Ledger, reg *metric.Registry) []Component {
	var all []Component
	at := map[string]int{}
	for _, c := range l.Components() {
		state := c.State()
		id := c.Kind + "/" + c.Name
		at[id] = len(all)
		all = append(all, Component{
			ID: id, Kind: c.Kind, Name: c.Name, Type: c.Type,
			Healthy: state.Healthy, Problem: state.Problem, Remedy: state.Remedy, Since: state.Since,
		})
	}
	reg.Each(func(f *metric.Family, s *metric.Series) bool {
		d := f.Desc()
		if d.Owner != "ledger" || len(s.Values()) == 0 {
			return true
		}
		i, ok := at[s.Values()[0]]
		if !ok {
			return true
		}
		switch c, v := &all[i], s.Value(); d.Name {
		case "weir_component_sent_total":
			c.Sent = v
		case "weir_component_dropped_total":
			c.Dropped = with(c.Dropped, s.Values()[1], v)
		case "weir_component_events_total":
			c.Events = with(c.Events, s.Values()[1], v)
		case "weir_component_behind_bytes":
			c.BehindBytes = v
		case "weir_component_behind_seconds":
			c.BehindSeconds = v
		}
		return true
	})
	return all
}

func with(m map[string]float64, key string, v float64) map[string]float64 {
	if m == nil {
		m = map[string]float64{}
	}
	m[key] = v
	return m
}

// Problems returns the components that do not work.
func Problems(components []Component) (problems []Problem) {
	for _, c := range components {
		if !c.Healthy {
			problems = append(problems, Problem{Component: c.ID, Problem: c.Problem, Remedy: c.Remedy, Since: c.Since})
		}
	}
	return problems
}

// CounterOf returns the series of f under a name, the limit greatest; 0 means all.
func CounterOf(name string, f *metric.Family, limit int) Counter {
	d := f.Desc()
	c := Counter{Name: name, Kind: d.Kind.String(), Labels: d.Labels, Series: []Series{}}
	f.Each(func(s *metric.Series) bool {
		one := Series{Values: s.Values(), Value: s.Value()}
		if d.Kind == metric.Histogram {
			one.Value, one.Sum = s.Count(), s.Sum()
		}
		if s.IsOverflow() {
			c.Overflow = one.Value
			return true
		}
		c.Series = append(c.Series, one)
		return true
	})
	slices.SortStableFunc(c.Series, func(a, b Series) int { return cmp.Compare(b.Value, a.Value) })
	if limit > 0 && len(c.Series) > limit {
		c.More = len(c.Series) - limit
		c.Series = c.Series[:limit]
	}
	return c
}

// finish makes a snapshot fit to be shown: JSON knows no NaN, and lists are never null.
func (s *Snapshot) finish() {
	for i := range s.Rules {
		for j := range s.Rules[i].Counters {
			series := s.Rules[i].Counters[j].Series
			for k := range series {
				series[k].Value, series[k].Sum = finite(series[k].Value), finite(series[k].Sum)
			}
		}
		s.Rules[i].Counters = orEmpty(s.Rules[i].Counters)
	}
	for i := range s.Sources {
		s.Sources[i].Streams = orEmpty(s.Sources[i].Streams)
	}
	s.Problems = append(orEmpty(s.Problems), s.oddities()...)
	slices.SortStableFunc(s.Problems, func(a, b Problem) int {
		switch {
		case a.Warning == b.Warning:
			return 0
		case a.Warning:
			return 1
		}
		return -1
	})
	s.Sources, s.Rules, s.Sinks, s.Components = orEmpty(s.Sources), orEmpty(s.Rules), orEmpty(s.Sinks), orEmpty(s.Components)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// minUnmatched is how many lines a rule must have missed before that is odd.
const minUnmatched = 10

// oddities are things that work as told and are likely not meant.
func (s *Snapshot) oddities() (odd []Problem) {
	for _, r := range s.Rules {
		component := "rule/" + r.Name
		if r.Matched == 0 && r.Unmatched >= minUnmatched {
			odd = append(odd, Problem{
				Component: component, Warning: true, Problem: "none of " + grouped(r.Unmatched) + " lines matched",
				Remedy: "pipe one of them into: weir why",
			})
		}
		for _, c := range r.Counters {
			if c.Overflow != 0 {
				odd = append(odd, Problem{
					Component: component, Warning: true, Problem: c.Name + " has more label values than it may have series",
					Remedy: "count by fewer fields, or raise max_series",
				})
			}
		}
	}
	return odd
}
