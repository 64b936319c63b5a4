package realtest_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestGraphiteCarbon has a real receiver of Graphite's keep what weir sends it over TCP and UDP,
// over a stop and a start within a window: the counts come to the lines.
func TestGraphiteCarbon(t *testing.T) {
	server, address := realtest.StartCarbon(t), faulttest.FreeAddress(t)
	weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: n
sources: {app: {type: statsd, listen: 'tcp://%s'}}
sinks:
  lines: {type: graphite, address: 'tcp://%s', window: 2s, labels: path}
  datagrams: {type: graphite, address: 'udp://%s', window: 2s, labels: path, legacy_namespace: false, global_prefix: u}
`, address, server.Address, server.Address)})
	const rounds = 4
	for range rounds {
		var c net.Conn
		faulttest.WaitFor(t, "weir to listen", func() bool {
			var err error
			c, err = net.Dial("tcp", address)
			return err == nil
		})
		fmt.Fprintf(c, "shop.orders:%d|c|#env:prod\nshop.temp:-3|g\nshop.temp:1.5|g\n", 7)
		c.Close()
		<-time.After(1300 * time.Millisecond)
		weir.Terminate()
		weir.Again()
	}
	sum := func(name string) (n float64) {
		for _, v := range server.Values(t, name) {
			n += v
		}
		return n
	}
	faulttest.WaitFor(t, "carbon to have all of it", func() bool {
		return sum("stats_counts.shop.orders.env.prod") >= 7*rounds && sum("u.counters.shop.orders.env.prod.count") >= 7*rounds &&
			sum("stats.gauges.shop.temp") >= 1.5 && sum("u.gauges.shop.temp") >= 1.5
	})
	for _, name := range []string{"stats_counts.shop.orders.env.prod", "u.counters.shop.orders.env.prod.count"} {
		if n := sum(name); n != 7*rounds {
			t.Errorf("%s comes to %v: %v; want %d", name, n, server.Values(t, name), 7*rounds)
		}
	}
	for at, v := range server.Values(t, "stats.gauges.shop.temp") {
		if v != 1.5 {
			t.Errorf("the gauge was %v at %d", v, at)
		}
	}
}
