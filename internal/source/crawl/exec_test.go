package crawl

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// program returns settings of a stream that runs a shell script.
func program(t *testing.T, script string, change func(*Stream)) Config {
	t.Helper()
	return testConfig(func(s *Stream) {
		s.Exec = []string{"/bin/sh", "-c", script}
		s.Dir = t.TempDir()
		if change != nil {
			change(s)
		}
	})
}

func TestExec(t *testing.T) {
	c := program(t, `
read cursor
[ "$cursor" = "$WEIR_CURSOR" ] || exit 3
n=${cursor:-0}
echo "source $WEIR_SOURCE stream $WEIR_STREAM key $KEY at $n" >&2
echo "{\"data\": {\"message\": \"number $((n+1))\", \"level\": \"error\", \"user\": \"leo\"}, \"time\": \"2026-11-21T10:00:00Z\", \"cursor\": $((n+1))}"
echo
echo "{\"data\": \"number \\\"$((n+2))\\\"\", \"cursor\": $((n+2))}"
printf '{"cursor": %s}' $((n+10))
`, func(s *Stream) {
		s.Env = map[string]config.Secret{"KEY": "k"}
		s.Message, s.Level, s.Fields = "message", "level", map[string]string{"user": "user"}
	})
	w := newWorld(t)
	w.once(c)
	w.once(c)
	w.expect("error number 1 user=leo", `number "2"`, "error number 11 user=leo", `number "12"`)
	if w.problem() != "" {
		t.Error(w.problem())
	}
	if log := w.log.String(); !strings.Contains(log, `text="source acme stream events key k at 10"`) {
		t.Error(log)
	}
}

// TestExecOld takes old records in the first run, too: how far back it goes is up to the program.
func TestExecOld(t *testing.T) {
	c := program(t, `[ -n "$WEIR_CURSOR" ] || echo '{"data":"old","time":"2001-01-01T00:00:00Z","cursor":1}'`, nil)
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.wrote = func(string) { cancel() }
	if err := w.source(c, false).Run(ctx, w); err != nil {
		t.Error(err)
	}
	w.expect("old")
}

// TestExecFails sees where the cursor is after a program that does not end well.
func TestExecFails(t *testing.T) {
	for name, test := range map[string]struct {
		end, problem string
		got          []string
	}{
		"status":   {"exit 4", "the program ended: exit status 4", []string{"1", "2"}},
		"killed":   {"kill -9 $$", "signal: killed", []string{"1", "2"}},
		"partial":  {`printf '{"data":"5","cursor":5}'; exit 1`, "exit status 1", []string{"1", "2"}},
		"hangs":    {"sleep 1000 & wait", "the run took longer than 1s (deadline)", []string{"1", "2"}},
		"long":     {"head -c 5000000 /dev/zero", "a line of more than 4MiB", []string{"1", "2"}},
		"much":     {"yes '{\"cursor\":5}'", "the program wrote more than 64KiB", []string{"1", "2", "3", "4"}},
		"nonsense": {"echo nonsense; echo '{\"data\":\"5\",\"cursor\":5}'", "", []string{"1", "2", "3", "4", "5"}},
		"well":     {"", "", []string{"1", "2", "3", "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			// 3 and 4 have no cursor, so they are only taken with what comes behind them.
			c := program(t, `printf '{"data":"1","cursor":"a"}\n{"data":"2","cursor":{"b":[1]}}\n{"data":"3"}\n{"data":"4"}\n';`+test.end, func(s *Stream) {
				if name == "hangs" {
					s.Deadline = time.Second
				}
			})
			c.MaxResponse = 64 << 10
			if name == "long" {
				c.MaxResponse = 64 << 20
			}
			w := newWorld(t)
			w.once(c)
			w.expect(test.got...)
			if p := w.problem(); !strings.Contains(p, test.problem) || (p == "") != (test.problem == "") {
				t.Errorf("%s; want %s", p, test.problem)
			}
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if want := map[bool]string{true: "5", false: `{"b":[1]}`}[name == "nonsense"]; err != nil || name != "much" && string(p.cursor) != want {
				t.Errorf("the cursor is %s, %v", p.cursor, err)
			}
			if n := w.number(`weir_crawl_bad_records_total{source="acme",stream="events",reason="no JSON"}`); (n == "1") != (name == "nonsense") {
				t.Errorf("%s bad records", n)
			}
		})
	}
}

// TestExecIsOneCommit has records before their cursor: they are in one commit with it.
func TestExecIsOneCommit(t *testing.T) {
	c := program(t, `for i in 1 2 3 4 5; do printf '{"data":"%s1"}\n' $i; sleep 0.01; printf '{"data":"%s2"}\n{"cursor":%s}\n' $i $i; done`, nil)
	w := newWorld(t)
	w.wrote = func(string) {
		p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
		if err != nil || string(p.cursor) != fmt.Sprint(len(w.all)/2) || len(w.all)%2 != 0 {
			t.Errorf("%d records with the cursor %s: %v", len(w.all), p.cursor, err)
		}
	}
	w.once(c)
	w.expect("11", "12", "21", "22", "31", "32", "41", "42", "51", "52")
}

// TestExecWaitsInALine has a program that waits in the middle of a line: what came before it is
// written meanwhile.
func TestExecWaitsInALine(t *testing.T) {
	c := program(t, `printf '{"data":"1","cursor":1}\n{"da'; while ! [ -e go ]; do sleep 0.01; done; printf 'ta":"2","cursor":2}\n'`, func(s *Stream) { s.Deadline = 20 * time.Second })
	w := newWorld(t)
	w.wrote = func(string) {
		if err := os.WriteFile(filepath.Join(c.Streams["events"].Dir, "go"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	w.once(c)
	w.expect("1", "2")
	if w.problem() != "" {
		t.Error(w.problem())
	}
}

// TestExecStops ends a program, and what it started, when weir stops.
func TestExecStops(t *testing.T) {
	c := program(t, `sleep 1000 & echo $! > pid; echo '{"data":"1","cursor":1}'; wait`, nil)
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.wrote = func(string) { cancel() }
	if err := w.source(c, false).Run(ctx, w); err != nil {
		t.Error(err)
	}
	w.expect("1")
	pid, err := os.ReadFile(filepath.Join(c.Streams["events"].Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for gone := false; !gone; {
		status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		gone = err != nil || strings.Contains(string(status), ") Z ")
		if time.Now().After(deadline) {
			t.Fatal("a program that it started is still there")
		}
	}
}

// TestExecEscapes has a program start one that makes itself a session, and so is not killed. That it
// keeps the output open holds up nothing when weir stops.
func TestExecEscapes(t *testing.T) {
	c := program(t, `setsid sh -c 'echo $$ > pid; exec sleep 1000' & while ! [ -s pid ]; do sleep 0.01; done; echo '{"data":"1","cursor":1}'`, nil)
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.wrote = func(string) { cancel() }
	if err := w.source(c, false).Run(ctx, w); err != nil {
		t.Error(err)
	}
	w.expect("1")
	text, err := os.ReadFile(filepath.Join(c.Streams["events"].Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it was killed: %v", err)
	}
}

func TestExecMissing(t *testing.T) {
	c := program(t, "", func(s *Stream) { s.Exec = []string{"/nowhere/acme"} })
	w := newWorld(t)
	w.once(c)
	if !strings.Contains(w.problem(), "start /nowhere/acme") {
		t.Error(w.problem())
	}
}
