package realtest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Prometheus is a running Prometheus.
type Prometheus struct {
	// URL is where it listens, without a final slash.
	URL string
	*process
}

// PrometheusConfig says what a Prometheus does.
type PrometheusConfig struct {
	// Dir is where its database is; empty is a folder of the test.
	Dir string
	// Scrape is host:port of what it scrapes each second; empty scrapes nothing.
	Scrape string
}

// StartPrometheus runs Debian's Prometheus until the test ends, or skips the test.
func StartPrometheus(t testing.TB, c PrometheusConfig) *Prometheus {
	t.Helper()
	path := Program(t, "prometheus", "prometheus")
	Used(t, "prometheus "+version(path, "--version", "version "))
	dir := t.TempDir()
	if c.Dir == "" {
		c.Dir = filepath.Join(dir, "data")
	}
	text := "global: {scrape_interval: 1s}\n"
	if c.Scrape != "" {
		text += fmt.Sprintf("scrape_configs: [{job_name: weir, static_configs: [{targets: [%q]}]}]\n", c.Scrape)
	}
	name := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		address := freeAddress(t)
		p, err := start(t, exec.Command(path, "--config.file="+name, "--storage.tsdb.path="+c.Dir, "--web.listen-address="+address,
			"--storage.tsdb.retention.time=10y", "--log.level=warn"))
		if err != nil {
			t.Fatal(err)
		}
		prom := &Prometheus{URL: "http://" + address, process: p}
		if within(lokiPatience, func() bool { return !p.running() || prom.ready() }) && p.running() {
			return prom
		}
		p.stop()
		if !strings.Contains(p.output.String(), "address already in use") {
			t.Fatalf("prometheus does not start:\n%s", p.output)
		}
	}
	t.Fatal("prometheus finds no free port")
	return nil
}

func (p *Prometheus) ready() bool {
	response, err := http.Get(p.URL + "/-/ready")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
