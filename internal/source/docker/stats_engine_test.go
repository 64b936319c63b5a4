package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

// measured is a source that measures containers each second, and what it says.
type measured struct {
	t   *testing.T
	reg *metric.Registry
}

// measure runs a source until the test ends.
func measure(t *testing.T, host string, change func(*Config)) measured {
	t.Helper()
	m := measured{t, metric.New()}
	cfg, deps := Default(), testDeps(t)
	cfg.Host, cfg.StatsInterval, deps.Metrics = host, time.Second, m.reg
	change(&cfg)
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, newJournal(t)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return m
}

// value returns the value of the one series whose name and labels fit a pattern.
func (m measured) value(pattern string) (v float64, ok bool) {
	re := regexp.MustCompile("(?m)^" + pattern + ` (\S+)$`)
	found := re.FindAllStringSubmatch(string(m.reg.AppendText(nil, metric.Text)), -1)
	if len(found) != 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(found[0][len(found[0])-1], 64)
	return v, err == nil
}

// until waits until a condition holds.
func (m measured) until(what string, condition func() bool) {
	m.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited for %s:\n%s", what, m.reg.AppendText(nil, metric.Text))
		}
		<-tick.C
	}
}

// need waits for a series and returns its value.
func (m measured) need(pattern string) (v float64) {
	m.t.Helper()
	m.until(pattern, func() bool {
		got, ok := m.value(pattern)
		v = got
		return ok
	})
	return v
}

// is waits until a series has a value.
func (m measured) is(pattern string, want float64) {
	m.t.Helper()
	m.until(pattern+" "+strconv.FormatFloat(want, 'g', -1, 64), func() bool { got, ok := m.value(pattern); return ok && got == want })
}

// dockerStats is one answer of the docker command.
type dockerStats struct{ Name, CPUPerc, MemUsage, PIDs, NetIO, BlockIO string }

func dockerCommand(t *testing.T, host string) map[string]dockerStats {
	t.Helper()
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Skip("SKIP: the docker command is not installed, so there is nothing to compare with")
	}
	out, err := exec.Command(docker, "-H", host, "stats", "--no-stream", "--format", "{{json .}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]dockerStats{}
	for line := range strings.Lines(string(out)) {
		var s dockerStats
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		all[s.Name] = s
	}
	return all
}

// readAgain has the container reader read its file: a kernel may take back pages that nobody reads.
func readAgain(t *testing.T, host string) {
	t.Helper()
	docker, err := exec.LookPath("docker")
	if err != nil {
		return
	}
	if out, err := exec.Command(docker, "-H", host, "exec", "reader", "sh", "-c", "cat /f >/dev/null").CombinedOutput(); err != nil {
		t.Fatalf("read again: %v: %s", err, out)
	}
}

// size reads the first of docker's sizes in "2.305MiB / 64MiB", or the second.
func size(t *testing.T, text string, second bool) float64 {
	t.Helper()
	first, rest, _ := strings.Cut(text, " / ")
	if second {
		first = rest
	}
	i := strings.IndexFunc(first, func(r rune) bool { return r >= 'A' })
	v, err := strconv.ParseFloat(first[:max(i, 0)], 64)
	unit, known := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[first[max(i, 0):]]
	if err != nil || !known {
		t.Fatalf("docker stats says %q", text)
	}
	return v * unit
}

// near tells whether two values differ by less than a part of the larger.
func near(a, b, part float64) bool { return math.Abs(a-b) <= part*max(math.Abs(a), math.Abs(b)) }

func TestStatsEngine(t *testing.T) {
	e := enginetest.Start(t)
	e.Run(enginetest.Container{Name: "limited", Cmd: []string{"sh", "-c", "head -c 3000000 /dev/zero >/tmp/f; cat /tmp/f >/dev/null; exec sleep 1000"},
		Host: map[string]any{"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 50}})
	e.Run(enginetest.Container{Name: "busy", Cmd: []string{"sh", "-c", "while :; do :; done"}, Host: map[string]any{"CpuQuota": 30_000, "CpusetCpus": "0"}})
	e.Run(enginetest.Container{Name: "plain", Cmd: []string{"sleep", "1000"}})
	e.Run(enginetest.Container{Name: "terminal", TTY: true, Cmd: []string{"sh", "-c", "i=0; while [ $i -lt 9 ]; do sleep 1000 & i=$((i+1)); done; wait"}})
	e.Run(enginetest.Container{Name: "reader", Cmd: []string{"sh", "-c", "head -c 40000000 /dev/zero >/f; sync; cat /f >/dev/null; exec sleep 1000"}})
	for _, read := range stats.Read("").Values() {
		if read == string(stats.ReadFile) && !e.Own {
			continue
		}
		t.Run(read, func(t *testing.T) {
			m := measure(t, e.Host, func(c *Config) { c.StatsRead = stats.Read(read) })
			compareWithDocker(m, e)
			judge(m)
		})
	}
	if e.Own {
		t.Run("ways agree", func(t *testing.T) { t.Parallel(); testWaysAgree(t, e.For(t)) })
		t.Run("life by file", func(t *testing.T) { t.Parallel(); testStatsLife(t, e.For(t), stats.ReadFile) })
	}
	t.Run("a moment", func(t *testing.T) { t.Parallel(); testStatsMoment(t, e.For(t)) })
	t.Run("life by api", func(t *testing.T) { t.Parallel(); testStatsLife(t, e.For(t), stats.ReadAPI) })
	t.Run("out of memory", func(t *testing.T) { t.Parallel(); testStatsOOM(t, e.For(t)) })
}

// testWaysAgree has both ways measure the same containers.
func testWaysAgree(t *testing.T, e *enginetest.Engine) {
	e.Run(enginetest.Container{Name: "steady", Cmd: []string{"sh", "-c", "head -c 3000000 /dev/zero >/tmp/f; sync; cat /tmp/f >/dev/null; exec sleep 1000"},
		Host: map[string]any{"Memory": 64 << 20, "CpuQuota": 150_000, "CpusetCpus": "0", "CpuShares": 512, "PidsLimit": 9}})
	e.Run(enginetest.Container{Name: "free", Cmd: []string{"sleep", "1000"}})
	ways := map[stats.Read]measured{}
	for _, read := range []stats.Read{stats.ReadFile, stats.ReadAPI} {
		ways[read] = measure(t, e.Host, func(c *Config) { c.StatsRead, c.Include = read, []string{"steady", "free"} })
	}
	for _, m := range ways {
		for _, name := range []string{"steady", "free"} {
			m.need(`container_cpu_usage_percent\{container="` + name + `"\}`)
		}
	}
	// The two look at different moments, and the kernel counts memory in pieces for each
	// processor: they agree once the containers have come to rest.
	var differ []string
	deadline := time.Now().Add(20 * time.Second)
	for differ = differences(ways); len(differ) > 0 && time.Now().Before(deadline); differ = differences(ways) {
		<-time.After(200 * time.Millisecond)
	}
	for _, d := range differ {
		t.Error(d)
	}
	if n := len(ways[stats.ReadFile].all()); n < 60 {
		t.Errorf("only %d series of two containers", n)
	}
}

// untold is what an engine may not tell: swap, processes and descriptors, and with version 2
// of control groups the peak of memory and, until Docker 23, requests of disks.
var untold = []string{"container_memory_swap", "container_processes", "container_file_descriptors", "container_memory_max_usage_bytes", "container_fs_reads_total", "container_fs_writes_total"}

// differences returns what the ways do not agree about.
func differences(ways map[stats.Read]measured) (all []string) {
	file, api := ways[stats.ReadFile].all(), ways[stats.ReadAPI].all()
	for series, v := range file {
		other, ok := api[series]
		moves := strings.Contains(series, "timestamp") || strings.Contains(series, "last_seen")
		switch {
		case slices.ContainsFunc(untold, func(name string) bool { return strings.HasPrefix(series, name+"{") }) && !ok:
		case !ok:
			all = append(all, fmt.Sprintf("only by file: %s %v", series, v))
		case !moves && !near(v, other, 0.02) && math.Abs(v-other) > 0.02:
			all = append(all, fmt.Sprintf("%s: by file %v, by API %v", series, v, other))
		}
	}
	for series, v := range api {
		if _, ok := file[series]; !ok {
			all = append(all, fmt.Sprintf("only by API: %s %v", series, v))
		}
	}
	return all
}

// all returns every series with its value.
func (m measured) all() map[string]float64 {
	all := map[string]float64{}
	for line := range strings.Lines(string(m.reg.AppendText(nil, metric.Text))) {
		if i := strings.LastIndexByte(line, ' '); line[0] != '#' {
			all[line[:i]], _ = strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		}
	}
	return all
}

// compareWithDocker compares what m says with what the docker command says.
func compareWithDocker(m measured, e *enginetest.Engine) {
	t := m.t
	for _, name := range []string{"limited", "busy", "plain", "terminal", "reader"} {
		m.need(`container_cpu_usage_percent\{container="` + name + `"\}`)
	}
	m.is(`container_cpus_available\{container="limited"\}`, 0.5)
	m.is(`container_cpus_available\{container="busy"\}`, 0.3)
	m.is(`container_max_memory_bytes\{container="limited"\}`, 64<<20)
	m.is(`container_spec_memory_limit_bytes\{container="plain".*`, 0)
	m.is(`container_threads_max\{container="limited".*`, 50)
	m.is(`container_state\{container="busy",state="running"\}`, 1)
	m.is(`container_threads\{container="terminal".*`, 10)
	readAgain(t, e.Host)
	m.until("the page cache", func() bool { v, _ := m.value(`container_used_memory_bytes\{container="reader"\}`); return v > 36e6 })
	if _, ok := m.value(`container_processes\{container="terminal".*`); ok {
		m.is(`container_processes\{container="terminal".*`, 10)
		m.until("three descriptors of each", func() bool {
			v, _ := m.value(`container_file_descriptors\{container="terminal".*`)
			return v >= 30 && v < 60
		})
	}
	// The two look at different moments, and the kernel may take memory back between them.
	wrong := m.unlike(dockerCommand(t, e.Host))
	for range 5 {
		if len(wrong) > 0 {
			wrong = m.unlike(dockerCommand(t, e.Host))
		}
	}
	for _, what := range wrong {
		t.Error(what)
	}
	if throttled := m.need(`container_cpu_cfs_throttled_periods_total\{container="busy".*`); throttled == 0 {
		t.Error("busy was never throttled")
	}
}

// unlike returns what differs from what the docker command says.
func (m measured) unlike(theirs map[string]dockerStats) (wrong []string) {
	differs := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for name, d := range theirs {
		if ours := m.need(`container_memory_working_set_bytes\{container="` + name + `".*`); !near(ours, size(m.t, d.MemUsage, false), 0.05) {
			differs("%s: memory %v, docker stats %s", name, ours, d.MemUsage)
		}
		if ours := m.need(`container_max_memory_bytes\{container="` + name + `"\}`); !near(ours, size(m.t, d.MemUsage, true), 0.01) {
			differs("%s: limit %v, docker stats %s", name, ours, d.MemUsage)
		}
		if ours := m.need(`container_threads\{container="` + name + `".*`); strconv.Itoa(int(ours)) != d.PIDs {
			differs("%s: threads %v, docker stats %s", name, ours, d.PIDs)
		}
		percent, _ := strconv.ParseFloat(strings.TrimSuffix(d.CPUPerc, "%"), 64)
		ours := m.need(`container_cpu_usage_percent\{container="` + name + `"\}`)
		m.t.Logf("%s: share %v, docker stats %s; memory %s", name, ours, d.CPUPerc, d.MemUsage)
		if math.Abs(ours-percent/100) > 0.1 {
			differs("%s: processors %v, docker stats %s", name, ours, d.CPUPerc)
		}
	}
	return wrong
}

// testStatsLife follows a container of a real engine through what can happen to it.
func testStatsLife(t *testing.T, e *enginetest.Engine, read stats.Read) {
	// A slow engine may tell of the end late.
	m := measure(t, e.Host, func(c *Config) { c.StatsRead, c.StatsRetention = read, 20*time.Second })
	name := "life-" + string(read)
	label := `\{container="` + name + `"\}`
	id := e.Run(enginetest.Container{Name: name, Cmd: []string{"sleep", "1000"}})
	m.need("container_used_memory_bytes" + label)
	first := m.need("container_started_at_timestamp_seconds" + label)
	if now := float64(time.Now().Unix()); first > now || first < now-60 {
		t.Errorf("started at %v, now it is %v", first, now)
	}
	e.Do("POST", "/containers/"+id+"/pause", nil)
	m.is(`container_state\{container="`+name+`",state="paused"\}`, 1)
	beat := m.need("container_up_timestamp_seconds" + label)
	m.until("a paused container's heartbeat", func() bool { v, _ := m.value("container_up_timestamp_seconds" + label); return v > beat })
	e.Do("POST", "/containers/"+id+"/unpause", nil)
	e.Do("POST", "/containers/"+id+"/restart?t=0", nil)
	m.until("the new start", func() bool {
		v, _ := m.value("container_started_at_timestamp_seconds" + label)
		_, used := m.value("container_used_memory_bytes" + label)
		return v > first && used
	})
	e.Rename(id, name+"-new")
	label = `\{container="` + name + `-new"\}`
	m.need("container_used_memory_bytes" + label)
	if _, ok := m.value(`container_up_timestamp_seconds\{container="` + name + `"\}`); ok {
		t.Error("the old name still has a heartbeat")
	}
	e.Kill(id)
	m.is(`container_exit_code`+label, 137)
	if _, ok := m.value("container_used_memory_bytes" + label); ok {
		t.Error("a container that ended still uses memory")
	}
	m.need("container_up_timestamp_seconds" + label)
	e.Remove(id)
	m.until("the end of all", func() bool { return !strings.Contains(string(m.reg.AppendText(nil, metric.Text)), name) })
}

// judge has Prometheus' own tool judge the numbers of real containers.
func judge(m measured) {
	cmd := exec.Command(realtest.Promtool(m.t), "check", "metrics")
	cmd.Stdin = bytes.NewReader(m.reg.AppendText(nil, metric.Text))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		m.t.Errorf("promtool: %v\n%s", err, out)
	}
}

// testStatsMoment measures once a minute: containers that are made again under their name are
// measured as they start, and so are those that live for a moment.
func testStatsMoment(t *testing.T, e *enginetest.Engine) {
	m := measure(t, e.Host, func(c *Config) { c.StatsInterval, c.Include = time.Minute, []string{"moment", "again"} })
	began := float64(time.Now().Unix())
	e.Run(enginetest.Container{Name: "moment", Cmd: []string{"sleep", "2"}, AutoRemove: true})
	m.until("the heartbeat of a container that lives for two seconds", func() bool {
		v, _ := m.value(`container_up_timestamp_seconds\{container="moment"\}`)
		return v >= began
	})
	m.until("the end of what it used", func() bool { _, ok := m.value(`container_used_memory_bytes\{container="moment"\}`); return !ok })
	m.need(`container_up_timestamp_seconds\{container="moment"\}`)

	old := e.Run(enginetest.Container{Name: "again", Cmd: []string{"sleep", "1000"}})
	m.need(`container_spec_memory_limit_bytes\{container="again",id="` + old + `".*`)
	first := m.need(`container_started_at_timestamp_seconds\{container="again"\}`)
	<-time.After(1100 * time.Millisecond) // start times are whole seconds
	e.Remove(old)
	next := e.Run(enginetest.Container{Name: "again", Cmd: []string{"sleep", "1000"}, Host: map[string]any{"Memory": 32 << 20}})
	m.is(`container_spec_memory_limit_bytes\{container="again",id="`+next+`".*`, 32<<20)
	m.is(`container_max_memory_bytes\{container="again"\}`, 32<<20)
	m.until("the new start", func() bool {
		v, _ := m.value(`container_started_at_timestamp_seconds\{container="again"\}`)
		return v > first
	})
	if _, ok := m.value(`container_last_seen\{container="again",id="` + old + `".*`); ok {
		t.Error("the old container is still seen")
	}
}

// testStatsOOM has the kernel end a process of a container that uses too much memory.
func testStatsOOM(t *testing.T, e *enginetest.Engine) {
	m := measure(t, e.Host, func(*Config) {})
	e.Run(enginetest.Container{Name: "greedy", Cmd: []string{"sh", "-c", "sleep 1; sh -c 'x=$(head -c 60000000 /dev/zero | tr \\\\0 x)'; sleep 1000"},
		Host: map[string]any{"Memory": 16 << 20, "MemorySwap": 16 << 20}})
	m.until("the count", func() bool { v, _ := m.value(`container_oom_events_total\{container="greedy"\}`); return v >= 1 })
}
