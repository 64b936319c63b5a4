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

// use is what is known of a series that lines are counted in.
type use struct {
	users int32  // slots that have it, plus one; 0: it is not one of ours
	since uint32 // Unix seconds, cut: when the last of them went, or it was found at the start
}

// found is what lines of a metric are counted in, and what their values are multiplied by; or why
// they are not counted.
type found struct {
	series  *metric.Series
	limits  []float64      // a histogram's buckets, not nil
	native  *metric.Native // nil: those are
	summary *summary       // where percentiles are asked for
	scale   float64
	fate    fate
}

// key returns the key of a slot, and how many bytes of it are the name. Most names are a part of
// their family already; where that has several series, the key is the tags alone, and name is what
// stands before them.
func (x *found) key(head, behind []byte) (key string, size int, name string) {
	if x.series != nil {
		if f := x.series.Family(); f.Subject() == string(head) {
			switch {
			case len(behind) == 0:
				return f.Subject(), len(head), ""
			case !f.Single():
				return string(behind), 0, f.Subject()
			}
		}
	}
	return string(head) + string(behind), len(head), ""
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

	mu        sync.Mutex                  // guards all below
	uses      []use                       // by durable number; zero where it is not one of ours
	known     int                         // those that are
	summaries map[*metric.Series]*summary // of timers
	retired   uint64                      // series that went for want of lines
	text      []byte                      // scratch for what stands for a name in a line
	name      []byte                      // scratch for a family's name
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
	n := &names{cfg: cfg, rules: newRules(cfg), reg: reg, owner: owners[0], sets: owners[1], timers: owners[2], summaries: map[*metric.Series]*summary{}}
	if len(cfg.Percentiles) > 0 {
		n.stats = newStats(cfg.Percentiles).names
	}
	now := uint32(time.Now().Unix())
	for _, owner := range owners {
		reg.Claim(owner, func(d *metric.Desc) bool {
			d.MaxSeries = cfg.MaxSeriesPerName
			return n.fits(d)
		})
		for _, f := range reg.Owned(owner) {
			if d := f.Desc(); !n.fits(&d) {
				reg.Forget(d.Name)
				continue
			}
			if owner == n.timers {
				continue // they go with the timer
			}
			f.Each(func(s *metric.Series) bool {
				n.use(s).since = now
				return true
			})
		}
	}
	return n
}

// use returns what is known of a series, which is one of ours from then on.
func (n *names) use(s *metric.Series) *use {
	id := int(s.ID())
	if id >= len(n.uses) {
		n.uses = slices.Grow(n.uses, id+1-len(n.uses))[:id+1]
	}
	u := &n.uses[id]
	if u.users == 0 {
		u.users = 1
		n.known++
	}
	return u
}

// of returns what is known of a series; nothing of one that is not one of ours.
func (n *names) of(s *metric.Series) use {
	if id := int(s.ID()); id < len(n.uses) {
		return n.uses[id]
	}
	return use{}
}

// forget says that a series is not one of ours any more.
func (n *names) forget(s *metric.Series) {
	if n.of(s).users > 0 {
		n.uses[s.ID()] = use{}
		n.known--
	}
}

func (n *names) fits(d *metric.Desc) bool {
	if d.Owner == n.timers && len(n.stats) == 0 {
		return false
	}
	if d.Kind != metric.Histogram || sameBuckets(d, n.buckets(nil)) {
		return true
	}
	return slices.ContainsFunc(n.rules, func(r rule) bool { return sameBuckets(d, n.buckets(r.Mapping)) })
}

// sameBuckets tells whether two histograms have the same buckets.
func sameBuckets(a *metric.Desc, b metric.Desc) bool {
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

// restoredSets returns the sets that were there before the start: what was counted for their last
// interval holds no longer.
func (n *names) restoredSets() []*metric.Series { return n.all(n.sets) }

// restoredTimers returns the gauges of timers from before the start.
func (n *names) restoredTimers() []*metric.Series { return n.all(n.timers) }

// all returns the series of an owner.
func (n *names) all(owner string) (all []*metric.Series) {
	for _, f := range n.reg.Owned(owner) {
		f.Each(func(s *metric.Series) bool { all = append(all, s); return true })
	}
	return all
}

// wanted is what a line asks for.
type wanted struct {
	desc   metric.Desc
	base   string            // name without a suffix
	origin string            // name and type on the wire, where somebody sends them on
	labels map[string]string // beside the tags
	honor  bool              // tags replace labels
	scale  float64
}

// find returns what the present metric of p is counted in, for a slot.
func (n *names) find(p *wire.Parser) (none found) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, f := n.wants(p)
	if f != counted {
		return found{fate: f}
	}
	full := n.known >= n.cfg.MaxSeries
	if full && n.ours(&x.desc) == nil {
		return found{fate: tooMany}
	}
	family, err := n.family(x.desc)
	if err != nil {
		return found{fate: nameTaken}
	}
	family.SetOrigin(x.origin)
	labels := x.labelsOf(family, p.Tags, "")
	if full && family.Find(labels...) == nil {
		return found{fate: tooMany}
	}
	var s *metric.Series
	if x.desc.Kind != metric.Gauge {
		s = family.Series(labels...)
	} else if s = family.Within(labels...); s == nil {
		return found{fate: tooManyNamed}
	}
	n.use(s).users++
	to := found{series: s, scale: x.scale}
	if x.desc.Kind == metric.Histogram {
		has := family.Desc()
		to.native = has.Native
		if to.limits = has.Buckets; to.limits == nil {
			to.limits = []float64{}
		}
		if to.summary = n.summaries[s]; to.summary == nil && len(n.stats) > 0 && !s.IsOverflow() {
			if to.summary = n.summary(x, p.Tags); to.summary != nil {
				n.summaries[s] = to.summary
			}
		}
	}
	return to
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
	if n.reg.KeepsOrigins() {
		x.origin = string(raw) + "|" + p.Type.Letters()
	}
	n.name = appendMetricName(n.name[:0], raw)
	x.desc = n.desc(p.Type, natural)
	x.base = x.desc.Name[:len(n.name)]
	if x.desc.Kind == metric.Histogram {
		has := n.buckets(mapping)
		x.desc.Buckets, x.desc.Native = has.Buckets, has.Native
	}
	if x.desc.Help = help; help == "" {
		x.desc.Help, x.desc.Subject = "StatsD "+p.Type.String(), strings.ToValidUTF8(string(raw), "\uFFFD")
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
	old := n.ours(&d)
	if old == nil || old.Kind() != d.Kind {
		return nil, err
	}
	var all []*metric.Series
	used := false
	old.Each(func(s *metric.Series) bool {
		all = append(all, s)
		used = used || n.of(s).users > 1
		return true
	})
	if used {
		return nil, err
	}
	for _, s := range all {
		n.forget(s)
	}
	n.reg.Forget(d.Name)
	return n.reg.Family(d)
}

// ours returns the family of d's name, nil if it is not one of d's owner.
func (n *names) ours(d *metric.Desc) *metric.Family {
	if f := n.reg.Named(d.Name); f != nil && f.Owner() == d.Owner {
		return f
	}
	return nil
}

// desc returns the family of the name in n.name and a type. A natural name gets the suffix of its type, so
// that each type has a name of its own: StatsD's servers take one name for several.
func (n *names) desc(typ wire.Type, natural bool) metric.Desc {
	d := metric.Desc{Free: true, Durable: true, Owner: n.owner, MaxSeries: n.cfg.MaxSeriesPerName}
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
	if !natural || bytes.HasSuffix(n.name, []byte(suffix)) {
		suffix = ""
	}
	d.Name = string(append(n.name, suffix...))
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
	f.SetOrigin(x.origin)
	labels := x.labelsOf(f, tags, statLabel)
	m := &summary{}
	for _, stat := range n.stats {
		s := f.Within(withLabel(labels, statLabel, stat)...)
		if s == nil {
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

// maxName is where names are cut.
const maxName = 512

// metricName returns a name as Prometheus has them.
func metricName(raw []byte) string { return string(appendMetricName(nil, raw)) }

// appendMetricName appends a name as Prometheus has them: what is neither letter nor digit is _.
func appendMetricName(dst, raw []byte) []byte {
	if c := raw[0]; c >= '0' && c <= '9' {
		dst = append(dst, '_')
	}
	for _, c := range raw[:min(len(raw), maxName)] {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c < '0' || c > '9' {
				c = '_'
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// labelsOf returns labels and tags as names and values of labels, in order; of tags with the same name the last
// one counts. A tag without a value is true. Reserved is a name that no tag may have.
func (x wanted) labelsOf(f *metric.Family, tags wire.Tags, reserved string) []string {
	if within, behind := tags.Bytes(); len(within)+len(behind)+len(x.labels) == 0 {
		return nil
	}
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

// release says that slots do not need these series any more.
func (n *names) release(all []*metric.Series, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range all {
		u := n.use(s)
		if u.users--; u.users == 1 {
			u.since = uint32(now.Unix())
		}
	}
}

// expire retires the series that no slot has had since a time.
func (n *names) expire(since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var idle []*metric.Series
	n.reg.Each(func(f *metric.Family, s *metric.Series) bool {
		if o := f.Owner(); (o == n.owner || o == n.sets) && n.retirable(s) && int32(n.of(s).since-uint32(since.Unix())) <= 0 {
			idle = append(idle, s)
		}
		return true
	})
	for _, s := range idle {
		n.retireLocked(s)
		n.retired++
	}
}

// retire retires those of the series that no slot has.
func (n *names) retire(all []*metric.Series) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range all {
		if n.retirable(s) {
			n.retireLocked(s)
		}
	}
}

// retirable tells whether s can be retired: it is one of ours, and no slot has it.
func (n *names) retirable(s *metric.Series) bool { return n.of(s).users == 1 }

// retireLocked retires s, and its family if that has no other series: names come and go.
func (n *names) retireLocked(s *metric.Series) {
	gone := []*metric.Series{s}
	if m := n.summaries[s]; m != nil {
		gone = append(gone, m.series...)
		delete(n.summaries, s)
	}
	for _, one := range gone {
		f := one.Family()
		if left := f.Retire(one); !left && n.reg.Named(f.Name()) == f {
			n.reg.Forget(f.Name())
		}
	}
	n.forget(s)
}
