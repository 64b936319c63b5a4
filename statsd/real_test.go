package statsd_test

import (
	"bufio"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/statsd"
)

// TestEtsy: what is called arrives at the server that everybody calls etsy's, over both
// transports, added up and line by line.
func TestEtsy(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for name, o := range map[string]statsd.Options{
			"added up": {PackTimers: true}, "line by line": {Aggregate: -1}, "Graphite": {Dialect: statsd.Graphite},
		} {
			t.Run(network+" "+name, func(t *testing.T) {
				server := realtest.StartStatsD(t)
				o.Address, o.Prefix = network+"://"+server.Address, "app"
				c := start(t, o)
				for i := range 100 {
					c.Incr("hits", 3, "status:200")
					c.Decr("down", 1)
					c.Add("sum", 0.5)
					c.Gauge("level", float64(i))
					c.Gauge("below", -float64(i)-0.5)
					c.GaugeDelta("open", 2)
					c.GaugeDelta("open", -1)
					c.Timing("took", time.Duration(i)*time.Millisecond/2)
					c.Set("users", strconv.Itoa(i%7))
					c.Incr("bad\nname:1|c", 1, "x:|g\ny")
				}
				end(t, c)
				counters := map[string]float64{
					"app.hits;status=200": 300, "app.down": -100, "app.sum": 50, "app.bad_name_1_c;x=_g_y": 100,
				}
				gauges := map[string]float64{"app.level": 99, "app.below": -99.5, "app.open": 100}
				realtest.Eventually(t, "all counters and gauges", func() bool {
					return holds(server.Counters(t), counters) && holds(server.Gauges(t), gauges)
				})
				got := server.Counters(t)
				maps.DeleteFunc(got, func(name string, _ float64) bool { _, known := counters[name]; return known })
				for name, n := range got {
					if name == "statsd.bad_lines_seen" && n > 0 || strings.HasPrefix(name, "app.") {
						t.Errorf("%s is %g", name, n)
					}
				}
				timers := server.Timers(t)["app.took"]
				sum := 0.0
				for _, v := range timers {
					sum += v
				}
				if len(timers) != 100 || math.Abs(sum-99*100/4) > 1e-6 {
					t.Errorf("the timer has %d values that add up to %g", len(timers), sum)
				}
			})
		}
	}
}

// TestEtsySets: a set's members are counted once, as the server's flushes tell.
func TestEtsySets(t *testing.T) {
	graphite := listenStream(t)
	server := realtest.StartStatsDTo(t, strings.TrimPrefix(graphite.address, "tcp://"), 200*time.Millisecond)
	c := start(t, statsd.Options{Address: "tcp://" + server.Address, Prefix: "app"})
	for i := range 100 {
		c.Set("users", strconv.Itoa(i%7))
	}
	end(t, c)
	for {
		for in := bufio.NewScanner(graphite.accept(t)); in.Scan(); {
			if count, ok := strings.CutPrefix(in.Text(), "stats.sets.app.users.count "); ok {
				if !strings.HasPrefix(count, "7 ") {
					t.Errorf("flushed %q", in.Text())
				}
				return
			}
		}
	}
}

// holds says whether got has all of want.
func holds(got, want map[string]float64) bool {
	for name, v := range want {
		if math.Abs(got[name]-v) > 1e-9 {
			return false
		}
	}
	return true
}
