package realtest_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// carbon takes Graphite's lines: by name, and of each name the values by their time.
type carbon struct {
	address string
	mu      sync.Mutex // guards lines
	lines   map[string]map[int64]float64
	bad     []string
}

func listenCarbon(t *testing.T) *carbon {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &carbon{address: l.Addr().String(), lines: map[string]map[int64]float64{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.read(conn)
		}
	}()
	return c
}

func (c *carbon) read(conn io.ReadCloser) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		f := strings.Fields(lines.Text())
		c.mu.Lock()
		if len(f) != 3 {
			c.bad = append(c.bad, lines.Text())
			c.mu.Unlock()
			continue
		}
		v, err := strconv.ParseFloat(f[1], 64)
		at, err2 := strconv.ParseInt(f[2], 10, 64)
		if err != nil || err2 != nil {
			c.bad = append(c.bad, lines.Text())
		}
		name := sortedTags(f[0])
		if c.lines[name] == nil {
			c.lines[name] = map[int64]float64{}
		}
		c.lines[name][at] = v
		c.mu.Unlock()
	}
}

// sortedTags puts the tags of a name in order, as Graphite does.
func sortedTags(name string) string {
	parts := strings.Split(name, ";")
	slices.Sort(parts[1:])
	return strings.Join(parts, ";")
}

// of returns what a name comes to over all windows: counts and sums added up, gauges and what
// else is said of every window as it last was, and what a timer's values were in the only
// interval that had some.
func (c *carbon) of() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]float64{}
	for name, windows := range c.lines {
		if strings.Contains(name, "statsd.") {
			continue
		}
		sum, last, lastAt := 0.0, 0.0, int64(0)
		for at, v := range windows {
			sum += v
			if at >= lastAt {
				last, lastAt = v, at
			}
		}
		if all[name] = sum; strings.HasPrefix(name, "stats.gauges.") {
			all[name] = last
		}
	}
	return all
}

// TestGraphiteAsEtsys sends the same lines to npm's statsd and to weir, both of which send to
// a server of Graphite's, and compares all that these two got, names and values.
func TestGraphiteAsEtsys(t *testing.T) {
	for _, legacy := range []bool{true, false} {
		t.Run(fmt.Sprintf("legacy %v", legacy), func(t *testing.T) {
			t.Parallel()
			for range 3 {
				if graphiteAsEtsys(t, legacy) {
					return
				}
			}
			t.Error("the lines came in two windows, three times")
		})
	}
}

const graphiteWindow = 5 * time.Second

// graphiteAsEtsys returns false where a busy machine let the lines come in two windows of a server: what a timer comes
// to in each cannot be compared.
func graphiteAsEtsys(t *testing.T, legacy bool) bool {
	theirs, ours := listenCarbon(t), listenCarbon(t)
	server := realtest.StartStatsDTo(t, theirs.address, graphiteWindow, fmt.Sprintf("graphite: {legacyNamespace: %v}, percentThreshold: [90, 99.5, -10]", legacy))
	address := faulttest.FreeAddress(t)
	weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: n
sources: {app: {type: statsd, listen: 'tcp://%s', flush_interval: 5s, percentiles: [90, 99.5, -10]}}
sinks: {graphite: {address: 'tcp://%s', window: 5s, legacy_namespace: %v}}
`, address, ours.address, legacy)})
	lines := slices.DeleteFunc(statsdLines(rand.New(rand.NewPCG(7, 5)), 3000), func(line string) bool {
		return strings.Contains(line, "1e400") // etsy's sends Infinity, which Graphite does not take
	})
	for i := range 300 {
		lines = append(lines, fmt.Sprintf("tagged:%d|c|#env:prod,path:/a b/%d", i, i%3), fmt.Sprintf("some one's/timer:%d.5|ms|@0.5|#z:1,a:2", i),
			fmt.Sprintf("who:%d|s", i%7), fmt.Sprintf("who:%d|s|#env:prod", i%5), fmt.Sprintf("level.of:%d|g|#a:b", i))
	}
	text := []byte(strings.Join(lines, "\n") + "\n")
	send := func(to string) {
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	flushes := func(c *carbon) int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.lines["stats.statsd.graphiteStats.last_flush"])
	}
	faulttest.WaitFor(t, "statsd's first flush", func() bool { return flushes(theirs) >= 1 })
	send(server.Address)
	faulttest.WaitFor(t, "the middle of a window", func() bool { // a source ends its interval up to a second late
		into := time.Now().UnixNano() % int64(graphiteWindow)
		return into > int64(1500*time.Millisecond) && into < int64(3*time.Second)
	})
	send(address)
	faulttest.WaitFor(t, "statsd's second and third flush", func() bool { return flushes(theirs) >= 3 })
	sent := flushes(ours)
	faulttest.WaitFor(t, "weir to end the window, and to tell of the interval in it", func() bool { return flushes(ours) >= sent+3 })
	if theirs.windows("stats.timers.a2.count") != 1 || ours.windows("stats.timers.a2.count") != 1 {
		return false
	}
	if m, err := weir.Metrics(); err != nil || faulttest.Sum(m, `weir_component_dropped_total{machine="n",component="sink/graphite"`) != 0 {
		t.Errorf("weir dropped some of it: %v", err)
	}
	got, want, compared := ours.of(), theirs.of(), 0
	for name, v := range want {
		if g, ok := got[name]; !ok || math.Abs(g-v) > 1e-9*math.Abs(v) {
			t.Errorf("%s is %v (it was sent: %v), and etsy's %v", name, g, ok, v)
		}
		compared++
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not sent by etsy's", name)
		}
	}
	for _, name := range []string{"numStats", "statsd.metrics_received", "graphiteStats.last_flush", "graphiteStats.flush_length"} {
		if !hasSuffix(theirs, name) || !hasSuffix(ours, name) {
			t.Errorf("%s: etsy's sends it (%v), weir does (%v)", name, hasSuffix(theirs, name), hasSuffix(ours, name))
		}
	}
	if len(ours.bad) > 0 || compared < 100 {
		t.Errorf("%d numbers were compared; no lines: %q", compared, ours.bad)
	}
	t.Logf("%d numbers", compared)
	return true
}

// windows returns in how many windows a name was more than nothing.
func (c *carbon) windows(name string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.lines[name] {
		if v > 0 {
			n++
		}
	}
	return n
}

// hasSuffix tells whether c got a name that ends so, or with a counter's suffix behind it.
func hasSuffix(c *carbon, suffix string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.lines {
		if strings.HasSuffix(strings.TrimSuffix(name, ".count"), suffix) {
			return true
		}
	}
	return false
}
