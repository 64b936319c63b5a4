package faulttest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

// reader runs weir logs beside a running weir.
type reader struct {
	t      testing.TB
	binary string
	config string // with the address and the data directory of that weir
	data   string
	env    []string
}

// beside starts a weir that follows a file, and returns what reads it.
func beside(t *testing.T, path string, env ...string) (*faulttest.Weir, *reader) {
	t.Helper()
	dir := t.TempDir()
	r := &reader{t: t, binary: faulttest.Binary(t), config: filepath.Join(dir, "reader.yaml"), data: filepath.Join(dir, "data")}
	w := faulttest.Start(t, faulttest.Options{
		Config:  fmt.Sprintf("sources: {app: {type: file, paths: [%q], start: beginning}}\n", path),
		DataDir: r.data, Env: env,
	})
	text := fmt.Sprintf("data_dir: %q\nhttp: {listen: %q}\nsources: {app: {type: file, paths: [%q]}}\n", r.data, w.Address(), path)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, r
}

func (r *reader) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.binary, append([]string{"logs", "-c", r.config}, args...)...)
	cmd.Env = append(os.Environ(), r.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run returns what weir logs printed, and on stderr.
func (r *reader) run(args ...string) (out, messages string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := r.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func appendLines(t testing.TB, path, format string, from, to int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := from; i < to; i++ {
		if _, err := fmt.Fprintf(f, format+"\n", i); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogs asks a running weir, and the directory itself, the same.
func TestLogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendLines(t, path, "level=info line %d", 0, 9000)
	appendLines(t, path, "level=error line %d", 9000, 9010)
	_, r := beside(t, path)
	faulttest.WaitFor(t, "the text to be kept", func() bool {
		out, _, err := r.run("-o", "raw", "-n", "1")
		return err == nil && out == "level=error line 9009\n"
	})
	for _, args := range [][]string{
		{}, {"-n", "all"}, {"-n", "6000"}, {"app.log", "-l", "error"}, {"-g", "line 77[0-9]$", "-C", "2", "-o", "json"}, {"--since", "1h", "-o", "logfmt"},
		{`{source="app"} |= "line 8999"`, "-A", "1"}, {`sum by (detected_level) (count_over_time({source="app"}[1h]))`}, {"nothing"}, {`{source="app"} | nothing`},
	} {
		out, messages, err := r.run(args...)
		direct, directMessages, directErr := r.run(append(args, "--data-dir", r.data)...)
		if out != direct || messages != directMessages || fmt.Sprint(err) != fmt.Sprint(directErr) {
			t.Errorf("%q: running\n%.300s%s%v\ndirectly\n%.300s%s%v", args, out, messages, err, direct, directMessages, directErr)
		}
	}
	if out, _, _ := r.run("-n", "all"); strings.Count(out, "\n") != 9010 {
		t.Errorf("%d lines", strings.Count(out, "\n"))
	}
	var messages bytes.Buffer
	cmd := exec.Command("sh", "-c", fmt.Sprintf("%q logs -c %q -n all | head -n 1", r.binary, r.config))
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil || strings.Count(string(out), "\n") != 1 || messages.Len() > 0 {
		t.Errorf("into head: %q, %v, %s", out, err, &messages)
	}
}

// TestLogsFollow follows a running weir until that ends.
func TestLogsFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendLines(t, path, "old %d", 0, 5)
	w, r := beside(t, path)
	faulttest.WaitFor(t, "the text to be kept", func() bool {
		out, _, _ := r.run("-o", "raw", "-n", "1")
		return out == "old 4\n"
	})
	cmd := r.command("-f", "-n", "2", "-o", "raw", "app", "-g", "(old|new|last) ")
	var messages bytes.Buffer
	cmd.Stderr = &messages
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, %v; want %q; %s", lines.Text(), lines.Err(), want, &messages)
		}
	}
	next("old 3")
	next("old 4")
	for i := range 50 {
		appendLines(t, path, "new %d", 40*i, 40*i+40)
		appendLines(t, path, "other %d", i, i+1)
		for n := range 40 {
			next(fmt.Sprintf("new %d", 40*i+n))
		}
	}
	began := time.Now()
	appendLines(t, path, "last %d", 1, 2)
	next("last 1")
	t.Logf("a line was seen %v after it was written", time.Since(began).Round(time.Millisecond))
	w.Terminate()
	if lines.Scan() {
		t.Errorf("one more line: %q", lines.Text())
	}
	err = cmd.Wait()
	if err == nil || !strings.Contains(messages.String(), "weir: ") {
		t.Errorf("%v, %s", err, &messages)
	}
	_, said, err := r.run("-f")
	if err == nil || !strings.Contains(said, "start weir run") {
		t.Errorf("%v, %s", err, said)
	}
	if out, said, err := r.run("-n", "1", "-o", "raw"); out != "last 1\n" || err != nil {
		t.Errorf("%q, %v, %s", out, err, said)
	}
}

// TestLogsInterrupt ends a follower as people do.
func TestLogsInterrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendLines(t, path, "line %d", 0, 1)
	_, r := beside(t, path)
	cmd := r.command("-f", "-o", "raw")
	var messages bytes.Buffer
	cmd.Stderr = &messages
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(pipe); !lines.Scan() || lines.Text() != "line 0" {
		t.Fatalf("%q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || messages.Len() > 0 {
		t.Errorf("%v, %s", err, &messages)
	}
}

// TestLogsToken asks a weir that wants a token.
func TestLogsToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendLines(t, path, "line %d", 0, 1)
	token := "WEIR_TOKEN_FILE=" + filepath.Join(t.TempDir(), "token")
	_, r := beside(t, path, token)
	r.env = []string{token}
	faulttest.WaitFor(t, "the text to be kept", func() bool {
		out, _, _ := r.run("-o", "raw")
		return out == "line 0\n"
	})
	r.env = nil
	if out, messages, err := r.run("-o", "raw"); out != "" || err == nil || !strings.Contains(messages, "asks for a token: set http.token") {
		t.Errorf("%q, %s, %v", out, messages, err)
	}
}
