package cgroup

// Memory is what the memory of a group consists of, in bytes, that of groups below it
// included, and its page faults.
type Memory struct {
	// Anon is memory of no file, File the page cache, Mapped the part of it that is mapped.
	Anon, File, Mapped uint64
	// InactiveFile is page cache that goes first when memory is short.
	InactiveFile uint64
	// Swapped is what was moved to swap; version 2 has it in a file of its own.
	Swapped uint64
	// Faults are page faults, MajorFaults those that had to wait for a disk.
	Faults, MajorFaults uint64
}

// NoMemory is a Memory of which nothing is known.
func NoMemory() Memory { return Memory{None, None, None, None, None, None, None} }

// ParseStat reads memory.stat of either version. In version 1 it takes the totals, which
// include the groups below.
func (m *Memory) ParseStat(text []byte) {
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		key, rest := field(line)
		slot := m.slot(key)
		if slot == nil {
			continue
		}
		value, _ := field(rest)
		if n, ok := number(value); ok {
			*slot = n
		}
	}
}

// Set takes one entry of memory.stat, and does nothing with those that are not needed.
func (m *Memory) Set(key string, value uint64) {
	if slot := m.slot([]byte(key)); slot != nil {
		*slot = value
	}
}

// slot returns where the value of a key belongs. Keys that only one version has decide which
// it is; those that both have mean the same only where there are no totals, which come later
// in the file.
func (m *Memory) slot(key []byte) *uint64 {
	switch string(key) {
	case "anon", "total_rss":
		return &m.Anon
	case "file", "total_cache":
		return &m.File
	case "file_mapped", "total_mapped_file":
		return &m.Mapped
	case "inactive_file", "total_inactive_file":
		return &m.InactiveFile
	case "total_swap":
		return &m.Swapped
	case "pgfault", "total_pgfault":
		return &m.Faults
	case "pgmajfault", "total_pgmajfault":
		return &m.MajorFaults
	}
	return nil
}
