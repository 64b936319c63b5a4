package statsd_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/weirlog/weir/statsd"
)

func TestFromEnvironment(t *testing.T) {
	tests := []struct {
		set  string
		want statsd.Options
	}{
		{"", statsd.Options{Off: true}},
		{"STATSD_PORT=8126", statsd.Options{Off: true}},
		{"STATSD_HOST=stats", statsd.Options{Address: "tcp://stats:8125"}},
		{"STATSD_HOST=stats STATSD_PORT=1 STATSD_PROTOCOL=udp STATSD_PREFIX=a.b", statsd.Options{Address: "udp://stats:1", Prefix: "a.b"}},
		{"STATSD_HOST=::1", statsd.Options{Address: "tcp://[::1]:8125"}},
		{"STATSD_HOST=[::1] DD_AGENT_HOST=other DD_ENV=x", statsd.Options{Address: "tcp://[::1]:8125"}},
		{"DD_AGENT_HOST=agent DD_DOGSTATSD_PORT=9", statsd.Options{Address: "udp://agent:9", Dialect: statsd.DogStatsD}},
		{"DD_AGENT_HOST=unix:///run/s", statsd.Options{Address: "unixgram:///run/s", Dialect: statsd.DogStatsD}},
		{"DD_DOGSTATSD_URL=unix:///run/s DD_AGENT_HOST=agent", statsd.Options{Address: "unixgram:///run/s", Dialect: statsd.DogStatsD}},
		{"DD_DOGSTATSD_URL=unixstream:///run/s", statsd.Options{Address: "unixstream:///run/s", Dialect: statsd.DogStatsD}},
		{"DD_AGENT_HOST=a DD_ENV=prod DD_SERVICE=shop DD_VERSION=1.2 DD_ENTITY_ID=e DD_TAGS=x:y,z", statsd.Options{
			Address: "udp://a:8125", Dialect: statsd.DogStatsD,
			Tags: []string{"x:y", "z", "env:prod", "service:shop", "version:1.2", "dd.internal.entity_id:e"},
		}},
		{"DD_AGENT_HOST=a DD_DOGSTATSD_DISABLE=true", statsd.Options{Off: true}},
		{"STATSD_HOST=a STATSD_ENABLED=0 STATSD_PORT=nonsense", statsd.Options{Off: true}},
	}
	for _, test := range tests {
		got, err := statsd.FromEnvironment(variables(test.set))
		if err != nil || !equal(got, test.want) {
			t.Errorf("%s:\n%+v, %v; want\n%+v", test.set, got, err, test.want)
		}
	}
	for set, problem := range map[string]string{
		"STATSD_HOST=a STATSD_PORT=x":                    `STATSD_PORT="x"`,
		"STATSD_HOST=a STATSD_PORT=0":                    `STATSD_PORT="0"`,
		"STATSD_HOST=a STATSD_PORT=65536":                `STATSD_PORT="65536"`,
		"STATSD_HOST=a STATSD_PROTOCOL=TCP":              `STATSD_PROTOCOL="TCP"`,
		"DD_AGENT_HOST=a DD_DOGSTATSD_PORT=-1":           `DD_DOGSTATSD_PORT="-1"`,
		"DD_DOGSTATSD_URL=http://a":                      `DD_DOGSTATSD_URL="http://a"`,
		"STATSD_HOST=a STATSD_PORT=x STATSD_PROTOCOL=ip": `STATSD_PROTOCOL="ip"`,
	} {
		if _, err := statsd.FromEnvironment(variables(set)); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v, want %s", set, err, problem)
		}
	}
}

// TestEnabled is the table of sprockets-statsd.
func TestEnabled(t *testing.T) {
	for value, want := range map[string]bool{
		"1": true, "2": true, "-1": true, "on": true, "ON": true, "t": true, "T": true, "true": true, "True": true, "yes": true, "YES": true,
		"0": false, "": false, "1.5": false, "enabled": false, "off": false, "f": false, "false": false, "no": false, "y": false,
	} {
		got, err := statsd.FromEnvironment(func(name string) (string, bool) {
			v, ok := map[string]string{"STATSD_ENABLED": value, "STATSD_HOST": "a"}[name]
			return v, ok
		})
		if err != nil || got.Off == want {
			t.Errorf("STATSD_ENABLED=%q: off is %t, %v", value, got.Off, err)
		}
	}
	t.Setenv("STATSD_HOST", "real")
	if o, err := statsd.FromEnvironment(nil); err != nil || o.Address != "tcp://real:8125" {
		t.Errorf("from the real environment: %+v, %v", o, err)
	}
}

// variables is a lookup in "A=1 B=2".
func variables(set string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range strings.Fields(set) {
			if n, value, _ := strings.Cut(v, "="); n == name {
				return value, true
			}
		}
		return "", false
	}
}

func equal(a, b statsd.Options) bool {
	if len(a.Tags) == 0 {
		a.Tags = nil
	}
	return reflect.DeepEqual(a, b)
}
