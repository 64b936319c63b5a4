package statsd_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/statsd"
)

// sprockets is what has the names and the bytes of sprockets-statsd.
var sprockets = statsd.Options{Naming: statsd.Sprockets, Aggregate: -1, PacketSize: 1}

// calls are the calls of which the captures are the bytes, in their order. The context
// manager's time is one that nobody can repeat, so it is given.
func calls(c *statsd.Client, contextManager float64) (refused error) {
	c.Incr("simple.counter", 1)
	c.Incr("simple.counter", 10)
	c.Decr("simple.counter", 1)
	c.Decr("simple.counter", 10)
	c.Incr("zero", 0)
	c.Add("float", 1.5)
	c.Decr("neg", -3)
	c.Gauge("simple.gauge", 100)
	c.GaugeDelta("simple.gauge", -10)
	c.GaugeDelta("simple.gauge", 10)
	c.GaugeDelta("simple.gauge", 0)
	c.Gauge("negative.set", -5)
	c.Gauge("float.gauge", 3.25)
	c.Timing("simple.timer", 12340*time.Millisecond)
	c.Timing("simple.timer", time.Millisecond)
	c.Timing("simple.timer", 12*time.Second+340*time.Millisecond)
	c.Timing("tiny", time.Nanosecond)
	c.Timing("zero", 0)
	c.Timing("int", 2*time.Second)
	c.Milliseconds("thirds", 1.0/3*1000)
	c.Milliseconds("ctx.timer", contextManager)
	for _, raw := range [][3]string{
		{"raw.path", "abc", "s"}, {"raw.hist", "5", "h"}, {"raw.sampled", "1", "c|@0.1"},
		{"raw.tagged", "1", "c|#env:dev,x"}, {"unicode.é", "1", "c"}, {"with space", "1", "c"},
	} {
		if err := c.Inject(raw[0], raw[1], raw[2]); err != nil {
			return err
		}
	}
	return c.Inject("with:colon", "1", "c")
}

// TestSprocketsBytes holds the bytes against those of the original. Two of its 28 calls
// differ on purpose: a gauge that is set below 0, which a server takes for a decrement of
// the gauge, and a path with a colon, which ends the name there.
func TestSprocketsBytes(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		s := listenStream(t)
		want := fixed(string(read(t, "sprockets-tcp.stream")), "\n")
		got := s.record(t, sprockets, func(c *statsd.Client) { callsFail(t, c, 0.0019073486328125) })
		if got != want {
			t.Errorf("sent:\n%s\nwant:\n%s", got, want)
		}
	})
	for name, prefix := range map[string]string{"sprockets-udp.dgrams": "", "sprockets-udp-prefix.dgrams": "applications.my-service"} {
		t.Run(name, func(t *testing.T) {
			s := listenPackets(t, "udp")
			o := sprockets
			o.Prefix = prefix
			var datagrams []string
			for all := read(t, name); len(all) > 0; {
				n := 4 + binary.BigEndian.Uint32(all)
				datagrams, all = append(datagrams, string(all[4:n])), all[n:]
			}
			want := fixed(strings.Join(datagrams, "\n--\n")+"\n--\n", "\n--\n")
			time := 0.0019073486328125
			if prefix == "" {
				time = 0.0021457672119140625
			}
			got := strings.Join(s.record(t, o, func(c *statsd.Client) { callsFail(t, c, time) }), "\n--\n") + "\n--\n"
			if got != want {
				t.Errorf("sent:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestSprocketsTornadoBytes does with the client alone what the web mix-ins did.
func TestSprocketsTornadoBytes(t *testing.T) {
	s := listenStream(t)
	o := sprockets
	o.Prefix = "applications.my-service"
	got := s.record(t, o, func(c *statsd.Client) {
		c.Milliseconds("some-operation", 50.196170806884766)
		c.Milliseconds("multi.part.7", 0.0007152557373046875)
		c.Incr("request-count", 1)
		c.Incr("by.code.204", 5)
		c.Decr("down", 2)
		c.Milliseconds("db.query", 1500)
		c.Milliseconds("MyHandler.GET.204", 50.94718933105469)
		c.Milliseconds("MyHandler.POST.500", 0.4367828369140625)
		c.Milliseconds("Slash.GET.200", 0.5519390106201172)
		c.Milliseconds("Slash.DELETE.405", 0.35500526428222656)
	})
	if want := string(read(t, "sprockets-tornado-tcp.stream")); got != want {
		t.Errorf("sent:\n%s\nwant:\n%s", got, want)
	}
}

func callsFail(t *testing.T, c *statsd.Client, contextManager float64) {
	t.Helper()
	if err := calls(c, contextManager); err == nil || !strings.Contains(err.Error(), "with:colon") {
		t.Errorf("the path with a colon: %v", err)
	}
}

// fixed is a capture with what we do on purpose differently.
func fixed(capture, end string) string {
	for _, prefix := range []string{"applications.my-service.", ""} {
		capture = strings.ReplaceAll(capture, prefix+"with:colon:1|c"+end, "")
	}
	lines := strings.SplitAfter(capture, end)
	for i, line := range lines {
		if name, ok := strings.CutSuffix(line, ":-5|g"+end); ok {
			lines[i] = name + ":0|g\n" + line
		}
	}
	return strings.Join(lines, "")
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}
