package stats

import (
	"math"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/cgroup"
	"github.com/weirlog/weir/internal/dockerapi"
)

// none is a number that is not known.
const none = cgroup.None

// sample is one measurement of a container. What is not known is none.
type sample struct {
	at time.Time
	// cpu is the container's, system what all online processors spent, idle or not.
	cpu    cgroup.CPU
	system uint64
	online int
	// usage is all memory, page cache included.
	usage, peak, failures uint64
	limit                 uint64 // as the engine tells it
	memory                cgroup.Memory
	pids, pidsMax         uint64
	// processes and descriptors are known from files alone.
	processes, descriptors uint64
	kills                  uint64 // processes that the kernel killed for want of memory
	devices                []cgroup.Device
	nets                   []cgroup.Interface
}

// reset forgets the numbers, and keeps the room that they took.
func (s *sample) reset() {
	*s = sample{
		cpu: cgroup.NoCPU(), system: none, usage: none, peak: none, limit: none, failures: none, memory: cgroup.NoMemory(),
		pids: none, pidsMax: none, processes: none, descriptors: none, kills: none, devices: s.devices[:0], nets: s.nets[:0],
	}
}

// fromEngine takes what the engine measured.
func (s *sample) fromEngine(e *dockerapi.Stats) {
	s.reset()
	u, t := &e.CPU.Usage, &e.CPU.Throttling
	s.cpu = cgroup.CPU{Usage: u.Total, User: u.User, System: u.System, Periods: t.Periods, Throttled: t.Throttled, Waited: t.Time}
	if s.system = e.CPU.System; s.system == 0 {
		s.system = none
	}
	s.online = e.CPU.Online
	if s.online <= 0 {
		s.online = max(1, len(u.PerCPU))
	}
	s.usage, s.peak, s.failures = e.Memory.Usage, known(e.Memory.Peak), known(e.Memory.Failures)
	if s.limit = e.Memory.Limit; s.limit == 0 {
		s.limit = none
	}
	if s.peak != none && s.failures == none {
		s.failures = 0 // version 1 has both, and the engine leaves out a zero
	}
	for key, v := range e.Memory.Stats {
		if !strings.HasPrefix(key, totalPrefix) {
			s.memory.Set(key, v)
		}
	}
	for key, v := range e.Memory.Stats { // the totals of version 1 count more
		if strings.HasPrefix(key, totalPrefix) {
			s.memory.Set(key, v)
		}
	}
	if e.Pids.Current > 0 {
		s.pids, s.pidsMax = e.Pids.Current, known(e.Pids.Limit)
	}
	for _, io := range e.IO.Bytes {
		s.devices = cgroup.AppendBlkio(s.devices, entry(io), true)
	}
	for _, io := range e.IO.Counts {
		s.devices = cgroup.AppendBlkio(s.devices, entry(io), false)
	}
	for name, n := range e.Networks {
		if len(s.nets) < cgroup.MaxDevices && name != "lo" {
			s.nets = append(s.nets, cgroup.Interface{
				Name: []byte(name), RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
				TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
			})
		}
	}
}

const totalPrefix = "total_"

func known(n *uint64) uint64 {
	if n == nil {
		return none
	}
	return *n
}

func entry(io dockerapi.BlockIO) cgroup.Entry {
	return cgroup.Entry{Major: io.Major, Minor: io.Minor, Op: []byte(io.Op), Value: io.Value}
}

// share is the formula of docker stats, as a fraction of one processor and not in hundredths.
func share(b basis, s *sample) float64 {
	if s.cpu.Usage <= b.usage || s.system <= b.system {
		return 0
	}
	x := float64(s.cpu.Usage-b.usage) / float64(s.system-b.system) * float64(s.online)
	return math.Round(x*1e4) / 1e4
}

// workingSet is the memory that cannot be had back at once.
func (s *sample) workingSet() uint64 {
	switch {
	case s.usage == none || s.memory.InactiveFile == none:
		return s.usage
	case s.memory.InactiveFile > s.usage:
		return 0
	}
	return s.usage - s.memory.InactiveFile
}

// limits is what a container may use; none is no bound.
type limits struct {
	quota, period uint64 // processor time in each period, in microseconds
	cpuset        int    // how many processors are allowed; 0: all
	memory        uint64
}

// defaultPeriod is the kernel's, in microseconds.
const defaultPeriod = 100_000

// limitsOf returns the limits that a container was made with, for where the kernel's files
// cannot be read.
func limitsOf(d *dockerapi.Details) limits {
	l, x := limits{quota: none, period: defaultPeriod, memory: none}, &d.Limits
	if x.CPUPeriod > 0 {
		l.period = uint64(x.CPUPeriod)
	}
	switch {
	case x.NanoCPUs > 0:
		l.period = defaultPeriod
		l.quota = uint64(x.NanoCPUs) / (1e9 / defaultPeriod)
	case x.CPUQuota > 0:
		l.quota = uint64(x.CPUQuota)
	}
	if n, ok := cgroup.CountCPUs([]byte(x.CPUSet)); ok {
		l.cpuset = n
	}
	if x.Memory > 0 {
		l.memory = uint64(x.Memory)
	}
	return l
}

// cpus is how many processors may be kept busy, of those that are online.
func (l limits) cpus(online int) float64 {
	n := float64(online)
	if l.cpuset > 0 {
		n = min(n, float64(l.cpuset))
	}
	if l.quota != none && l.period > 0 {
		n = min(n, float64(l.quota)/float64(l.period))
	}
	return n
}
