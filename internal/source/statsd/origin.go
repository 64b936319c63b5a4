package statsd

import (
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"github.com/weirlog/weir/internal/codec/cgroup"
	"github.com/weirlog/weir/internal/metric"
)

// controlBytes is room for what the kernel says of who sent a datagram.
const controlBytes = 64

// asksProcesses tells whether the kernel is asked which process sends a datagram.
func (l *listener) asksProcesses() bool {
	return l.network == "unixgram" && l.source.cfg.OriginLabel != ""
}

// containerOf returns the container that lines come from, nil where that is not known, or nobody wants
// to know.
func (s *Source) containerOf(from whence) []byte {
	switch {
	case s.cfg.OriginLabel == "":
	case from.pid > 0:
		text, err := os.ReadFile(s.proc + "/" + strconv.Itoa(int(from.pid)) + "/cgroup")
		if id := cgroup.Container(text); err == nil && id != "" {
			return []byte(id)
		}
	case from.addr.IsValid():
		if id := s.deps.Containers.At(from.addr); id != "" {
			return []byte(id)
		}
	}
	return nil
}

// process returns which one sent datagram i, 0 where the kernel was not asked.
func (s *socket) process(i int) int32 {
	h := &s.messages[i].header
	if s.control == nil || int(h.Controllen) < (syscall.CmsgSpace(syscall.SizeofUcred)) {
		return 0
	}
	c := s.control[i*controlBytes:]
	head := (*syscall.Cmsghdr)(unsafe.Pointer(&c[0]))
	if head.Level != syscall.SOL_SOCKET || head.Type != syscall.SCM_CREDENTIALS {
		return 0
	}
	return (*syscall.Ucred)(unsafe.Pointer(&c[syscall.CmsgLen(0)])).Pid
}

// peerOf returns the process at the other end of a connection, as it was when it connected.
func peerOf(c *net.UnixConn) (pid int32) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if u, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = u.Pid
		}
	})
	return pid
}

// times are the latest times that values of gauges had, where they had one.
type times struct {
	mu     sync.Mutex // guards latest
	latest map[*metric.Series]int64
}

// newer notes the time of a value for t, and tells whether none is later.
func (a *times) newer(t *metric.Series, at int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest == nil {
		a.latest = map[*metric.Series]int64{}
	}
	if at < a.latest[t] {
		return false
	}
	a.latest[t] = at
	return true
}

// forget forgets those of targets.
func (a *times) forget(targets []*metric.Series) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range targets {
		delete(a.latest, t)
	}
}
