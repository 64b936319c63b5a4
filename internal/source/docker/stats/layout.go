package stats

import "github.com/weirlog/weir/internal/codec/cgroup"

// place is a file of a control group, and what its text is for.
type place struct {
	controller, name string
	usage            func(*sample, []byte)
	limit            func(*limits, []byte)
}

// required is how many places at the beginning of a layout have to be there.
const required = 2

// layout1 is version 1, where each controller has its own tree.
var layout1 = []place{
	{"cpuacct", "cpuacct.usage", func(s *sample, b []byte) { one(&s.cpu.Usage, b) }, nil},
	{"memory", "memory.usage_in_bytes", func(s *sample, b []byte) { one(&s.usage, b) }, nil},
	{"cpuacct", "cpuacct.stat", func(s *sample, b []byte) { s.cpu.ParseAcct(b) }, nil},
	{"cpu", "cpu.stat", func(s *sample, b []byte) { s.cpu.ParseStat(b) }, nil},
	{"memory", "memory.max_usage_in_bytes", func(s *sample, b []byte) { one(&s.peak, b) }, nil},
	{"memory", "memory.failcnt", func(s *sample, b []byte) { one(&s.failures, b) }, nil},
	{"memory", "memory.stat", func(s *sample, b []byte) { s.memory.ParseStat(b) }, nil},
	{"memory", "memory.oom_control", takeKills, nil},
	{"pids", "pids.current", func(s *sample, b []byte) { one(&s.pids, b) }, nil},
	{"pids", "pids.max", func(s *sample, b []byte) { one(&s.pidsMax, b) }, nil},
	{"blkio", "blkio.throttle.io_service_bytes", func(s *sample, b []byte) { s.devices = cgroup.AppendBlkioBytes(s.devices, b) }, nil},
	{"blkio", "blkio.throttle.io_serviced", func(s *sample, b []byte) { s.devices = cgroup.AppendBlkioCounts(s.devices, b) }, nil},
	{"cpu", "cpu.cfs_quota_us", nil, func(l *limits, b []byte) { one(&l.quota, b) }},
	{"cpu", "cpu.cfs_period_us", nil, func(l *limits, b []byte) { one(&l.period, b) }},
	{"cpuset", "cpuset.effective_cpus", nil, takeCPUs},
	{"memory", "memory.limit_in_bytes", nil, func(l *limits, b []byte) { one(&l.memory, b) }},
}

// layout2 is version 2, of one tree.
var layout2 = []place{
	{"", "cpu.stat", func(s *sample, b []byte) { s.cpu.ParseStat(b) }, nil},
	{"", "memory.current", func(s *sample, b []byte) { one(&s.usage, b) }, nil},
	{"", "memory.peak", func(s *sample, b []byte) { one(&s.peak, b) }, nil},
	{"", "memory.swap.current", func(s *sample, b []byte) { one(&s.memory.Swapped, b) }, nil},
	{"", "memory.stat", func(s *sample, b []byte) { s.memory.ParseStat(b) }, nil},
	{"", "memory.events", takeKills, nil},
	{"", "pids.current", func(s *sample, b []byte) { one(&s.pids, b) }, nil},
	{"", "pids.max", func(s *sample, b []byte) { one(&s.pidsMax, b) }, nil},
	{"", "io.stat", func(s *sample, b []byte) { s.devices = cgroup.AppendIOStat(s.devices, b) }, nil},
	{"", "cpu.max", nil, takeQuota},
	{"", "cpuset.cpus.effective", nil, takeCPUs},
	{"", "memory.max", nil, func(l *limits, b []byte) { one(&l.memory, b) }},
}

// one takes the number of a file that has one.
func one(to *uint64, text []byte) {
	if n, ok := cgroup.Number(text); ok {
		*to = n
	}
}

func takeKills(s *sample, text []byte) {
	if n, ok := cgroup.Value(text, "oom_kill"); ok {
		s.kills = n
	}
}

func takeQuota(l *limits, text []byte) {
	if quota, period, ok := cgroup.Quota(text); ok {
		l.quota, l.period = quota, period
	}
}

func takeCPUs(l *limits, text []byte) {
	if n, ok := cgroup.CountCPUs(text); ok {
		l.cpuset = n
	}
}
