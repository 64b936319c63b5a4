package agent

import (
	"slices"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/sink/datadog"
)

// datadogEntry is the line of the catalogue of Datadog's intake, whose defaults are in the variables
// of Datadog's own agent.
func datadogEntry(n *config.Node, env environment) (sinkPart, config.Mistakes) {
	return textEntry(func() datadog.Config { return env.datadogDefault() }, datadog.New)(n, env)
}

// datadogDefault returns the configuration of an intake of which the file says nothing.
func (e environment) datadogDefault() datadog.Config {
	c := datadog.Default()
	c.APIKey = config.Secret(e.or("", "DD_API_KEY"))
	c.Site = e.or(c.Site, "DD_SITE")
	c.Hostname = e.or(c.Hostname, "DD_HOSTNAME")
	c.Service = e.or("", "DD_SERVICE")
	c.Tags = datadog.Tags(e.or("", "DD_TAGS"))
	for _, tag := range []struct{ name, variable string }{{"env", "DD_ENV"}, {"version", "DD_VERSION"}} {
		if value := e.or("", tag.variable); value != "" {
			c.Tags = append(c.Tags, tag.name+":"+value)
		}
	}
	return c
}

// datadogVariables are those that make a sink, and say where it sends.
var datadogVariables = []string{"DD_API_KEY", "DD_SITE", "DD_ENV", "DD_VERSION"}

// datadog returns the sink that the variables of Datadog's agent describe, if they ask for logs.
func (e environment) datadog() (sinkPart, bool) {
	if e.or("", "DD_API_KEY") == "" || !slices.Contains([]string{"true", "1", "yes", "on"}, e.or("", "DD_LOGS_ENABLED")) {
		return sinkPart{}, false
	}
	c := e.datadogDefault()
	return sinkPart{name: "datadog", typ: "datadog", settings: c, build: func(d sinkDeps) (outlet, error) { return newTextOutlet(c, d, datadog.New) }}, true
}
