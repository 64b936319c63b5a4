package statsd

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Feed is a source of StatsD's lines whose numbers are sent on, added up, under the names
// that its lines have.
type Feed struct {
	// Source is its name.
	Source string
	// Registry has its series. It keeps their origins.
	Registry *metric.Registry
	// Owner, Sets and Timers own its families: those of sets, of gauges about timers, and all
	// others.
	Owner, Sets, Timers string
}

// feedShards is over how many states the baselines of a feed are spread, so that those of few
// busy series are stored alone.
const feedShards = 64

// statLabel is the label that tells the gauges of a timer apart.
const statLabel = "stat"

// feed is a Feed at work.
type feed struct {
	Feed
	made    time.Time // series from after it were never sent
	origins map[string]*origin
	name    []byte // scratch
}

// origin is what a family is called in lines.
type origin struct {
	family *metric.Family
	text   string // as the registry has it, rt|ms; empty: nobody has said
	name   string // rt
	parts  []part
	scale  float64 // of sums
	shard  uint8
	round  uint64 // of the last gathering that saw the family
}

// fit makes p a number of the family.
func (o *origin) fit(p *point) {
	p.id = o.family.Name() + "\x00" + p.id
	p.shard = o.shard
	p.kind = 'c'
	switch {
	case p.part.isLevel():
		p.kind = 'g'
	case p.part == sum:
		p.scale = o.scale
	}
	if p.part == stat {
		p.stat = p.series.Labels().Get(statLabel)
	}
}

// gatherFeed reads the series of all families that the source has now.
func (e *export) gatherFeed() {
	f := e.feed
	timers := map[string]bool{} // what gauges tell all about
	for _, family := range f.Registry.Owned(f.Timers) {
		o := e.origin(family, []part{stat})
		timers[o.text] = e.stamped
		e.gatherFamily(o)
	}
	for _, family := range f.Registry.Owned(f.Sets) {
		e.gatherFamily(e.origin(family, []part{size}))
	}
	for _, family := range f.Registry.Owned(f.Owner) {
		parts := []part{value}
		switch family.Kind() {
		case metric.Gauge:
			parts = []part{level}
		case metric.Histogram:
			parts = []part{count, sum}
		}
		if o := e.origin(family, parts); !timers[o.text] {
			e.gatherFamily(o)
		}
	}
	maps.DeleteFunc(f.origins, func(_ string, o *origin) bool { return o.round != e.round })
}

func (e *export) gatherFamily(o *origin) {
	o.family.Each(func(s *metric.Series) bool {
		var before *point
		for _, part := range o.parts {
			if part == stat && !e.wantsStat(s) {
				continue
			}
			p := e.see(s, part, o)
			p.mate, before = before, p
		}
		return true
	})
}

// wantsStat tells whether a gauge about a timer is sent: not without times where its
// histogram's count and sum are, and not of what came over a bound.
func (e *export) wantsStat(s *metric.Series) bool {
	name := s.Labels().Get(statLabel)
	return name != "" && (e.stamped || name != "count" && name != "count_ps" && name != "sum")
}

// origin returns what a family is called, now that this is asked, or was when weir stopped.
func (e *export) origin(family *metric.Family, parts []part) *origin {
	name := family.AppendName(e.feed.name[:0])
	e.feed.name = name
	o := e.feed.origins[string(name)]
	if o == nil || o.family != family {
		h := fnv.New32a()
		_, _ = h.Write(name)
		o = &origin{family: family, parts: parts, scale: 1, shard: uint8(h.Sum32() % feedShards)}
		e.feed.origins[string(name)] = o
	}
	o.round = e.round
	if o.text != "" {
		return o
	}
	if o.text = family.Origin(); o.text == "" {
		o.text = e.old.origins[string(name)]
	}
	if i := strings.LastIndexByte(o.text, '|'); i >= 0 {
		o.name = o.text[:i]
		if o.text[i+1:] == "ms" {
			o.scale = 1000 // back from seconds
		}
		e.dirty[o.shard] = true
	}
	return o
}

// namesOf returns the origins that a state has, by family; an Export, whose feed is nil, has none.
func (f *feed) namesOf(shard int) [][2]string {
	if f == nil {
		return nil
	}
	var all [][2]string
	for name, o := range f.origins {
		if int(o.shard) == shard && o.text != "" {
			all = append(all, [2]string{name, o.text})
		}
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return all
}

// labelsOf returns the labels of p's series that stand in its lines.
func labelsOf(p *point) record.Labels {
	if p.series.IsOverflow() {
		return record.Labels{{Name: metric.OverflowLabel, Value: "true"}}
	}
	labels := p.series.Labels()
	if p.part == stat {
		labels = slices.DeleteFunc(labels, func(l record.Label) bool { return l.Name == statLabel })
	}
	return labels
}
