package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
)

const mappingFile = `
defaults:
  observer_type: histogram
  histogram_options: {buckets: [0.5, 2]}
  match_type: glob
  glob_disable_ordering: false
  ttl: 0s
mappings:
- match: "test.*.time"
  observer_type: histogram
  name: "${1}_time"
  labels: {job: "test_$1"}
- match: 'test\.(\w+)\.drop'
  match_type: regex
  action: drop
  name: dropped
- match: test.*.old
  timer_type: summary
  name: old
  summary_options:
    quantiles: [{quantile: 0.99, error: 0.001}]
    max_age: 30s
`

// TestStatsdMapping: a file of statsd_exporter is read as it is, and what is wrong in it has its place.
func TestStatsdMapping(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mapping.yml")
	load := func(text string) (Config, string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return loaded(t, fmt.Sprintf("http: {listen: ''}\nsources: {app: {type: statsd, listen: 'udp://127.0.0.1:0', mapping: %q}}\n", name))
	}
	if _, mistakes := load(mappingFile); mistakes != "" {
		t.Error(mistakes)
	}
	for text, want := range map[string]string{
		"mappings: [{match: a, name: b, nmae: c}]": `mappings[0].nmae: unknown key`,
		"mappings: [{match: a}]":                   "mappings[0].name: give the name",
		"mappings: [":                              "",
	} {
		if _, mistakes := load(text); mistakes == "" || !strings.Contains(mistakes, want) {
			t.Errorf("%s\n\tis %s\n\twant %s", text, mistakes, want)
		}
	}
	if _, mistakes := loaded(t, "sources: {statsd: {mapping: nowhere.yml}}\n"); !strings.Contains(mistakes, "read") {
		t.Errorf("a file that is not there: %s", mistakes)
	}
}

// TestStatsdReload: the numbers of a source go on over a reload that keeps it, and are gone
// after one that does not.
func TestStatsdReload(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	config := func(expiry string) Config {
		t.Helper()
		cfg, mistakes := loaded(t, fmt.Sprintf("http: {listen: ''}\nsources: {app: {type: statsd, listen: 'unixgram://%s', expiry: %s}}\n", socket, expiry))
		if mistakes != "" {
			t.Fatal(mistakes)
		}
		return cfg
	}
	a, err := New(config("1h"), Options{Log: slog.New(slog.DiscardHandler), FS: new(disk.Faulty)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.Close()
	}()
	until := func(want string, there bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); strings.Contains(string(a.Registry().AppendText(nil, metric.Text)), want) != there; <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not %v", want, there)
			}
		}
	}
	send := func(text string) {
		t.Helper()
		var err error
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
			var c net.Conn
			if c, err = net.Dial("unixgram", socket); err != nil {
				continue
			}
			_, err = c.Write([]byte(text))
			if c.Close(); err == nil {
				return
			}
		}
		t.Fatal(err)
	}
	send("hits:1|c\nlevel:5|g")
	until(`level{machine="web-1"} 5`, true)
	if err := a.Reload(ctx, config("2h")); err != nil {
		t.Fatal(err)
	}
	send("hits:1|c\nlevel:+1|g")
	until(`level{machine="web-1"} 6`, true)
	until(`hits_total{machine="web-1"} 2`, true)
	other, mistakes := loaded(t, "http: {listen: ''}\nsources: {push: {}}\n")
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	if err := a.Reload(ctx, other); err != nil {
		t.Fatal(err)
	}
	until("hits_total", false)
}

// TestSentOn: a sink names sources that there are, and none whose lines it would send back to it.
func TestSentOn(t *testing.T) {
	const source = "http: {listen: ''}\nsources: {app: {type: statsd, listen: ['udp://127.0.0.1:8125', 'unix:///run/app.sock']}, other: {type: statsd, listen: 'udp://127.0.0.1:9125'}, push: {}}\nsinks:\n  out: "
	for sink, want := range map[string]string{
		"{type: statsd, address: 'udp://10.0.0.1:8125', sources: [app]}":        "",
		"{type: statsd, address: 'udp://127.0.0.1:8125'}":                       "",
		"{type: statsd, address: 'udp://127.0.0.1:8125', sources: [other]}":     "",
		"{type: statsd, address: 'tcp://127.0.0.1:8125', sources: ['*']}":       "",
		"{type: graphite, address: 'tcp://127.0.0.1'}":                          "",
		"{type: graphite, sources: []}":                                         "",
		"{type: statsd, address: 'udp://localhost', sources: [other, app]}":     "sinks.out.sources[1]: it would send the numbers of app back to udp://localhost",
		"{type: statsd, address: 'udp://127.0.0.1', sources: ['*']}":            "sinks.out.sources[0]: it would send the numbers of app back",
		"{type: statsd, address: 'unixstream:///run/app.sock', sources: [app]}": "back to unixstream:///run/app.sock",
		"{type: statsd, address: 'udp://10.0.0.1', sources: [ap]}":              `there is no statsd source "ap", did you mean "app"?`,
		"{type: graphite, sources: [push]}":                                     `there is no statsd source "push"`,
		"{type: graphite, address: 'unix:///x'}":                                "sinks.out.address: use tcp://host:port or udp://host:port",
	} {
		if _, mistakes := loaded(t, source+sink+"\n"); want == "" && mistakes != "" || want != "" && !strings.Contains(mistakes, want) {
			t.Errorf("%s\n\tis %s\n\twant %s", sink, mistakes, want)
		}
	}
	all := "http: {listen: ''}\nsources: {app: {type: statsd, listen: 'udp://0.0.0.0:8125', relay: ['udp://127.0.0.1:8125']}}\n"
	if _, mistakes := loaded(t, all); !strings.Contains(mistakes, "lines would come back") {
		t.Errorf("a source that listens everywhere relays to itself: %q", mistakes)
	}
	relay := "http: {listen: ''}\nsources: {app: {type: statsd, listen: 'udp://127.0.0.1:8125', relay: ['%s']}}\n"
	for address, want := range map[string]string{
		"tcp://127.0.0.1:8125": "", "udp://10.0.0.1": "",
		"udp://127.0.0.1":                       "sources.app.relay[0]: lines would come back",
		"udp://localhost":                       "sources.app.relay[0]: lines would come back",
		"udp://0.0.0.0:8125":                    "sources.app.relay[0]: lines would come back",
		"udp://127.0.0.1:8126":                  "",
		"http://x":                              "sources.app.relay[0]: it begins with none",
		"udp://10.0.0.1:8125?dialect=dogstatsd": "give an address alone",
	} {
		if _, mistakes := loaded(t, fmt.Sprintf(relay, address)); want == "" && mistakes != "" || want != "" && !strings.Contains(mistakes, want) {
			t.Errorf("%s\n\tis %s\n\twant %s", address, mistakes, want)
		}
	}
}
