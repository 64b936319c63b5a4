// Package realtest gives tests the real programs that weir works with: Debian's nginx and
// wrk, npm's StatsD server, promtool, Loki and its logcli. Where a program is not installed, the test that asks
// for it is skipped and says why; `make test` installs what it can beforehand.
//
//	site := realtest.StartNginx(t, realtest.NginxConfig{AccessLog: log})
//	realtest.Get(t, site.URL, 200, "/status/404")
//
// Whatever is started listens on a free loopback port, logs into the test's own log if it
// fails, and has ended, by its process id, when the test has. Nothing here is for use
// outside of tests.
package realtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a program may take to start or to stop on a busy machine.
const Patience = 20 * time.Second

// Skip ends the test because component is not to be had.
func Skip(t testing.TB, component, why string) {
	t.Helper()
	t.Skipf("SKIP %s: %s", component, why)
}

// Used notes in the test's log, for the summary of `make test`, that a component was real.
func Used(t testing.TB, component string) {
	t.Helper()
	t.Log("real component: " + component)
}

// Program returns the path of an installed program, or skips the test. It looks where root's
// programs are as well, which are not on everybody's PATH.
func Program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin", filepath.Join(moduleRoot(), "tmp", "bin")} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	Skip(t, name, "not installed (Debian: apt-get install "+debianPackage+")")
	return ""
}

// Promtool returns the path of Prometheus' promtool, or skips the test.
func Promtool(t testing.TB) string {
	t.Helper()
	path := Program(t, "promtool", "prometheus")
	Used(t, "promtool "+version(path, "--version", "version "))
	return path
}

// Eventually waits until ok returns true, and fails the test with what it waited for if that
// takes longer than Patience. It is for the state of other processes; a test of our own code
// waits for an event instead.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !within(Patience, ok) {
		t.Fatalf("not within %s: %s", Patience, what)
	}
}

func within(limit time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// moduleRoot is the folder of go.mod above the working directory, which for a test is its
// package's folder; empty if there is none.
func moduleRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// version runs a program with flag and returns the word of its output that follows after.
func version(path, flag, after string) string {
	out, _ := exec.Command(path, flag).CombinedOutput() // wrk -v exits 1
	_, rest, _ := strings.Cut(string(out), after)
	word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	word, _, _ = strings.Cut(word, "\n")
	return strings.TrimRight(word, ",")
}

// process is a program that runs for the length of a test.
type process struct {
	cmd    *exec.Cmd
	output *outputBuffer
	ended  chan struct{} // closed when it has been waited for
}

// start runs cmd until the test ends. If the test fails, what the program said is logged.
func start(t testing.TB, cmd *exec.Cmd) (*process, error) {
	t.Helper()
	p := &process{cmd: cmd, output: new(outputBuffer), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	// The kernel ends it should the test binary die without its cleanups.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), p.output)
		}
	})
	return p, nil
}

// running says whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop asks the process to end, and ends it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(Patience / 4):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// outputBuffer keeps what a process prints, for two goroutines.
type outputBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p.
func (b *outputBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything so far.
func (b *outputBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
