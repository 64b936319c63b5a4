package stats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
)

// Bounds of counting descriptors: a container with more has no number, rather than one that is
// wrong or takes long.
const (
	// maxProcesses is how many processes are looked at.
	maxProcesses = 256
	// maxListed is how many descriptors of a process are counted one by one, where the kernel
	// does not tell their number.
	maxListed = 4096
)

// procMagic is the type of file system that the kernel's /proc is.
const procMagic = 0x9fa0

// tellsCount tells whether the size of /proc/PID/fd is the number of descriptors, as it is from
// Linux 6.2 on.
func (h *host) tellsCount() bool {
	var fs syscall.Statfs_t
	var own syscall.Stat_t
	return syscall.Statfs(h.path("proc"), &fs) == nil && fs.Type == procMagic &&
		syscall.Stat(h.path("proc/self/fd"), &own) == nil && own.Size > 0
}

// processes counts the processes of a group, and what they have open. What cannot be seen is
// not known: that fails no measurement.
func (h *host) processes(s *sample, list string) {
	text, err := h.text(list, &h.buf)
	if err != nil {
		return
	}
	s.processes = uint64(bytes.Count(text, []byte{'\n'}))
	if s.processes > maxProcesses {
		return
	}
	total := uint64(0)
	for len(text) > 0 {
		pid, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		n, ok := h.descriptors(string(pid))
		if !ok {
			return
		}
		total += n
	}
	s.descriptors = total
}

// descriptors counts those of a process. One that has just ended has none; of one that must
// not be looked at they are not known. A group of another space of processes has pids 0.
func (h *host) descriptors(pid string) (n uint64, ok bool) {
	dir := h.proc + pid + "/fd"
	if h.counts {
		var st syscall.Stat_t
		err := syscall.Stat(dir, &st)
		return uint64(max(0, st.Size)), (err == nil || errors.Is(err, syscall.ENOENT)) && pid != "0"
	}
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, errors.Is(err, syscall.ENOENT) && pid != "0"
	}
	defer syscall.Close(fd)
	for {
		used, err := syscall.ReadDirent(fd, h.list)
		switch {
		case err == syscall.EINTR:
			continue
		case errors.Is(err, syscall.ENOENT): // it ended meanwhile
			return 0, true
		case err != nil:
			return 0, false
		case used <= 0:
			return n, true
		}
		if n += countEntries(h.list[:used]); n > maxListed {
			return 0, false
		}
	}
}

// countEntries counts the entries of a directory, as the kernel lists them, but for itself and
// the one above.
func countEntries(list []byte) (n uint64) {
	const sizeAt, nameAt = 16, 19
	for len(list) > nameAt {
		size := int(binary.NativeEndian.Uint16(list[sizeAt:]))
		if size <= nameAt || size > len(list) {
			return n
		}
		name, _, _ := bytes.Cut(list[nameAt:size], []byte{0})
		if string(name) != "." && string(name) != ".." {
			n++
		}
		list = list[size:]
	}
	return n
}
