package cgroup

import (
	"bytes"
	"math"
)

// CPU is the processor time that a group has used, in nanoseconds, and what its quota cost it.
type CPU struct {
	Usage, User, System uint64
	// Periods is how many periods of the quota there were in which something ran,
	// Throttled in how many of them it ran out, Waited how long was waited for the next.
	Periods, Throttled, Waited uint64
}

// NoCPU is a CPU of which nothing is known.
func NoCPU() CPU { return CPU{None, None, None, None, None, None} }

// ParseStat reads cpu.stat. In version 1 it has what the quota cost alone.
func (c *CPU) ParseStat(text []byte) {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		key, rest := field(line)
		value, _ := field(rest)
		n, ok := number(value)
		if !ok {
			continue
		}
		switch string(key) {
		case "usage_usec":
			c.Usage = scale(n, 1000)
		case "user_usec":
			c.User = scale(n, 1000)
		case "system_usec":
			c.System = scale(n, 1000)
		case "nr_periods":
			c.Periods = n
		case "nr_throttled":
			c.Throttled = n
		case "throttled_usec":
			c.Waited = scale(n, 1000)
		case "throttled_time":
			c.Waited = n
		}
	}
}

// ParseAcct reads cpuacct.stat of version 1.
func (c *CPU) ParseAcct(text []byte) {
	if n, ok := Value(text, "user"); ok {
		c.User = scale(n, tick)
	}
	if n, ok := Value(text, "system"); ok {
		c.System = scale(n, tick)
	}
}

// scale multiplies; what does not fit is None.
func scale(n, by uint64) uint64 {
	if n > math.MaxUint64/by {
		return None
	}
	return n * by
}

// Quota reads cpu.max of version 2: so many microseconds of processor time in each period.
// Without a quota it is None.
func Quota(text []byte) (quota, period uint64, ok bool) {
	first, rest := field(bytes.TrimSpace(text))
	second, _ := field(rest)
	quota, ok1 := Number(first)
	period, ok2 := number(second)
	return quota, period, ok1 && ok2 && period > 0
}

// maxCPU is the largest number that a processor is believed to have.
const maxCPU = 1 << 16

// CountCPUs returns how many processors a list such as 0-3,7 names; ok is false for what is
// no such list, an empty one included.
func CountCPUs(list []byte) (n int, ok bool) {
	list = bytes.TrimSpace(list)
	for more := true; more; {
		var part []byte
		part, list, more = bytes.Cut(list, []byte{','})
		low, high, isRange := bytes.Cut(part, []byte{'-'})
		from, ok := number(low)
		to := from
		if isRange && ok {
			to, ok = number(high)
		}
		if !ok || to < from || to >= maxCPU {
			return 0, false
		}
		n += int(to-from) + 1
		if n > maxCPU {
			return 0, false
		}
	}
	return n, true
}
