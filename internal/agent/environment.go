package agent

import (
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/sink/datadog"
	filesink "github.com/weirlog/weir/internal/sink/file"
	"github.com/weirlog/weir/internal/sink/statsd"
	"github.com/weirlog/weir/internal/source/docker"
	"github.com/weirlog/weir/internal/web"
)

// environment is the variables that are honoured where the file is silent: those of weir's
// surroundings and those that the tools before it had.
type environment struct {
	lookup func(string) (string, bool)
}

// or returns the first of the named variables that is set and not empty, else def.
func (e environment) or(def string, names ...string) string {
	for _, name := range names {
		if v, ok := e.lookup(name); ok && v != "" {
			return v
		}
	}
	return def
}

func (e environment) dataDir() string {
	if dir := e.or("", "STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if dir := e.or("", "XDG_STATE_HOME"); dir != "" {
		return dir + "/weir"
	}
	return e.or("/var/lib", "HOME") + "/.local/state/weir"
}

// web keeps to loopback, whatever METRICS_EXPORTER_PORT was bound to before.
func (e environment) web(token string) web.Config {
	c := web.Default()
	c.Token = config.Secret(token)
	if port := e.or("", "METRICS_EXPORTER_PORT"); port != "" {
		c.Listen = net.JoinHostPort("127.0.0.1", port)
	}
	return c
}

// docker sets what the Docker client's variables say.
func (e environment) docker(c *docker.Config) {
	c.Host = e.or(c.Host, "DOCKER_HOST")
	if dir := e.or("", "DOCKER_CERT_PATH"); dir != "" {
		c.TLS.CertDir = dir
	}
	if v := e.or("", "DOCKER_TLS_VERIFY"); v != "" && c.TLS.CertDir != "" {
		c.TLS.Verify = true
	}
	if n, ok := e.number("DEFAULT_LOGS_SINCE_NOW", 0); ok {
		c.Start = (time.Duration(n) * time.Second).String()
	}
	if n, ok := e.number("METRICS_COLLECTION_INTERVAL", 1); ok {
		c.StatsInterval = time.Duration(n) * time.Second
	}
	for name, to := range map[string]*string{metricsStamp: &c.LastMetricsFile, logsStamp: &c.LastLogsFile} {
		if file := e.or("", name); path.IsAbs(file) {
			*to = file
		}
	}
}

// The files whose content is the time at which something was read last.
const (
	metricsStamp = "LAST_METRICS_COLLECTED_AT_FILE"
	logsStamp    = "LAST_LOGS_COLLECTED_AT_FILE"
)

// maxNumber bounds the numbers of variables, so that they make no overflow: a hundred years of
// seconds, 3 GB.
const maxNumber = 100 * 366 * 24 * 3600

// number returns the whole number that a variable has, if it is at least least.
func (e environment) number(name string, least int64) (int64, bool) {
	n, err := strconv.ParseInt(e.or("", name), 10, 64)
	return n, err == nil && n >= least && n <= maxNumber
}

// numbers are the variables that have a whole number, for the sources and sinks of one type.
var numbers = []struct {
	name, what string
	least      int64
	typ        string
}{
	{"METRICS_COLLECTION_INTERVAL", "seconds", 1, "docker"},
	{"DEFAULT_LOGS_SINCE_NOW", "seconds", 0, "docker"},
	{"LOGS_CONTAINER_MAX_FILES", "files", 0, "file"},
	{"LOGS_CONTAINER_MAX_FILE_SIZE", "bytes", 0, "file"},
}

// misspelt returns the mistakes in numbers and paths that are used.
func (e environment) misspelt(p parts) (all config.Mistakes) {
	used := map[string]bool{}
	for _, s := range p.sources {
		used["docker"] = used["docker"] || s.typ == "docker"
	}
	for _, s := range p.sinks {
		used["file"] = used["file"] || s.typ == "file" && s.name == logsSink
	}
	wrong := func(name, message string) {
		all = append(all, config.Mistake{Position: config.Position{File: "environment"}, Path: name, Message: message})
	}
	for _, name := range []string{metricsStamp, logsStamp} {
		if file := e.or("", name); file != "" && !path.IsAbs(file) && used["docker"] {
			wrong(name, fmt.Sprintf("%q: give an absolute path, as /run/weir/last", file))
		}
	}
	for _, n := range numbers {
		if _, ok := e.number(n.name, n.least); !ok && used[n.typ] && e.or("", n.name) != "" {
			wrong(n.name, fmt.Sprintf("%q: give a whole number of %s, at least %d", e.or("", n.name), n.what, n.least))
		}
	}
	return all
}

// variable is one that is set and has no effect, and why.
type variable struct{ name, reason string }

// useless returns the variables of the collector before that are set and have no effect.
func (e environment) useless() (all []variable) {
	for _, v := range []variable{
		{"LOGS_COLLECTION_INTERVAL", "logs are followed, and read as they are written"},
		{"MAX_COLLECTOR_THREADS", "containers are measured side by side anyway"},
	} {
		if e.or("", v.name) != "" {
			all = append(all, v)
		}
	}
	return all
}

// mistakes returns what is wrong with the values of variables that are used: components
// check only what a file says.
func (e environment) mistakes(c Config, fileHas func(key string) bool) config.Mistakes {
	var all config.Mistakes
	check := func(v config.Validator, names ...string) {
		var set []string
		for _, name := range names {
			if e.or("", name) != "" {
				set = append(set, name)
			}
		}
		if err := v.Validate(); err != nil && len(set) > 0 {
			all = append(all, config.Mistake{Position: config.Position{File: "environment"}, Path: strings.Join(set, ", "), Message: err.Error()})
		}
	}
	if !fileHas("http") {
		check(c.HTTP, "METRICS_EXPORTER_PORT")
	}
	all = append(all, e.misspelt(c.parts)...)
	if part, ok := e.files(); ok && !fileHas("sinks") {
		check(part.settings.(filesink.Config), "LOGS_DIR", "LOGS_CONTAINER_MAX_FILES", "LOGS_CONTAINER_MAX_FILE_SIZE")
	}
	if part, ok := e.datadog(); ok && !fileHas("sinks") {
		check(part.settings.(datadog.Config), datadogVariables...)
	}
	if part, ok := e.statsd(); ok && !fileHas("sinks") {
		check(part.settings.(statsd.Config), "STATSD_HOST", "STATSD_PORT", "STATSD_PROTOCOL", "STATSD_PREFIX", "DD_DOGSTATSD_URL", "DD_AGENT_HOST", "DD_DOGSTATSD_PORT")
	}
	return all
}

// sinks returns those that the environment describes.
func (e environment) sinks() (all []sinkPart) {
	if part, ok := e.statsd(); ok {
		all = append(all, part)
	}
	if part, ok := e.files(); ok {
		all = append(all, part)
	}
	if part, ok := e.datadog(); ok {
		all = append(all, part)
	}
	return all
}

// logsSink is the name of the sink that LOGS_DIR makes.
const logsSink = "logs"

// files returns the sink that writes the logs of containers where the collector before did:
// LOGS_DIR/web/web.log, web.log.1, ….
func (e environment) files() (sinkPart, bool) {
	c := filesink.Default()
	if c.Dir = e.or("", "LOGS_DIR"); c.Dir == "" {
		return sinkPart{}, false
	}
	c.Match = `{container=~".+"}`
	if n, ok := e.number("LOGS_CONTAINER_MAX_FILES", 0); ok {
		c.MaxFiles = int(n)
	}
	if n, ok := e.number("LOGS_CONTAINER_MAX_FILE_SIZE", 0); ok {
		c.MaxSize = config.Bytes(n)
	}
	return sinkPart{name: logsSink, typ: "file", settings: c, build: func(d sinkDeps) (outlet, error) { return newTextOutlet(c, d, filesink.New) }}, true
}

// statsd returns the sink that the variables of StatsD and DogStatsD clients describe, if
// they name a server.
func (e environment) statsd() (sinkPart, bool) {
	c := statsd.Default()
	if !e.on("STATSD_ENABLED") {
		return sinkPart{}, false
	}
	switch {
	case e.or("", "STATSD_HOST") != "":
		protocol := strings.ToLower(e.or("tcp", "STATSD_PROTOCOL"))
		c.Address = protocol + "://" + net.JoinHostPort(e.or("", "STATSD_HOST"), e.or("8125", "STATSD_PORT"))
		c.Prefix = e.or("", "STATSD_PREFIX")
	case e.or("", "DD_DOGSTATSD_URL") != "":
		c.Address = e.or("", "DD_DOGSTATSD_URL")
	case e.or("", "DD_AGENT_HOST") != "":
		c.Address = "udp://" + net.JoinHostPort(e.or("", "DD_AGENT_HOST"), e.or("8125", "DD_DOGSTATSD_PORT"))
	default:
		return sinkPart{}, false
	}
	return statsdPart("statsd", c), true
}

// on is the truth table of an enabling variable: unset and anything but a clear no is yes.
func (e environment) on(name string) bool {
	switch strings.ToLower(e.or("true", name)) {
	case "0", "f", "false", "n", "no", "off":
		return false
	}
	return true
}

func statsdPart(name string, c statsd.Config) sinkPart {
	return sinkPart{name: name, typ: "statsd", settings: c, build: func(d sinkDeps) (outlet, error) { return newStatsd(c, d) }}
}
