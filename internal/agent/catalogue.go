package agent

import (
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	filesink "github.com/weirlog/weir/internal/sink/file"
	"github.com/weirlog/weir/internal/sink/remotewrite"
	"github.com/weirlog/weir/internal/sink/statsd"
	"github.com/weirlog/weir/internal/source/distlog"
	"github.com/weirlog/weir/internal/source/docker"
	"github.com/weirlog/weir/internal/source/file"
	"github.com/weirlog/weir/internal/source/push"
	"github.com/weirlog/weir/internal/tsdb"
)

// The catalogue: every component that a configuration can name.
var (
	sourceTypes = map[string]func(*config.Node, environment) (sourcePart, config.Mistakes){
		"distlog": sourceEntry(distlog.Default, nil, newDistlog),
		"docker":  sourceEntry(docker.Default, environment.docker, docker.New),
		"file":    sourceEntry(file.Default, nil, file.New),
		"push":    sourceEntry(push.Default, nil, newPush),
		"statsd":  statsdEntry,
	}
	sinkTypes = map[string]func(*config.Node, environment) (sinkPart, config.Mistakes){
		"file":         sinkEntry(filesink.Default, newFileSink),
		"graphite":     sinkEntry(statsd.DefaultGraphite, newGraphite),
		"remote_write": sinkEntry(remotewrite.Default, newRemoteWrite),
		"statsd":       sinkEntry(statsd.Default, newStatsd),
	}
)

// sourceEntry is one line of the catalogue: the defaults, what the environment changes in
// them, and how to build the source.
func sourceEntry[C any](def func() C, environ func(environment, *C), build func(C, flow.Deps) (flow.Source, error)) func(*config.Node, environment) (sourcePart, config.Mistakes) {
	return func(n *config.Node, env environment) (sourcePart, config.Mistakes) {
		c := def()
		if environ != nil {
			environ(env, &c)
		}
		mistakes := config.Decode(n, &c)
		return sourcePart{settings: c, build: func(d flow.Deps) (flow.Source, error) { return build(c, d) }}, mistakes
	}
}

// sinkEntry is the same for a sink.
func sinkEntry[C any](def func() C, build func(C, sinkDeps) (outlet, error)) func(*config.Node, environment) (sinkPart, config.Mistakes) {
	return func(n *config.Node, _ environment) (sinkPart, config.Mistakes) {
		c := def()
		mistakes := config.Decode(n, &c)
		return sinkPart{settings: c, build: func(d sinkDeps) (outlet, error) { return build(c, d) }}, mistakes
	}
}

// sinkDeps is what a sink gets of the world.
type sinkDeps struct {
	name   string
	ledger *ledger.Component
	rules  []*rule
	state  *journal.Journal
	// registry has the numbers, statsd the names of the sources of StatsD's lines.
	registry *metric.Registry
	statsd   []string

	history  *tsdb.DB // nil where none is kept
	interval time.Duration
	version  string
}
