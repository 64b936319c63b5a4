package agent

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/sink/zmq"
	"github.com/weirlog/weir/internal/source/distlog"
)

// subscribed sees that no source subscribes to a sink of this weir that would publish its
// records: they would come back without end.
func (c *Config) subscribed(p parts) (mistakes config.Mistakes) {
	for _, from := range p.sources {
		source, ok := from.settings.(distlog.Config)
		if !ok {
			continue
		}
		for _, to := range p.sinks {
			sink, ok := to.settings.(zmq.Config)
			if !ok {
				continue
			}
			streams, err := sink.Streams()
			if err != nil || streams.Excludes(record.Label{Name: "source", Value: from.name}) {
				continue
			}
			for i, address := range source.Subscribe {
				if slices.ContainsFunc(sink.Listen, func(at string) bool { return sameEndpoint(at, address) }) {
					mistakes = append(mistakes, setting(c.Sources[from.name], "subscribe", i).Mistake(fmt.Sprintf(
						"the sink %s publishes there what this source reads, again and again: leave it out, or choose other records with the sink's match, as {source!=%q}", to.name, from.name)))
				}
			}
		}
	}
	return mistakes
}

// sameEndpoint tells whether one who connects to an address comes to this machine's listener at
// another.
func sameEndpoint(listen, connect string) bool {
	if listen == connect {
		return true
	}
	at, tcp := strings.CutPrefix(listen, "tcp://")
	to, also := strings.CutPrefix(connect, "tcp://")
	atHost, atPort, err := net.SplitHostPort(at)
	toHost, toPort, err2 := net.SplitHostPort(to)
	return tcp && also && err == nil && err2 == nil && atPort == toPort && (atHost == toHost || loops(strings.Trim(atHost, "*")) && loops(toHost))
}
