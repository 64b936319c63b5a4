package docker

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
)

func TestWriteStamp(t *testing.T) {
	dir := t.TempDir()
	other, file := filepath.Join(dir, "other"), filepath.Join(dir, "last.txt")
	if err := os.WriteFile(other, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, file); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{1795198202, 1795198203} {
		if err := writeStamp(file, time.Unix(at, 999)); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(file); string(text) != strconv.FormatInt(at, 10) {
			t.Errorf("wrote %q", text)
		}
	}
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if text, _ := os.ReadFile(other); string(text) != "another's" {
		t.Errorf("a link was followed: %q", text)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"nowhere/last.txt", "folder"} {
		if err := writeStamp(filepath.Join(dir, bad), time.Now()); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".weir-*")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestStamps has both files be written while an engine answers, and the log say which one does.
func TestStamps(t *testing.T) {
	e := newEngine(t, "")
	e.run("web", nil)
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "metrics"), filepath.Join(dir, "logs")}
	said := &lockedBuffer{}
	began := time.Now().Unix()
	stop, _ := start(t, e, newJournal(t), func(c *Config, d *flow.Deps) {
		c.StatsInterval, c.LastMetricsFile, c.LastLogsFile = time.Second, files[0], files[1]
		d.Metrics, d.Log = metric.New(), slog.New(slog.NewTextHandler(said, nil))
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for _, file := range files {
		for {
			text, _ := os.ReadFile(file)
			if at, err := strconv.ParseInt(string(text), 10, 64); err == nil && at >= began {
				break
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s has %q", file, text)
			}
		}
	}
	stop()
	for _, want := range []string{`msg="following containers" host=` + e.host, `msg="connected to the docker engine" host=` + e.host + ` spoken_api=1.41`, "last_logs_file=" + files[1]} {
		if !strings.Contains(said.buf.String(), want) {
			t.Errorf("not said: %s\n%s", want, &said.buf)
		}
	}
}

// TestStampRefused has a file that cannot be written: the source is degraded and says why.
func TestStampRefused(t *testing.T) {
	e := newEngine(t, "")
	_, component := start(t, e, newJournal(t), func(c *Config, d *flow.Deps) {
		c.StatsInterval, c.LastMetricsFile = time.Second, filepath.Join(t.TempDir(), "nowhere", "metrics")
		d.Metrics = metric.New()
	})
	waitDegraded(t, component)
	if s := component.State(); !strings.HasPrefix(s.Problem, "write last_metrics_file: ") || s.Remedy != stampRemedy {
		t.Errorf("%+v", s)
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}
