// Package cgroup reads what the kernel tells about the processes of a container: the files
// of control groups, version 1 and 2, and those of /proc that go with them.
//
//	var c cgroup.CPU
//	c.ParseStat(text) // of cpu.stat, whichever version
//	limit, ok := cgroup.Number([]byte("max\n"))
//
// Times are in nanoseconds and sizes in bytes, whatever the file has. A value that a file
// does not have stays as it was, so whoever parses begins with None. Nothing is allocated
// but what is appended. The package leaves out finding and reading the files.
package cgroup

import (
	"bytes"
	"math"
)

// None is a number that is not told, or a limit that is not set.
const None = math.MaxUint64

// unlimited is where version 1 begins to mean no limit: it rounds the largest number down
// to a whole page, whose size differs.
const unlimited = 1 << 62

// tick is the unit of times in /proc/stat and cpuacct.stat: a hundredth of a second on
// every Linux.
const tick = 1e7

// Number reads a file with one number: memory.current, pids.max, cpu.cfs_quota_us and the
// like. No limit, however it is written, is None.
func Number(text []byte) (n uint64, ok bool) {
	text = bytes.TrimSpace(text)
	if string(text) == "max" || len(text) > 1 && text[0] == '-' {
		return None, true
	}
	n, ok = number(text)
	if n >= unlimited {
		n = None
	}
	return n, ok
}

// number reads decimal digits; what does not fit is not ok.
func number(text []byte) (n uint64, ok bool) {
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// field cuts the next field, which spaces and tabs end, off a line.
func field(line []byte) (f, rest []byte) {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	line = line[i:]
	for i = 0; i < len(line) && line[i] != ' ' && line[i] != '\t'; i++ {
	}
	return line[:i], line[i:]
}

// cutLine cuts the next line off text.
func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte{'\n'})
	return line, rest
}

// Value returns the number that follows a key in a file of one key and number a line:
// oom_kill in memory.events or memory.oom_control.
func Value(text []byte, key string) (n uint64, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		if name, rest := field(line); string(name) == key {
			value, _ := field(rest)
			return number(value)
		}
	}
	return 0, false
}

// Group returns the group of a process, from its /proc/…/cgroup: that of a controller of
// version 1, or, for an empty name, that of version 2.
func Group(text []byte, controller string) (path []byte, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		_, rest, _ := bytes.Cut(line, []byte{':'})
		names, path, found := bytes.Cut(rest, []byte{':'})
		if !found || len(path) == 0 || path[0] != '/' {
			continue
		}
		for more := true; more; {
			var name []byte
			if name, names, more = bytes.Cut(names, []byte{','}); string(name) == controller {
				return path, true
			}
		}
	}
	return nil, false
}

// Container returns the id of the container that a process is in, from its /proc/…/cgroup; empty if its
// groups name none.
func Container(text []byte) string {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		parts := bytes.FieldsFunc(line, func(r rune) bool { return r == '/' || r == '-' || r == '.' || r == ':' })
		for i := len(parts) - 1; i >= 0; i-- {
			if p := parts[i]; len(p) == 64 && len(bytes.Trim(p, "0123456789abcdef")) == 0 {
				return string(p)
			}
		}
	}
	return ""
}

// System reads /proc/stat: the time that all processors together have spent, as Docker's
// system_cpu_usage has it, and how many are online.
func System(text []byte) (ns uint64, cpus int, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		name, rest := field(line)
		switch {
		case !bytes.HasPrefix(name, []byte("cpu")):
			return ns, cpus, ok // they stand first; what follows is long
		case len(name) > len("cpu"):
			cpus++
		default:
			ns, ok = systemTime(rest)
		}
	}
	return ns, cpus, ok
}

// systemTime adds up user, nice, system, idle, iowait, irq and softirq: not what was stolen.
func systemTime(rest []byte) (ns uint64, ok bool) {
	for range 7 {
		var f []byte
		f, rest = field(rest)
		n, ok := number(f)
		if !ok || n > (math.MaxUint64-ns)/tick {
			return 0, false
		}
		ns += n * tick
	}
	return ns, true
}

// MemTotal reads the size of the machine's memory from /proc/meminfo.
func MemTotal(text []byte) (size uint64, ok bool) {
	kib, ok := Value(text, "MemTotal:")
	if kib > unlimited>>10 {
		return 0, false
	}
	return kib << 10, ok
}
