package stats

import (
	"math"

	"github.com/weirlog/weir/internal/metric"
)

// reading is a container, what was measured of it, and the machine it runs on.
type reading struct {
	x *container
	s *sample
	h *host
}

// measure is one series of a container. Its value is NaN where it is not known, and there is
// no series then.
type measure struct {
	name, help string
	kind       metric.Kind
	value      func(r *reading) float64
	// extra are names and values of labels that this series has beside the container's.
	extra []string
}

// num is a number that may not be known, as a value of a series.
func num(n uint64) float64 {
	if n == none {
		return math.NaN()
	}
	return float64(n)
}

// seconds is a number of nanoseconds that may not be known.
func seconds(n uint64) float64 { return num(n) / 1e9 }

// bound is a limit as cAdvisor has it: zero is none.
func bound(n uint64) float64 {
	if n == none {
		return 0
	}
	return float64(n)
}

// ours are the names of the collector that weir replaces; label container.
var ours = []measure{
	{"container_used_memory_bytes", "Memory of the container, page cache included.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.usage) }, nil},
	{"container_max_memory_bytes", "Memory that the container may use: its limit, else that of the machine.", metric.Gauge, maxMemory, nil},
	{"container_cpu_usage_percent", "How many processors the container kept busy since the last measurement: 1 is one processor, despite the name.", metric.Gauge,
		func(r *reading) float64 {
			if r.x.percent < 0 {
				return math.NaN()
			}
			return r.x.percent
		}, nil},
	{"container_cpus_available", "How many processors the container may keep busy, by its quota, its cpuset and those that are online.", metric.Gauge,
		func(r *reading) float64 { return r.x.limits.cpus(r.s.online) }, nil},
}

// maxMemory is the limit, where it is less than what the machine has.
func maxMemory(r *reading) float64 {
	limit := min(r.x.limits.memory, r.h.memory)
	if r.s.limit != none && r.x.files == nil {
		limit = r.s.limit
	}
	return num(limit)
}

// advised are cAdvisor's names; labels container, id, image, name.
var advised = []measure{
	{"container_last_seen", "Unix time of the last measurement.", metric.Gauge,
		func(r *reading) float64 { return float64(r.s.at.Unix()) }, nil},
	{"container_start_time_seconds", "Unix time at which the container started.", metric.Gauge,
		func(r *reading) float64 { return float64(r.x.details.Started.Unix()) }, nil},
	{"container_cpu_usage_seconds_total", "Processor time used, in seconds.", metric.Counter,
		func(r *reading) float64 { return seconds(r.s.cpu.Usage) }, []string{"cpu", "total"}},
	{"container_cpu_user_seconds_total", "Processor time used by programs, in seconds.", metric.Counter,
		func(r *reading) float64 { return seconds(r.s.cpu.User) }, nil},
	{"container_cpu_system_seconds_total", "Processor time used by the kernel, in seconds.", metric.Counter,
		func(r *reading) float64 { return seconds(r.s.cpu.System) }, nil},
	{"container_cpu_cfs_periods_total", "Periods of the processor quota in which the container ran.", metric.Counter,
		func(r *reading) float64 { return num(r.s.cpu.Periods) }, nil},
	{"container_cpu_cfs_throttled_periods_total", "Periods in which the processor quota ran out.", metric.Counter,
		func(r *reading) float64 { return num(r.s.cpu.Throttled) }, nil},
	{"container_cpu_cfs_throttled_seconds_total", "Time waited for more processor quota, in seconds.", metric.Counter,
		func(r *reading) float64 { return seconds(r.s.cpu.Waited) }, nil},
	{"container_memory_usage_bytes", "Memory used, page cache included.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.usage) }, nil},
	{"container_memory_working_set_bytes", "Memory used without inactive page cache, as docker stats shows it.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.workingSet()) }, nil},
	{"container_memory_max_usage_bytes", "Most memory used since the container started.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.peak) }, nil},
	{"container_memory_failcnt", "How often the memory limit was hit.", metric.Gauge, // the name is no counter's
		func(r *reading) float64 { return num(r.s.failures) }, nil},
	{"container_memory_rss", "Memory that belongs to no file.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.memory.Anon) }, nil},
	{"container_memory_cache", "Page cache.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.memory.File) }, nil},
	{"container_memory_mapped_file", "Files mapped into memory.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.memory.Mapped) }, nil},
	{"container_memory_swap", "Memory in swap.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.memory.Swapped) }, nil},
	{"container_memory_failures_total", "Page faults.", metric.Counter,
		func(r *reading) float64 { return num(r.s.memory.Faults) }, []string{"failure_type", "pgfault", "scope", "hierarchy"}},
	{"container_memory_failures_total", "Page faults.", metric.Counter,
		func(r *reading) float64 { return num(r.s.memory.MajorFaults) }, []string{"failure_type", "pgmajfault", "scope", "hierarchy"}},
	{"container_threads", "Threads that run in the container: PIDS of docker stats.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.pids) }, nil},
	{"container_threads_max", "Threads that may run in the container, 0 for no limit.", metric.Gauge,
		func(r *reading) float64 {
			if r.s.pids == none {
				return math.NaN()
			}
			return bound(r.s.pidsMax)
		}, nil},
	{"container_processes", "Processes that run in the container.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.processes) }, nil},
	{"container_file_descriptors", "File descriptors that its processes have open.", metric.Gauge,
		func(r *reading) float64 { return num(r.s.descriptors) }, nil},
	{"container_spec_cpu_period", "Period of the processor quota, in microseconds.", metric.Gauge,
		func(r *reading) float64 { return num(r.x.limits.period) }, nil},
	{"container_spec_cpu_quota", "Processor quota in each period, in microseconds.", metric.Gauge,
		func(r *reading) float64 { return num(r.x.limits.quota) }, nil},
	{"container_spec_cpu_shares", "Weight of the container where processors are short.", metric.Gauge,
		func(r *reading) float64 {
			if n := r.x.details.Limits.CPUShares; n > 0 {
				return float64(n)
			}
			return defaultShares
		}, nil},
	{"container_spec_memory_limit_bytes", "Memory limit, 0 for none.", metric.Gauge,
		func(r *reading) float64 { return bound(r.x.limits.memory) }, nil},
	{"container_spec_memory_swap_limit_bytes", "Limit of memory and swap together, 0 for none.", metric.Gauge,
		func(r *reading) float64 { return max(0, float64(r.x.details.Limits.MemorySwap)) }, nil},
	{"container_spec_memory_reservation_limit_bytes", "Memory that is kept for the container where memory is short, 0 for none.", metric.Gauge,
		func(r *reading) float64 { return max(0, float64(r.x.details.Limits.MemoryReservation)) }, nil},
}

// defaultShares is the weight of a group that was given none.
const defaultShares = 1024

// traffic has the labels of advised, and interface.
var traffic = []struct {
	name, help string
	value      func(n *network) uint64
}{
	{"container_network_receive_bytes_total", "Bytes received.", func(n *network) uint64 { return n.RxBytes }},
	{"container_network_receive_packets_total", "Packets received.", func(n *network) uint64 { return n.RxPackets }},
	{"container_network_receive_errors_total", "Errors while receiving.", func(n *network) uint64 { return n.RxErrors }},
	{"container_network_receive_packets_dropped_total", "Packets dropped while receiving.", func(n *network) uint64 { return n.RxDropped }},
	{"container_network_transmit_bytes_total", "Bytes sent.", func(n *network) uint64 { return n.TxBytes }},
	{"container_network_transmit_packets_total", "Packets sent.", func(n *network) uint64 { return n.TxPackets }},
	{"container_network_transmit_errors_total", "Errors while sending.", func(n *network) uint64 { return n.TxErrors }},
	{"container_network_transmit_packets_dropped_total", "Packets dropped while sending.", func(n *network) uint64 { return n.TxDropped }},
}

// disk has the labels of advised, and device.
var disk = []struct {
	name, help string
	value      func(d *device) uint64
}{
	{"container_fs_reads_bytes_total", "Bytes read from the device.", func(d *device) uint64 { return d.ReadBytes }},
	{"container_fs_writes_bytes_total", "Bytes written to the device.", func(d *device) uint64 { return d.WriteBytes }},
	{"container_fs_reads_total", "Reads from the device.", func(d *device) uint64 { return d.Reads }},
	{"container_fs_writes_total", "Writes to the device.", func(d *device) uint64 { return d.Writes }},
}

// facts are known whether the container runs or not; label container.
var facts = []measure{
	{"container_restarts_total", "How often the engine started the container again, by its restart policy.", metric.Counter,
		func(r *reading) float64 { return float64(r.x.details.Restarts) }, nil},
	{"container_oom_events_total", "How often the container was out of memory, since weir or the container began.", metric.Counter,
		func(r *reading) float64 { return r.x.outOfMemory() }, nil},
	{"container_exit_code", "Exit code of the last run, of a container that does not run.", metric.Gauge,
		func(r *reading) float64 {
			if r.x.running || r.x.details.Finished.IsZero() {
				return math.NaN()
			}
			return float64(r.x.details.ExitCode)
		}, nil},
}
