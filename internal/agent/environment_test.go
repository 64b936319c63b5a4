package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/sink/datadog"
	filesink "github.com/weirlog/weir/internal/sink/file"
	"github.com/weirlog/weir/internal/source/docker"
)

// withEnvironment loads a configuration where some variables are set.
func withEnvironment(text string, variables map[string]string) (Config, string) {
	files := Files{Hostname: "web-1", Env: func(name string) (string, bool) { v, ok := variables[name]; return v, ok }}
	if text != "" {
		files.Paths = []string{text}
	}
	cfg, mistakes := Load(files)
	var lines []string
	for _, m := range mistakes {
		lines = append(lines, m.String())
	}
	return cfg, strings.Join(lines, "\n")
}

// dockerOf returns the settings of the source docker.
func dockerOf(c Config) docker.Config {
	for _, s := range c.parts.sources {
		if s.typ == "docker" {
			return s.settings.(docker.Config)
		}
	}
	return docker.Config{}
}

// TestCollectorEnvironment sets every variable of the collector before, but for the mapping of
// levels, which has a script of its own.
func TestCollectorEnvironment(t *testing.T) {
	cfg, mistakes := withEnvironment("", map[string]string{
		"MACHINE_NAME": "m-1", "METRICS_COLLECTION_INTERVAL": "5", "LOGS_COLLECTION_INTERVAL": "3", "MAX_COLLECTOR_THREADS": "8",
		"LAST_METRICS_COLLECTED_AT_FILE": "/run/metrics.txt", "LAST_LOGS_COLLECTED_AT_FILE": "/run/logs.txt", "METRICS_EXPORTER_PORT": "10101",
		"DEFAULT_LOGS_SINCE_NOW": "90", "LOGS_DIR": "/srv/logs", "LOGS_CONTAINER_MAX_FILES": "3", "LOGS_CONTAINER_MAX_FILE_SIZE": "1000",
	})
	d := dockerOf(cfg)
	if mistakes != "" || cfg.Node != "m-1" || cfg.HTTP.Listen != "127.0.0.1:10101" || d.StatsInterval != 5*time.Second || d.Start != "1m30s" ||
		d.LastMetricsFile != "/run/metrics.txt" || d.LastLogsFile != "/run/logs.txt" {
		t.Errorf("%s\n%+v\n%+v", mistakes, cfg.HTTP, d)
	}
	if len(cfg.parts.sinks) != 1 {
		t.Fatalf("%d sinks", len(cfg.parts.sinks))
	}
	if f := cfg.parts.sinks[0].settings.(filesink.Config); f.Dir != "/srv/logs" || f.MaxFiles != 3 || f.MaxSize != 1000 || f.Match != `{container=~".+"}` {
		t.Errorf("file sink %+v", f)
	}
	if u := cfg.useless; len(u) != 2 || u[0].name != "LOGS_COLLECTION_INTERVAL" || u[1].name != "MAX_COLLECTOR_THREADS" {
		t.Errorf("without effect: %v", u)
	}
}

// TestNoEnvironment: without variables nothing is written anywhere.
func TestNoEnvironment(t *testing.T) {
	cfg, mistakes := withEnvironment("", nil)
	if d, def := dockerOf(cfg), docker.Default(); mistakes != "" || d.StatsInterval != def.StatsInterval || d.Start != "60s" || d.LastMetricsFile+d.LastLogsFile != "" ||
		len(cfg.parts.sinks) != 0 || len(cfg.useless) != 0 || cfg.Node != "web-1" || cfg.HTTP.Listen != "127.0.0.1:9103" {
		t.Errorf("%s\n%+v\n%+v", mistakes, cfg, d)
	}
}

// TestEnvironmentMistakes has values that cannot be meant.
func TestEnvironmentMistakes(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"METRICS_COLLECTION_INTERVAL", "often", `environment: METRICS_COLLECTION_INTERVAL: "often": give a whole number of seconds, at least 1`},
		{"METRICS_COLLECTION_INTERVAL", "0", `environment: METRICS_COLLECTION_INTERVAL: "0": give a whole number of seconds, at least 1`},
		{"METRICS_COLLECTION_INTERVAL", "2.5", `environment: METRICS_COLLECTION_INTERVAL: "2.5": give a whole number of seconds, at least 1`},
		{"METRICS_COLLECTION_INTERVAL", "99999999999999", `environment: METRICS_COLLECTION_INTERVAL: "99999999999999": give a whole number of seconds, at least 1`},
		{"DEFAULT_LOGS_SINCE_NOW", "-1", `environment: DEFAULT_LOGS_SINCE_NOW: "-1": give a whole number of seconds, at least 0`},
		{"DEFAULT_LOGS_SINCE_NOW", "0", ""},
		{"METRICS_EXPORTER_PORT", "http", "http.listen: use a port from 1 to 65535, as in 127.0.0.1:9103\nenvironment: METRICS_EXPORTER_PORT: listen: use a port"},
		{"LAST_LOGS_COLLECTED_AT_FILE", "logs.txt", `environment: LAST_LOGS_COLLECTED_AT_FILE: "logs.txt": give an absolute path, as /run/weir/last`},
		{"LOGS_CONTAINER_MAX_FILES", "many", `environment: LOGS_CONTAINER_MAX_FILES: "many": give a whole number of files, at least 0`},
		{"LOGS_CONTAINER_MAX_FILE_SIZE", "10MB", `environment: LOGS_CONTAINER_MAX_FILE_SIZE: "10MB": give a whole number of bytes, at least 0`},
		{"LOGS_COLLECTION_INTERVAL", "often", ""}, // of no use, so of no harm
	} {
		_, got := withEnvironment("", map[string]string{c.name: c.value, "LOGS_DIR": "/srv/logs"})
		if got != c.want && (c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s=%s: %s", c.name, c.value, got)
		}
	}
	// What is not used is not judged.
	if _, got := withEnvironment("", map[string]string{"LOGS_CONTAINER_MAX_FILES": "many"}); got != "" {
		t.Error(got)
	}
}

// TestDatadogEnvironment has the variables of Datadog's agent fill in what the file does not say.
func TestDatadogEnvironment(t *testing.T) {
	variables := map[string]string{
		"DD_API_KEY": "from-environment", "DD_SITE": "datadoghq.eu", "DD_TAGS": "team:shop alone region:eu", "DD_ENV": "production", "DD_VERSION": "1.2",
		"DD_SERVICE": "shop", "DD_HOSTNAME": "host-1", "DD_LOGS_ENABLED": "true",
	}
	of := func(text string) (datadog.Config, Config) {
		t.Helper()
		path := ""
		if text != "" {
			path = filepath.Join(t.TempDir(), "weir.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, mistakes := withEnvironment(path, variables)
		if mistakes != "" || len(cfg.parts.sinks) != 1 {
			t.Fatalf("%d sinks, %s", len(cfg.parts.sinks), mistakes)
		}
		return cfg.parts.sinks[0].settings.(datadog.Config), cfg
	}
	for _, text := range []string{"", "sinks: {datadog: }"} {
		c, cfg := of(text)
		if c.APIKey != "from-environment" || c.Site != "datadoghq.eu" || strings.Join(c.Tags, ",") != "team:shop,region:eu,env:production,version:1.2" ||
			c.Service != "shop" || c.Hostname != "host-1" {
			t.Errorf("%q: %+v, %q", text, c, string(c.APIKey))
		}
		for _, asJSON := range []bool{true, false} {
			if shown, err := Effective(cfg, asJSON); err != nil || bytes.Contains(shown, []byte("from-environment")) || !bytes.Contains(shown, []byte("datadoghq.eu")) {
				t.Errorf("%q is shown as %s, %v", text, shown, err)
			}
		}
	}
	if c, _ := of("sinks: {central: {type: datadog, api_key: mine, site: datadoghq.com, tags: ['a:b']}}"); c.APIKey != "mine" || c.Site != "datadoghq.com" || strings.Join(c.Tags, ",") != "a:b" {
		t.Errorf("the file's is %+v, %q", c, string(c.APIKey))
	}
	variables["DD_SITE"] = "https://datadoghq.eu"
	if _, mistakes := withEnvironment("", variables); !strings.Contains(mistakes, "environment: DD_API_KEY, DD_SITE, DD_ENV, DD_VERSION: site: use the site alone") {
		t.Error(mistakes)
	}
	delete(variables, "DD_LOGS_ENABLED") // the key may be there for something else
	if cfg, mistakes := withEnvironment("", variables); mistakes != "" || len(cfg.parts.sinks) != 0 {
		t.Errorf("%d sinks, %s", len(cfg.parts.sinks), mistakes)
	}
}

// said is a log that several goroutines write; seen gets each line of it.
type said struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	seen chan string
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(p)
	select {
	case s.seen <- string(p):
	default:
	}
	return len(p), nil
}

// TestStartReport has weir say at its start what the collector before said.
func TestStartReport(t *testing.T) {
	cfg, mistakes := withEnvironment("", map[string]string{"MACHINE_NAME": "m-1", "METRICS_EXPORTER_PORT": "0", "MAX_COLLECTOR_THREADS": "8",
		"DOCKER_HOST": "unix://" + t.TempDir() + "/none", "METRICS_COLLECTION_INTERVAL": "5"})
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	log := &said{seen: make(chan string, 1000)}
	a, err := New(cfg, Options{Log: slog.New(slog.NewTextHandler(log, nil)), Version: "1.0", FS: new(disk.Faulty)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	for line := range log.seen { // the last thing of the report
		if strings.Contains(line, "following containers") || ctx.Err() != nil {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	text := log.buf.String()
	for _, want := range []string{
		`msg=starting version=1\.0 node=m-1 data_dir=\S+ config="" sources=docker,push rules=nginx sinks=""`,
		`msg="variable without effect" variable=MAX_COLLECTOR_THREADS reason="containers are measured side by side anyway"`,
		`msg="metrics are exported" port=\d+ url=http://127\.0\.0\.1:\d+/metrics`,
		`msg="following containers" source=docker host=unix://\S+/none read=auto start=60s measured_every=5s measured_by=auto`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("not said: %s\n%s", want, text)
		}
	}
}
