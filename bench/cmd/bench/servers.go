package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// servers returns the StatsD servers, weir first.
func (b *bench) servers(ctx context.Context) []statsdServer {
	return []statsdServer{
		b.weirServer("**weir** as StatsD server, without a history", "history: none\n"),
		b.weirServer("**weir** as StatsD server, with its history", ""),
		b.etsyServer("npm's statsd (etsy)", 0),
		b.etsyServer("npm's statsd (etsy), a flush every 5 s", 5*time.Second),
		b.exporter(ctx),
	}
}

func (b *bench) weirServer(name, more string) statsdServer {
	return statsdServer{
		name: name, udp: more != "", tcp: more != "", many: true,
		command: func(ctx context.Context, dir string, at serverAddresses) (*exec.Cmd, error) {
			config := filepath.Join(dir, "weir.yaml")
			text := fmt.Sprintf("data_dir: %s/state\nhttp: {listen: %q}\nsources: {statsd: {listen: ['udp://%s', 'tcp://%s']}}\nrules: []\n%s", dir, at.web, at.statsd, at.statsd, more)
			return exec.CommandContext(ctx, b.weir, "run", "--config", config), os.WriteFile(config, []byte(text), 0o600)
		},
		lines: func(ctx context.Context, at serverAddresses) (int, error) {
			return scraped(ctx, at, "weir_statsd_lines_total")
		},
		scrape: scrapeAll,
	}
}

func scraped(ctx context.Context, at serverAddresses, name string) (int, error) {
	text, err := get(ctx, "http://"+at.web+"/metrics")
	if err != nil {
		return 0, err
	}
	return sumOf(text, name)
}

func scrapeAll(ctx context.Context, at serverAddresses) error {
	_, err := get(ctx, "http://"+at.web+"/metrics")
	return err
}

// etsyServer is npm's statsd, where make test has put it. It counts lines from one flush to the next, so for
// lines it flushes never; the series that it holds it sends every so often.
func (b *bench) etsyServer(name string, flush time.Duration) statsdServer {
	s := statsdServer{name: name, udp: flush == 0, tcp: flush == 0, many: flush > 0, flush: flush}
	if flush == 0 {
		flush = 24 * time.Hour
	}
	module := os.Getenv("WEIR_TEST_STATSD")
	if module == "" {
		module = filepath.Join(b.root, "tmp", "statsd", "node_modules", "statsd")
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(module, "stats.js"))
	}
	if err != nil {
		s.skip = "not installed (make test does it, or set WEIR_TEST_STATSD)"
		return s
	}
	s.command = func(ctx context.Context, dir string, at serverAddresses) (*exec.Cmd, error) {
		_, port, _ := net.SplitHostPort(at.statsd)
		_, admin, _ := net.SplitHostPort(at.web)
		_, graphite, _ := net.SplitHostPort(at.graphite)
		config := filepath.Join(dir, "config.js")
		text := fmt.Sprintf(`{servers: [{server: "./servers/udp", address: "127.0.0.1", port: %[1]s}, {server: "./servers/tcp", address: "127.0.0.1", port: %[1]s}],
mgmt_address: "127.0.0.1", mgmt_port: %s, backends: ["./backends/graphite"], graphiteHost: "127.0.0.1", graphitePort: %s, flushInterval: %d}`, port, admin, graphite, flush.Milliseconds())
		return exec.CommandContext(ctx, node, filepath.Join(module, "stats.js"), config), os.WriteFile(config, []byte(text), 0o600)
	}
	s.lines = etsyLines
	return s
}

// etsyLines asks the management console how many lines have come since the last flush.
func etsyLines(ctx context.Context, at serverAddresses) (int, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", at.web)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(settle))
	if _, err := c.Write([]byte("counters\n")); err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if _, value, found := strings.Cut(lines.Text(), "'statsd.metrics_received': "); found {
			return strconv.Atoi(strings.TrimRight(value, ", }"))
		}
	}
	return 0, fmt.Errorf("no answer to counters")
}

// exporter is statsd_exporter, which is built only if it is wanted.
func (b *bench) exporter(ctx context.Context) statsdServer {
	s := statsdServer{name: "statsd_exporter 0.31.0", udp: true, tcp: true, many: true, scrape: scrapeAll}
	if !b.wants(s.name) {
		return s
	}
	b.say("building statsd_exporter")
	binary := filepath.Join(b.data, "statsd_exporter")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/prometheus/statsd_exporter")
	build.Dir = filepath.Join(b.root, "bench", "statsdexporter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		s.skip = fmt.Sprintf("its module cannot be built: %v %.200s", err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	s.command = func(ctx context.Context, _ string, at serverAddresses) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, binary, "--web.listen-address="+at.web, "--statsd.listen-udp="+at.statsd, "--statsd.listen-tcp="+at.statsd, "--statsd.read-buffer=8388608"), nil
	}
	s.lines = func(ctx context.Context, at serverAddresses) (int, error) {
		return scraped(ctx, at, "statsd_exporter_lines_total")
	}
	return s
}
