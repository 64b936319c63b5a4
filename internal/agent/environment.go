package agent

import (
	"net"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
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
	if since, err := time.ParseDuration(e.or("", "DEFAULT_LOGS_SINCE_NOW") + "s"); err == nil && since >= 0 {
		c.Start = since.String()
	}
	if every, err := time.ParseDuration(e.or("", "METRICS_COLLECTION_INTERVAL") + "s"); err == nil && every >= time.Second {
		c.StatsInterval = every
	}
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
	if part, ok := e.statsd(); ok && !fileHas("sinks") {
		check(part.settings.(statsd.Config), "STATSD_HOST", "STATSD_PORT", "STATSD_PROTOCOL", "STATSD_PREFIX", "DD_DOGSTATSD_URL", "DD_AGENT_HOST", "DD_DOGSTATSD_PORT")
	}
	return all
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
