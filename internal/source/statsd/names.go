package statsd

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// target is a series that lines are counted in.
type target struct {
	series  *metric.Series
	limits  []float64 // buckets of a histogram
	scale   float64   // of what a histogram is sent, to the unit of its name
	summary *summary  // of a histogram, where percentiles are asked for

	// Guarded by names.mu.
	users int       // slots that have it
	since time.Time // when the last of them went, or it was found at the start

	// Guarded by sets.mu.
	values map[string]struct{} // of a set, since the last flush
	shown  int                 // how many it had at the last flush
}

// names gives lines the series that they are counted in.
type names struct {
	cfg    *Config
	reg    *metric.Registry
	owner  string   // of all families but those of sets
	sets   string   // owner of those
	timers string   // owner of the gauges of timers
	stats  []string // which these are; none: there are no such gauges

	mu      sync.Mutex // guards all below
	targets map[*metric.Series]*target
	retired uint64 // series that went for want of lines
	text    []byte // scratch
}

// Owners returns who owns the families of a source of that name, so that they can be forgotten
// with it.
func Owners(source string) []string {
	return []string{"statsd/" + source, "statsd sets/" + source, "statsd timers/" + source}
}

// newNames takes over the series of before a restart or reload. Histograms whose buckets
// are others now begin anew.
func newNames(cfg *Config, reg *metric.Registry, source string) *names {
	owners := Owners(source)
	n := &names{cfg: cfg, reg: reg, owner: owners[0], sets: owners[1], timers: owners[2], targets: map[*metric.Series]*target{}}
	if len(cfg.Percentiles) > 0 {
		n.stats = newStats(cfg.Percentiles).names
	}
	now := time.Now()
	for _, owner := range owners {
		for _, d := range reg.Restored(owner) {
			if d.MaxSeries = cfg.MaxSeriesPerName; n.fits(d) {
				_, _ = reg.Family(d) // if something else has its name it is gone
			}
		}
		for _, f := range reg.Owned(owner) {
			if !n.fits(f.Desc()) {
				reg.Forget(f.Desc().Name)
				continue
			}
			if owner == n.timers {
				continue // they go with the timer
			}
			f.Each(func(s *metric.Series) bool {
				n.targets[s] = &target{series: s, since: now}
				return true
			})
		}
	}
	return n
}

func (n *names) fits(d metric.Desc) bool {
	if d.Owner == n.timers && len(n.stats) == 0 {
		return false
	}
	return d.Kind != metric.Histogram || slices.Equal(d.Buckets, n.cfg.Buckets)
}

// restoredSets returns the targets of sets that were there before the start: what was counted
// for their last interval holds no longer.
func (n *names) restoredSets() (all []*target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, t := range n.targets {
		if s.Family().Desc().Owner == n.sets {
			all = append(all, t)
		}
	}
	return all
}

// target returns what the present metric of p is counted in, for a slot; or nil, and what
// becomes of its lines instead.
func (n *names) target(p *wire.Parser, dialect wire.Dialect) (*target, fate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	raw := p.Name
	if dialect == wire.StatsD {
		n.text = wire.AppendName(n.text[:0], raw)
		raw = n.text
	}
	if len(raw) == 0 {
		return nil, noName
	}
	d := n.desc(raw, p.Type)
	if strings.HasPrefix(d.Name, "weir_") {
		return nil, nameTaken
	}
	full := len(n.targets) >= n.cfg.MaxSeries
	if full && !n.hasFamily(d) {
		return nil, tooMany
	}
	f, err := n.reg.Family(d)
	if err != nil {
		return nil, nameTaken
	}
	labels := labelsOf(f, p.Tags, "")
	if full && f.Find(labels...) == nil {
		return nil, tooMany
	}
	s := f.Series(labels...)
	if s.IsOverflow() && d.Kind == metric.Gauge {
		return nil, tooManyNamed
	}
	t := n.targets[s]
	if t == nil {
		t = &target{series: s}
		n.targets[s] = t
	}
	if t.users++; d.Kind == metric.Histogram {
		t.limits, t.scale = n.cfg.Buckets, scaleOf(p.Type)
		if len(n.stats) > 0 && t.summary == nil && !s.IsOverflow() {
			t.summary = n.summary(raw, p.Tags)
		}
	}
	return t, counted
}

// summary returns the gauges of a timer, nil if they cannot be.
func (n *names) summary(raw []byte, tags wire.Tags) *summary {
	f, err := n.reg.Family(metric.Desc{
		Free: true, Durable: true, Owner: n.timers, MaxSeries: n.cfg.MaxSeriesPerName * len(n.stats), Kind: metric.Gauge,
		Name: metricName(raw) + "_timer", Help: "What the values of an interval come to, in the client's unit.",
	})
	if err != nil {
		return nil
	}
	labels := labelsOf(f, tags, statLabel)
	m := &summary{}
	for _, stat := range n.stats {
		s := f.Series(withLabel(labels, statLabel, stat)...)
		if s.IsOverflow() {
			return nil
		}
		m.series = append(m.series, s)
	}
	return m
}

// withLabel returns sorted names and values of labels with one more.
func withLabel(labels []string, name, value string) []string {
	i := 0
	for i < len(labels) && labels[i] < name {
		i += 2
	}
	return slices.Insert(slices.Clone(labels), i, name, value)
}

// restoredTimers returns the gauges of timers from before the start.
func (n *names) restoredTimers() (all []*metric.Series) {
	for _, f := range n.reg.Owned(n.timers) {
		f.Each(func(s *metric.Series) bool { all = append(all, s); return true })
	}
	return all
}

func scaleOf(typ wire.Type) float64 {
	if typ == wire.Timer {
		return 1e-3
	}
	return 1
}

func (n *names) hasFamily(d metric.Desc) bool {
	return slices.ContainsFunc(n.reg.Owned(d.Owner), func(f *metric.Family) bool { return f.Desc().Name == d.Name })
}

// desc returns the family of a name and type. Each type has a name of its own, since StatsD's
// servers take one name for several.
func (n *names) desc(raw []byte, typ wire.Type) metric.Desc {
	name := metricName(raw)
	d := metric.Desc{
		Free: true, Durable: true, Owner: n.owner, MaxSeries: n.cfg.MaxSeriesPerName,
		Help: "StatsD " + typ.String() + " " + strings.ToValidUTF8(string(raw), "\uFFFD") + ".",
	}
	switch typ {
	case wire.Counter:
		d.Name = suffixed(name, "_total")
	case wire.Gauge:
		d.Kind, d.Name = metric.Gauge, name
	case wire.Set:
		d.Kind, d.Name, d.Owner = metric.Gauge, suffixed(name, "_unique"), n.sets
	case wire.Timer:
		d.Kind, d.Name, d.Buckets = metric.Histogram, suffixed(name, "_seconds"), n.cfg.Buckets
	default:
		d.Kind, d.Name, d.Buckets = metric.Histogram, name, n.cfg.Buckets
	}
	return d
}

func suffixed(name, suffix string) string {
	if strings.HasSuffix(name, suffix) {
		return name
	}
	return name + suffix
}

// maxName is where names are cut.
const maxName = 512

// metricName returns a name as Prometheus has them: what is neither letter nor digit is _.
func metricName(raw []byte) string {
	var b strings.Builder
	if c := raw[0]; c >= '0' && c <= '9' {
		b.WriteByte('_')
	}
	for _, c := range raw[:min(len(raw), maxName)] {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c < '0' || c > '9' {
				c = '_'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// labelsOf returns tags as names and values of labels, in order; of tags with the same name the last
// one counts. A tag without a value is true. Reserved is a name that no tag may have.
func labelsOf(f *metric.Family, tags wire.Tags, reserved string) []string {
	byName := map[string]string{}
	for {
		k, v, ok := tags.Next()
		if !ok {
			break
		}
		if k = bytes.TrimSpace(k); len(k) == 0 {
			continue
		}
		name := metricName(k)
		if !f.ValidLabel(name) || name == reserved {
			name = "tag_" + strings.TrimLeft(name, "_")
		}
		value := "true"
		if len(v) > 0 {
			value = strings.ToValidUTF8(string(v), "\uFFFD")
		}
		byName[name] = value
	}
	var labels []string
	for _, l := range record.NewLabels(byName) {
		labels = append(labels, l.Name, l.Value)
	}
	return labels
}

// release says that slots do not need these targets any more.
func (n *names) release(targets []*target, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range targets {
		if t.users--; t.users == 0 {
			t.since = now
		}
	}
}

// expire retires the series that no slot has had since a time.
func (n *names) expire(since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, t := range n.targets {
		if t.users > 0 || t.since.After(since) || s.IsOverflow() {
			continue
		}
		s.Family().Retire(s)
		if t.summary != nil {
			for _, one := range t.summary.series {
				one.Family().Retire(one)
			}
		}
		delete(n.targets, s)
		n.retired++
	}
}
