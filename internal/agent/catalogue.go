package agent

import (
	"log/slog"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	execsink "github.com/weirlog/weir/internal/sink/exec"
	filesink "github.com/weirlog/weir/internal/sink/file"
	lokisink "github.com/weirlog/weir/internal/sink/loki"
	"github.com/weirlog/weir/internal/sink/mongodb"
	otlpsink "github.com/weirlog/weir/internal/sink/otlp"
	"github.com/weirlog/weir/internal/sink/redis"
	"github.com/weirlog/weir/internal/sink/remotewrite"
	"github.com/weirlog/weir/internal/sink/statsd"
	"github.com/weirlog/weir/internal/sink/zmq"
	"github.com/weirlog/weir/internal/source/crawl"
	"github.com/weirlog/weir/internal/source/distlog"
	"github.com/weirlog/weir/internal/source/docker"
	"github.com/weirlog/weir/internal/source/file"
	"github.com/weirlog/weir/internal/source/otlp"
	"github.com/weirlog/weir/internal/source/push"
	execstage "github.com/weirlog/weir/internal/stage/exec"
	"github.com/weirlog/weir/internal/tsdb"
)

// The catalogue: every component that a configuration can name.
var (
	sourceTypes = map[string]func(*config.Node, environment) (sourcePart, config.Mistakes){
		"crawl":   sourceEntry(crawl.Default, nil, newCrawl),
		"distlog": sourceEntry(distlog.Default, nil, newDistlog),
		"docker":  sourceEntry(docker.Default, environment.docker, docker.New),
		"file":    sourceEntry(file.Default, nil, file.New),
		"otlp":    sourceEntry(otlp.Default, nil, newOTLP),
		"push":    sourceEntry(push.Default, nil, newPush),
		"statsd":  statsdEntry,
	}
	pluginTypes = map[string]func(*config.Node) (pluginPart, config.Mistakes){
		"exec": pluginEntry(execstage.Default, execstage.New),
	}
	sinkTypes = map[string]func(*config.Node, environment) (sinkPart, config.Mistakes){
		"datadog":      datadogEntry,
		"exec":         textEntry(execsink.Default, execsink.New),
		"file":         textEntry(filesink.Default, filesink.New),
		"graphite":     sinkEntry(statsd.DefaultGraphite, newGraphite),
		"loki":         textEntry(lokisink.Default, lokisink.New),
		"mongodb":      textEntry(mongodb.Default, mongodb.New),
		"otlp":         textEntry(otlpsink.Default, otlpsink.New),
		"redis":        textEntry(redis.Default, redis.New),
		"remote_write": sinkEntry(remotewrite.Default, newRemoteWrite),
		"statsd":       sinkEntry(statsd.Default, newStatsd),
		"zmq":          textEntry(zmq.Default, zmq.New),
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

// textEntry is the same for a sink of kept records.
func textEntry[C selecting, S textSink](def func() C, build func(C, deliver.Deps) (S, error)) func(*config.Node, environment) (sinkPart, config.Mistakes) {
	return sinkEntry(def, func(c C, d sinkDeps) (outlet, error) { return newTextOutlet(c, d, build) })
}

// pluginEntry is the same for a plugin of rules. Its settings have the key type.
func pluginEntry[C any, P flow.Plugin](def func() C, build func(C, flow.PluginDeps) (P, error)) func(*config.Node) (pluginPart, config.Mistakes) {
	return func(n *config.Node) (pluginPart, config.Mistakes) {
		c := def()
		mistakes := config.Decode(n, &c)
		return pluginPart{settings: c, build: func(d flow.PluginDeps) (flow.Plugin, error) { return build(c, d) }}, mistakes
	}
}

// sinkDeps is what a sink gets of the world.
type sinkDeps struct {
	name   string
	node   string
	log    *slog.Logger
	ledger *ledger.Component
	rules  []*rule
	state  *journal.Journal
	// registry has the numbers, statsd the names of the sources of StatsD's lines.
	registry *metric.Registry
	statsd   []string
	// types are those of the sources, by name.
	types    map[string]string
	handover *flow.Handover

	history  *tsdb.DB // nil where none is kept
	interval time.Duration
	version  string
}
