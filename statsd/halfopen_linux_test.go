package statsd

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// deafen makes the system throw away all that comes in for a connection, before it is
// acknowledged: to the other end, this one has vanished without a word.
func deafen(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const takeNothing = syscall.BPF_RET | syscall.BPF_K
	filter := []syscall.SockFilter{{Code: takeNothing}}
	program := syscall.SockFprog{Len: 1, Filter: &filter[0]}
	err = raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
		if errno != 0 {
			t.Errorf("attach a filter: %v", errno)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestVanishedPeer: of a real connection whose other end acknowledges nothing any more, the
// client notices it while the system still takes what is written; what was written until
// then is uncertain, all of it, and what comes later arrives.
func TestVanishedPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	all, err := Options{Address: "tcp://" + l.Addr().String(), Aggregate: -1, FlushInterval: time.Millisecond}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	all.patience = 500 * time.Millisecond
	c := newClient(all)
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	c.Gauge("n", 0)
	in := bufio.NewScanner(first)
	if !in.Scan() || in.Text() != "n:0|g" {
		t.Fatalf("received %q", in.Text())
	}
	deafen(t, first)
	called := 1
	accepted := make(chan net.Conn)
	go func() {
		second, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- second
	}()
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	var second net.Conn
	for second == nil {
		select {
		case second = <-accepted:
		case <-every.C:
			c.Gauge("n", float64(called))
			called++
		}
	}
	defer func() { _ = second.Close() }()
	c.Gauge("last", 1)
	first1, received := -1, 0
	for in := bufio.NewScanner(second); in.Scan() && in.Text() != "last:1|g"; received++ {
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(in.Text(), "n:"), "|g"))
		if err != nil {
			t.Fatalf("received %q", in.Text())
		}
		if first1 < 0 {
			first1 = n
		}
		if n != first1+received {
			t.Fatalf("received %d after %d", n, first1+received-1)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	stats := c.Stats()
	if missing := uint64(called - 1 - received); missing == 0 || missing > stats.Uncertain || stats.Sent+stats.Dropped.Total() != uint64(called+1) {
		t.Errorf("%d called, %d missing; %+v", called, missing, stats)
	}
	t.Logf("%d called, %d received over the second connection; %+v", called, received, stats)
}
