package stats

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
)

// rig is a collector with an engine, a machine and a clock that are made up.
type rig struct {
	*Collector
	t    *testing.T
	root string
	reg  *metric.Registry
	eng  *fakeEngine
	time time.Time
	bad  error // the last problem
}

// fakeEngine answers from two maps.
type fakeEngine struct {
	mu       sync.Mutex
	details  map[string]dockerapi.Details
	stats    map[string]dockerapi.Stats
	down     error
	inspects int
}

func (e *fakeEngine) Inspect(_ context.Context, id string) (dockerapi.Details, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inspects++
	d, ok := e.details[id]
	switch {
	case e.down != nil:
		return d, e.down
	case !ok:
		return d, dockerapi.ErrNotFound
	}
	return d, nil
}

func (e *fakeEngine) Stats(_ context.Context, id string) (dockerapi.Stats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.stats[id]
	switch {
	case e.down != nil:
		return s, e.down
	case !ok:
		return s, dockerapi.ErrNotFound
	}
	return s, nil
}

// begin is what the clock shows at first.
var begin = time.Unix(1_795_198_200, 0)

func newRig(t *testing.T, read Read) *rig {
	r := &rig{t: t, root: t.TempDir(), reg: metric.New(), time: begin, eng: &fakeEngine{details: map[string]dockerapi.Details{}, stats: map[string]dockerapi.Stats{}}}
	l, err := ledger.New(metric.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.clock(1000)
	r.write("proc/meminfo", "MemTotal: 8000000 kB\n")
	r.Collector, err = New(Options{
		Interval: time.Second, Retention: time.Hour, Read: read, Root: r.root, Registry: r.reg, Ledger: l.Component("source", "docker", "docker"),
		Engine:  func() (Engine, error) { return r.eng, nil },
		Name:    func(d *dockerapi.Details) (string, bool) { return d.Name, d.Name != "unwanted" },
		Problem: func(err error) { r.bad = err },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { return r.time }
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// clock sets how long the two processors have run, in hundredths of a second.
func (r *rig) clock(ticks int) {
	r.write("proc/stat", fmt.Sprintf("cpu  %d 0 0 0 0 0 0 0 0 0\ncpu0 1 0\ncpu1 1 0\nintr 5\n", ticks))
}

// pass lets time go by and measures.
func (r *rig) pass(after time.Duration) {
	r.t.Helper()
	r.time = r.time.Add(after)
	r.Collector.pass(r.t.Context(), after > 0)
}

// id makes a whole id of a letter.
func id(letter string) string { return strings.Repeat(letter, 64) }

// container makes a running container.
func (r *rig) container(letter, name string, pid int) dockerapi.Details {
	d := dockerapi.Details{
		ID: id(letter), Name: name, Image: "img:1", Running: true, Status: "running", Pid: pid,
		Created: r.time, Started: r.time.Add(-10 * time.Second),
	}
	r.set(d)
	return d
}

func (r *rig) set(d dockerapi.Details) {
	r.eng.mu.Lock()
	defer r.eng.mu.Unlock()
	r.eng.details[d.ID] = d
}

// remove takes a container from the engine.
func (r *rig) remove(id string) {
	r.eng.mu.Lock()
	defer r.eng.mu.Unlock()
	delete(r.eng.details, id)
	delete(r.eng.stats, id)
}

func (r *rig) event(id string, actions ...string) {
	for _, a := range actions {
		r.Event(dockerapi.Event{ID: id, Action: a})
	}
}

// exit ends a container.
func (r *rig) exit(d dockerapi.Details, code int) {
	d.Running, d.Status, d.Pid, d.ExitCode, d.Finished = false, "exited", 0, code, r.time
	r.set(d)
	r.event(d.ID, "die")
}

// open gives a process n descriptors.
func (r *rig) open(pid, n int) {
	for fd := range n {
		r.write(fmt.Sprintf("proc/%d/fd/%d", pid, fd), "")
	}
}

// v2 gives a container files of control groups version 2.
func (r *rig) v2(d dockerapi.Details, usec, memory int) {
	dir := "sys/fs/cgroup/system.slice/docker-" + d.ID + ".scope/"
	for name, text := range map[string]string{
		"cpu.stat":              fmt.Sprintf("usage_usec %d\nuser_usec 7\nsystem_usec 3\nnr_periods 9\nnr_throttled 4\nthrottled_usec 2000000\n", usec),
		"memory.current":        fmt.Sprintln(memory),
		"memory.peak":           "9000000\n",
		"memory.swap.current":   "0\n",
		"memory.stat":           "anon 1000\nfile 2000\nfile_mapped 300\ninactive_file 40\npgfault 5\npgmajfault 6\n",
		"memory.events":         "low 0\noom 1\noom_kill 1\n",
		"memory.max":            "67108864\n",
		"pids.current":          "2\n",
		"cgroup.procs":          fmt.Sprintln(d.Pid),
		"pids.max":              "max\n",
		"io.stat":               "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n",
		"cpu.max":               "50000 100000\n",
		"cpuset.cpus.effective": "0-1\n",
	} {
		r.write(dir+name, text)
	}
	r.open(d.Pid, 3)
	r.write(fmt.Sprintf("proc/%d/cgroup", d.Pid), "0::/system.slice/docker-"+d.ID+".scope\n")
	r.write(fmt.Sprintf("proc/%d/net/dev", d.Pid), "a|b\nc|d\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 946 11 1 2 0 0 0 0 77 5 3 4 0 0 0 0\n")
}

// v1 gives a container files of version 1 that say the same.
func (r *rig) v1(d dockerapi.Details, usec, memory int) {
	for name, text := range map[string]string{
		"cpuacct/#/cpuacct.usage":                 fmt.Sprintln(usec * 1000),
		"cpuacct/#/cpuacct.stat":                  "user 0\nsystem 0\n",
		"cpu/#/cpu.stat":                          "nr_periods 9\nnr_throttled 4\nthrottled_time 2000000000\n",
		"cpu/#/cpu.cfs_quota_us":                  "50000\n",
		"cpu/#/cpu.cfs_period_us":                 "100000\n",
		"cpuset/#/cpuset.effective_cpus":          "0-1\n",
		"memory/#/memory.usage_in_bytes":          fmt.Sprintln(memory),
		"memory/#/memory.max_usage_in_bytes":      "9000000\n",
		"memory/#/memory.failcnt":                 "0\n",
		"memory/#/memory.limit_in_bytes":          "67108864\n",
		"memory/#/memory.stat":                    "rss 9\ncache 9\ntotal_rss 1000\ntotal_cache 2000\ntotal_mapped_file 300\ntotal_inactive_file 40\ntotal_pgfault 5\ntotal_pgmajfault 6\ntotal_swap 0\n",
		"memory/#/memory.oom_control":             "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		"pids/#/pids.current":                     "2\n",
		"cpuacct/#/cgroup.procs":                  fmt.Sprintln(d.Pid),
		"pids/#/pids.max":                         "max\n",
		"blkio/#/blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
		"blkio/#/blkio.throttle.io_serviced":      "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
	} {
		r.write("sys/fs/cgroup/"+strings.Replace(name, "#", "docker/"+d.ID, 1), text)
	}
	r.open(d.Pid, 3)
	group := ""
	for i, c := range []string{"cpuacct", "cpu", "cpuset", "memory", "pids", "blkio"} {
		group += fmt.Sprintf("%d:%s:/docker/%s\n", 9-i, c, d.ID)
	}
	r.write(fmt.Sprintf("proc/%d/cgroup", d.Pid), group+"0::/\n")
	r.write(fmt.Sprintf("proc/%d/net/dev", d.Pid), "  eth0: 946 11 1 2 0 0 0 0 77 5 3 4 0 0 0 0\n")
}

// text is the exposition without its comments.
func (r *rig) text() string {
	var b strings.Builder
	for line := range strings.Lines(string(r.reg.AppendText(nil, metric.Text))) {
		if line[0] != '#' && !strings.HasPrefix(line, "collector_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// has checks that each line is in the exposition.
func (r *rig) has(lines ...string) {
	r.t.Helper()
	text := "\n" + r.text()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			r.t.Errorf("not there: %s\n%s", l, text)
			return
		}
	}
}

// lacks checks that no line begins so.
func (r *rig) lacks(prefixes ...string) {
	r.t.Helper()
	text := "\n" + r.text()
	for _, p := range prefixes {
		if strings.Contains(text, "\n"+p) {
			r.t.Errorf("still there: %s\n%s", p, text)
			return
		}
	}
}
