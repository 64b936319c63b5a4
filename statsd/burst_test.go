package statsd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/statsd"
)

// callers is how many goroutines share a burst.
const callers = 4

// shoot records a burst from several goroutines as fast as they can.
func shoot(c *statsd.Client) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range burst / callers {
				c.Incr("burst", 1, "a:1", "b:2")
			}
		})
	}
	wg.Wait()
}

// TestBurstOverTCP: what was called has arrived, or is counted as dropped, to the last one.
func TestBurstOverTCP(t *testing.T) {
	for name, o := range map[string]statsd.Options{
		"newest":   {Aggregate: -1},
		"oldest":   {Aggregate: -1, DropOldest: true},
		"no bound": {Aggregate: -1, QueueLines: -1, QueueBytes: 256 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := listenStream(t)
			o.Address = s.address
			c := start(t, o)
			received := make(chan int)
			conn := s.accept(t)
			go func() {
				n, buf := 0, make([]byte, 1<<16)
				for {
					k, err := conn.Read(buf)
					if n += bytes.Count(buf[:k], []byte{'\n'}); err != nil {
						received <- n
						return
					}
				}
			}()
			shoot(c)
			end(t, c)
			got, stats := <-received, c.Stats()
			if uint64(got) != stats.Sent || stats.Sent+stats.Dropped.Total() != burst {
				t.Errorf("%d received of %d; %+v", got, burst, stats)
			}
			if name == "no bound" && got != burst {
				t.Errorf("%d dropped without need", burst-got)
			}
			t.Logf("%.1f %% received", float64(got)*100/burst)
		})
	}
}

// TestBurstAddedUp: nothing at all is dropped of counters that are added up.
func TestBurstAddedUp(t *testing.T) {
	s := listenStream(t)
	c := start(t, statsd.Options{Address: s.address, Aggregate: time.Millisecond})
	sum := make(chan int)
	conn := s.accept(t)
	go func() {
		total := 0
		for in := bufio.NewScanner(conn); in.Scan(); {
			value := strings.TrimSuffix(strings.TrimPrefix(in.Text(), "burst:"), "|c|#a:1,b:2")
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Errorf("received %q", in.Text())
			}
			total += n
		}
		sum <- total
	}()
	shoot(c)
	end(t, c)
	if got := <-sum; got != burst || c.Stats().Dropped.Total() != 0 {
		t.Errorf("the lines' sum is %d, want %d; %+v", got, burst, c.Stats())
	}
}

// TestBurstOverUDP: the same, where only the receiver's kernel may lose something, and says
// so in datagrams.
func TestBurstOverUDP(t *testing.T) {
	s := listenPackets(t, "udp")
	conn := s.conn.(*net.UDPConn)
	forceBuffer(t, conn, 256<<20)
	c := start(t, statsd.Options{Address: s.address, Aggregate: -1})
	var received, datagrams atomic.Int64
	last := make(chan struct{})
	go func() {
		defer close(last)
		buf := make([]byte, 65536)
		for {
			n, err := conn.Read(buf)
			if err != nil || string(buf[:n]) == "last" {
				return
			}
			received.Add(1 + int64(bytes.Count(buf[:n], []byte{'\n'})))
			datagrams.Add(1)
		}
	}()
	shoot(c)
	end(t, c)
	goodbye(t, conn)
	<-last
	stats, lost := c.Stats(), kernelDrops(t, conn)
	missing := int64(stats.Sent) - received.Load()
	const perDatagram = int64(1432 / len("burst:1|c|#a:1,b:2\n"))
	if stats.Sent+stats.Dropped.Total() != burst || missing < lost || missing > lost*perDatagram {
		t.Errorf("%d received of %d, the kernel dropped %d datagrams; %+v", received.Load(), burst, lost, stats)
	}
	t.Logf("%.1f %% received in %d datagrams", float64(received.Load())*100/burst, datagrams.Load())
}

// TestBurstOverUnixDatagrams: there the system makes the sender wait, and nothing is lost
// that was sent.
func TestBurstOverUnixDatagrams(t *testing.T) {
	s := listenPackets(t, "unixgram")
	c := start(t, statsd.Options{Address: s.address, Aggregate: -1})
	received := make(chan int, 1)
	go func() {
		n, buf := 0, make([]byte, 65536)
		for {
			k, _, err := s.conn.ReadFrom(buf)
			if err != nil || string(buf[:k]) == "last" {
				received <- n
				return
			}
			n += 1 + bytes.Count(buf[:k], []byte{'\n'})
		}
	}()
	shoot(c)
	end(t, c)
	last, err := net.Dial("unixgram", s.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = last.Close() }()
	if _, err := io.WriteString(last, "last"); err != nil {
		t.Fatal(err)
	}
	got, stats := <-received, c.Stats()
	if uint64(got) != stats.Sent || stats.Sent+stats.Dropped.Total() != burst {
		t.Errorf("%d received of %d; %+v", got, burst, stats)
	}
	t.Logf("%.1f %% received", float64(got)*100/burst)
}

// goodbye makes the receiver end after all that was sent before.
func goodbye(t *testing.T, to *net.UDPConn) {
	t.Helper()
	conn, err := net.Dial("udp", to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "last"); err != nil {
		t.Fatal(err)
	}
}

// forceBuffer asks for a receive buffer beyond the system's bound, which root gets.
func forceBuffer(t *testing.T, conn *net.UDPConn, size int) {
	t.Helper()
	if err := conn.SetReadBuffer(size); err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const force = 33 // SO_RCVBUFFORCE
	if err := raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, force, size) }); err != nil {
		t.Fatal(err)
	}
}

// kernelDrops returns how many datagrams to conn the kernel had no room for.
func kernelDrops(t *testing.T, conn *net.UDPConn) int64 {
	t.Helper()
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprintf("0100007F:%04X", conn.LocalAddr().(*net.UDPAddr).Port)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 12 && f[1] == port {
			n, err := strconv.ParseInt(f[len(f)-1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the kernel does not list %s", port)
	return 0
}

// TestResetInABurst: the server reads 50 of 3,000 lines and resets the connection. Nothing
// arrives twice, what had not been written arrives, and what is missing is in Uncertain.
func TestResetInABurst(t *testing.T) {
	for _, size := range []int{1, 300, 3000} { // bytes of a tag: less and more than the system buffers
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			const total = 3000
			s := listenStream(t)
			c := start(t, statsd.Options{Address: s.address, Aggregate: -1, QueueLines: -1, QueueBytes: 32 << 20, Tags: []string{strings.Repeat("x", size)}})
			first := s.accept(t)
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range total {
					c.Gauge("n", float64(i))
				}
			})
			seen := make([]int, total)
			in := bufio.NewScanner(first)
			for range 50 {
				in.Scan()
				seen[number(t, in.Text())]++
			}
			if err := first.(*net.TCPConn).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			second := s.accept(t)
			done := make(chan error)
			go func() {
				wg.Wait()
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- c.Close(ctx)
			}()
			before := 49
			for in := bufio.NewScanner(second); in.Scan(); {
				n := number(t, in.Text())
				if n <= before {
					t.Errorf("%d came after %d", n, before)
				}
				before = n
				seen[n]++
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			missing := uint64(0)
			for n, times := range seen {
				switch {
				case times > 1:
					t.Errorf("line %d arrived %d times", n, times)
				case times == 0:
					missing++
				}
			}
			stats := c.Stats()
			if stats.Sent != total || stats.Dropped.Total() != 0 || missing > stats.Uncertain {
				t.Errorf("%d missing; %+v", missing, stats)
			}
			t.Logf("%d missing, %d uncertain", missing, stats.Uncertain)
		})
	}
}

// number is the value of a gauge's line.
func number(t *testing.T, line string) int {
	t.Helper()
	value, _, _ := strings.Cut(strings.TrimPrefix(line, "n:"), "|")
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("received %q", line)
	}
	return n
}
