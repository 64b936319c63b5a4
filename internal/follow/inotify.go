package follow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
)

// The events of the two instances that a watcher has.
const (
	// moveMask is what rotation makes, rare and urgent.
	moveMask = syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MOVED_FROM | syscall.IN_MOVED_TO |
		syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ATTRIB | syscall.IN_ONLYDIR
	// writeMask is what a busy file makes all the time.
	writeMask = syscall.IN_MODIFY | syscall.IN_ONLYDIR
)

// inotify is one instance of the kernel's notification. Its users read it themselves: the
// kernel folds repeated events into one only as long as they are not read.
type inotify struct {
	file *os.File
	fd   int
	buf  [16 << 10]byte
}

func newInotify() (*inotify, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("begin to be notified: %w", err)
	}
	return &inotify{file: os.NewFile(uintptr(fd), "inotify"), fd: fd}, nil
}

// add watches a directory, or changes nothing if it is watched already.
func (n *inotify) add(dir string, mask uint32) (wd int32, err error) {
	i, err := syscall.InotifyAddWatch(n.fd, dir, mask)
	return int32(i), err
}

// remove ends a watch, which may have ended by itself.
func (n *inotify) remove(wd int32) {
	syscall.InotifyRmWatch(n.fd, uint32(wd))
}

// event is one event. Its name is valid until the instance is read again.
type event struct {
	wd   int32
	mask uint32
	name []byte
}

// read waits for events and calls visit for each.
func (n *inotify) read(visit func(event)) error {
	got, err := n.file.Read(n.buf[:])
	if err != nil {
		return fmt.Errorf("read notifications: %w", err)
	}
	for b := n.buf[:got]; len(b) >= syscall.SizeofInotifyEvent; {
		e := event{wd: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:])}
		size := int(binary.NativeEndian.Uint32(b[12:]))
		b = b[syscall.SizeofInotifyEvent:]
		e.name = bytes.TrimRight(b[:size], "\x00")
		b = b[size:]
		visit(e)
	}
	return nil
}

func (n *inotify) close() { n.file.Close() }
