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
	// Address is where it listens; empty is a free port.
	Address string
	// Receive makes it take remote write.
	Receive bool
	// Features are enabled, as in native-histograms,exemplar-storage.
	Features string
	// Newest takes the Prometheus that .ci/components builds, which knows version 2 of remote
	// write, in place of Debian's.
	Newest bool
}

// StartPrometheus runs Debian's Prometheus, or the newest, until the test ends, or skips the
// test.
func StartPrometheus(t testing.TB, c PrometheusConfig) *Prometheus {
	t.Helper()
	path := ""
	if c.Newest {
		path = Program(t, "prometheus3", "none has it; .ci/components builds it")
	} else {
		path = Program(t, "prometheus", "prometheus")
	}
	Used(t, "prometheus "+version(path, "--version", "version "))
	dir := t.TempDir()
	if c.Dir == "" {
		c.Dir = filepath.Join(dir, "data")
	}
	text := "global: {scrape_interval: 1s}\n"
	if c.Newest && strings.Contains(c.Features, "native-histograms") { // there it is a setting
		text = "global: {scrape_interval: 1s, scrape_native_histograms: true}\n"
	}
	if c.Scrape != "" {
		text += fmt.Sprintf("scrape_configs: [{job_name: weir, static_configs: [{targets: [%q]}]}]\n", c.Scrape)
	}
	name := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--config.file=" + name, "--storage.tsdb.path=" + c.Dir, "--storage.tsdb.retention.time=10y", "--log.level=warn"}
	if c.Features != "" {
		args = append(args, "--enable-feature="+c.Features)
	}
	if c.Receive {
		args = append(args, "--web.enable-remote-write-receiver")
	}
	for range 5 {
		address := c.Address
		if address == "" {
			address = freeAddress(t)
		}
		p, err := start(t, exec.Command(path, append(args, "--web.listen-address="+address)...))
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

// Stop ends it before the test does.
func (p *Prometheus) Stop() { p.stop() }

func (p *Prometheus) ready() bool {
	response, err := http.Get(p.URL + "/-/ready")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
