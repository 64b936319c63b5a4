package agent

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/sink/statsd"
	statsdsource "github.com/weirlog/weir/internal/source/statsd"
)

// newStatsd gives a StatsD sink the numbers of all rules, and those of the sources it names.
func newStatsd(c statsd.Config, d sinkDeps) (outlet, error) {
	return statsd.New(c, d.exports(), d.statsdDeps(c.Sources))
}

// newGraphite does the same for Graphite.
func newGraphite(c statsd.GraphiteConfig, d sinkDeps) (outlet, error) {
	return statsd.NewGraphite(c, d.exports(), d.statsdDeps(c.Sources))
}

func (d sinkDeps) exports() (all []statsd.Export) {
	for _, r := range d.rules {
		for _, m := range r.metrics {
			all = append(all, statsd.Export{Family: m.Family, Name: m.Name, As: m.As, Window: m.Window})
		}
	}
	return all
}

func (d sinkDeps) statsdDeps(sources []string) statsd.Deps {
	deps := statsd.Deps{Name: d.name, Ledger: d.ledger, State: d.state}
	for _, name := range d.statsd {
		if slices.Contains(sources, "*") || slices.Contains(sources, name) {
			o := statsdsource.Owners(name)
			deps.Feeds = append(deps.Feeds, statsd.Feed{Source: name, Registry: d.registry, Owner: o[0], Sets: o[1], Timers: o[2]})
		}
	}
	return deps
}

// statsdSources returns the names of the sources of StatsD's lines.
func (p parts) statsdSources() (names []string) {
	for _, s := range p.sources {
		if s.typ == "statsd" {
			names = append(names, s.name)
		}
	}
	return names
}

// sentOn sees that sinks send on sources that there are, and none to itself.
func (c *Config) sentOn(p parts) (mistakes config.Mistakes) {
	known := p.statsdSources()
	for _, s := range p.sinks {
		var named []string
		address := ""
		switch settings := s.settings.(type) {
		case statsd.Config:
			named, address = settings.Sources, settings.Address
		case statsd.GraphiteConfig:
			named = settings.Sources
		}
		for i, name := range named {
			node := c.Sinks[s.name]
			at := setting(node, "sources", i)
			if name != "*" && !slices.Contains(known, name) {
				mistakes = append(mistakes, at.Mistake(fmt.Sprintf("there is no statsd source %q%s", name, config.Suggest(name, known))))
				continue
			}
			for _, from := range p.sources {
				if from.typ == "statsd" && (name == "*" || name == from.name) && listensAt(from.settings.(statsdsource.Config), address) {
					mistakes = append(mistakes, at.Mistake(fmt.Sprintf("it would send the numbers of %s back to %s, again and again: leave it out, or correct the address", from.name, address)))
				}
			}
		}
	}
	return mistakes
}

// listensAt tells whether a source listens at the very address.
func listensAt(c statsdsource.Config, address string) bool {
	to, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	return slices.ContainsFunc(c.Listen, func(text string) bool {
		at, err := url.Parse(text)
		return err == nil && strings.TrimSuffix(at.Scheme, "stream") == strings.TrimSuffix(to.Scheme, "stream") && at.Path == to.Path &&
			samePort(at, to) && (at.Hostname() == to.Hostname() || loops(at.Hostname()) && loops(to.Hostname()))
	})
}

func samePort(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" || u.Hostname() == "" {
			return p
		}
		return "8125"
	}
	return port(a) == port(b)
}

// loops tells whether a host is this machine.
func loops(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1" || host == "0.0.0.0" || host == "::" || host == ""
}
