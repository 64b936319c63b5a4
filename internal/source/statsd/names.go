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
	series *metric.Series

	// Guarded by names.mu; timer changes while it has no slot.
	timer *timer // nil: it is no histogram
	users int32  // slots that have it
	since int64  // Unix seconds: when the last of them went, or it was found at the start

	set *set // nil: there was no value for it; guarded by sets.mu
}

// timer is what a histogram's target has.
type timer struct {
	limits  []float64      // buckets
	native  *metric.Native // nil: those are
	summary *summary       // where percentiles are asked for
}

// names gives lines the series that they are counted in.
type names struct {
	cfg    *Config
	reg    *metric.Registry
	owner  string // of all families but those of sets
	sets   string // owner of those
	timers string // owner of the gauges of timers
	rules  []rule
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
	n := &names{cfg: cfg, rules: newRules(cfg), reg: reg, owner: owners[0], sets: owners[1], timers: owners[2], targets: map[*metric.Series]*target{}}
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
				n.targets[s] = &target{series: s, since: now.Unix()}
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
	if d.Kind != metric.Histogram || sameBuckets(d, n.buckets(nil)) {
		return true
	}
	return slices.ContainsFunc(n.rules, func(r rule) bool { return sameBuckets(d, n.buckets(r.Mapping)) })
}

// sameBuckets tells whether two histograms have the same buckets.
func sameBuckets(a, b metric.Desc) bool {
	if a.Native == nil || b.Native == nil {
		return a.Native == b.Native && slices.Equal(a.Buckets, b.Buckets)
	}
	return a.Native.Schema == b.Native.Schema
}

// buckets returns what buckets a histogram has that a mapping is about: its own, or those of
// the source.
func (n *names) buckets(m *Mapping) (d metric.Desc) {
	if m != nil {
		if o := &m.HistogramOptions; o.NativeHistogramBucketFactor != 0 {
			d.Native = metric.NativeFactor(o.NativeHistogramBucketFactor)
			d.Native.MaxBuckets = o.NativeHistogramMaxBuckets
			return d
		}
		if d.Buckets = slices.Concat(m.Buckets, m.HistogramOptions.Buckets); len(d.Buckets) > 0 {
			return d
		}
	}
	if own := n.cfg.Native; own != nil {
		d.Native = metric.NativeFactor(own.Factor)
		d.Native.MaxBuckets = own.MaxBuckets
		return d
	}
	d.Buckets = n.cfg.Buckets
	return d
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

// wanted is what a line asks for.
type wanted struct {
	desc   metric.Desc
	base   string            // name without a suffix
	labels map[string]string // beside the tags
	honor  bool              // tags replace labels
	scale  float64
}

// target returns what the present metric of p is counted in, for a slot, and what its values are
// multiplied by; or nil, and what becomes of its lines instead.
func (n *names) target(p *wire.Parser) (t *target, scale float64, f fate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, f := n.wants(p)
	if f != counted {
		return nil, 0, f
	}
	full := len(n.targets) >= n.cfg.MaxSeries
	if full && !n.hasFamily(x.desc) {
		return nil, 0, tooMany
	}
	family, err := n.family(x.desc)
	if err != nil {
		return nil, 0, nameTaken
	}
	labels := x.labelsOf(family, p.Tags, "")
	if full && family.Find(labels...) == nil {
		return nil, 0, tooMany
	}
	s := family.Series(labels...)
	if s.IsOverflow() && x.desc.Kind == metric.Gauge {
		return nil, 0, tooManyNamed
	}
	if t = n.targets[s]; t == nil {
		t = &target{series: s}
		n.targets[s] = t
	}
	if t.users++; t.users == 1 && x.desc.Kind == metric.Histogram { // no worker reads it yet
		t.timer = &timer{limits: x.desc.Buckets, native: x.desc.Native}
		if len(n.stats) > 0 && !s.IsOverflow() {
			t.timer.summary = n.summary(x, p.Tags)
		}
	}
	return t, x.scale, counted
}

// wants returns the family, labels and scale of the present metric, by the first rule that
// matches its name, or else by the name as it is.
func (n *names) wants(p *wire.Parser) (x wanted, f fate) {
	raw, name := p.Name, ""
	if p.Dialect == wire.StatsD {
		n.text = wire.AppendName(n.text[:0], raw)
		raw = n.text
	}
	if len(raw) == 0 {
		return x, noName
	}
	natural, help := true, ""
	var mapping *Mapping
	x.scale = 1
	if r, groups := find(n.rules, p.Name, p.Type); r != nil {
		if r.Action == "drop" {
			return x, unwanted
		}
		if name = r.expand(r.Name, p.Name, groups); name == "" {
			return x, noName
		}
		natural, help, x.honor, mapping = r.natural, r.Help, r.HonorLabels, r.Mapping
		x.labels = map[string]string{}
		for label, value := range r.Labels {
			x.labels[label] = r.expand(value, p.Name, groups)
		}
		if r.Scale != 0 {
			x.scale = r.Scale
		}
		raw = []byte(name)
	}
	if p.Type == wire.Timer {
		x.scale *= 1e-3
	}
	if id := containerID(p.Container); id != "" && n.cfg.OriginLabel != "" {
		if x.labels == nil {
			x.labels = map[string]string{}
		}
		x.labels[n.cfg.OriginLabel] = id
	}
	x.base = metricName(raw)
	x.desc = n.desc(x.base, p.Type, natural)
	if x.desc.Kind == metric.Histogram {
		has := n.buckets(mapping)
		x.desc.Buckets, x.desc.Native = has.Buckets, has.Native
	}
	if x.desc.Help = help; help == "" {
		x.desc.Help = "StatsD " + p.Type.String() + " " + strings.ToValidUTF8(string(raw), "\uFFFD") + "."
	}
	if strings.HasPrefix(x.desc.Name, "weir_") {
		return x, nameTaken
	}
	return x, counted
}

// containerID returns the container's id of a c: field, which may be a list; what else stands
// there, such as the number of a control group, if it has none.
func containerID(field []byte) string {
	for one := range bytes.SplitSeq(field, []byte(",")) {
		if id, ok := bytes.CutPrefix(one, []byte("ci-")); ok {
			return string(id)
		}
	}
	return string(field)
}

// family returns the family of d. One of ours that has other buckets, from before a change of
// the configuration, gives way.
func (n *names) family(d metric.Desc) (*metric.Family, error) {
	f, err := n.reg.Family(d)
	if err == nil {
		return f, nil
	}
	for _, old := range n.reg.Owned(d.Owner) {
		if old.Desc().Name != d.Name || old.Desc().Kind != d.Kind {
			continue
		}
		used := false
		old.Each(func(s *metric.Series) bool {
			used = n.targets[s] != nil && n.targets[s].users > 0
			return !used
		})
		if used {
			return nil, err
		}
		old.Each(func(s *metric.Series) bool { delete(n.targets, s); return true })
		n.reg.Forget(d.Name)
		return n.reg.Family(d)
	}
	return nil, err
}

func (n *names) hasFamily(d metric.Desc) bool {
	return slices.ContainsFunc(n.reg.Owned(d.Owner), func(f *metric.Family) bool { return f.Desc().Name == d.Name })
}

// desc returns the family of a name and type. A natural name gets the suffix of its type, so
// that each type has a name of its own: StatsD's servers take one name for several.
func (n *names) desc(name string, typ wire.Type, natural bool) metric.Desc {
	d := metric.Desc{Name: name, Free: true, Durable: true, Owner: n.owner, MaxSeries: n.cfg.MaxSeriesPerName}
	suffix := ""
	switch typ {
	case wire.Counter:
		suffix = "_total"
	case wire.Gauge:
		d.Kind = metric.Gauge
	case wire.Set:
		d.Kind, d.Owner, suffix = metric.Gauge, n.sets, "_unique"
	case wire.Timer:
		d.Kind, suffix = metric.Histogram, "_seconds"
	default:
		d.Kind = metric.Histogram
	}
	if natural && !strings.HasSuffix(name, suffix) {
		d.Name += suffix
	}
	return d
}

// summary returns the gauges of a timer, nil if they cannot be.
func (n *names) summary(x wanted, tags wire.Tags) *summary {
	f, err := n.reg.Family(metric.Desc{
		Free: true, Durable: true, Owner: n.timers, MaxSeries: n.cfg.MaxSeriesPerName * len(n.stats), Kind: metric.Gauge,
		Name: x.base + "_timer", Help: "What the values of an interval come to, in the client's unit.",
	})
	if err != nil {
		return nil
	}
	labels := x.labelsOf(f, tags, statLabel)
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

// labelsOf returns labels and tags as names and values of labels, in order; of tags with the same name the last
// one counts. A tag without a value is true. Reserved is a name that no tag may have.
func (x wanted) labelsOf(f *metric.Family, tags wire.Tags, reserved string) []string {
	byName := map[string]string{}
	add := func(name, value string) {
		if !f.ValidLabel(name) || name == reserved {
			name = "tag_" + strings.TrimLeft(name, "_")
		}
		byName[name] = strings.ToValidUTF8(value, "\uFFFD")
	}
	for {
		k, v, ok := tags.Next()
		if !ok {
			break
		}
		if k = bytes.TrimSpace(k); len(k) == 0 {
			continue
		}
		name, value := metricName(k), "true"
		if len(v) > 0 {
			value = string(v)
		}
		if given, ok := x.labels[name]; !ok || given == "" || x.honor {
			add(name, value)
			delete(x.labels, name)
		}
	}
	for name, value := range x.labels {
		add(name, value)
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
			t.since = now.Unix()
		}
	}
}

// expire retires the series that no slot has had since a time.
func (n *names) expire(since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.targets {
		if t.since <= since.Unix() && n.retireLocked(t) {
			n.retired++
		}
	}
}

// retire retires the series of targets that no slot has.
func (n *names) retire(targets []*target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range targets {
		n.retireLocked(t)
	}
}

// retireLocked tells whether it could: a slot may have t, or all that came over a bound.
func (n *names) retireLocked(t *target) bool {
	if t.users > 0 || t.series.IsOverflow() || n.targets[t.series] != t {
		return false
	}
	t.series.Family().Retire(t.series)
	if t.timer != nil && t.timer.summary != nil {
		for _, one := range t.timer.summary.series {
			one.Family().Retire(one)
		}
	}
	delete(n.targets, t.series)
	return true
}
