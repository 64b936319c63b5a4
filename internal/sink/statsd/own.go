package statsd

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// own is what is sent to Graphite about the sink and its sources, under the names of etsy's server.
type own struct {
	graphite *graphite
	feeds    []Feed
	window   export // never sent, but cut as exports are
	counts   [3]ownCount
	numStats int
	due      bool // it waits to be sent
	sent     struct {
		at, failed int64 // Unix seconds
		bytes      int
		took       time.Duration
	}
}

// ownCount is a number of lines since the sink began.
type ownCount struct {
	name, family string
	now, bound   float64
}

func newOwn(g *graphite, window time.Duration, feeds []Feed) *own {
	return &own{graphite: g, feeds: feeds, window: export{Export: Export{Window: window}}, counts: [3]ownCount{
		{name: "bad_lines_seen", family: "weir_statsd_bad_lines_total"},
		{name: "packets_received", family: "weir_statsd_packets_total"},
		{name: "metrics_received", family: "weir_statsd_lines_total"},
	}}
}

func (o *own) begin(wall, now time.Time) {
	if o == nil {
		return
	}
	o.gather()
	for i := range o.counts {
		o.counts[i].bound = o.counts[i].now
	}
	o.window.schedule(wall, now, false)
}

func (o *own) pending() bool { return o != nil && o.due }

// gather adds up what the sources of feeds say of their lines.
func (o *own) gather() {
	for i := range o.counts {
		o.counts[i].now = 0
	}
	for _, f := range o.feeds {
		for _, family := range f.Registry.Owned("statsd") {
			for i := range o.counts {
				if family.Name() != o.counts[i].family {
					continue
				}
				family.Each(func(s *metric.Series) bool {
					if s.Labels().Get("source") == f.Source {
						o.counts[i].now += s.Value()
					}
					return true
				})
			}
		}
	}
}

// cut ends the window, if it is over. One that could not be sent is left out.
func (o *own) cut(wall, now time.Time, exports []*export) {
	if o == nil || now.Before(o.window.due) {
		return
	}
	for i := range o.counts {
		o.counts[i].bound = o.counts[i].now
	}
	o.gather()
	o.numStats = 0
	for _, e := range exports {
		last := ""
		for _, p := range e.order {
			if p.part == stat && p.text.name == last || p.part == sum {
				continue // a timer is one
			}
			last = p.text.name
			o.numStats++
		}
	}
	o.window.stamp = time.Unix(0, o.window.start).Add(o.window.Window).Unix()
	o.window.schedule(wall, now, true)
	o.due = true
}

// lines appends all of it.
func (o *own) lines(dst []byte) []byte {
	g, stamp := o.graphite, o.window.stamp
	for _, c := range o.counts {
		p := &point{part: value, text: text{name: g.stats + "." + c.name}}
		dst = g.append(dst, &o.window, []*point{p}, c.now-c.bound)
	}
	line := func(prefix, name string, v float64) {
		dst = appendGraphite(append(dst, '\n'), prefix+name+g.suffix, v, stamp)
	}
	line(g.numStats, "numStats", float64(o.numStats))
	line(g.about, "graphiteStats.last_exception", float64(o.sent.failed))
	line(g.about, "graphiteStats.last_flush", float64(o.sent.at))
	line(g.about, "graphiteStats.flush_time", float64(o.sent.took.Milliseconds()))
	line(g.about, "graphiteStats.flush_length", float64(o.sent.bytes))
	return dst
}

// deliverOwn sends what is about the sink, last of all, and what is left in the buffer.
func (s *Sink) deliverOwn(ctx context.Context) error {
	if !s.own.pending() {
		return s.write(ctx)
	}
	s.line = s.own.lines(s.line[:0])
	if err := s.put(ctx, sentLine{}); err != nil {
		return err
	}
	if err := s.write(ctx); err != nil {
		return err
	}
	s.own.due = false
	return nil
}

// attempted notes how a delivery went.
func (o *own) attempted(began time.Time, bytes int, err error) {
	switch {
	case o == nil:
	case err != nil:
		o.sent.failed = time.Now().Unix()
	default:
		o.sent.at, o.sent.bytes, o.sent.took = time.Now().Unix(), bytes, time.Since(began)
	}
}
