package statsd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	// burst is how many datagrams are read with one call.
	burst = 32
	// maxDatagram is the longest one that is taken whole; those of UDP are never longer.
	maxDatagram = 64 << 10

	soReusePort = 15 // SO_REUSEPORT
	soMemInfo   = 55 // SO_MEMINFO
	memDrops    = 8  // the place of the drops in what that returns
	memVars     = 9
)

// message is the kernel's struct mmsghdr.
type message struct {
	header syscall.Msghdr
	length uint32
}

// socket reads datagrams, many with one system call.
type socket struct {
	worker *worker
	conn   net.PacketConn
	raw    syscall.RawConn
	drops  uint32 // as the kernel counted them when last asked

	messages [burst]message
	vectors  [burst]syscall.Iovec
	from     [burst]syscall.RawSockaddrAny
	buffer   []byte // burst times maxDatagram; the kernel gives memory to what is used of it
	control  []byte // burst times controlBytes: who sent them; nil where nobody asks
}

// openSocket opens a socket of l at host.
func openSocket(ctx context.Context, l *listener, host string) (*socket, error) {
	var asked, got int
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			if l.network == "udp" && len(l.workers) > 1 {
				failed = share(fd)
			}
			if l.asksProcesses() {
				failed = os.NewSyscallError("setsockopt SO_PASSCRED", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1))
			}
			asked = int(l.source.cfg.ReceiveBuffer)
			got = askBuffer(int(fd), asked)
		})
		return errors.Join(err, failed)
	}}
	conn, err := lc.ListenPacket(ctx, l.network, host)
	if err != nil {
		return nil, err
	}
	if got < asked {
		l.source.deps.Log.Warn("the kernel gives less receive buffer than asked for; bursts may be dropped, which is counted", "address", l.name,
			"bytes", got, "asked", asked, "remedy", "raise net.core.rmem_max, or lower receive_buffer")
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &socket{conn: conn, raw: raw, buffer: make([]byte, burst*maxDatagram)}
	if l.asksProcesses() {
		s.control = make([]byte, burst*controlBytes)
	}
	for i := range s.messages {
		s.vectors[i].Base = &s.buffer[i*maxDatagram]
		s.vectors[i].SetLen(maxDatagram)
		s.messages[i].header.Iov = &s.vectors[i]
		s.messages[i].header.Iovlen = 1
		s.messages[i].header.Name = (*byte)(unsafe.Pointer(&s.from[i]))
	}
	return s, nil
}

// share lets other sockets have the address of a socket, also one that has it already.
func share(fd uintptr) error {
	return os.NewSyscallError("setsockopt SO_REUSEPORT", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1))
}

// askBuffer asks for a receive buffer, with force if it may, and returns what it got.
func askBuffer(fd, bytes int) int {
	if syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, bytes) != nil {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
	}
	got, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return got / 2 // the kernel doubles what it is asked for, for its own use
}

// newDrops returns how many datagrams the kernel has dropped since it was last asked.
func (s *socket) newDrops() (n uint64) {
	_ = s.raw.Control(func(fd uintptr) {
		var info [memVars]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soMemInfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if e == 0 && size == uint32(unsafe.Sizeof(info)) {
			n = uint64(info[memDrops] - s.drops)
			s.drops = info[memDrops]
		}
	})
	return n
}

// read takes datagrams until ctx ends, and then those that are there already, unless somebody
// reads on.
func (s *socket) read(ctx context.Context) error {
	for ctx.Err() == nil {
		var n int
		var failed syscall.Errno
		err := s.raw.Read(func(fd uintptr) bool {
			n, failed = s.receive(fd)
			return failed != syscall.EAGAIN
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err == nil && failed != 0 && failed != syscall.EINTR {
			err = os.NewSyscallError("recvmmsg", failed)
		}
		if err != nil {
			return err
		}
		s.take(n)
	}
	for end := time.Now().Add(drainTime); !reloads(ctx) && time.Now().Before(end); {
		n := 0
		_ = s.raw.Control(func(fd uintptr) { n, _ = s.receive(fd) })
		if n == 0 {
			break
		}
		s.take(n)
	}
	return nil
}

// receive reads what is there, without waiting.
func (s *socket) receive(fd uintptr) (int, syscall.Errno) {
	for i := range s.messages {
		s.messages[i].header.Namelen = syscall.SizeofSockaddrAny
		if s.control != nil {
			s.messages[i].header.Control = &s.control[i*controlBytes]
			s.messages[i].header.SetControllen(controlBytes)
		}
	}
	n, _, e := syscall.Syscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.messages)), burst, syscall.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// take has the worker read n datagrams.
func (s *socket) take(n int) {
	w := s.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		m := &s.messages[i]
		w.from(whence{addr: s.sender(i), pid: s.process(i)})
		p := s.buffer[i*maxDatagram:][:m.length]
		if m.header.Flags&syscall.MSG_TRUNC == 0 {
			w.packet(p)
			continue
		}
		w.tally.packets++
		w.tally.bytes += uint64(len(p))
		rest := w.linesUpTo(p, maxDatagram)
		w.end(cutPacket, rest)
	}
	w.passOn()
}

// sender returns who sent datagram i, the zero Addr if it has no address.
func (s *socket) sender(i int) netip.Addr {
	switch from := &s.from[i]; from.Addr.Family {
	case syscall.AF_INET:
		return netip.AddrFrom4((*syscall.RawSockaddrInet4)(unsafe.Pointer(from)).Addr)
	case syscall.AF_INET6:
		return netip.AddrFrom16((*syscall.RawSockaddrInet6)(unsafe.Pointer(from)).Addr).Unmap()
	}
	return netip.Addr{}
}
