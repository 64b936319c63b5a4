package statsd

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/record"
)

// numbersOf returns what stats makes of values, by name; what is NaN is left out.
func numbersOf(percentiles, values []float64, times, seconds float64) map[string]float64 {
	s := newStats(percentiles)
	m := map[string]float64{}
	for i, v := range s.of(nil, slices.Clone(values), times, seconds) {
		if !math.IsNaN(v) {
			m[s.names[i]] = v
		}
	}
	return m
}

func TestStats(t *testing.T) {
	got := numbersOf([]float64{90}, []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 1000}, 10, 10)
	for name, want := range map[string]float64{
		"count_90": 9, "mean_90": 50, "upper_90": 90, "sum_90": 450, "sum_squares_90": 28500, "std": 286.0506948077561, "median": 55,
		"mean": 145, "count": 10, "count_ps": 1, "lower": 10, "upper": 1000,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got := numbersOf([]float64{90}, nil, 0, 10); len(got) != 2 || got["count"] != 0 {
		t.Errorf("without values: %v", got)
	}
}

// case for etsy's process_metrics.js.
type etsyCase struct {
	Percentiles, Values []float64
	Times               float64
}

const etsyScript = `
const {process_metrics} = require(process.argv[1]);
const cases = JSON.parse(require('fs').readFileSync(0));
const out = cases.map(c => {
  const m = {counters: {}, timers: {t: c.Values}, timer_counters: {t: c.Times}, pctThreshold: c.Percentiles, histogram: []};
  let r;
  global.conf = global.bins = null;
  process_metrics(m, [], 10000, 0, x => { r = x.timer_data.t; });
  return r;
});
console.log(JSON.stringify(out));
`

// TestStatsAsEtsys: every number is, to the last bit, what etsy's server makes of the same values.
func TestStatsAsEtsys(t *testing.T) {
	module := os.Getenv("WEIR_TEST_STATSD")
	if module == "" {
		module = filepath.Join("..", "..", "..", "tmp", "statsd", "node_modules", "statsd")
	}
	script, err := filepath.Abs(filepath.Join(module, "lib", "process_metrics.js"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		realtest.Skip(t, "npm's statsd", "not installed (make test does it, or set WEIR_TEST_STATSD)")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var cases []etsyCase
	for range 500 {
		c := etsyCase{Percentiles: []float64{90, 99.9, 50, 0.5, 100, -10, -37.5}, Values: []float64{}}
		for range rnd.IntN(40) {
			c.Values = append(c.Values, []float64{math.Floor(rnd.Float64() * 1000), rnd.ExpFloat64() * 30}[rnd.IntN(2)])
			c.Times += []float64{1, 10}[rnd.IntN(2)]
		}
		cases = append(cases, c)
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(realtest.Program(t, "node", "nodejs"), "-e", etsyScript, script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = stdin.Write(in)
		_ = stdin.Close()
	}()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var etsys []map[string]float64
	if err := json.Unmarshal(out, &etsys); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		got := numbersOf(c.Percentiles, c.Values, c.Times, 10)
		for name, want := range etsys[i] {
			if got[name] != want {
				t.Fatalf("%v: %s is %v, and etsy's %v", c, name, got[name], want)
			}
		}
		if len(got) != len(etsys[i]) {
			t.Fatalf("%v: %v, and etsy's %v", c, got, etsys[i])
		}
	}
}

// TestPercentiles: gauges of a timer are of one interval.
func TestPercentiles(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Percentiles, c.FlushInterval = []float64{90}, time.Second })
	w.send(0, "rt:10|ms|@0.1|#a:b,stat:x\nrt:30|ms|#a:b,stat:x\n")
	w.until(func() bool { return w.sum("rt_timer", `stat="count"`) == 11 })
	w.has(`rt_timer{a="b",stat="upper_90",tag_stat="x"} 30`, `rt_timer{a="b",stat="mean",tag_stat="x"} 20`, `rt_seconds_count{a="b",stat="x"} 11`)
	w.until(func() bool { return w.sum("rt_timer", `stat="count"`) == 0 })
	w.has(`rt_timer{a="b",stat="upper_90",tag_stat="x"} NaN`)
}

// TestPercentilesRestart: what an interval came to holds no longer after a restart.
func TestPercentilesRestart(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Percentiles, c.FlushInterval = []float64{90}, time.Second })
	w.send(0, "rt:10|ms\nusers:a|s")
	w.until(func() bool { return w.sum("rt_timer", `stat="count"`) == 1 && w.sum("users_unique") == 1 })
	before := w.reg.Snapshot()
	w.stop()
	w.reg = metric.New(record.Label{Name: "machine", Value: "m"})
	for _, d := range before { // as a crash leaves it
		if err := w.reg.Restore(d); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	w.until(func() bool { return w.sum("rt_timer", `stat="count"`) == 0 && w.sum("users_unique") == 0 })
	w.has(`rt_timer{stat="upper_90"} NaN`, `rt_seconds_count 1`)
}
