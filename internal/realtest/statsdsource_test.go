package realtest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// statsdLines returns lines as clients and their users get them right and wrong, for names
// that are counters, gauges and timers.
func statsdLines(rnd *rand.Rand, n int) []string {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	value := func() string {
		return pick("1", "0", "7", "2.5", "-3", "+4", "1e3", "0x10", " 5 ", ".5", "5.", "-0", "1_0", "x", "", "--1", "1e400", "0b11", "9007199254740993")
	}
	tail := func() string { return pick("", "", "", "|@0.1", "|@0.5", "|@2", "|@x", "|@-1", "|0.1", "|@") }
	var lines []string
	for range n {
		kind := pick("c", "g", "ms", "c", "g", "h", "zz", " c ", "")
		name := pick("a", "b.c", "d-e", "f_g", "h", "i") + map[string]string{"g": "1", "ms": "2"}[kind]
		line := name + ":" + value() + "|" + kind + tail()
		if rnd.IntN(6) == 0 {
			line += ":" + value() + "|" + kind + tail()
		}
		if rnd.IntN(12) == 0 {
			line = pick(name, name+":", name+":1", ":", "|", name+":1|", name+"|1|c")
		}
		lines = append(lines, line)
	}
	return lines
}

// TestStatsDSourceAsEtsys sends the same lines to npm's statsd and to weir, in the same order, and
// compares every counter and gauge.
func TestStatsDSourceAsEtsys(t *testing.T) {
	server := realtest.StartStatsD(t)
	address := faulttest.FreeAddress(t)
	weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nsources: {app: {type: statsd, listen: 'tcp://%s'}}\n", address)})
	lines := statsdLines(rand.New(rand.NewPCG(4, 2)), 4000)
	for _, to := range []string{server.Address, address} {
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	var ours map[string]float64
	faulttest.WaitFor(t, "weir to take all lines", func() bool {
		var err error
		ours, err = weir.Metrics()
		return err == nil && faulttest.Sum(ours, "weir_statsd_lines_total") >= float64(len(lines))
	})
	faulttest.WaitFor(t, "statsd to take all lines", func() bool {
		return server.Counters(t)["statsd.metrics_received"] >= float64(len(lines))
	})
	name := func(etsys string) string { return regexp.MustCompile(`[^A-Za-z0-9_]`).ReplaceAllString(etsys, "_") }
	compared := 0
	compare := func(etsys map[string]float64, suffix string) {
		for etsy, want := range etsys {
			if strings.HasPrefix(etsy, "statsd.") {
				continue
			}
			got, there := ours[name(etsy)+suffix+`{machine="n"}`]
			if !there || math.Abs(got-want) > 1e-9*math.Abs(want) {
				t.Errorf("%s%s is %v (there: %v), and etsy's %v", etsy, suffix, got, there, want)
			}
			compared++
		}
	}
	compare(server.Counters(t), "_total")
	compare(server.Gauges(t), "")
	if compared < 15 {
		t.Errorf("only %d numbers were compared", compared)
	}
	bad := faulttest.Sum(ours, "weir_statsd_bad_lines_total")
	t.Logf("%d numbers of %d lines; bad: %v lines here, %v values at etsy's", compared, len(lines), bad, server.Counters(t)["statsd.bad_lines_seen"])
}
