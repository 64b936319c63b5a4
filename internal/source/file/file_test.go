package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// fakeLines keeps what is written to each stream. It survives sources as a journal does.
type fakeLines struct {
	mu      sync.Mutex
	inputs  []flow.Input
	lines   map[string]*fakeLine
	settled int
	changed chan struct{} // closed and replaced at each write
}

type fakeLine struct {
	of        *fakeLines
	records   []string
	gaps      []record.Gap
	position  record.Position
	labels    record.Labels
	forgotten bool
}

func newLines() *fakeLines {
	return &fakeLines{lines: map[string]*fakeLine{}, changed: make(chan struct{})}
}

func (l *fakeLines) Open(in flow.Input) (flow.Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.lines[in.Stream.ID]
	if line == nil {
		line = &fakeLine{of: l, labels: in.Stream.Labels}
		l.lines[in.Stream.ID] = line
		l.inputs = append(l.inputs, in)
	}
	return line, nil
}

func (l *fakeLines) Known() []flow.Input {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.inputs)
}

func (l *fakeLines) Settle() {
	l.change(func() { l.settled++ })
}

// change changes something that until may be waiting for.
func (l *fakeLines) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (f *fakeLine) Write(_ context.Context, b *record.Batch) error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	for _, r := range b.Records {
		f.records = append(f.records, string(b.Bytes(r.Body)))
	}
	f.gaps = append(f.gaps, b.Gaps...)
	f.position = record.Position{Source: slices.Clone(b.Position.Source), Resume: b.Position.Resume}
	close(f.of.changed)
	f.of.changed = make(chan struct{})
	return nil
}

func (f *fakeLine) Position() record.Position {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.position
}

func (f *fakeLine) Close(forget bool) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.forgotten = f.forgotten || forget
}

// house is a directory of logs, and the sources that read it one after another.
type house struct {
	t     *testing.T
	dir   string
	lines *fakeLines
	cfg   Config
	deps  flow.Deps
	led   *ledger.Component
}

func newHouse(t *testing.T, patterns ...string) *house {
	discard := slog.New(slog.NewTextHandler(io.Discard, nil))
	led, err := ledger.New(metric.New(), discard)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: t.TempDir(), lines: newLines(), cfg: Default(), led: led.Component("source", "app", "file")}
	for _, p := range patterns {
		h.cfg.Paths = append(h.cfg.Paths, filepath.Join(h.dir, p))
	}
	h.deps = flow.Deps{Name: "app", Log: discard, Ledger: h.led, Batches: flow.NewPool(4), Once: true, First: true}
	return h
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	if strings.HasSuffix(name, ".gz") {
		zw := gzip.NewWriter(f)
		defer zw.Close()
		io.WriteString(zw, text)
		return
	}
	io.WriteString(f, text)
}

func (h *house) once() {
	h.t.Helper()
	src, err := New(h.cfg, h.deps)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := src.Run(h.t.Context(), h.lines); err != nil {
		h.t.Fatal(err)
	}
}

// start runs a source until the returned function is called.
func (h *house) start() (stop func()) {
	h.t.Helper()
	h.deps.Once = false
	src, err := New(h.cfg, h.deps)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	var wg sync.WaitGroup
	settled := h.lines.settled
	wg.Go(func() {
		if err := src.Run(ctx, h.lines); err != nil {
			h.t.Error(err)
		}
	})
	h.until(func() bool { return h.lines.settled > settled })
	h.deps.First = false
	return func() { cancel(); wg.Wait() }
}

// until waits until ok, which is called with the lines locked.
func (h *house) until(ok func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer cancel()
	for {
		h.lines.mu.Lock()
		done, changed := ok(), h.lines.changed
		h.lines.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			h.t.Fatalf("waited in vain; there is %.2000s", fmt.Sprint(h.all()))
		}
	}
}

// all returns the records by file name.
func (h *house) all() map[string]string {
	h.lines.mu.Lock()
	defer h.lines.mu.Unlock()
	all := map[string]string{}
	for id, l := range h.lines.lines {
		name := strings.TrimPrefix(id, "app/"+h.dir+"/")
		all[name] = strings.Join(l.records, " ")
	}
	return all
}

func (h *house) want(want map[string]string) {
	h.t.Helper()
	if got := h.all(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Errorf("got %v, want %v", got, want)
	}
}

func (h *house) untilRead(name, text string) {
	h.t.Helper()
	h.until(func() bool {
		l := h.lines.lines["app/"+filepath.Join(h.dir, name)]
		return l != nil && strings.Join(l.records, " ") == text
	})
}

func TestOnce(t *testing.T) {
	h := newHouse(t, "*.log", "sub/**", "one.txt")
	h.cfg.Exclude = []string{"not*", filepath.Join(h.dir, "sub/x/*")}
	h.write("a.log", "a1\na2\nhalf")
	h.write("not.log", "no\n")
	h.write("b.txt", "no\n")
	h.write("one.txt", "one\n")
	h.write("sub/c", "c\n")
	h.write("sub/x/d", "no\n")
	h.write("sub/y/z/e", "e\n")
	h.once()
	want := map[string]string{"a.log": "a1 a2 half", "one.txt": "one", "sub/c": "c", "sub/y/z/e": "e"}
	h.want(want)
	if h.lines.settled != 1 {
		t.Error("not settled")
	}
	h.once()
	h.want(want)
	h.write("a.log", "a3\n")
	h.once()
	want["a.log"] += " a3"
	h.want(want)
}

func TestRotatedFilesBelongToTheirLog(t *testing.T) {
	h := newHouse(t, "a.log*")
	h.write("a.log.2.gz", "1\n")
	h.write("a.log.1", "2\n")
	h.write("a.log", "3\n")
	h.write("a.log-other", "4\n")
	h.once()
	h.want(map[string]string{"a.log": "1 2 3", "a.log-other": "4"})
}

func TestRotatedFilesWithoutTheirLog(t *testing.T) {
	h := newHouse(t, "a.log*")
	h.write("a.log.2.gz", "1\n")
	h.write("a.log.1", "2\n")
	h.once()
	h.want(map[string]string{"a.log.1": "2", "a.log.2.gz": "1"})
}

func TestRotatedFilesThatAreNotNamed(t *testing.T) {
	h := newHouse(t, "*.log")
	h.write("a.log.1", "1\n")
	h.write("a.log", "2\n")
	h.write("b-20261120.log", "3\n")
	h.write("b-20261121.log", "4\n")
	h.once()
	h.want(map[string]string{"a.log": "2", "b-20261120.log": "3", "b-20261121.log": "4"})
}

func TestLinksToFilesThatAreFollowed(t *testing.T) {
	h := newHouse(t, "*.log")
	h.write("a.log", "1\n")
	if err := os.Symlink("a.log", filepath.Join(h.dir, "current.log")); err != nil {
		t.Fatal(err)
	}
	h.once()
	h.want(map[string]string{"a.log": "1"})
}

func TestFollow(t *testing.T) {
	h := newHouse(t, "*.log", "deep/*/x.log")
	h.cfg.Start = "end"
	h.cfg.Labels = map[string]string{"app": "shop"}
	h.write("old.log", "before\n")
	stop := h.start()
	h.write("old.log", "after\n")
	h.untilRead("old.log", "after")
	h.write("new.log", "new\n")
	h.untilRead("new.log", "new")
	h.write("deep/er/x.log", "deep\n")
	h.untilRead("deep/er/x.log", "deep")
	path := filepath.Join(h.dir, "old.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	h.write("old.log", "rotated\n")
	h.untilRead("old.log", "after rotated")
	stop()
	h.write("old.log", "while down\n")
	h.write("new.log", "while down\n")
	h.write("newer.log", "while down\n")
	stop = h.start()
	h.untilRead("old.log", "after rotated while down")
	h.untilRead("new.log", "new while down")
	h.untilRead("newer.log", "while down")
	stop()
	labels := h.lines.lines["app/"+path].labels.String()
	if want := fmt.Sprintf(`{app="shop", filename="%s", source="app"}`, path); labels != want {
		t.Errorf("labels %s, want %s", labels, want)
	}
}

func TestStartBack(t *testing.T) {
	h := newHouse(t, "*.log")
	now := time.Now().UTC()
	h.write("a.log", now.Add(-time.Hour).Format(time.RFC3339)+" old\n"+now.Format(time.RFC3339)+" young\n")
	stop := h.start()
	h.untilRead("a.log", now.Format(time.RFC3339)+" young")
	stop()
}

func TestForget(t *testing.T) {
	h := newHouse(t, "*.log")
	h.write("a.log", "1\n")
	h.write("b.log", "1\n")
	old := time.Now().Add(-48 * time.Hour)
	os.Chtimes(filepath.Join(h.dir, "b.log"), old, old)
	h.once()
	h.cfg.Paths = []string{filepath.Join(h.dir, "nothing")}
	h.once()
	for name, want := range map[string]bool{"a.log": false, "b.log": true} {
		if l := h.lines.lines["app/"+filepath.Join(h.dir, name)]; l.forgotten != want {
			t.Errorf("%s forgotten: %v", name, l.forgotten)
		}
	}
	if st := h.led.State(); st.Healthy || st.Problem != errNoFile.Error() {
		t.Errorf("state %+v", st)
	}
}

func TestTrouble(t *testing.T) {
	h := newHouse(t)
	tr := &trouble{ledger: h.led}
	tr.set("", errNoFile)
	tr.set("/a", &fs.PathError{Op: "open", Path: "/a", Err: fs.ErrPermission})
	if st := h.led.State(); st.Problem != "open /a: permission denied, and 1 more" && !strings.Contains(st.Problem, "/a") || !strings.Contains(st.Remedy, "setfacl") {
		t.Errorf("state %+v", st)
	}
	tr.set("/a", nil)
	tr.set("", nil)
	if !h.led.State().Healthy {
		t.Error("not healthy")
	}
}

func TestTroubleOutlastsTheSource(t *testing.T) {
	h := newHouse(t, "*.log")
	h.write("a.log", "1\n")
	h.deps.Once = false
	src, err := New(h.cfg, h.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- src.Run(ctx, h.lines) }()
	h.until(func() bool { return h.lines.settled > 0 })
	path := filepath.Join(h.dir, "a.log")
	src.(*source).trouble.set(path, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := h.led.State(); st.Healthy {
		t.Error("what was wrong is said to be well, since the source ended")
	}
}

func TestPathsOfOtherKinds(t *testing.T) {
	h := newHouse(t)
	h.write("dir/a.txt", "1\n")
	h.write("b.log", "2\n")
	if err := syscall.Mkfifo(filepath.Join(h.dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(h.dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := os.Symlink(os.DevNull, filepath.Join(h.dir, "null.out")); err != nil {
		t.Fatal(err)
	}
	check := func(problem, remedy string, patterns ...string) {
		t.Helper()
		h.cfg.Paths = nil
		for _, p := range patterns {
			h.cfg.Paths = append(h.cfg.Paths, filepath.Join(h.dir, p))
		}
		h.once()
		st := h.led.State()
		if got := strings.ReplaceAll(st.Problem, h.dir, "…"); got != problem {
			t.Errorf("%q: problem %q, want %q", patterns, got, problem)
		}
		if got := strings.ReplaceAll(st.Remedy, h.dir, "…"); !strings.Contains(got, remedy) {
			t.Errorf("%q: remedy %q, want %q", patterns, got, remedy)
		}
	}
	check("…/dir is a directory", "name …/dir/*", "dir")
	check("…/dir is a directory", "name …/dir/*", "*.log", "dir")
	check("…/pipe is a FIFO", "regular file", "pipe")
	check("…/sock is a socket", "regular file", "sock")
	check("…/null.out is a device", "regular file", "null.out")
	check("no file fits the patterns: …/null.out is a device", "regular file", "*.out")
	check("no file fits the patterns: …/dir is a directory", "name …/dir/*", "d*")
	check("", "", "*")
	check("no file fits the patterns", "check paths", "missing")
	h.cfg.Exclude = []string{"d*"}
	check("no file fits the patterns", "check paths", "dir", "d*")
}

func TestOrphansWait(t *testing.T) {
	h := newHouse(t, "a.log*")
	h.write("a.log.1", "1\n")
	s := newScanner(h.cfg, false, nil)
	now := time.Unix(1_800_000_000, 0)
	no := func(string) bool { return false }
	if l := s.scan(now, no); len(l.files) != 0 {
		t.Errorf("at once: %v", l.files)
	}
	if l := s.scan(now.Add(2*time.Second), no); len(l.files) != 1 {
		t.Errorf("later: %v", l.files)
	}
	h.write("a.log", "1\n")
	if l := s.scan(now.Add(2*time.Second), no); len(l.files) != 1 || !l.rotated[filepath.Join(h.dir, "a.log")] {
		t.Errorf("with its log: %v", l)
	}
}

func TestPatterns(t *testing.T) {
	good := func(p, path string) {
		t.Helper()
		if !newPattern(p).matches(path) {
			t.Errorf("%s does not match %s", p, path)
		}
	}
	bad := func(p, path string) {
		t.Helper()
		if newPattern(p).matches(path) {
			t.Errorf("%s matches %s", p, path)
		}
	}
	good("/var/log/*.log", "/var/log/a.log")
	bad("/var/log/*.log", "/var/log/sub/a.log")
	good("/var/log/**/*.log", "/var/log/a.log")
	good("/var/log/**/*.log", "/var/log/sub/sub/a.log")
	bad("/var/log/**/*.log", "/var/lib/a.log")
	good("/var/**", "/var/log/a")
	bad("/var/**", "/var")
	good("/**/a", "/a")
	good("/a/**/b/**/c", "/a/x/b/y/z/c")
	bad("/a/**/b/**/c", "/a/x/y/z/c")
	good("/l[oO]g/?.txt", "/lOg/x.txt")
}

func TestValidate(t *testing.T) {
	bad := func(change func(*Config), want string) {
		t.Helper()
		c := Default()
		c.Paths = []string{"/x"}
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	bad(func(c *Config) { c.Paths = nil }, "paths: give at least one pattern")
	bad(func(c *Config) { c.Paths = []string{"["} }, `paths[0]: "[": a [ without its ]`)
	bad(func(c *Config) { c.Exclude = []string{""} }, "exclude[0]: the pattern is empty")
	bad(func(c *Config) { c.Format = "xml" }, "format: ")
	bad(func(c *Config) { c.Start = "now" }, "start: ")
	bad(func(c *Config) { c.Poll = 1 }, "poll: ")
	bad(func(c *Config) { c.MaxLine = 1 }, "max_line: ")
	c := Default()
	c.Paths = []string{"/x"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{}, flow.Deps{}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
