package statsd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNumbers: what each type becomes, in both dialects.
func TestNumbers(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Listen = append(c.Listen, "udp://127.0.0.1:0?dialect=dogstatsd")
		c.Buckets = []float64{0.1, 1}
	})
	w.send(0, "hits:1|c\nhits:2|c|@0.5\nhits:-1|c\ntags;env=prod:1|c\ntags:1|c|#env:prod\ntags:1|c|#b:1,env:x,bare\n"+
		"conn:5|g\nconn:+3|g\nconn:-10|g\nrt:50|ms|@0.5\nrt:2000|ms\na.b-c/d e:1|c\n9:1|c\n")
	w.send(1, "gauge:-3|g\nsize:1:0.5|h|#le:x,machine:y\nsize:7|d\nhits:1|c|T1700000000\n")
	w.lines(17)
	w.has("hits_total 5", `tags_total{env="prod"} 2`, `tags_total{b="1",bare="true",env="x"} 1`, "conn -2", "a_b_c_d_e_total 1", "_9_total 1",
		`rt_seconds_bucket{le="0.1"} 2`, `rt_seconds_bucket{le="1"} 2`, `rt_seconds_bucket{le="+Inf"} 3`, "rt_seconds_sum 2.1", "rt_seconds_count 3",
		"gauge -3", `size_count{tag_le="x",tag_machine="y"} 2`, `size_sum{tag_le="x",tag_machine="y"} 1.5`, `size_count 1`)
	w.agrees()
}

// TestOrigin: where a line comes from is a label, if that is asked for.
func TestOrigin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Dialect, c.OriginLabel = DogStatsD, "container" })
	w.send(0, "a:1|c|#x:y|c:abc\na:1|c|c:abc|#x:y\na:1|c|#x:y|c:in-7,ci-def\na:1|c|#x:y\na:1|c|c:in-7")
	w.lines(5)
	w.has(`a_total{container="abc",x="y"} 2`, `a_total{container="def",x="y"} 1`, `a_total{x="y"} 1`, `a_total{container="in-7"} 1`)
	w.agrees()
}

// TestFates: bad lines are told by reason, and all of them are shown as such.
func TestFates(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Listen = append(c.Listen, "udp://127.0.0.1:0?dialect=dogstatsd") })
	w.send(0, "good:1|c\n\n\r\nx\nx:y|c\nx:1|c|@0\nx:1\n!!:1|c\nx:1|ms:2|c:z|g\n\x00\xff\nweir_up:1|g\nx:1|c\r\n")
	w.send(1, "x:1|zz\nx:1|c|Tx\n_e{1,1}:\n_sc|x|9\nx:|c\n:1|c\n")
	w.lines(16)
	for reason, n := range map[string]float64{
		"no value": 3, "not a number": 2, "not a sample rate": 1, "no type": 1, "no name": 2,
		"unknown type": 1, "not a time": 1, "not an event": 1, "not a service check": 1,
	} {
		if got := w.sum("weir_statsd_bad_lines_total", `reason="`+reason+`"`); got != n {
			t.Errorf("%v lines: %s, want %v", got, reason, n)
		}
	}
	w.has("good_total 1", "x_total 3", "x_seconds_count 1", `weir_statsd_sender_bad_lines_total{source="app",sender="127.0.0.1"} 13`)
	if got := w.sum("weir_statsd_dropped_lines_total", `reason="name is taken"`); got != 1 {
		t.Errorf("%v lines dropped for their name", got)
	}
	if !strings.Contains(w.log.String(), "127.0.0.1: ") {
		t.Error("no bad line was shown with its sender")
	}
	w.agrees()
}

// TestRestart: counters, gauges and histograms go on; what is added to a gauge is added to
// what it had before. A set begins empty.
func TestRestart(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.FlushInterval = time.Hour })
	w.send(0, "hits:1|c|#a:b\nconn:5|g\nrt:50|ms\nusers:a|s\nusers:b|s\nusers:a|s")
	w.lines(6)
	w.restart()
	w.has(`hits_total{a="b"} 1`, "conn 5", "rt_seconds_count 1", "users_unique 0")
	w.send(0, "hits:1|c|#a:b\nconn:-2|g\nrt:50|ms\n")
	w.lines(9)
	w.restart()
	w.has(`hits_total{a="b"} 2`, "conn 3", "rt_seconds_count 2")
	w.cfg.Buckets = []float64{7}
	w.restart()
	w.send(0, "rt:50|ms\n")
	w.lines(10)
	w.has("conn 3", "rt_seconds_count 1", `rt_seconds_bucket{le="7"} 1`)
	w.agrees()
}

// TestSetsAreFlushed: a set has what was sent in an interval.
func TestSetsAreFlushed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.FlushInterval = time.Second })
	w.send(0, "users:a|s\nusers:b|s\nusers:a|s")
	w.until(func() bool { return w.sum("users_unique") == 2 })
	w.until(func() bool { return w.sum("users_unique") == 0 })
}

// TestCommitFails: what could not be written is written with the next commit.
func TestCommitFails(t *testing.T) {
	w := newWorld(t, nil)
	w.mu.Lock()
	w.fail = errors.New("disk")
	w.mu.Unlock()
	w.send(0, "hits:1|c\nconn:5|g")
	w.mu.Lock()
	w.fail = nil
	w.mu.Unlock()
	w.lines(2)
	w.has("hits_total 1", "conn 5")
}

// TestBounds: series beyond the bounds are counted in the overflow series or dropped, and told.
func TestBounds(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSeries, c.MaxSeriesPerName = 6, 2 })
	for i := range 3 {
		w.send(0, fmt.Sprintf("c:1|c|#n:%d\ng:1|g|#n:%d\n", i, i))
	}
	w.lines(6)
	w.has(`c_total{overflow="true"} 1`, `weir_statsd_dropped_lines_total{source="app",listener="udp://127.0.0.1:0",reason="too many series of a name"} 1`)
	if f := w.reg.Named("g"); f.Overflowed() != 0 {
		t.Error("gauges that were dropped are shown as one")
	}
	w.send(0, "more:1|c\nover:1|c\nc:1|c|#n:0\nc:1|c|#n:7")
	w.lines(10)
	w.has(`c_total{n="0"} 2`, `weir_statsd_dropped_lines_total{source="app",listener="udp://127.0.0.1:0",reason="too many series"} 2`)
	w.agrees()
}

func TestEvents(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Dialect = DogStatsD })
	w.send(0, `_e{5,9}:Title|one\ntwo!|d:1700000000|t:warning|h:web|#a:b,flag|p:low`+"\n"+`_sc|db|2|#a:b|m:gone m\: away`)
	w.lines(2)
	w.until(func() bool { return len(w.records) == 2 })
	want := []string{
		`warn "Title\none\ntwo!" kind=event alert_type=warning priority=low host=web a=b flag=true`,
		`error "db is critical: gone m: away" kind=service_check check=db status=critical a=b`,
	}
	if !slices.Equal(w.records, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(w.records, "\n"), strings.Join(want, "\n"))
	}
}

// TestUnixSockets: datagrams, lines, and packets with their length before them.
func TestUnixSockets(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Listen = []string{"unixgram://$DIR/d.sock", "unix://$DIR/s.sock"}
	})
	w.send(0, "d:1|c\nd:1|c")
	w.send(1, "s:1|c\ns:1|c\n")
	w.send(1, "s")
	framed := binary.LittleEndian.AppendUint32(nil, 11)
	framed = append(framed, "p:1|c\np:1|c"...)
	c := w.dial(1)
	for range 2 {
		for i := range framed {
			if _, err := c.Write(framed[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Close()
	w.send(1, "\x05\x00\x00\x00p:1")                  // it does not come whole
	w.send(1, "\x01\x00\x00\x00x\x00\x00\x00\x01p:1") // the second is too long
	w.lines(12)
	w.has("d_total 2", "s_total 2", "p_total 4")
	for reason, n := range map[string]float64{"no value": 2, "unfinished line": 1, "datagram too long": 1} {
		if got := w.sum("weir_statsd_bad_lines_total", `reason="`+reason+`"`); got != n {
			t.Errorf("%v lines: %s, want %v", got, reason, n)
		}
	}
	w.agrees()
	w.restart() // the sockets that are left there are in nobody's way
	w.send(0, "d:1|c")
	w.lines(13)
}

// TestReset: of a connection that is reset in the middle of a line the whole lines count.
func TestReset(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Listen = []string{"tcp://127.0.0.1:0"} })
	c := w.dial(0).(*net.TCPConn)
	if _, err := c.Write([]byte(strings.Repeat("hits:1|c\n", 3000) + "hits:1")); err != nil {
		t.Fatal(err)
	}
	w.lines(3000)
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	w.lines(3001)
	w.has("hits_total 3000", `weir_statsd_bad_lines_total{source="app",listener="tcp://127.0.0.1:0",reason="unfinished line"} 1`)
	w.agrees()
}

// TestSegments: however lines are cut up, and whatever is in them, each has one fate.
func TestSegments(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Listen = []string{"tcp://127.0.0.1:0"}; c.MaxLine = 1 << 10 })
	c := w.dial(0).(*net.TCPConn)
	if err := c.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	text := "hits:1|c\n\x00\xff:1|c\nhits:1|c\r\n\n" + strings.Repeat("x", 1025) + "\nhits:1|c\n" + strings.Repeat("y", 1024) + "\n"
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte(strings.Repeat("x", 64<<10) + "\nhits:1|c\nhits:1|c")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	w.lines(9)
	w.has("hits_total 5")
	for reason, n := range map[string]float64{"no name": 1, "line too long": 2, "no value": 1} {
		if got := w.sum("weir_statsd_bad_lines_total", `reason="`+reason+`"`); got != n {
			t.Errorf("%v lines: %s, want %v", got, reason, n)
		}
	}
	w.agrees()
}

// TestTimeLimits: who sends nothing, or a line without end, is closed.
func TestTimeLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Listen = []string{"tcp://127.0.0.1:0"}
		c.IdleTimeout, c.LineTimeout, c.MaxConnections = 2*time.Second, time.Second, 2
	})
	idle, slow, over := w.dial(0), w.dial(0), w.dial(0)
	if _, err := slow.Write([]byte("hits:1|c\nhi")); err != nil {
		t.Fatal(err)
	}
	w.lines(1)
	for _, c := range []net.Conn{over, slow, idle} {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is open: %v", err)
		}
	}
	w.lines(2)
	for _, event := range []string{"connection closed: idle", "connection closed: unfinished line", "connection refused: too many"} {
		if got := w.sum("weir_component_events_total", `event="`+event+`"`); got != 1 {
			t.Errorf("%v times: %s", got, event)
		}
	}
	w.agrees()
}

// TestStopReadsToTheEnd: what was sent before the stop is taken.
func TestStopReadsToTheEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Listen = []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}; c.Sockets = 2 })
	datagrams, stream := w.dial(0), w.dial(1)
	for range 500 {
		for _, c := range []net.Conn{datagrams, stream} {
			if _, err := c.Write([]byte("hits:1|c\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := stream.Write([]byte("hits:1|c\nhi")); err != nil {
		t.Fatal(err)
	}
	w.lines(501) // the connection is accepted
	w.stop()
	w.has("hits_total 1001", `weir_statsd_bad_lines_total{source="app",listener="tcp://127.0.0.1:0",reason="unfinished line"} 1`)
	w.agrees()
}

// TestKernelDrops: of a burst that the receive buffer cannot hold, each datagram is counted by
// weir or told as dropped by the kernel.
func TestKernelDrops(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReceiveBuffer, c.Sockets = 4<<10, 2 })
	const sent = 2000
	for _, one := range w.source.listeners[0].workers {
		one.mu.Lock() // nothing is read
	}
	c := w.dial(0)
	for range sent {
		if _, err := c.Write([]byte("hits:1|c" + strings.Repeat("\n", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range w.source.listeners[0].workers {
		one.mu.Unlock()
	}
	w.until(func() bool {
		return w.sum("weir_statsd_kernel_dropped_packets_total")+w.sum("weir_statsd_packets_total") == sent
	})
	if got, lost := w.sum("hits_total"), w.sum("weir_statsd_kernel_dropped_packets_total"); got+lost != sent || lost == 0 {
		t.Errorf("%v counted, %v dropped, %v sent", got, lost, sent)
	}
	w.agrees()
}

// TestManyAtOnce: streams and datagrams of the same series, in several workers, while series are
// looked for that have expired and the management console lists them: all add up.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Listen = []string{"tcp://127.0.0.1:0", "udp://127.0.0.1:0"}
		c.Sockets, c.Percentiles, c.FlushInterval, c.Management = 2, []float64{90}, time.Second, "tcp://127.0.0.1:0"
	})
	const senders, rounds = 8, 300
	text := []byte("hits:1|c\nlevel:+1|g\nrt:2|ms\nusers:a|s\nhits:1|c|#a:b\nbad\n")
	var sending sync.WaitGroup
	for i := range senders {
		c := w.dial(i % 2)
		sending.Go(func() {
			for j := range rounds {
				if _, err := c.Write(text); err != nil {
					t.Error(err)
				}
				if j%100 == i {
					w.ask("counters", "timers")
					w.source.expire(time.Now())
				}
			}
			c.Close()
		})
	}
	sending.Wait()
	const n = senders * rounds
	w.lines(6*n - 6*w.sum("weir_statsd_kernel_dropped_packets_total"))
	if lost := w.sum("weir_statsd_kernel_dropped_packets_total"); lost == 0 {
		w.has(fmt.Sprintf("hits_total %d", n), fmt.Sprintf(`hits_total{a="b"} %d`, n), fmt.Sprintf("level %d", n), fmt.Sprintf("rt_seconds_count %d", n))
	}
	w.agrees()
}
