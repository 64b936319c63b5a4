package realtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// LokiProgram returns the path of one of Loki's programs (logcli, loki, loki-canary), or
// skips the test. `make test` builds them in tmp/bin from the sources that the Go module
// proxy has; the folder loki beside this file pins them.
func LokiProgram(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(moduleRoot(), "tmp", "bin", name)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(name); err != nil {
			Skip(t, name, "not built (make test does it, which takes some minutes)")
		}
	}
	Used(t, name+" "+version(path, "--version", "version "))
	return path
}

// Logcli is Loki's command line for one server.
type Logcli struct {
	path, url string
	env       []string
}

// NewLogcli returns logcli for the server at a URL, or skips the test. env is added to its
// environment.
func NewLogcli(t testing.TB, url string, env ...string) *Logcli {
	t.Helper()
	return &Logcli{LokiProgram(t, "logcli"), url, env}
}

// commandTime is how long one call of logcli may take.
const commandTime = time.Minute

// Command returns logcli with arguments, not started. It is quiet about its requests.
func (l *Logcli) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(l.path, append([]string{"--addr=" + l.url, "--quiet", "--retries=0"}, args...)...)
	cmd.Env = append(append(os.Environ(), "TZ=UTC"), l.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Try runs logcli and returns what it wrote to standard output, and the error with what it
// wrote to standard error.
func (l *Logcli) Try(args ...string) (string, error) {
	var out, trouble bytes.Buffer
	cmd := l.Command(args...)
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Start(); err != nil {
		return "", err
	}
	limit := time.AfterFunc(commandTime, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	if err := cmd.Wait(); err != nil {
		return out.String(), errors.New(strings.TrimSpace(trouble.String()))
	}
	return out.String(), nil
}

// Run is Try for what must work.
func (l *Logcli) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := l.Try(args...)
	if err != nil {
		t.Fatalf("logcli %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// lokiPatience is how long Loki may take until it takes pushes: ten seconds on a quiet machine.
const lokiPatience = 2 * time.Minute

// Loki is a running Loki.
type Loki struct {
	// URL is where it listens, without a final slash.
	URL string
	*process
}

// StartLoki runs Loki in one process, with its data in a folder of the test, until the test
// ends, or skips the test. It takes entries of any time.
func StartLoki(t testing.TB) *Loki {
	t.Helper()
	path := LokiProgram(t, "loki")
	for range 5 {
		dir, address, grpc := t.TempDir(), freeAddress(t), freeAddress(t)
		name := filepath.Join(dir, "loki.yaml")
		if err := os.WriteFile(name, []byte(lokiConfig(dir, address, grpc)), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := start(t, exec.Command(path, "-config.file="+name))
		if err != nil {
			t.Fatal(err)
		}
		l := &Loki{URL: "http://" + address, process: p}
		if within(lokiPatience, func() bool { return !p.running() || l.takes() }) && p.running() {
			return l
		}
		p.stop()
		if !strings.Contains(p.output.String(), "address already in use") {
			t.Fatalf("loki does not start:\n%s", p.output)
		}
	}
	t.Fatal("loki finds no free ports")
	return nil
}

// takes tells whether pushes are taken, by one of a stream that no test asks for.
func (l *Loki) takes() bool {
	response, err := http.Post(l.URL+"/loki/api/v1/push", "application/json",
		strings.NewReader(fmt.Sprintf(`{"streams":[{"stream":{"probe":"x"},"values":[["%d","x"]]}]}`, time.Now().UnixNano())))
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusNoContent
}

func lokiConfig(dir, address, grpc string) string {
	host, port, _ := strings.Cut(address, ":")
	_, grpcPort, _ := strings.Cut(grpc, ":")
	return fmt.Sprintf(`auth_enabled: false
server: {http_listen_address: %[2]s, http_listen_port: %[3]s, grpc_listen_address: %[2]s, grpc_listen_port: %[4]s, log_level: error}
common:
  path_prefix: %[1]q
  replication_factor: 1
  instance_addr: %[2]s
  ring: {kvstore: {store: inmemory}, instance_addr: %[2]s}
  storage: {filesystem: {chunks_directory: %[5]q, rules_directory: %[6]q}}
frontend: {address: %[2]s}
schema_config: {configs: [{from: "2020-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]}
limits_config:
  reject_old_samples: false
  volume_enabled: true
  shard_streams: {enabled: false}
  max_query_length: 0
analytics: {reporting_enabled: false}
`, dir, host, port, grpcPort, filepath.Join(dir, "chunks"), filepath.Join(dir, "rules"))
}
