package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceKeepsItsAverage(t *testing.T) {
	p := pace{perSecond: 50}
	total, most, troubled := 0, 0, 0
	const step, steps = 50 * time.Millisecond, 23 * 60 * 20 // both cycles end together
	for range steps {
		n := p.due(step)
		total += n
		most = max(most, n)
		if p.trouble() {
			troubled++
		}
	}
	if want := 50 * 23 * 60; total < want*99/100 || total > want*101/100 {
		t.Errorf("%d lines are due in 23 minutes, want about %d", total, want)
	}
	if most < 6 {
		t.Errorf("at most %d lines are due at a time, want bursts above 2 or 3", most)
	}
	if troubled == 0 || troubled > steps/5 {
		t.Errorf("in trouble %d of %d times", troubled, steps)
	}
	if n := p.due(time.Hour); n > 300 {
		t.Errorf("%d lines are due after an hour's sleep, want at most a second's", n)
	}
}

func TestRunWritesEveryLineOnceAcrossRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		log, err := openRotating(dir, 500<<10)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		w, calls := newWriter(log, 50, 5), 0
		if err := w.run(ctx, func(time.Time) { calls++ }); err != nil {
			t.Fatal(err)
		}
		// Deadline and tick may fall on the same instant, so the last call may be missing.
		if calls < 2399 || calls > 2400 {
			t.Errorf("%d calls in two minutes, want 2400", calls)
		}
		var all []byte
		for _, name := range []string{"access.log.5", "access.log.4", "access.log.3", "access.log.2", "access.log.1", "access.log"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				all = append(all, text...)
			}
			if len(text) > 510<<10 {
				t.Errorf("%s has %d bytes, more than a file may have", name, len(text))
			}
		}
		written := 0
		for _, n := range w.tally {
			written += n
		}
		if lines := bytes.Count(all, []byte{'\n'}); lines != written || lines < 5000 {
			t.Errorf("%d lines are in the files, %d were written, want about 6000", lines, written)
		}
		if w.tally[502] < 50 {
			t.Errorf("%d lines have status 502, want some trouble", w.tally[502])
		}
	})
}

func TestRotationKeepsFiveAndWritesLateLines(t *testing.T) {
	dir := t.TempDir()
	r, err := openRotating(dir, 100)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 39) + "\n")
	for range 41 {
		if _, err := r.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 1+keptFiles {
		t.Errorf("found %v, %v; want the log and %d older ones", found, err, keptFiles)
	}
	// Two fit; the third is the first late one, and the late ones stay with the renamed file.
	if info, err := os.Stat(filepath.Join(dir, "access.log.1")); err != nil || info.Size() != int64(len(line)*(2+lateLines)) {
		t.Errorf("the newest rotated file: %v, %v; want %d lines", info.Size(), err, 2+lateLines)
	}
}

func TestOpenGoesOnBehindWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		r, err := openRotating(dir, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	if text, err := os.ReadFile(filepath.Join(dir, "access.log")); err != nil || string(text) != "line\nline\n" {
		t.Errorf("the log holds %q, %v", text, err)
	}
}

// broken fails from its nth write on.
type broken int

func (b *broken) Write(p []byte) (int, error) {
	if *b--; *b < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

var errBroken = errors.New("broken")

func TestEmitEndsWithItsOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := broken(100)
		if err := Emit(t.Context(), &out, 0); !errors.Is(err, errBroken) {
			t.Errorf("Emit = %v, want %v", err, errBroken)
		}
	})
}

func TestRunReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := Run(ctx, Options{Dir: t.TempDir(), Out: &out, DockerHost: "ssh://nowhere", Seed: 1}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"about 50 lines/s", "no container: ", "unix:// and tcp:// only", "lines  200:"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the report lacks %q:\n%s", want, out.String())
			}
		}
		if n := strings.Count(out.String(), "written "); n != 3 {
			t.Errorf("%d reports in 5 s and at the end, want 3:\n%s", n, out.String())
		}
	})
}

func TestRunNeedsItsFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Options{Dir: file}); err == nil {
		t.Error("Run in a file that is no folder ends without an error")
	}
}

func TestParseCounts(t *testing.T) {
	got := parseCounts(`# TYPE n_total counter
n_total{machine="a",status="200"} 17
n_total{status="200",machine="b"} 3
n_total{machine="a",status="404"} 1.5e+01 1700000000
n_total{machine="a",grpc_status="7",status="502"} 2
n_total{machine="a",status="999999"} 2
n_total{machine="a",status="x"} 2
n_total{machine="a"} 2
n_total{
other_total{status="200"} 1
`, "n_total")
	if want := "    37 lines  200:20  404:15  502:2"; got.String() != want {
		t.Errorf("parseCounts = %q, want %q", got.String(), want)
	}
}
