package link

import (
	"net"
	"syscall"
	"time"
)

// GiveUpAfter makes the system break a TCP connection whose other end has acknowledged
// nothing for so long. By itself it would go on for a quarter of an hour, and take what is
// written into its buffer all the while.
func GiveUpAfter(conn *net.TCPConn, patience time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	const userTimeout = 18 // TCP_USER_TIMEOUT, in milliseconds
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(patience/time.Millisecond))
	})
	if err != nil {
		return err
	}
	return failure
}
