package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
)

// common is what both versions say of the container of testBoth.
func common(id string) []string {
	whole := fmt.Sprintf(`container="web",id="%s",image="img:1",name="web"`, id)
	lines := []string{
		`container_up_timestamp_seconds{container="web"} 1795198202`,
		`container_started_at_timestamp_seconds{container="web"} 1795198190`,
		`container_used_memory_bytes{container="web"} 2646016`,
		`container_max_memory_bytes{container="web"} 67108864`,
		`container_cpu_usage_percent{container="web"} 0.75`,
		`container_cpus_available{container="web"} 0.5`,
		`container_state{container="web",state="running"} 1`,
		`container_restarts_total{container="web"} 0`,
		`container_oom_events_total{container="web"} 1`,
	}
	for name, v := range map[string]string{
		"container_last_seen": "1795198202", "container_start_time_seconds": "1795198190",
		"container_cpu_cfs_periods_total": "9", "container_cpu_cfs_throttled_periods_total": "4", "container_cpu_cfs_throttled_seconds_total": "2",
		"container_memory_usage_bytes": "2646016", "container_memory_working_set_bytes": "2645976", "container_memory_max_usage_bytes": "9000000",
		"container_memory_rss": "1000", "container_memory_cache": "2000", "container_memory_mapped_file": "300", "container_memory_swap": "0",
		"container_processes": "1", "container_file_descriptors": "3", "container_threads": "2", "container_threads_max": "0",
		"container_spec_cpu_quota": "50000", "container_spec_cpu_period": "100000", "container_spec_cpu_shares": "1024",
		"container_spec_memory_limit_bytes": "67108864", "container_spec_memory_swap_limit_bytes": "0",
	} {
		lines = append(lines, name+"{"+whole+"} "+v)
	}
	for name, v := range map[string]string{
		"container_network_receive_bytes_total": "946", "container_network_receive_packets_total": "11",
		"container_network_receive_errors_total": "1", "container_network_receive_packets_dropped_total": "2",
		"container_network_transmit_bytes_total": "77", "container_network_transmit_packets_total": "5",
		"container_network_transmit_errors_total": "3", "container_network_transmit_packets_dropped_total": "4",
	} {
		lines = append(lines, name+"{"+whole+`,interface="eth0"} `+v)
	}
	for name, v := range map[string]string{
		"container_fs_reads_bytes_total": "10", "container_fs_writes_bytes_total": "20", "container_fs_reads_total": "1", "container_fs_writes_total": "2",
	} {
		lines = append(lines, name+"{"+whole+`,device="8:0"} `+v)
	}
	return append(lines, "container_cpu_usage_seconds_total{"+whole+`,cpu="total"} 2.5`,
		"container_memory_failures_total{"+whole+`,failure_type="pgfault",scope="hierarchy"} 5`)
}

func TestVersions(t *testing.T) {
	for version, files := range map[string]func(*rig, dockerapi.Details, int, int){"1": (*rig).v1, "2": (*rig).v2} {
		t.Run("version "+version, func(t *testing.T) {
			r := newRig(t, ReadFile)
			d := r.container("a", "web", 100)
			files(r, d, 1_000_000, 1)
			r.event(d.ID, "start")
			r.pass(0)
			r.lacks("container_cpu_usage_percent") // one look is not enough
			r.clock(1400)
			files(r, d, 2_500_000, 2646016)
			r.pass(2 * time.Second)
			r.has(common(d.ID)...)
			if r.eng.inspects != 1 || r.bad != nil {
				t.Errorf("the engine was asked %d times; problem %v", r.eng.inspects, r.bad)
			}
		})
	}
}

// engineStats is what was recorded of an engine.
func engineStats(t *testing.T, name string) (s dockerapi.Stats) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFormulas has the recorded numbers: 0.7304 is what the formula makes of two measurements
// of a busy container, 2232320 what docker stats shows for a limited one.
func TestFormulas(t *testing.T) {
	r := newRig(t, ReadAPI)
	busy, limited := r.container("a", "busy", 100), r.container("b", "limited", 101)
	limited.Limits = dockerapi.Limits{NanoCPUs: 500_000_000, Memory: 64 << 20, MemorySwap: 128 << 20}
	r.set(limited)
	before := engineStats(t, "stats-unlimited.json")
	before.CPU.Usage.Total, before.CPU.System = 29862587348, 4630790000000
	r.eng.stats[busy.ID], r.eng.stats[limited.ID] = before, engineStats(t, "stats-limited.json")
	r.Observe([]dockerapi.Container{{ID: busy.ID, State: "running"}, {ID: limited.ID, State: "running"}}, true)
	r.pass(0)
	r.eng.stats[busy.ID] = engineStats(t, "stats-unlimited.json")
	r.pass(time.Second)
	r.has(`container_cpu_usage_percent{container="busy"} 0.7304`, `container_cpus_available{container="busy"} 2`,
		`container_max_memory_bytes{container="busy"} 25276514304`, `container_max_memory_bytes{container="limited"} 67108864`,
		`container_used_memory_bytes{container="limited"} 2646016`, `container_cpus_available{container="limited"} 0.5`,
		`container_cpu_usage_percent{container="limited"} 0`,
		`container_memory_working_set_bytes{container="limited",id="`+limited.ID+`",image="img:1",name="limited"} 2232320`,
		`container_spec_memory_swap_limit_bytes{container="limited",id="`+limited.ID+`",image="img:1",name="limited"} 134217728`,
		`container_network_receive_bytes_total{container="limited",id="`+limited.ID+`",image="img:1",name="limited",interface="eth0"} 946`)
	r.eng.stats[busy.ID] = engineStats(t, "stats-stopped.json") // it ended, and the event is under way
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="busy"} 1795198201`)
}

func TestAvailable(t *testing.T) {
	for _, c := range []struct {
		limits dockerapi.Limits
		want   float64
	}{
		{dockerapi.Limits{}, 4},
		{dockerapi.Limits{NanoCPUs: 1_500_000_000}, 1.5},
		{dockerapi.Limits{CPUQuota: 50_000}, 0.5},
		{dockerapi.Limits{CPUQuota: 50_000, CPUPeriod: 25_000}, 2},
		{dockerapi.Limits{CPUQuota: -1, CPUSet: "0,2"}, 2},
		{dockerapi.Limits{CPUQuota: 300_000, CPUSet: "1"}, 1},
		{dockerapi.Limits{NanoCPUs: 9_000_000_000}, 4},
	} {
		if got := limitsOf(&dockerapi.Details{Limits: c.limits}).cpus(4); got != c.want {
			t.Errorf("%+v: %v, want %v", c.limits, got, c.want)
		}
	}
}

func TestLife(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "web", 100)
	r.v2(d, 1, 1)
	r.event(d.ID, "create", "start")
	r.pass(0)
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="web"} 1795198201`)

	d.Status = "paused"
	r.set(d)
	r.event(d.ID, "pause")
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="web"} 1795198202`, `container_state{container="web",state="paused"} 1`, `container_used_memory_bytes{container="web"} 1`)
	r.lacks(`container_state{container="web",state="running"}`)

	r.exit(d, 137)
	r.pass(time.Second)
	usage := []string{"container_used", "container_max", "container_cpu", "container_memory", "container_network", "container_fs", "container_spec", "container_last_seen", "container_threads"}
	r.lacks(usage...)
	r.has(`container_up_timestamp_seconds{container="web"} 1795198202`, `container_started_at_timestamp_seconds{container="web"} 1795198190`,
		`container_state{container="web",state="exited"} 1`, `container_exit_code{container="web"} 137`, `container_oom_events_total{container="web"} 1`)

	d.Started, d.Pid, d.Status, d.Restarts, d.Health = r.time, 101, "running", 1, "starting"
	r.set(d)
	r.v2(d, 1, 5)
	r.event(d.ID, "start", "oom", "oom", "oom")
	r.pass(0)
	r.has(`container_used_memory_bytes{container="web"} 5`, `container_restarts_total{container="web"} 1`, `container_oom_events_total{container="web"} 3`,
		`container_started_at_timestamp_seconds{container="web"} 1795198203`, `container_health_status{container="web",status="starting"} 1`)
	r.lacks("container_exit_code", "container_cpu_usage_percent")

	d.Health = "healthy"
	r.set(d)
	r.event(d.ID, "health_status: healthy")
	r.pass(time.Second)
	r.has(`container_health_status{container="web",status="healthy"} 1`)
	r.lacks(`container_health_status{container="web",status="starting"}`)

	r.remove(d.ID)
	r.event(d.ID, "die", "destroy")
	r.pass(time.Second)
	r.lacks(append(usage, "container_state", "container_restarts", "container_oom", "container_health")...)
	r.has(`container_up_timestamp_seconds{container="web"} 1795198204`)
	r.pass(59 * time.Minute)
	r.has(`container_up_timestamp_seconds{container="web"} 1795198204`)
	r.pass(2 * time.Minute)
	if text := r.text(); text != "" {
		t.Errorf("not everything went:\n%s", text)
	}
	if len(r.names)+len(r.containers) != 0 {
		t.Error("something is remembered of what is gone")
	}
}

// TestOOM counts each time once, whoever tells of it.
func TestOOM(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "web", 100)
	r.eng.stats[d.ID] = engineStats(t, "stats-limited.json")
	for i, told := range [][]string{{"oom"}, {}, {"oom", "oom"}} {
		d.OOMKilled = false
		d.Started = r.time
		r.set(d)
		r.event(d.ID, "start")
		r.pass(0)
		r.event(d.ID, told...)
		d.OOMKilled = true
		r.exit(d, 137)
		r.pass(time.Second)
		r.has(fmt.Sprintf(`container_oom_events_total{container="web"} %d`, []int{1, 2, 4}[i]))
		r.event(d.ID, "update")
		r.pass(time.Second)
		r.has(fmt.Sprintf(`container_oom_events_total{container="web"} %d`, []int{1, 2, 4}[i]))
	}
}

func TestRename(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "old", 100)
	r.v2(d, 1, 1)
	r.event(d.ID, "start")
	r.pass(0)
	d.Name = "new"
	r.set(d)
	r.event(d.ID, "rename")
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="new"} 1795198201`, `container_used_memory_bytes{container="new"} 1`)
	if text := r.text(); strings.Contains(text, "old") {
		t.Errorf("the old name is still there:\n%s", text)
	}
}

// TestReplaced has a container of the same name take the place of another, with and without
// a time in which both are there.
func TestReplaced(t *testing.T) {
	for _, overlap := range []bool{false, true} {
		r := newRig(t, ReadAuto)
		old := r.container("a", "web", 100)
		r.v2(old, 1, 1)
		r.event(old.ID, "start")
		r.pass(0)
		end := func() {
			r.exit(old, 0)
			r.remove(old.ID)
			r.event(old.ID, "destroy")
		}
		if !overlap {
			end()
			r.pass(time.Second)
		}
		r.time = r.time.Add(time.Second)
		d := r.container("b", "web", 101)
		r.v2(d, 2, 2)
		r.event(d.ID, "start")
		r.pass(0)
		if overlap {
			r.has(`container_used_memory_bytes{container="web"} 2`)
			end()
		}
		r.pass(time.Second)
		r.has(`container_used_memory_bytes{container="web"} 2`, `container_state{container="web",state="running"} 1`,
			fmt.Sprintf(`container_up_timestamp_seconds{container="web"} %d`, r.time.Unix()),
			fmt.Sprintf(`container_started_at_timestamp_seconds{container="web"} %d`, d.Started.Unix()))
		if strings.Contains(r.text(), id("a")) {
			t.Errorf("overlap %v: the old container is still there:\n%s", overlap, r.text())
		}
	}
}

// TestEndedBefore has a container that ended before weir began: its heartbeat is the end of
// its last run, unless that was too long ago.
func TestEndedBefore(t *testing.T) {
	r := newRig(t, ReadAuto)
	for i, ago := range []time.Duration{10 * time.Minute, 2 * time.Hour} {
		d := r.container(string(rune('a'+i)), fmt.Sprint("ended", i), 0)
		d.Running, d.Status, d.Started, d.Finished = false, "exited", r.time.Add(-ago-time.Minute), r.time.Add(-ago)
		r.set(d)
		r.Observe([]dockerapi.Container{{ID: id("a"), State: "exited"}, {ID: id("b"), State: "exited"}}, true)
	}
	r.pass(0)
	r.has(fmt.Sprintf(`container_up_timestamp_seconds{container="ended0"} %d`, begin.Add(-10*time.Minute).Unix()), `container_state{container="ended1",state="exited"} 1`)
	r.lacks(`container_up_timestamp_seconds{container="ended1"}`)
}

func TestNotWanted(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "unwanted", 100)
	r.v2(d, 1, 1)
	r.Observe([]dockerapi.Container{{ID: d.ID, State: "running"}}, true)
	r.pass(0)
	r.pass(time.Second)
	r.Observe([]dockerapi.Container{{ID: d.ID, State: "running"}}, false)
	r.pass(time.Second)
	if r.text() != "" || r.eng.inspects != 1 {
		t.Errorf("asked %d times:\n%s", r.eng.inspects, r.text())
	}
}

// TestWhoseFiles: numbers of another process than the container's are never taken.
func TestWhoseFiles(t *testing.T) {
	for name, group := range map[string]string{
		"another container": "0::/system.slice/docker-" + id("c") + ".scope\n",
		"another place":     "0::/../docker-" + id("a") + ".scope\n",
		"no container":      "0::/user.slice\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ReadAuto)
			d := r.container("a", "web", 100)
			r.v2(d, 1, 1)
			r.write("proc/100/cgroup", group)
			r.eng.stats[d.ID] = engineStats(t, "stats-limited.json")
			r.event(d.ID, "start")
			r.pass(0)
			r.has(`container_used_memory_bytes{container="web"} 2646016`)
		})
	}
}

func TestEngineAway(t *testing.T) {
	r := newRig(t, ReadAuto)
	byFile, byAPI := r.container("a", "file", 100), r.container("b", "api", 101)
	r.v2(byFile, 1, 1)
	r.eng.stats[byAPI.ID] = engineStats(t, "stats-limited.json")
	r.event(byFile.ID, "start")
	r.event(byAPI.ID, "start")
	r.pass(0)
	r.eng.down = errors.New("connection refused")
	r.event(byFile.ID, "update")
	r.pass(time.Second)
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="file"} 1795198202`, `container_up_timestamp_seconds{container="api"} 1795198200`)
	if r.bad == nil {
		t.Error("nobody was told")
	}
	r.eng.down = nil
	r.pass(time.Second)
	r.has(`container_up_timestamp_seconds{container="api"} 1795198203`)
	if r.bad != nil {
		t.Errorf("still %v", r.bad)
	}
}

func TestFilesAlone(t *testing.T) {
	r := newRig(t, ReadFile)
	d := r.container("a", "web", 100)
	r.event(d.ID, "start")
	r.pass(0)
	if !errors.Is(r.bad, ErrUnreadable) {
		t.Errorf("told %v", r.bad)
	}
	r.lacks("container_used", "container_up")
	r.has(`container_state{container="web",state="running"} 1`)
}

// TestInterfaceGone has an interface go, as when a container leaves a network, and more of
// them come than are measured.
func TestInterfaceGone(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "web", 100)
	r.v2(d, 1, 1)
	r.event(d.ID, "start")
	r.pass(0)
	many := ""
	for i := range 3 * maxParts {
		many += fmt.Sprintf("eth%d: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n", i+1)
	}
	r.write("proc/100/net/dev", many)
	r.pass(time.Second)
	r.lacks(`container_network_receive_bytes_total{container="web",id="` + d.ID + `",image="img:1",name="web",interface="eth0"`)
	if n := strings.Count(r.text(), "container_network_receive_bytes_total"); n > maxParts {
		t.Errorf("%d interfaces", n)
	}
}

// TestFlood has thousands of containers come and go: what stays is bounded.
func TestFlood(t *testing.T) {
	r := newRig(t, ReadAuto)
	for i := range maxGone + 50 {
		d := r.container("a", fmt.Sprint("job", i), 100)
		d.ID = fmt.Sprintf("%064x", i)
		r.set(d)
		r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
		r.event(d.ID, "start")
		r.pass(0)
		r.remove(d.ID)
		r.event(d.ID, "die", "destroy")
		r.pass(time.Second)
	}
	if n := strings.Count(r.text(), "container_up_timestamp_seconds"); n != maxGone {
		t.Errorf("%d heartbeats", n)
	}
	r.lacks(`container_up_timestamp_seconds{container="job0"}`, "container_state")
	if strings.Contains(r.text(), "overflow") {
		t.Error("a family is full")
	}
}

// TestAllocations: a measurement allocates a path for each file that is opened, and nothing
// for the series.
func TestAllocations(t *testing.T) {
	for version, files := range map[string]func(*rig, dockerapi.Details, int, int){"1": (*rig).v1, "2": (*rig).v2} {
		r := newRig(t, ReadFile)
		d := r.container("a", "web", 100)
		files(r, d, 1, 1)
		r.event(d.ID, "start")
		r.pass(0)
		r.pass(time.Second)
		x := r.containers[d.ID]
		// The network, the list of processes, and two for the descriptors of the one there is.
		if n, most := testing.AllocsPerRun(100, func() { r.readOne(x) }), float64(len(x.files.usage)+4); n > most {
			t.Errorf("version %s: %v allocations, at most %v for the files", version, n, most)
		}
	}
}

func TestOff(t *testing.T) {
	var c *Collector
	c.Observe(nil, true)
	c.Event(dockerapi.Event{Action: "start"})
	c.Run(t.Context())
}

// TestEnd: nothing is left of a collector that ends.
func TestEnd(t *testing.T) {
	r := newRig(t, ReadAuto)
	d := r.container("a", "web", 100)
	r.v2(d, 1, 1)
	r.event(d.ID, "start")
	r.pass(0)
	r.dropAll()
	if r.text() != "" {
		t.Errorf("left:\n%s", r.text())
	}
}

// TestBytesAlone has an engine that does not tell requests, as Docker 20.10 with control groups
// version 2: there is no series then, rather than a zero.
func TestBytesAlone(t *testing.T) {
	r := newRig(t, ReadAPI)
	d := r.container("a", "web", 100)
	s := dockerapi.Stats{Read: r.time}
	s.IO.Bytes = []dockerapi.BlockIO{{Major: 8, Op: "read", Value: 10}, {Major: 8, Op: "write", Value: 20}}
	r.eng.stats[d.ID] = s
	r.event(d.ID, "start")
	r.pass(0)
	whole := `{container="web",id="` + d.ID + `",image="img:1",name="web",device="8:0"} `
	r.has("container_fs_reads_bytes_total"+whole+"10", "container_fs_writes_bytes_total"+whole+"20")
	r.lacks("container_fs_reads_total", "container_fs_writes_total")
	s.IO.Counts = []dockerapi.BlockIO{{Major: 8, Op: "read", Value: 1}, {Major: 8, Op: "write", Value: 2}}
	r.eng.stats[d.ID] = s
	r.pass(time.Second)
	r.has("container_fs_reads_total"+whole+"1", "container_fs_writes_total"+whole+"2")
}
