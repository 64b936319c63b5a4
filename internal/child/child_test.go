package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// run returns a process that runs a shell script.
func run(t *testing.T, script string, timeout time.Duration) (*Process, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	p := New(Options{
		Program: Program{Command: []string{"/bin/sh", "-c", script}, Timeout: timeout},
		Log:     slog.New(slog.NewTextHandler(log, nil)),
	})
	t.Cleanup(func() { p.Close() })
	return p, log
}

// ask sends n lines and returns the answers.
func ask(ctx context.Context, p *Process, n int) (answers []string, err error) {
	var request []byte
	for i := range n {
		request = fmt.Appendf(request, "line %d\n", i)
	}
	err = p.Exchange(ctx, request, n, func(_ int, line []byte) error {
		answers = append(answers, string(line))
		return nil
	})
	return answers, err
}

// again asks until the program has been started again.
func again(t *testing.T, p *Process, n int) ([]string, error) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		answers, err := ask(t.Context(), p, n)
		if !errors.Is(err, ErrPausing) || time.Now().After(end) {
			return answers, err
		}
		<-time.After(10 * time.Millisecond)
	}
}

// gone tells whether a process is there no more, not even unburied.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

const generous = 20 * time.Second

func TestExchange(t *testing.T) {
	p, _ := run(t, `while read -r l; do echo "got $l"; done`, generous)
	for _, n := range []int{1, 3, 0, 5000} { // the last is more than the pipes hold
		answers, err := ask(t.Context(), p, n)
		if err != nil || len(answers) != n || n > 0 && answers[n-1] != fmt.Sprintf("got line %d", n-1) {
			t.Errorf("%d lines: %d answers, %v", n, len(answers), err)
		}
	}
	pid := p.running.pid
	for range 2 {
		if err := p.Close(); err != nil || !gone(pid) {
			t.Errorf("it is still there, %v", err)
		}
	}
	if _, err := ask(t.Context(), p, 1); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestFaults: a program that misbehaves costs an error, is killed, and runs again.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"crash":         {`read -r l; exit 3`, "exit status 3"},
		"crash at once": {`exit 4`, "exit status 4"},
		"killed":        {`read -r l; kill -SEGV $$`, "segmentation fault"},
		"hang":          {`read -r l; sleep 1000`, "did not answer within 300ms"},
		"hang deaf":     {`sleep 1000`, "did not answer within 300ms"},
		"too few":       {`read -r a; echo "$a"; sleep 1000`, "did not answer within 300ms"},
		"too many":      {`while read -r l; do printf 'a\nb\nc\nd\n'; done`, "more"},
		"flood":         {`while :; do echo flood flood flood flood flood flood flood flood; done`, "more"},
		"long line":     {`while :; do printf 'flood flood flood flood flood flood flood flood flood flood flood flood'; done`, ""},
		"closes input":  {`exec <&-; sleep 1000`, ""},
		"closes output": {`exec >&-; sleep 1000`, "closed its standard output"},
		"ignores TERM":  {`trap '' TERM INT HUP; read -r l; while :; do sleep 1; done`, "did not answer within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := `if [ -e ` + dir + `/well ]; then while read -r l; do echo "$l"; done; fi; echo $$ >` + dir + `/pid; ` + test.script
			p, _ := run(t, script, 300*time.Millisecond)
			var err error
			for range 1000 { // what was too much may show at the next question
				if _, err = ask(t.Context(), p, 2); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v; want %q in it", err, test.want)
			}
			text, wrong := os.ReadFile(filepath.Join(dir, "pid"))
			pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			if wrong != nil || pid == 0 || !gone(pid) {
				t.Errorf("process %d is still there, %v", pid, wrong)
			}
			if err := os.WriteFile(filepath.Join(dir, "well"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.opts.Timeout = generous
			if answers, err := again(t, p, 2); err != nil || len(answers) != 2 {
				t.Errorf("afterwards %q, %v", answers, err)
			}
		})
	}
}

// TestPauses: a program that fails is not started all the time.
func TestPauses(t *testing.T) {
	p, _ := run(t, `exit 1`, generous)
	if _, err := ask(t.Context(), p, 1); err == nil || errors.Is(err, ErrPausing) {
		t.Errorf("the first error is %v", err)
	}
	if _, err := ask(t.Context(), p, 1); !errors.Is(err, ErrPausing) {
		t.Errorf("the second error is %v", err)
	}
	q := New(Options{Program: Program{Command: []string{"/nonexistent/program"}, Timeout: generous}})
	if _, err := ask(t.Context(), q, 1); err == nil || !strings.Contains(err.Error(), "start /nonexistent/program") {
		t.Errorf("the error is %v", err)
	}
}

// TestGroup: what a program has started ends with it.
func TestGroup(t *testing.T) {
	for name, script := range map[string]string{
		"ends": `read -r l; sleep 1000 & echo $!; exit 0`, "hangs": `read -r l; sleep 1000 & echo $!; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := run(t, script, generous)
			answers, err := ask(t.Context(), p, 1)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(answers[0])
			if err != nil {
				t.Fatal(err)
			}
			p.Close()
			for end := time.Now().Add(generous); !dead(pid); {
				if time.Now().After(end) {
					t.Fatalf("process %d is still there", pid)
				}
			}
		})
	}
}

// dead tells whether a process has ended, whoever has to bury it.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// TestCancelled ends with its context, which is not the program's fault.
func TestCancelled(t *testing.T) {
	p, _ := run(t, `read -r l; echo one; sleep 1000`, generous)
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Exchange(ctx, []byte("x\n"), 2, func(int, []byte) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if _, err := ask(t.Context(), p, 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestStandardError is logged: bounded, and harmless for a terminal.
func TestStandardError(t *testing.T) {
	p, log := run(t, `printf 'red \033[31m\n%05000d\n' 7 >&2; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo "more $i" >&2; done; read -r l; echo done`, generous)
	if _, err := ask(t.Context(), p, 1); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if text := log.String(); !strings.Contains(text, "red \uFFFD[31m") || strings.Contains(text, "\033") || len(text) > 8000 || strings.Contains(text, "more 15") {
		t.Errorf("the log has %d bytes:\n%s", len(text), text)
	}
}

// TestEnvironment has only what it needs, and no secrets of weir's.
func TestEnvironment(t *testing.T) {
	t.Setenv("WEIR_SECRET", "secret")
	p, _ := run(t, `read -r l; echo "$WEIR_SECRET/$MINE/$PWD"`, generous)
	p.opts.Env, p.opts.Dir = map[string]config.Secret{"MINE": "mine"}, "/usr"
	if answers, err := ask(t.Context(), p, 1); err != nil || answers[0] != "/mine//usr" {
		t.Errorf("it has %q, %v", answers, err)
	}
}

func TestValidate(t *testing.T) {
	for want, p := range map[string]Program{
		"":         {Command: []string{"a"}, Timeout: time.Second},
		"command:": {Timeout: time.Second},
		"timeout:": {Command: []string{"a"}},
		"env:":     {Command: []string{"a"}, Timeout: time.Second, Env: map[string]config.Secret{"1=": ""}},
	} {
		err := p.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
