package statsd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// FromEnvironment returns the options that environment variables ask for. Lookup is
// os.LookupEnv if nil. To be changed further, or given to New as they are.
//
// STATSD_HOST names the server, with STATSD_PORT (8125), STATSD_PROTOCOL (tcp; or udp) and
// STATSD_PREFIX. Without it the Datadog Agent's variables count, and the dialect is
// DogStatsD: DD_DOGSTATSD_URL (udp://…, unix:///path for datagrams, unixstream://…), else
// DD_AGENT_HOST, with DD_DOGSTATSD_PORT (8125). With neither, the client is off, and so it
// is where STATSD_ENABLED is set to anything but a whole number other than 0, on, t, true
// or yes, or DD_DOGSTATSD_DISABLE to one of these.
//
// DD_TAGS, DD_ENV, DD_SERVICE, DD_VERSION and DD_ENTITY_ID become tags, in the DogStatsD
// dialect alone. The error names what is set to something that cannot be.
func FromEnvironment(lookup func(name string) (string, bool)) (Options, error) {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	e := environment{lookup: lookup}
	var o Options
	switch {
	case e.get("STATSD_HOST") != "":
		o.Address = e.sprockets()
		o.Prefix = e.get("STATSD_PREFIX")
	case e.get("DD_DOGSTATSD_URL") != "" || e.get("DD_AGENT_HOST") != "":
		o.Address, o.Dialect, o.Tags = e.dogStatsD(), DogStatsD, e.tags()
		o.Prefix = e.get("STATSD_PREFIX")
	default:
		o.Off = true
	}
	if v, set := lookup("STATSD_ENABLED"); set && !truthy(v) || truthy(e.get("DD_DOGSTATSD_DISABLE")) {
		return Options{Off: true}, nil
	}
	return o, errors.Join(e.problems...)
}

// environment reads variables and notes what is wrong with them.
type environment struct {
	lookup   func(string) (string, bool)
	problems []error
}

func (e *environment) get(name string) string {
	v, _ := e.lookup(name)
	return strings.TrimSpace(v)
}

func (e *environment) problem(format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf("statsd: "+format, args...))
}

func (e *environment) port(name string) string {
	port := orDefault(e.get(name), defaultPort)
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		e.problem("%s=%q: use 1 to 65535", name, port)
	}
	return port
}

func (e *environment) sprockets() string {
	protocol := orDefault(e.get("STATSD_PROTOCOL"), "tcp")
	if protocol != "tcp" && protocol != "udp" {
		e.problem("STATSD_PROTOCOL=%q: use tcp or udp", protocol)
	}
	return protocol + "://" + net.JoinHostPort(unbracketed(e.get("STATSD_HOST")), e.port("STATSD_PORT"))
}

func (e *environment) dogStatsD() string {
	url := e.get("DD_DOGSTATSD_URL")
	if url == "" {
		host := e.get("DD_AGENT_HOST")
		if path, ok := strings.CutPrefix(host, "unix://"); ok { // as datadog-go has it
			return "unixgram://" + path
		}
		return "udp://" + net.JoinHostPort(unbracketed(host), e.port("DD_DOGSTATSD_PORT"))
	}
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		url = "unixgram://" + path // the Agent's sockets are of datagrams
	}
	if _, err := parseAddress(url); err != nil {
		e.problem("DD_DOGSTATSD_URL=%q: %w", url, err)
	}
	return url
}

func (e *environment) tags() []string {
	tags := strings.FieldsFunc(e.get("DD_TAGS"), func(r rune) bool { return r == ',' || r == ' ' })
	for _, v := range [][2]string{
		{"env", "DD_ENV"}, {"service", "DD_SERVICE"}, {"version", "DD_VERSION"}, {"dd.internal.entity_id", "DD_ENTITY_ID"},
	} {
		if value := e.get(v[1]); value != "" {
			tags = append(tags, v[0]+":"+value)
		}
	}
	return tags
}

// unbracketed takes the brackets off an IPv6 address.
func unbracketed(host string) string {
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// truthy is what sprockets-statsd takes for true: a whole number other than 0, on, t, true
// and yes in any case.
func truthy(v string) bool {
	v = strings.TrimSpace(v)
	if n, err := strconv.Atoi(v); err == nil {
		return n != 0
	}
	switch strings.ToLower(v) {
	case "on", "t", "true", "yes":
		return true
	}
	return false
}
