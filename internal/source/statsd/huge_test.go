package statsd

import "testing"

// TestHugeNumbers: one line cannot make a number infinite, which would be so for ever.
func TestHugeNumbers(t *testing.T) {
	w := newWorld(t, nil)
	w.send(0, "c:1|c|@1e-320\nc:1e300|c|@1e-300\nc:2|c|@0.5\nrt:1|ms|@1e-320\nrt:1e300|ms|@1e-300\nrt:1000|ms")
	w.lines(6)
	w.has("c_total 4", "rt_seconds_sum 1", "rt_seconds_count 1",
		`weir_statsd_bad_lines_total{source="app",listener="udp://127.0.0.1:0",reason="not a sample rate"} 4`)
	w.send(0, "b:1e308|c\nb:1e308|c\nt:1e308|ms\nt:1e308|ms")
	w.lines(10)
	w.has("b_total 1e+308", `weir_statsd_bad_lines_total{source="app",listener="udp://127.0.0.1:0",reason="not a number"} 2`)
	w.agrees()
}
