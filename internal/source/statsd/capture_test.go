package statsd

import (
	"encoding/binary"
	"os"
	"testing"
)

// TestCaptures takes what sprockets-statsd has really sent, over TCP and, with a prefix, as datagrams
// without a line feed.
func TestCaptures(t *testing.T) {
	stream, err := os.ReadFile("testdata/sprockets-tcp.stream")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := os.ReadFile("testdata/sprockets-udp-prefix.dgrams")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) {
		c.Listen, c.Preset = []string{"tcp://127.0.0.1:0", "udp://127.0.0.1:0"}, Sprockets
	})
	w.send(0, string(stream))
	sent := 28.0
	conn := w.dial(1)
	for len(packets) > 0 {
		n := binary.BigEndian.Uint32(packets)
		if _, err := conn.Write(packets[4 : 4+n]); err != nil {
			t.Fatal(err)
		}
		packets = packets[4+n:]
		sent++
	}
	w.lines(sent)
	w.agrees()
	prefix := `prefix="applications.my-service"`
	w.has("simple_counter_total 0", "simple_counter_total{"+prefix+"} 0", "neg_total 3", "float_total 1.5", "simple_gauge 100", "negative_set -5", "float_gauge 3.25",
		"simple_timer_seconds_count 3", "simple_timer_seconds_sum 24.681", "int_seconds_sum 2", "raw_hist_total 5", "raw_sampled_total 10",
		`raw_tagged_total{env="dev",x="true"} 1`, "unicode__total 1", "with_space_total 1")
	if n := w.sum("weir_statsd_bad_lines_total"); n != 2 { // with:colon, of both
		t.Errorf("%v bad lines", n)
	}
}
