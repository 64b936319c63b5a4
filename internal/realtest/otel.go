package realtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// built returns the path of a program that `make test` builds in tmp/bin from a folder of this
// module's, or skips the test.
func built(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(moduleRoot(), "tmp", "bin", name)
	if _, err := os.Stat(path); err != nil {
		Skip(t, name, "not built (make test does it, which takes some minutes)")
	}
	Used(t, name)
	return path
}

// OTelSDK sends logs and metrics with OpenTelemetry's SDK for Go, as the arguments say, or
// skips the test: "-endpoint", "127.0.0.1:4317", "-protocol", "grpc", "-records", "1000".
func OTelSDK(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(built(t, "otel-sdk"), args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("otel-sdk %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Collector is a running OpenTelemetry Collector.
type Collector struct {
	// GRPC and HTTP are where it listens.
	GRPC, HTTP string
	*process
}

// StartCollector runs the Collector until the test ends, or skips the test. It takes OTLP and
// sends it on to an address, as protocol says: grpc, http or nop.
func StartCollector(t testing.TB, protocol, to string) *Collector {
	t.Helper()
	path := built(t, "otelcol")
	for range 5 {
		c := &Collector{GRPC: freeAddress(t), HTTP: freeAddress(t)}
		name := filepath.Join(t.TempDir(), "otelcol.yaml")
		if err := os.WriteFile(name, []byte(CollectorConfig(c.GRPC, c.HTTP, protocol, to)), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if c.process, err = start(t, exec.Command(path, "--config", name)); err != nil {
			t.Fatal(err)
		}
		if within(Patience, func() bool { return !c.running() || listening(c.GRPC) && listening(c.HTTP) }) && c.running() {
			return c
		}
		c.stop()
		if !strings.Contains(c.output.String(), "address already in use") {
			t.Fatalf("the Collector does not start:\n%s", c.output)
		}
	}
	t.Fatal("the Collector finds no free ports")
	return nil
}

// Stop ends it before the test does.
func (c *Collector) Stop() { c.stop() }

// CollectorConfig returns the configuration of a Collector.
func CollectorConfig(grpc, http, protocol, to string) string {
	exporter := map[string]string{
		"grpc": fmt.Sprintf("otlp: {endpoint: %q, tls: {insecure: true}, retry_on_failure: {initial_interval: 100ms, max_interval: 1s}}", to),
		"http": fmt.Sprintf("otlphttp: {endpoint: %q, retry_on_failure: {initial_interval: 100ms, max_interval: 1s}}", "http://"+to),
		"nop":  "nop: {}",
	}[protocol]
	name, _, _ := strings.Cut(exporter, ":")
	return fmt.Sprintf(`receivers: {otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}}
exporters: {%s}
service:
  telemetry: {logs: {level: error}, metrics: {level: none}}
  pipelines:
    logs: {receivers: [otlp], exporters: [%s]}
    metrics: {receivers: [otlp], exporters: [%s]}
`, grpc, http, exporter, name, name)
}
