package statsd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestOriginOfSender: a line that does not say its container has that of its sender: of the address, or of the process
// at the other end of a unix socket. One that says it has what it says.
func TestOriginOfSender(t *testing.T) {
	byAddress, byProcess := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	w := newWorld(t, func(c *Config) {
		c.Listen = []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0", "unixgram://$DIR/dgram", "unix://$DIR/stream"}
		c.OriginLabel, c.Dialect = "container", DogStatsD
	})
	w.stop()
	w.containers.Set(byAddress, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	proc := filepath.Join(w.dir, "proc")
	self := filepath.Join(proc, strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(self, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(self, "cgroup"), []byte("0::/system.slice/docker-"+byProcess+".scope\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(func(s *Source) { s.proc = proc })
	for i := range 4 {
		w.send(i, "hits:1|c\nsaid:1|c|c:other\n_e{1,1}:a|b\n")
	}
	w.lines(12)
	w.until(func() bool { return len(w.records) >= 4 }) // they are written after the numbers
	w.agrees()
	w.has(`hits_total{container="`+byAddress+`"} 2`, `hits_total{container="`+byProcess+`"} 2`, `said_total{container="other"} 4`)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range []string{byAddress, byProcess} {
		if n := strings.Count(strings.Join(w.records, "\n"), "container_id="+id); n != 2 {
			t.Errorf("%d of %q are events of %s", n, w.records, id)
		}
	}
}

// TestOriginUnknown: where the sender's container is not known its lines have no label.
func TestOriginUnknown(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Listen, c.OriginLabel = []string{"udp://127.0.0.1:0", "unixgram://$DIR/dgram"}, "container"
	})
	w.stop()
	w.start(func(s *Source) { s.proc = w.dir })
	w.send(0, "hits:1|c")
	w.send(1, "hits:1|c")
	w.lines(2)
	w.has("hits_total 2")
	w.containers.Set("x", []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	conn := w.dial(0)
	for n := 3.0; ; n++ { // it is looked up again with each commit
		if _, err := conn.Write([]byte("hits:1|c")); err != nil {
			t.Fatal(err)
		}
		w.lines(n)
		if w.sum("hits_total", `container="x"`) > 0 {
			return
		}
		if n > 10 {
			t.Fatal("a container that became known is not")
		}
	}
}

// TestTimes: values with a time are counted as they come in, which is told; of a gauge one that is older than
// what it has is dropped.
func TestTimes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Dialect = DogStatsD })
	w.send(0, "level:5|g|T1700000010\nlevel:4|g|T1700000005\nhits:2|c|T1700000000\nhits:3|c|T1600000000\nlevel:6|g|T1700000010\nother:1|g")
	w.lines(6)
	w.agrees()
	w.has("level 6", "hits_total 5", "other 1")
	if n := w.sum("weir_statsd_dropped_lines_total", `reason="older than what the gauge has"`); n != 1 {
		t.Errorf("%v lines were too old", n)
	}
	if n := w.sum("weir_statsd_timestamped_values_total"); n != 5 {
		t.Errorf("%v values had a time", n)
	}
}
