package statsd

import (
	"errors"
	"strconv"
	"strings"
	"time"

	wire "github.com/weirlog/weir/internal/codec/statsd"
	"github.com/weirlog/weir/internal/config"
)

// The ways to write labels for Graphite.
const (
	// Tagged writes ;status=200 behind the name.
	Tagged = "tags"
	// InPath writes .status.200 behind the name, for servers before 1.1.
	InPath = "path"
)

// GraphiteConfig says where windows are sent as lines of Graphite, and under which names, which
// are those of etsy's StatsD server.
type GraphiteConfig struct {
	// Address is the server: tcp://host:port or udp://host:port of its plaintext protocol.
	// Default tcp://127.0.0.1:2003, and port 2003 where the address has none.
	Address string `yaml:"address"`
	// Window is how often numbers are sent whose rule does not say. Windows begin at whole
	// multiples of it on the clock. At least 1s. Default 10s.
	Window time.Duration `yaml:"window"`
	// Expiry is how long a counter without news is sent as 0 before it falls silent.
	// Default 15m; 0s sends no zeros.
	Expiry time.Duration `yaml:"expiry"`
	// Sources are the statsd sources whose numbers are sent beside those of rules, by name;
	// `*` is all. Default: `*`.
	Sources []string `yaml:"sources"`
	// LegacyNamespace chooses etsy's older names, which are its default too:
	// stats.<name> for rates, stats_counts.<name> for counts, stats.timers, stats.gauges, stats.sets. Without it
	// counters are stats.counters.<name>.rate and .count, and the prefixes below apply. Default: true.
	LegacyNamespace bool `yaml:"legacy_namespace"`
	// GlobalPrefix stands before all names. Not of the legacy names. Default: stats.
	GlobalPrefix string `yaml:"global_prefix"`
	// PrefixCounter stands before counters. Not of the legacy names. Default: counters.
	PrefixCounter string `yaml:"prefix_counter"`
	// PrefixTimer stands before timers. Not of the legacy names. Default: timers.
	PrefixTimer string `yaml:"prefix_timer"`
	// PrefixGauge stands before gauges. Not of the legacy names. Default: gauges.
	PrefixGauge string `yaml:"prefix_gauge"`
	// PrefixSet stands before sets. Not of the legacy names. Default: sets.
	PrefixSet string `yaml:"prefix_set"`
	// PrefixStats stands before the numbers about the server itself, numStats and the like. Default: statsd.
	PrefixStats string `yaml:"prefix_stats"`
	// GlobalSuffix stands behind all names, with a dot before it. Default: none.
	GlobalSuffix string `yaml:"global_suffix"`
	// FlushCounts sends counts beside the rates. Default: true.
	FlushCounts bool `yaml:"flush_counts"`
	// Labels is how labels are written: `tags`, ;status=200 behind the name, or `path`,
	// .status.200, for servers before Graphite 1.1. Default: tags.
	Labels string `yaml:"labels"`
}

const graphitePort = "2003"

// DefaultGraphite returns the configuration of a sink that says nothing.
func DefaultGraphite() GraphiteConfig {
	return GraphiteConfig{
		Address: "tcp://127.0.0.1:" + graphitePort, Window: 10 * time.Second, Expiry: 15 * time.Minute, Sources: []string{"*"},
		LegacyNamespace: true, GlobalPrefix: "stats", PrefixCounter: "counters", PrefixTimer: "timers", PrefixGauge: "gauges",
		PrefixSet: "sets", PrefixStats: "statsd", FlushCounts: true, Labels: Tagged,
	}
}

// common returns the settings that a sink for StatsD has as well.
func (c GraphiteConfig) common() Config {
	return Config{Address: c.Address, Dialect: DogStatsD, Window: c.Window, Expiry: c.Expiry, Pack: true, port: graphitePort}
}

// Validate returns what is wrong with c.
func (c GraphiteConfig) Validate() error {
	problems := []error{c.common().Validate()}
	if e, err := c.common().endpoint(); err == nil && e.network != "tcp" && e.network != "udp" {
		problems = append(problems, &config.Problem{Key: "address", Message: "use tcp://host:port or udp://host:port"})
	}
	for key, part := range map[string]string{
		"global_prefix": c.GlobalPrefix, "prefix_counter": c.PrefixCounter, "prefix_timer": c.PrefixTimer, "prefix_gauge": c.PrefixGauge,
		"prefix_set": c.PrefixSet, "prefix_stats": c.PrefixStats, "global_suffix": c.GlobalSuffix,
	} {
		if string(wire.AppendName(nil, []byte(part))) != part || strings.ContainsAny(part, ";=") {
			problems = append(problems, &config.Problem{Key: key, Message: "use letters, digits, '_', '-' and '.'"})
		}
	}
	if c.PrefixStats == "" {
		problems = append(problems, &config.Problem{Key: "prefix_stats", Message: "give a name"})
	}
	if c.Labels != Tagged && c.Labels != InPath {
		problems = append(problems, &config.Problem{Key: "labels", Message: strconv.Quote(c.Labels) + " is not known; use tags or path"})
	}
	return errors.Join(problems...)
}

// graphite writes lines of Graphite's plaintext protocol: name value time.
type graphite struct {
	legacy, counts, path                  bool
	counters, totals, timers, gauges, set string // what stands before each kind, with a dot
	suffix                                string // behind all, with a dot before it
	stats, about, numStats                string // what is about the server, and what stands before it
}

func newGraphite(c GraphiteConfig) *graphite {
	g := &graphite{legacy: c.LegacyNamespace, counts: c.FlushCounts, path: c.Labels == InPath, stats: c.PrefixStats}
	prefix := func(parts ...string) (s string) {
		for _, part := range parts {
			if part != "" {
				s += part + "."
			}
		}
		return s
	}
	if c.GlobalSuffix != "" {
		g.suffix = "." + c.GlobalSuffix
	}
	if g.legacy {
		g.counters, g.totals, g.timers, g.gauges, g.set = "stats.", "stats_counts.", "stats.timers.", "stats.gauges.", "stats.sets."
		g.about, g.numStats = prefix("stats", c.PrefixStats), prefix(c.PrefixStats)
		return g
	}
	g.counters, g.timers = prefix(c.GlobalPrefix, c.PrefixCounter), prefix(c.GlobalPrefix, c.PrefixTimer)
	g.gauges, g.set = prefix(c.GlobalPrefix, c.PrefixGauge), prefix(c.GlobalPrefix, c.PrefixSet)
	g.totals = g.counters
	g.about = prefix(c.GlobalPrefix, c.PrefixStats)
	g.numStats = g.about
	return g
}

// text returns what p is called: its name, and its tags with a semicolon before each. What
// Graphite cannot have in them is replaced or left out, as etsy's server does it.
func (g *graphite) text(name string, p *point) text {
	t := text{name: graphiteName(name, true)}
	for _, l := range labelsOf(p) {
		value := graphiteName(l.Value, false)
		switch {
		case value == "":
			value = "_" // an empty part would end the name, an empty tag is none
		case g.path:
			value = strings.ReplaceAll(value, ".", "_")
		}
		if g.path {
			t.name += "." + l.Name + "." + value
		} else {
			t.tags += ";" + l.Name + "=" + value
		}
	}
	return t
}

// graphiteName returns a name, or a value, as etsy's server has it, without what would begin a tag.
func graphiteName(s string, name bool) string {
	if name {
		s = strings.ReplaceAll(s, "=", "_")
	}
	s = string(wire.AppendName(nil, []byte(strings.ReplaceAll(s, ";", "_"))))
	if name && s == "" {
		s = "_"
	}
	return s
}

// append appends the lines of points that look alike, each but the last with its end.
func (g *graphite) append(dst []byte, e *export, points []*point, v float64) []byte {
	seconds := e.Window.Seconds()
	p := points[0]
	line := func(prefix, stat string, v float64, stamp int64) {
		if len(dst) > 0 {
			dst = append(dst, '\n')
		}
		dst = appendGraphite(dst, prefix+p.text.name+stat+g.suffix+p.text.tags, v, stamp)
	}
	before := e.stamp - int64(seconds) // the interval that a source tells of has ended before this window
	switch p.part {
	case value:
		if g.legacy {
			line(g.counters, "", v/seconds, e.stamp)
		} else {
			line(g.counters, ".rate", v/seconds, e.stamp)
		}
		switch {
		case !g.counts:
		case g.legacy:
			line(g.totals, "", v, e.stamp)
		default:
			line(g.totals, ".count", v, e.stamp)
		}
	case count:
		line(g.timers, ".count", v, e.stamp)
		line(g.timers, ".count_ps", v/seconds, e.stamp)
	case sum:
		if n := matesOf(points); n > 0 {
			line(g.timers, ".sum", v, e.stamp)
			line(g.timers, ".mean", v/n, e.stamp)
		}
	case level:
		line(g.gauges, "", v, e.stamp)
	case size:
		line(g.set, ".count", v, before)
	case stat:
		line(g.timers, "."+p.stat, v, before)
	}
	return dst
}

func appendGraphite(dst []byte, name string, v float64, stamp int64) []byte {
	dst = appendNumber(append(append(dst, name...), ' '), v)
	return strconv.AppendInt(append(dst, ' '), stamp, 10)
}
