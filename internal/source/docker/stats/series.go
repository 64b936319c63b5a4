package stats

import (
	"math"
	"slices"
	"time"

	"github.com/weirlog/weir/internal/codec/cgroup"
	"github.com/weirlog/weir/internal/metric"
)

type (
	network = cgroup.Interface
	device  = cgroup.Device
)

// owner of the families: two sources may share them.
const owner = "containers"

// maxParts bounds the interfaces, and the devices, of one container that have series.
const maxParts = 16

// families are those of the tables, in their order, and the few that are apart.
type families struct {
	ours, advised, traffic, disk, facts []*metric.Family

	up, started   *metric.Family
	state, health *metric.Family
	collector     *metric.Series
}

func newFamilies(r *metric.Registry) (*families, error) {
	var failed error
	family := func(m measure, limit int, labels ...string) *metric.Family {
		f, err := r.Family(metric.Desc{Name: m.name, Help: m.help, Kind: m.kind, Labels: labels, Owner: owner, MaxSeries: limit})
		if failed == nil {
			failed = err
		}
		return f
	}
	whole := []string{"container", "id", "image", "name"}
	f := &families{}
	for _, m := range ours {
		f.ours = append(f.ours, family(m, maxContainers, "container"))
	}
	for _, m := range facts {
		f.facts = append(f.facts, family(m, maxContainers, "container"))
	}
	for _, m := range advised {
		labels := slices.Clone(whole)
		for i := 0; i < len(m.extra); i += 2 {
			labels = append(labels, m.extra[i])
		}
		f.advised = append(f.advised, family(m, 2*maxContainers, labels...))
	}
	for _, t := range traffic {
		m := measure{name: t.name, help: t.help, kind: metric.Counter}
		f.traffic = append(f.traffic, family(m, maxParts*maxContainers, append(slices.Clone(whole), "interface")...))
	}
	for _, d := range disk {
		m := measure{name: d.name, help: d.help, kind: metric.Counter}
		f.disk = append(f.disk, family(m, maxParts*maxContainers, append(slices.Clone(whole), "device")...))
	}
	gauge := func(name, help string, labels ...string) *metric.Family {
		return family(measure{name: name, help: help, kind: metric.Gauge}, maxContainers+maxGone, labels...)
	}
	f.up = gauge("container_up_timestamp_seconds", "Heartbeat of a container: Unix time of its last measurement.", "container")
	f.started = gauge("container_started_at_timestamp_seconds", "Unix time at which the container started.", "container")
	f.state = gauge("container_state", "1 for the state that the container is in.", "container", "state")
	f.health = gauge("container_health_status", "1 for what the container's health check says.", "container", "status")
	beat := gauge("collector_up_timestamp_seconds", "Heartbeat of the collector: Unix time of its last round.")
	if failed != nil {
		return nil, failed
	}
	f.collector = beat.Series()
	return f, nil
}

// owned is the series of one container. Each is made when it first has a value.
type owned struct {
	ours, advised, facts []*metric.Series // as in the tables
	nets                 map[string]*part
	disks                map[[2]uint32]*part
	state, health        *metric.Series
}

// part is the series of an interface or a device.
type part struct {
	labels []string
	series []*metric.Series
	seen   bool // in this measurement
}

// drop takes series away.
func drop(all []*metric.Series) {
	for i, s := range all {
		if s != nil {
			s.Family().Drop(s)
			all[i] = nil
		}
	}
}

// dropUsage takes away what a run has.
func (o *owned) dropUsage() {
	drop(o.ours)
	drop(o.advised)
	for _, p := range o.nets {
		drop(p.series)
	}
	for _, p := range o.disks {
		drop(p.series)
	}
	o.nets, o.disks = nil, nil
}

// dropFacts takes away what is known of a container whether it runs or not.
func (o *owned) dropFacts() {
	drop(o.facts)
	drop([]*metric.Series{o.state, o.health})
	o.state, o.health = nil, nil
}

// dropAll takes away everything but the heartbeat.
func (o *owned) dropAll() { o.dropUsage(); o.dropFacts() }

// fill sets the series of a table.
func fill(series []*metric.Series, fams []*metric.Family, table []measure, r *reading) []*metric.Series {
	if series == nil {
		series = make([]*metric.Series, len(table))
	}
	for i := range table {
		v := table[i].value(r)
		if math.IsNaN(v) {
			drop(series[i : i+1])
			continue
		}
		if series[i] == nil {
			series[i] = fams[i].Series(labels(r.x, fams[i], table[i].extra)...)
		}
		series[i].Set(v)
	}
	return series
}

// labels are the values that tell the series of a container from those of others.
func labels(x *container, f *metric.Family, extra []string) []string {
	if f.Desc().Labels[len(f.Desc().Labels)-1] == "container" {
		return []string{x.name}
	}
	values := []string{x.name, x.id, x.details.Image, x.details.Name}
	for i := 1; i < len(extra); i += 2 {
		values = append(values, extra[i])
	}
	return values
}

// publish takes a measurement of x.
func (c *Collector) publish(x *container, s *sample) {
	x.fresh = false
	x.share(s)
	if s.kills != none {
		x.kills = s.kills
	}
	c.reading = reading{x, s, c.host} // not a variable: that would be allocated each time
	r := &c.reading
	x.own.advised = fill(x.own.advised, c.series.advised, advised, r)
	c.publishNets(x, s)
	c.publishDisks(x, s)
	if !c.claim(x) {
		return
	}
	x.own.ours = fill(x.own.ours, c.series.ours, ours, r)
	n := c.names[x.name]
	n.beat(c.series.up, x.name, s.at)
	if x.ooms > 0 || x.kills > 0 {
		x.own.facts = fill(x.own.facts, c.series.facts, facts, r)
	}
}

func (c *Collector) publishNets(x *container, s *sample) {
	for i := range s.nets {
		n := &s.nets[i]
		p := x.own.nets[string(n.Name)]
		if p == nil {
			if len(x.own.nets) >= maxParts {
				c.o.Ledger.Event("interface not measured")
				continue
			}
			if x.own.nets == nil {
				x.own.nets = map[string]*part{}
			}
			p = newPart(x, string(n.Name), len(traffic))
			x.own.nets[string(n.Name)] = p
		}
		p.seen = true
		for i := range traffic {
			p.set(i, c.series.traffic[i], traffic[i].value(n))
		}
	}
	sweep(x.own.nets)
}

func (c *Collector) publishDisks(x *container, s *sample) {
	for i := range s.devices {
		d := &s.devices[i]
		key := [2]uint32{d.Major, d.Minor}
		p := x.own.disks[key]
		if p == nil {
			if len(x.own.disks) >= maxParts {
				c.o.Ledger.Event("device not measured")
				continue
			}
			if x.own.disks == nil {
				x.own.disks = map[[2]uint32]*part{}
			}
			p = newPart(x, c.host.device(d.Major, d.Minor), len(disk))
			x.own.disks[key] = p
		}
		p.seen = true
		for i := range disk {
			p.set(i, c.series.disk[i], disk[i].value(d))
		}
	}
	sweep(x.own.disks)
}

// newPart makes an interface or a device that has so many series.
func newPart(x *container, name string, series int) *part {
	return &part{labels: []string{x.name, x.id, x.details.Image, x.details.Name, name}, series: make([]*metric.Series, series)}
}

// set gives a series its value; one that is not known has no series.
func (p *part) set(i int, f *metric.Family, n uint64) {
	if n == none {
		drop(p.series[i : i+1])
		return
	}
	if p.series[i] == nil {
		p.series[i] = f.Series(p.labels...)
	}
	p.series[i].Set(float64(n))
}

// sweep takes away the parts that were not seen.
func sweep[K comparable](parts map[K]*part) {
	for key, p := range parts {
		if !p.seen {
			drop(p.series)
			delete(parts, key)
		}
		p.seen = false
	}
}

// publishFacts tells what is known of x whether it runs or not.
func (c *Collector) publishFacts(x *container) {
	if !c.claim(x) {
		return
	}
	n, d := c.names[x.name], &x.details
	x.own.facts = fill(x.own.facts, c.series.facts, facts, &reading{x, &c.host.sample, c.host})
	x.own.state = only(x.own.state, c.series.state, x.name, d.Status)
	x.own.health = only(x.own.health, c.series.health, x.name, d.Health)
	if !d.Started.IsZero() {
		n.start(c.series.started, x.name, d.Started)
		// One that ended before weir began was alive until then.
		if !x.running && (n.last.IsZero() || n.restored && d.Finished.After(n.last)) && c.now().Sub(d.Finished) < c.o.Retention {
			n.beat(c.series.up, x.name, d.Finished)
		}
		n.restored = false
	}
}

// only makes the series of the present value the only one; of an empty value there is none.
func only(old *metric.Series, f *metric.Family, name, value string) *metric.Series {
	if old != nil {
		if old.Values()[len(old.Values())-1] == value {
			return old
		}
		f.Drop(old)
	}
	if value == "" {
		return nil
	}
	s := f.Series(name, value)
	s.Set(1)
	return s
}

// named is what stays of a container for a while when it is gone: it belongs to the name.
type named struct {
	holder      *container // who has the name; nil: nobody
	id          string     // of who had it last
	up, started *metric.Series
	last        time.Time // of the heartbeat
	began       int64     // Unix seconds, as started; 0: not known
	restored    bool      // from before this run, and not seen since
}

func (n *named) beat(f *metric.Family, name string, at time.Time) {
	if n.up == nil {
		n.up = f.Series(name)
	}
	n.up.Set(float64(at.Unix()))
	n.last = at
}

func (n *named) start(f *metric.Family, name string, at time.Time) {
	if n.started == nil {
		n.started = f.Series(name)
	}
	n.started.Set(float64(at.Unix()))
	n.began = at.Unix()
}

func (n *named) drop() { drop([]*metric.Series{n.up, n.started}) }
