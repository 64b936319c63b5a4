package statsd

import (
	"fmt"
	"net/netip"
	"testing"
)

// datagrams returns packets of up to 1,432 bytes, of 10,000 series.
func datagrams(lines int) (packets [][]byte) {
	var p []byte
	for i := range lines {
		line := fmt.Sprintf("app.requests.%d:%d|c|#env:prod,region:eu\n", i*7919%10_000, i%9+1)
		if i%4 == 1 {
			line = fmt.Sprintf("app.rt.%d:%d.5|ms\n", i*7919%10_000, i%900)
		}
		if len(p)+len(line) > 1432 {
			packets, p = append(packets, p), nil
		}
		p = append(p, line...)
	}
	return append(packets, p)
}

func benchWorker(t testing.TB) *worker {
	w := still(t, "udp://127.0.0.1:1")
	w.source.cfg.MaxSeries = Default().MaxSeries
	return w
}

// BenchmarkWorker is what a line costs behind the system call.
func BenchmarkWorker(b *testing.B) {
	const lines = 40_000
	packets := datagrams(lines)
	w := benchWorker(b)
	from := netip.MustParseAddr("127.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		w.mu.Lock()
		w.from(whence{addr: from})
		for _, p := range packets {
			w.packet(p)
		}
		w.mu.Unlock()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}

// TestNoAllocation: lines of known series allocate nothing.
func TestNoAllocation(t *testing.T) {
	packets := datagrams(4000)
	packets = append(packets, []byte("g:+1|g\ns:a|s\nbad\nx;a=b:1|c|@0.5|#c:d\nh:1:2|ms"))
	w := benchWorker(t)
	from := netip.MustParseAddr("127.0.0.1")
	w.mu.Lock()
	defer w.mu.Unlock()
	take := func() {
		w.from(whence{addr: from})
		for _, p := range packets {
			w.packet(p)
		}
	}
	take()
	if n := testing.AllocsPerRun(5, take); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
