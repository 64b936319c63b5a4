// Package faulttest is the harness that holds weir to its promise: it runs the real binary
// on numbered lines with checksums while files rotate, disks fill and processes are killed,
// and says exactly which lines were lost or counted twice.
//
//	w := faulttest.Start(t, faulttest.Options{Config: text})
//	lines := faulttest.NewWriter(t, dir)
//	... lines.Write(1000), w.Kill(), w.Again() ...
//	result := w.Settle(lines.Written())   // lost, doubled, stated gaps
//
// It is for tests alone. A Weir belongs to one goroutine.
package faulttest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// build makes the binary once for all tests of a process.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weir-faulttest-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "weir")
	cmd := exec.Command("go", "build", "-trimpath", "-o", name, "github.com/weirlog/weir/cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build weir: %w\n%s", err, out)
	}
	return name, nil
})

// Binary returns the path of a freshly built weir, which Cleanup removes.
func Binary(t testing.TB) string {
	t.Helper()
	name, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Cleanup removes what Binary built; for TestMain.
func Cleanup() {
	if name, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(name))
	}
}

// Weir is a running or killed weir process with its configuration.
type Weir struct {
	t       testing.TB
	config  string // file
	address string
	cmd     *exec.Cmd
	log     bytes.Buffer
	env     []string
	// Starts counts how often it was started.
	Starts int
}

// Options say how weir runs.
type Options struct {
	// Config is the YAML without http and data_dir, which Start adds.
	Config string
	// DataDir replaces a temporary one.
	DataDir string
	// Env is added to the environment.
	Env []string
}

// Start runs weir and waits until it answers. It is killed at the end of the test.
func Start(t testing.TB, o Options) *Weir {
	t.Helper()
	dir := t.TempDir()
	if o.DataDir == "" {
		o.DataDir = filepath.Join(dir, "data")
	}
	w := &Weir{t: t, config: filepath.Join(dir, "weir.yaml"), address: FreeAddress(t), env: o.Env}
	text := fmt.Sprintf("data_dir: %q\nhttp: {listen: %q}\n%s", o.DataDir, w.address, o.Config)
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.stopAtEnd()
	w.Again()
	return w
}

func (w *Weir) stopAtEnd() {
	w.t.Cleanup(func() {
		if w.cmd != nil {
			w.Kill()
		}
		if w.t.Failed() {
			w.t.Logf("weir said:\n%s", lastLines(w.log.String(), 40))
		}
	})
}

// FreeAddress returns a loopback address that nobody listened at a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Default runs weir without any configuration, but for its port and these variables, and
// waits until it answers.
func Default(t testing.TB, env ...string) *Weir {
	t.Helper()
	w := &Weir{t: t, address: FreeAddress(t)}
	_, port, err := net.SplitHostPort(w.address)
	if err != nil {
		t.Fatal(err)
	}
	w.env = append(env, "METRICS_EXPORTER_PORT="+port, "STATE_DIRECTORY="+t.TempDir(), "WEIR_CONFIG=")
	w.stopAtEnd()
	w.Again()
	return w
}

// Launch starts the process without waiting for it.
func (w *Weir) Launch() {
	w.t.Helper()
	cmd := exec.Command(Binary(w.t), "run")
	if w.config != "" {
		cmd.Args = append(cmd.Args, "-c", w.config)
	} else {
		cmd.Dir = w.t.TempDir() // where no weir.yaml is
	}
	cmd.Stdout, cmd.Stderr = &w.log, &w.log
	cmd.Env = append(os.Environ(), w.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.cmd = cmd
	w.Starts++
}

// Again starts the process and waits until it answers.
func (w *Weir) Again() {
	w.t.Helper()
	w.Launch()
	WaitFor(w.t, "weir to answer", func() bool {
		resp, err := http.Get("http://" + w.address + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// Kill ends the process as a power cut of the machine's owner would: with SIGKILL.
func (w *Weir) Kill() { w.end(syscall.SIGKILL) }

// Terminate ends the process with SIGTERM and waits for its orderly end.
func (w *Weir) Terminate() { w.end(syscall.SIGTERM) }

// Signal sends a signal, such as SIGHUP.
func (w *Weir) Signal(s syscall.Signal) {
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

func (w *Weir) end(s syscall.Signal) {
	w.Signal(s)
	_ = w.cmd.Wait()
	w.cmd = nil
}

// SetConfig replaces the configuration's text below http and data_dir, for a reload.
func (w *Weir) SetConfig(text string) {
	old, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	head := strings.SplitAfterN(string(old), "\n", 3)[:2]
	if err := os.WriteFile(w.config, []byte(strings.Join(head, "")+text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// Ready tells whether every source has had its first look.
func (w *Weir) Ready() bool {
	resp, err := http.Get("http://" + w.address + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Address returns host:port of the page.
func (w *Weir) Address() string { return w.address }

// PID returns the process's id.
func (w *Weir) PID() int { return w.cmd.Process.Pid }

// Log returns what weir wrote to stderr so far. Call it when weir has ended.
func (w *Weir) Log() string { return w.log.String() }

// Metrics returns all samples of /metrics by series, as in `x_total{machine="a"}`.
func (w *Weir) Metrics() (map[string]float64, error) {
	resp, err := http.Get("http://" + w.address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return ParseMetrics(resp.Body)
}

// ParseMetrics reads Prometheus text without timestamps.
func ParseMetrics(r io.Reader) (map[string]float64, error) {
	samples := map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		if text == "" || text[0] == '#' {
			continue
		}
		cut := strings.LastIndexByte(text, ' ')
		v, err := strconv.ParseFloat(text[cut+1:], 64)
		if cut < 0 || err != nil {
			return nil, fmt.Errorf("sample %q: %w", text, err)
		}
		samples[text[:cut]] = v
	}
	return samples, lines.Err()
}

// Sum adds up the samples of one metric name.
func Sum(samples map[string]float64, name string) float64 {
	total := 0.0
	for series, v := range samples {
		if rest, ok := strings.CutPrefix(series, name); ok && (rest == "" || rest[0] == '{') {
			total += v
		}
	}
	return total
}

// WaitFor polls until what is true, and fails the test when it is not within a minute.
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
