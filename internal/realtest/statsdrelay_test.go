package realtest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestStatsDAddedUpOverRestarts sends lines to weir, which sends what they come to to npm's statsd, and
// stops and starts weir between them: etsy's server has the sums of all lines.
func TestStatsDAddedUpOverRestarts(t *testing.T) {
	server := realtest.StartStatsD(t)
	address := faulttest.FreeAddress(t)
	weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: n
sources: {app: {type: statsd, listen: 'tcp://%s'}}
sinks: {etsy: {type: statsd, address: 'tcp://%s', window: 1s, dialect: plain, sources: [app]}}
`, address, server.Address)})
	rnd := rand.New(rand.NewPCG(1, 9))
	sums, lines := map[string]float64{}, 0
	gauge := 0
	for round := range 5 {
		var text strings.Builder
		for range 500 {
			name, n := fmt.Sprintf("app.hits-%d", rnd.IntN(5)), rnd.IntN(100)
			sums[name] += float64(n)
			fmt.Fprintf(&text, "%s:%d|c\nboth;env=e:%d|c\n", name, n, n)
			sums["both.env.e"] += float64(n)
		}
		gauge = -7 - round
		fmt.Fprintf(&text, "temp.now:0|g\ntemp.now:%d|g\nrt.x:250|ms\nrt.x:50|ms\n", gauge)
		sums["rt.x.count"] += 2
		sums["rt.x.sum"] += 300
		var c net.Conn
		faulttest.WaitFor(t, "weir to listen", func() bool {
			var err error
			c, err = net.Dial("tcp", address)
			return err == nil
		})
		if _, err := c.Write([]byte(text.String())); err != nil {
			t.Fatal(err)
		}
		c.Close()
		lines += strings.Count(text.String(), "\n")
		faulttest.WaitFor(t, "weir to take all lines", func() bool {
			m, err := weir.Metrics()
			return err == nil && faulttest.Sum(m, "weir_statsd_lines_total") >= float64(lines)
		})
		weir.Terminate()
		weir.Again()
	}
	weir.Terminate()
	got := map[string]float64{}
	faulttest.WaitFor(t, "statsd to have all of it", func() bool {
		got = server.Counters(t)
		return got["rt.x.count"] >= sums["rt.x.count"] && got["both.env.e"] >= sums["both.env.e"]
	})
	for name, want := range sums {
		if math.Abs(got[name]-want) > 1e-6 {
			t.Errorf("%s is %v at etsy's; want %v", name, got[name], want)
		}
	}
	if g := server.Gauges(t)["temp.now"]; g != float64(gauge) {
		t.Errorf("the gauge is %v; want %d", g, gauge)
	}
	if bad := got["statsd.bad_lines_seen"]; bad != 0 {
		t.Errorf("%v bad lines", bad)
	}
}

// TestStatsDRelayed has weir pass lines on as they came: etsy's server comes to the same as if it
// had got them itself.
func TestStatsDRelayed(t *testing.T) {
	server, alone := realtest.StartStatsD(t), realtest.StartStatsD(t)
	address := faulttest.FreeAddress(t)
	weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nsources: {app: {type: statsd, listen: 'tcp://%s', relay: ['tcp://%s']}}\n", address, server.Address)})
	text := strings.Join(statsdLines(rand.New(rand.NewPCG(3, 3)), 4000), "\n") + "\n"
	for _, to := range []string{address, alone.Address} {
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	want := map[string]float64{}
	faulttest.WaitFor(t, "statsd to take all lines", func() bool {
		want = alone.Counters(t)
		return want["statsd.metrics_received"] >= 4000
	})
	passed := 0.0
	faulttest.WaitFor(t, "weir to pass all lines on", func() bool {
		m, err := weir.Metrics()
		good := faulttest.Sum(m, "weir_statsd_counted_lines_total")
		passed = faulttest.Sum(m, "weir_statsd_relayed_lines_total")
		return err == nil && faulttest.Sum(m, "weir_statsd_lines_total") >= 4000 && passed >= good
	})
	var got map[string]float64
	faulttest.WaitFor(t, "statsd to have them", func() bool {
		got = server.Counters(t)
		return got["statsd.metrics_received"] >= passed
	})
	compared := 0
	for name, v := range want {
		if !strings.HasPrefix(name, "statsd.") && name != "" {
			if compared++; got[name] != v && math.Abs(got[name]-v) > 1e-9*math.Abs(v) {
				t.Errorf("%s is %v; want %v", name, got[name], v)
			}
		}
	}
	if compared < 5 {
		t.Errorf("%d counters were compared", compared)
	}
}
