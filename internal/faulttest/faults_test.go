package faulttest_test

import (
	"flag"
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

var (
	full  = flag.Bool("full", false, "run each fault as long as docs/guarantees.md says, not just some seconds")
	table = flag.String("table", "", "write the table of results to this `file`")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	faulttest.Cleanup()
	if *table != "" && code == 0 {
		if err := writeTable(*table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// span returns how long a fault goes on.
func span(whole time.Duration) time.Duration {
	if *full {
		return whole
	}
	return min(whole, 6*time.Second)
}

// stage is what a scenario plays on.
type stage struct {
	dir, path string
	weir      *faulttest.Weir
	lines     *faulttest.Writer
	faults    int
	what      string // the faults' plural
}

func newStage(t *testing.T, path string) *stage {
	dir := t.TempDir()
	if path == "" {
		path = filepath.Join(dir, "app.log")
	}
	s := &stage{dir: dir, path: path}
	s.weir = faulttest.Start(t, faulttest.Options{
		Config: fmt.Sprintf("sources: {app: {type: file, paths: [%q], start: beginning}}\n%s", path, faulttest.Rules),
	})
	s.lines = faulttest.NewWriter(t, path)
	return s
}

// during calls step every pause until the span is over.
func during(d, pause time.Duration, step func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for end := time.After(d); ; {
		select {
		case <-end:
			return
		case <-tick.C:
			step()
		}
	}
}

var rows []string

func report(name string, s *stage, r faulttest.Result) {
	rows = append(rows, fmt.Sprintf("| %s | %d %s | %d | %d | %d | %d | %d | %d |", name, s.faults, s.what, r.Written, r.Lost, r.Doubled, r.KeptLost, r.KeptDoubled, r.Gaps))
}

func writeTable(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	const begin, end = "<!-- table: begin -->\n", "<!-- table: end -->"
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", name)
	}
	body := "| fault | how often | lines | not counted | counted twice | not kept | kept twice | gaps stated |\n|---|---|---|---|---|---|---|---|\n" + strings.Join(rows, "\n") + "\n"
	return os.WriteFile(name, []byte(head+begin+body+end+tail), 0o644)
}

// TestFaults plays every fault that a file can suffer while weir follows it.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name string
		what string
		run  func(t *testing.T, s *stage)
	}{
		{"rename rotation", "rotations", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), 200*time.Millisecond, func() { s.lines.Write(400); s.lines.Rename() })
			s.faults = s.lines.Rotations
		}},
		{"rename rotation, 50 a second", "rotations", func(_ *testing.T, s *stage) {
			s.lines.Keep = 20
			during(span(20*time.Second), 20*time.Millisecond, func() { s.lines.Write(30); s.lines.Rename() })
			s.faults = s.lines.Rotations
		}},
		{"copytruncate", "rotations", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), 200*time.Millisecond, func() { s.lines.Write(400); s.lines.CopyTruncate() })
			s.faults = s.lines.Rotations
		}},
		{"rename and compress", "rotations", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), 300*time.Millisecond, func() { s.lines.Write(400); s.lines.RenameAndCompress() })
			s.faults = s.lines.Rotations
		}},
		{"remove and create", "rotations", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), 400*time.Millisecond, func() { s.lines.Recreate(); s.lines.Write(400) })
			s.faults = s.lines.Rotations
		}},
		{"kill -9 every 300 ms while rotating", "kills", func(_ *testing.T, s *stage) {
			s.lines.Keep = 60
			n := 0
			during(span(time.Minute), 300*time.Millisecond, func() {
				s.lines.Write(200)
				s.weir.Kill()
				s.lines.Write(50)
				s.weir.Launch()
				if n++; n%7 == 0 {
					s.lines.Rename()
				}
			})
			s.faults = s.weir.Starts - 1
		}},
		{"SIGTERM and start while rotating", "restarts", func(_ *testing.T, s *stage) {
			s.lines.Keep = 60
			during(span(20*time.Second), 500*time.Millisecond, func() {
				s.lines.Write(300)
				s.weir.Terminate()
				s.lines.Write(100)
				s.lines.Rename()
				s.weir.Again()
			})
			s.faults = s.weir.Starts - 1
		}},
		{"rotated thrice while weir was down", "restarts", func(_ *testing.T, s *stage) {
			s.lines.Keep = 10
			during(span(20*time.Second), time.Second, func() {
				s.lines.Write(300)
				s.weir.Kill()
				for range 3 {
					s.lines.Write(100)
					s.lines.Rename()
				}
				s.lines.Write(100)
				s.weir.Again()
			})
			s.faults = s.weir.Starts - 1
		}},
		{"copytruncate while weir was down", "restarts", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), time.Second, func() {
				s.lines.Write(300)
				s.weir.Kill()
				s.lines.Write(100)
				s.lines.CopyTruncate()
				s.lines.Write(100)
				s.weir.Again()
			})
			s.faults = s.weir.Starts - 1
		}},
		{"clock steps of an hour in Docker's times, while rotating", "steps", func(_ *testing.T, s *stage) {
			now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
			s.lines.Wrap(func(line []byte) []byte {
				now = now.Add(time.Millisecond)
				return fmt.Appendf(nil, `{"log":%q,"stream":"stdout","time":%q}`+"\n", line, now.Format(time.RFC3339Nano))
			})
			s.lines.Rename() // a file holds one format
			during(span(20*time.Second), 200*time.Millisecond, func() {
				s.lines.Write(200)
				if s.faults++; s.faults%2 == 0 {
					now = now.Add(time.Hour)
				} else {
					now = now.Add(-time.Hour)
				}
				s.lines.Write(200)
				if s.faults%3 == 0 {
					s.lines.Rename()
				}
			})
		}},
		{"SIGHUP every 100 ms", "reloads", func(_ *testing.T, s *stage) {
			during(span(20*time.Second), 100*time.Millisecond, func() {
				s.lines.Write(100)
				s.weir.Signal(syscall.SIGHUP)
				s.faults++
			})
		}},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			s := newStage(t, "")
			s.what = test.what
			s.lines.Write(100)
			test.run(t, s)
			s.lines.Write(100)
			r := s.weir.Settle(s.lines.Written())
			s.weir.Kept(&r)
			if r.Lost != 0 || r.Doubled != 0 || r.Foreign != 0 || r.KeptLost != 0 || r.KeptDoubled != 0 {
				t.Errorf("%d lines written: %d lost, %d doubled, %d foreign, of the text %d lost, %d doubled:%s",
					r.Written, r.Lost, r.Doubled, r.Foreign, r.KeptLost, r.KeptDoubled, r.Example)
			}
			report(test.name, s, r)
		})
	}
}

// TestStatedGap removes what weir had not read: that is lost, and it is said.
func TestStatedGap(t *testing.T) {
	s := newStage(t, "")
	s.what = "loss"
	s.lines.Write(500)
	s.weir.Settle(500)
	s.weir.Kill()
	s.lines.Write(200)
	s.lines.Recreate()
	s.lines.Write(300)
	s.faults = 1
	s.weir.Again()
	r := s.weir.Settle(800)
	s.weir.Kept(&r)
	if r.Lost != 200 || r.Doubled != 0 || r.Gaps == 0 || r.KeptLost != 200 || r.KeptDoubled != 0 {
		t.Errorf("%d lost (200 were destroyed unread), %d doubled, %d gaps stated; of the text %d lost, %d doubled", r.Lost, r.Doubled, r.Gaps, r.KeptLost, r.KeptDoubled)
	}
	report("200 unread lines destroyed while weir was down", s, r)
}

// TestFullDisk fills the file system of the data directory, and frees it again.
func TestFullDisk(t *testing.T) {
	data := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", data).CombinedOutput(); err != nil {
		t.Skipf("SKIP: no tmpfs can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) })
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := faulttest.Start(t, faulttest.Options{DataDir: filepath.Join(data, "weir"),
		Config: fmt.Sprintf("journal: {free: 1MiB}\nsources: {app: {type: file, paths: [%q], start: beginning}}\n%s", path, faulttest.Rules)})
	lines := faulttest.NewWriter(t, path)
	lines.Write(1000)
	w.Settle(1000)
	fill := filepath.Join(data, "fill")
	if err := os.WriteFile(fill, make([]byte, 60<<20), 0o600); err == nil {
		t.Fatal("60 MiB fitted into 48")
	}
	lines.Write(1000)
	lines.Rename()
	lines.Write(1000)
	w.Kill() // what was committed on the full disk must be there
	lines.Write(1000)
	w.Again()
	lines.Write(20000) // many new series: the snapshot outgrows what was reserved
	faulttest.WaitFor(t, "weir to say that the disk is full, or to have gone on", func() bool {
		m, err := w.Metrics()
		return err == nil && (m[`weir_component_up{machine="`+hostname()+`",component="journal/commits"}`] == 0 || faulttest.Sum(m, "lines_total") >= 24000)
	})
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	r := w.Settle(lines.Written())
	w.Kept(&r) // of what came below the floor nothing is, which is stated
	if r.KeptLost > 0 {
		faulttest.WaitFor(t, fmt.Sprintf("a gap that states %d records", r.KeptLost), func() bool { return w.Missed() == r.KeptLost })
	}
	if r.Lost != 0 || r.Doubled != 0 || r.KeptDoubled != 0 {
		t.Errorf("%d lines written: %d lost, %d doubled, of the text %d doubled:%s", r.Written, r.Lost, r.Doubled, r.KeptDoubled, r.Example)
	}
	report("disk of data_dir full, kill -9, disk freed", &stage{faults: 1, what: "time"}, r)
}

func hostname() string {
	if name := os.Getenv("MACHINE_NAME"); name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
}
