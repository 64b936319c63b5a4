package stats

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/weirlog/weir/internal/codec/cgroup"
	"github.com/weirlog/weir/internal/dockerapi"
)

// host reads the files of the machine that the containers run on.
type host struct {
	root   string
	proc   string // /proc/, below root
	counts bool   // the kernel tells how many descriptors a process has
	buf    []byte // what was read last
	list   []byte // entries of a directory
	nets   []byte // names of interfaces refer to it
	sample sample // of the container that is being measured

	system uint64 // as in sample
	online int
	memory uint64 // of the machine; none: not known

	devices map[[2]uint32]string
}

func newHost(root string) *host {
	h := &host{root: root, buf: make([]byte, 16<<10), nets: make([]byte, 4<<10), devices: map[[2]uint32]string{}}
	if h.root == "" {
		h.root = "/"
	}
	h.proc = h.path("proc") + "/"
	if h.counts = h.tellsCount(); !h.counts {
		h.list = make([]byte, 16<<10)
	}
	h.measure()
	return h
}

// measure reads what belongs to the machine as a whole.
func (h *host) measure() {
	h.system, h.online, h.memory = none, 0, none
	if text, err := h.text(h.path("proc/stat"), &h.buf); err == nil {
		if ns, cpus, ok := cgroup.System(text); ok {
			h.system, h.online = ns, cpus
		}
	}
	if text, err := h.text(h.path("proc/meminfo"), &h.buf); err == nil {
		if size, ok := cgroup.MemTotal(text); ok {
			h.memory = size
		}
	}
}

func (h *host) path(parts ...string) string {
	return filepath.Join(append([]string{h.root}, parts...)...)
}

// maxText bounds a file; none of the kernel's comes near.
const maxText = 1 << 20

var errLong = errors.New("the file is too long")

// text reads a file into buf, which grows. It uses the system's calls, because package os
// has a poller take note of each file.
func (h *host) text(name string, buf *[]byte) ([]byte, error) {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	n := 0
	for {
		if n == len(*buf) {
			if n >= maxText {
				return nil, errLong
			}
			*buf = append(*buf, make([]byte, n)...)
		}
		got, err := syscall.Read(fd, (*buf)[n:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case got <= 0:
			return (*buf)[:n], nil
		default:
			n += got
		}
	}
}

// files is where the numbers of one container are.
type files struct {
	usage, limits []file
	nets          string // empty: it has no network of its own
	procs         string // the list of its processes
}

// file is one of them, and what takes its text.
type file struct {
	path  string
	usage func(*sample, []byte)
	limit func(*limits, []byte)
}

// locate finds the files of a container; nil says that they cannot be read, or that it is
// not certain whose they are.
func (h *host) locate(d *dockerapi.Details) *files {
	// A sandbox may show the processes and hide /proc/stat.
	if d.Pid <= 0 || h.system == none {
		return nil
	}
	pid := strconv.Itoa(d.Pid)
	text, err := h.text(h.path("proc", pid, "cgroup"), &h.buf)
	if err != nil {
		return nil
	}
	groups := string(text)
	// The group is named for the container. If this one is not, then the process is another,
	// of a machine or a space of processes that is not the engine's.
	if len(d.ID) < 12 || !strings.Contains(groups, d.ID) {
		return nil
	}
	f := &files{}
	if !h.usual(f, groups, d.ID) {
		return nil
	}
	if d.NetworkMode != "host" {
		f.nets = h.path("proc", pid, "net/dev")
	}
	h.sample.reset()
	if h.read(&h.sample, f) != nil {
		return nil
	}
	return f
}

// usual fills f with the files of the version that memory is accounted in.
func (h *host) usual(f *files, groups, id string) bool {
	layout := layout1
	if _, ok := cgroup.Group([]byte(groups), "memory"); !ok {
		layout = layout2
	}
	for i, l := range layout {
		group, ok := cgroup.Group([]byte(groups), l.controller)
		dir := string(group)
		if !ok || !strings.Contains(dir, id) || path.Clean(dir) != dir {
			if i < required {
				return false
			}
			continue
		}
		entry := file{h.path("sys/fs/cgroup", l.controller, dir, l.name), l.usage, l.limit}
		if _, err := h.text(entry.path, &h.buf); err != nil {
			if i < required {
				return false
			}
			continue
		}
		if i == 0 {
			f.procs = h.path("sys/fs/cgroup", l.controller, dir, "cgroup.procs")
		}
		if entry.usage != nil {
			f.usage = append(f.usage, entry)
		} else {
			f.limits = append(f.limits, entry)
		}
	}
	return true
}

// read measures one container.
func (h *host) read(s *sample, f *files) error {
	s.reset()
	s.system, s.online = h.system, h.online
	for i := range f.usage {
		text, err := h.text(f.usage[i].path, &h.buf)
		if err != nil {
			return err
		}
		f.usage[i].usage(s, text)
	}
	if f.nets != "" {
		text, err := h.text(f.nets, &h.nets)
		if err != nil {
			return err
		}
		s.nets = cgroup.AppendNetDev(s.nets, text)
	}
	h.processes(s, f.procs)
	if s.cpu.Usage == none || s.usage == none {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// readLimits reads what a container may use, where there are files.
func (x *container) readLimits(h *host) {
	if x.files == nil {
		return
	}
	for _, f := range x.files.limits {
		if text, err := h.text(f.path, &h.buf); err == nil {
			f.limit(&x.limits, text)
		}
	}
}

// maxNames bounds the names of block devices that are remembered.
const maxNames = 1000

// device returns the name of a block device, as in /dev.
func (h *host) device(major, minor uint32) string {
	key := [2]uint32{major, minor}
	if name, ok := h.devices[key]; ok {
		return name
	}
	number := strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
	name := number
	if link, err := os.Readlink(h.path("sys/dev/block", number)); err == nil {
		name = "/dev/" + path.Base(link)
	}
	if len(h.devices) < maxNames {
		h.devices[key] = name
	}
	return name
}
