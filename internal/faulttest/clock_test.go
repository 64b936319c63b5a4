package faulttest_test

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

var stepClock = flag.Bool("clock", false, "step this machine's clock by an hour and back, where nothing else minds")

// stepBy moves the machine's clock.
func stepBy(t *testing.T, d time.Duration) {
	t.Helper()
	tv := syscall.NsecToTimeval(time.Now().Add(d).UnixNano())
	if err := syscall.Settimeofday(&tv); err != nil {
		t.Fatalf("set the clock: %v", err)
	}
}

// collector is a StatsD server that adds up one counter, over TCP.
type collector struct {
	mu      sync.Mutex // guards all below
	sum     float64
	packets int
}

var counted = regexp.MustCompile(`^all:([0-9.e+]+)\|c`)

func (c *collector) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				m := counted.FindStringSubmatch(lines.Text())
				c.mu.Lock()
				c.packets++
				if m != nil {
					v, _ := strconv.ParseFloat(m[1], 64)
					c.sum += v
				}
				c.mu.Unlock()
			}
		}()
	}
}

func (c *collector) total() (float64, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum, c.packets
}

// TestClockSteps moves the machine's own clock by an hour, forth and back, while lines are
// written, windows flushed and weir killed. It runs only with -args -clock.
func TestClockSteps(t *testing.T) {
	if !*stepClock {
		t.Skip("SKIP: it would step this machine's clock; run it with -args -clock where nothing else minds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var statsd collector
	go statsd.serve(l)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`
sources: {app: {type: file, paths: [%q], start: beginning}}
sinks: {agent: {type: statsd, address: "tcp://%s", dialect: plain, window: 1s}, files: {type: file, dir: %q, start: beginning}}
%s  - match: '{}'
    count: [{name: all, as: count}]
`, path, l.Addr(), filepath.Join(dir, "out"), faulttest.Rules)})
	s := &stage{dir: dir, path: path, weir: w, what: "steps", lines: faulttest.NewWriter(t, path)}
	for _, step := range []time.Duration{time.Hour, -time.Hour, -time.Hour, time.Hour} {
		s.lines.Write(500)
		stepBy(t, step)
		s.faults++
		during(3*time.Second, 100*time.Millisecond, func() { s.lines.Write(50) })
		if s.faults%2 == 0 {
			w.Kill()
			s.lines.Write(100)
			w.Again()
		}
	}
	s.lines.Rename()
	s.lines.Write(100)
	r := w.Settle(s.lines.Written())
	w.Kept(&r)
	if r.Lost != 0 || r.Doubled != 0 || r.KeptLost != 0 || r.KeptDoubled != 0 {
		t.Errorf("%d lines: %d lost, %d doubled, of the text %d lost, %d doubled:%s", r.Written, r.Lost, r.Doubled, r.KeptLost, r.KeptDoubled, r.Example)
	}
	w.Terminate()
	if sum, packets := statsd.total(); sum != float64(r.Written) {
		t.Errorf("StatsD has %v of %d lines", sum, r.Written)
	} else {
		t.Logf("StatsD has %v lines from %d packets", sum, packets)
	}
	report("the machine's clock stepped by an hour, forth and back, and kill -9", s, r)
}
