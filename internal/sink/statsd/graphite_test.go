package statsd

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// feedOf is a source whose family is the world's.
func (w *world) feedOf() Feed {
	return Feed{Source: "app", Registry: w.reg, Owner: statusDesc.Owner, Sets: "sets", Timers: "timers"}
}

// fed returns a sink of one kind for the world's family: a feed that is added up for StatsD,
// or one that goes to Graphite.
func (w *world) fed(srv *server, kind string) *Sink {
	w.t.Helper()
	deps := Deps{Name: "agent", Ledger: w.ledger.Component("sink", "agent", kind), State: w.state, Feeds: []Feed{w.feedOf()}}
	s, err := New(config10s("tcp://h:1"), nil, deps)
	if kind == "graphite" {
		c := DefaultGraphite()
		c.Expiry = 30 * time.Second
		s, err = NewGraphite(c, nil, deps)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.status.SetOrigin("n|c")
	s.target.dial = srv.dial
	return s
}

// graph is what Graphite keeps: of each name and time the last value.
type graph map[string]map[int64]float64

func (g graph) take(t *testing.T, srv *server) {
	t.Helper()
	conns, order := map[int]string{}, []int{}
	for _, p := range srv.pieces() {
		if conns[p.conn] == "" {
			order = append(order, p.conn)
		}
		conns[p.conn] += p.data
	}
	for _, conn := range order {
		lines := strings.Split(conns[conn], "\n")
		for _, line := range lines[:len(lines)-1] {
			f := strings.Fields(line)
			if len(f) != 3 {
				t.Fatalf("line %q", line)
			}
			v, err := strconv.ParseFloat(f[1], 64)
			at, err2 := strconv.ParseInt(f[2], 10, 64)
			if err != nil || err2 != nil {
				t.Fatalf("line %q", line)
			}
			if g[f[0]] == nil {
				g[f[0]] = map[int64]float64{}
			}
			g[f[0]][at] = v
		}
	}
}

func (g graph) sum(prefix string) (sum int) {
	for name, windows := range g {
		for _, v := range windows {
			if strings.HasPrefix(name, prefix) {
				sum += int(math.Round(v))
			}
		}
	}
	return sum
}

// TestFedRestarts stops and kills a sink whose numbers are a source's: what is added up for StatsD is
// exact, and what Graphite keeps is, but for windows that weir did not see, which are counted.
func TestFedRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		kill         bool
		away         time.Duration
		kept, missed int // at Graphite, of the 5 lines before, the 3 then and the 4 after
	}{
		"stopped, same window":       {false, time.Second, 12, 0},
		"stopped, next window":       {false, 10 * time.Second, 12, 0},
		"stopped, for an hour":       {false, time.Hour, 12, 0},
		"killed, same window":        {true, time.Second, 12, 0},
		"killed, window sent late":   {true, 10 * time.Second, 12, 0},
		"killed, window missed":      {true, 20 * time.Second, 9, 3},
		"killed, gone for some time": {true, time.Hour, 9, 3},
	} {
		for _, kind := range []string{"graphite", "feed"} {
			inTime(t, func(t *testing.T, w *world, srv *server) {
				g, sum := graph{}, 0
				look := func() {
					if kind == "graphite" {
						g.take(t, srv)
						sum = g.sum("stats_counts.n")
					} else {
						sum += srv.sum(t)
					}
				}
				stop := run(w.fed(srv, kind))
				w.count("200", 5)
				time.Sleep(9 * time.Second) // :12
				w.state.commit()
				if look(); sum != 5 {
					t.Fatalf("%s, %s: the window before: %d lines", kind, name, sum)
				}
				w.count("200", 3)
				if c.kill {
					w.state.kill()
					srv.stop()
				}
				stop()
				look()
				srv.start()
				w.restart(c.kill)
				time.Sleep(c.away)
				stop = run(w.fed(srv, kind))
				time.Sleep(time.Second)
				w.count("200", 4)
				time.Sleep(20 * time.Second)
				stop()
				look()
				want, missed := c.kept, c.missed
				if kind == "feed" {
					want, missed = 12, 0
				}
				if sum != want || w.missed() != float64(missed) {
					t.Errorf("%s, %s: sent %d, missed %v; want %d, %d", kind, name, sum, w.missed(), want, missed)
				}
			})
		}
	}
}

// TestFedFaults lets traffic, outages, broken connections, reloads and crashes come as they like.
func TestFedFaults(t *testing.T) {
	for seed := range uint64(50) {
		for _, kind := range []string{"graphite", "feed"} {
			inTime(t, func(t *testing.T, w *world, srv *server) {
				fedFaults(t, w, srv, rand.New(rand.NewPCG(seed, 2)), kind)
			})
		}
	}
}

func fedFaults(t *testing.T, w *world, srv *server, dice *rand.Rand, kind string) {
	lines, sum, doubled, uncommitted := 0, 0, 0, 0
	missed, known := 0.0, 0.0
	g := graph{}
	take := func() {
		n := sum
		if kind == "graphite" {
			g.take(t, srv)
			sum = g.sum("stats_counts.n")
		} else {
			sum += srv.sum(t)
		}
		uncommitted += max(sum-n, 0)
	}
	stop := run(w.fed(srv, kind))
	synctest.Wait()
	w.state.commit()
	for range 60 {
		time.Sleep(time.Duration(dice.IntN(9000)) * time.Millisecond)
		synctest.Wait()
		n := dice.IntN(100)
		w.count([]string{"200", "404", "500"}[dice.IntN(3)], n)
		lines += n
		switch dice.IntN(12) {
		case 0:
			take()
			srv.stop()
		case 1, 2, 3:
			srv.start()
		case 4:
			srv.mu.Lock()
			srv.cut = 1 + dice.IntN(200)
			srv.mu.Unlock()
		case 5: // weir is stopped and started
			stop()
			missed += w.missed()
			w.restart(false)
			stop = run(w.fed(srv, kind))
		case 6:
			take()
			srv.stop()
			w.state.kill()
			stop()
			missed += w.missed()
			doubled += uncommitted + int(missed-known)
			uncommitted, known = 0, missed
			w.restart(true)
			time.Sleep(time.Duration(dice.IntN(30)) * time.Second)
			srv.start()
			stop = run(w.fed(srv, kind))
		default:
			take()
			w.state.commit()
			uncommitted, known = 0, missed+w.missed()
		}
	}
	srv.start()
	time.Sleep(15 * time.Second)
	stop()
	take()
	missed += w.missed()
	if all := sum + int(missed); all < lines || all > lines+doubled {
		t.Errorf("%s: %d lines, received %d and missed %v; up to %d may have come twice", kind, lines, sum, missed, doubled)
	}
	if kind == "feed" && missed != 0 {
		t.Errorf("what is added up missed %v", missed)
	}
}

// TestFedKinds: each kind of a source's numbers has its lines, for StatsD and for Graphite of both kinds of names.
func TestFedKinds(t *testing.T) {
	for kind, want := range map[string]string{
		"dogstatsd": `hits:3|c|#env:a=b_c_d|level:-2|g|rt.count:2|c|rt.sum:1500|c|rt.upper_90:1000|g|who.count:4|g`,
		"plain":     `hits.env.a=b_c_d:3|c|level:-2|g|level:0|g|rt.count:2|c|rt.sum:1500|c|rt.upper_90:1000|g|who.count:4|g`,
		"legacy": `stats.gauges.level -2|stats.hits;env=a=bcd 0.3|stats.sets.who.count 4|stats.timers.rt.count 2|stats.timers.rt.upper_90 1000|` +
			`stats_counts.hits;env=a=bcd 3`,
		"new":       `s.c.hits.count.x;env=a=bcd 3|s.c.hits.rate.x;env=a=bcd 0.3|s.gauges.level.x -2|s.sets.who.count.x 4|s.timers.rt.count.x 2|s.timers.rt.upper_90.x 1000`,
		"path":      `stats.gauges.level -2|stats.hits.env.a=bcd 0.3|stats.sets.who.count 4|stats.timers.rt.count 2|stats.timers.rt.upper_90 1000|stats_counts.hits.env.a=bcd 3`,
		"histogram": `stats.timers.rt.count 2|stats.timers.rt.count_ps 0.2|stats.timers.rt.mean 750|stats.timers.rt.sum 1500`,
	} {
		inTime(t, func(t *testing.T, w *world, srv *server) { fedKind(t, w, srv, [2]string{kind, want}) })
	}
}

func fedKind(t *testing.T, w *world, srv *server, c [2]string) {
	kind, want := c[0], c[1]
	deps := Deps{Name: "agent", Ledger: w.ledger.Component("sink", "agent", kind), State: w.state, Feeds: []Feed{{Source: "app", Registry: w.reg, Owner: "app", Sets: "sets", Timers: "timers"}}}
	var s *Sink
	var err error
	graphite := DefaultGraphite()
	switch kind {
	case "dogstatsd", "plain":
		c := config10s("tcp://h:1")
		c.Dialect = kind
		s, err = New(c, nil, deps)
	case "new":
		graphite.LegacyNamespace, graphite.GlobalPrefix, graphite.PrefixCounter, graphite.GlobalSuffix = false, "s", "c", "x"
		s, err = NewGraphite(graphite, nil, deps)
	default:
		if kind == "path" {
			graphite.Labels = InPath
		}
		s, err = NewGraphite(graphite, nil, deps)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.target.dial = srv.dial
	stop := run(s)
	synctest.Wait()
	series := func(name, owner, origin string, k metric.Kind, labels ...string) uint32 {
		d := metric.Desc{Name: name, Owner: owner, Kind: k, Free: true, Durable: true}
		if k == metric.Histogram {
			d.Buckets = []float64{1}
		}
		f := w.family(d)
		f.SetOrigin(origin)
		return f.Series(labels...).ID()
	}
	rt := series("rt_seconds", "app", "rt|ms", metric.Histogram)
	deltas := []record.Delta{{Series: rt, Cell: 0, Add: 2}, {Series: rt, Cell: 2, Add: 1.5}}
	if kind != "histogram" {
		deltas = append(deltas, record.Delta{Series: series("hits_total", "app", "hits|c", metric.Counter, "env", "a=b,c:d"), Add: 3},
			record.Delta{Series: series("level", "app", "level|g", metric.Gauge), Cell: record.SetCell, Add: -2},
			record.Delta{Series: series("who_unique", "sets", "who|s", metric.Gauge), Cell: record.SetCell, Add: 4},
			record.Delta{Series: series("rt_timer", "timers", "rt|ms", metric.Gauge, "stat", "upper_90"), Cell: record.SetCell, Add: 1000},
			record.Delta{Series: series("rt_timer", "timers", "rt|ms", metric.Gauge, "stat", "count"), Cell: record.SetCell, Add: 2},
			record.Delta{Series: series("rt_timer", "timers", "rt|ms", metric.Gauge, "stat", "mean"), Cell: record.SetCell, Add: math.NaN()})
	}
	w.reg.Apply(deltas)
	time.Sleep(9 * time.Second)
	var got []string
	for _, piece := range srv.take() {
		for line := range strings.Lines(piece) {
			f := strings.Fields(line)
			if !strings.Contains(f[0], "statsd.") {
				got = append(got, strings.Join(f[:min(2, len(f))], " "))
			}
		}
	}
	stop()
	if n := w.ledgerValue("weir_component_dropped_total", "not a number"); n != 0 {
		t.Errorf("%s: %v dropped, but a timer without values has no mean", kind, n)
	}
	slices.Sort(got)
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("%s:\n got %s\nwant %s", kind, text, want)
	}
}

// TestGraphiteStamps: a line has the end of its window as its time, also when it is sent late, and what a
// source says of its last interval the end of that. What a stop sends is replaced by the whole window.
func TestGraphiteStamps(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		g := graph{}
		stop := run(w.fed(srv, "graphite"))
		w.count("200", 5)
		srv.stop()
		time.Sleep(9 * time.Second) // :12
		srv.start()
		time.Sleep(5 * time.Second) // :17
		w.count("200", 2)
		synctest.Wait()
		start := time.Now().Add(-17 * time.Second).Unix()
		stop()
		g.take(t, srv)
		name := "stats_counts.n;status=200"
		if want := map[int64]float64{start + 10: 5, start + 20: 2}; !maps.Equal(g[name], want) {
			t.Errorf("at the stop: %v; want %v", g[name], want)
		}
		w.restart(false)
		stop = run(w.fed(srv, "graphite"))
		w.count("200", 1)
		time.Sleep(5 * time.Second) // :22
		g.take(t, srv)
		stop()
		if want := map[int64]float64{start + 10: 5, start + 20: 3}; !maps.Equal(g[name], want) {
			t.Errorf("after the restart: %v; want %v", g[name], want)
		}
		if g["stats.statsd.graphiteStats.last_flush"][start+20] != float64(start+17) || g["statsd.numStats"][start+20] != 1 {
			t.Errorf("about itself: %v", g)
		}
	})
}

// TestFeedThatIsNew: what a source had counted before a sink was there is not sent, what it counts
// from then on is, under the name of its lines as soon as one has come.
func TestFeedThatIsNew(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		w.count("200", 100)
		time.Sleep(time.Second)
		s := w.sink(config10s("tcp://h:1"), Export{Family: w.family(metric.Desc{Name: "other_total"}), Name: "other"})
		s.exports = append(s.exports, newFeed(config10s("tcp://h:1"), w.feedOf(), "agent"))
		s.seed()
		s.target.dial = srv.dial
		stop := run(s)
		synctest.Wait()
		w.count("200", 1)
		time.Sleep(10 * time.Second)
		expect(t, srv, "without a name")
		w.status.SetOrigin("n|c")
		w.count("200", 2)
		time.Sleep(10 * time.Second)
		stop()
		expect(t, srv, "with one", "n:3|c|#status:200\n")
	})
}

func TestValidateGraphite(t *testing.T) {
	good := func(change func(*GraphiteConfig)) {
		t.Helper()
		c := DefaultGraphite()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := func(key string, change func(*GraphiteConfig)) {
		t.Helper()
		c := DefaultGraphite()
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key {
			t.Errorf("%+v: got %v; want a problem with %s", c, err, key)
		}
	}
	good(func(*GraphiteConfig) {})
	good(func(c *GraphiteConfig) { c.Address, c.GlobalPrefix, c.GlobalSuffix = "udp://graphite", "", "web-1.x" })
	bad("address", func(c *GraphiteConfig) { c.Address = "unix:///run/carbon" })
	bad("address", func(c *GraphiteConfig) { c.Address = "graphite:2003" })
	bad("window", func(c *GraphiteConfig) { c.Window = 0 })
	bad("prefix_timer", func(c *GraphiteConfig) { c.PrefixTimer = "a b" })
	bad("global_suffix", func(c *GraphiteConfig) { c.GlobalSuffix = "x;a=b" })
	bad("prefix_stats", func(c *GraphiteConfig) { c.PrefixStats = "" })
	bad("labels", func(c *GraphiteConfig) { c.Labels = "both" })
	c := DefaultGraphite()
	c.Address = "tcp://graphite"
	if e, err := c.common().endpoint(); err != nil || e.address != "graphite:2003" {
		t.Errorf("%+v, %v", e, err)
	}
}

// FuzzGraphite: nothing that names and labels hold makes another line of one, or another field.
func FuzzGraphite(f *testing.F) {
	f.Add("app.hits", "/a b;c=d", 1.5, true)
	f.Add("", "", -1.0, false)
	f.Add("a=b;c\n1 2", "\n\x00 x", 1e300, true)
	f.Fuzz(func(t *testing.T, name, label string, v float64, path bool) {
		r := metric.New()
		family, err := r.Family(metric.Desc{Name: "x", Labels: []string{"one"}})
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultGraphite()
		if path {
			c.Labels = InPath
		}
		g := newGraphite(c)
		p := &point{series: family.Series(label), part: value}
		p.text = g.text(name, p)
		lines := strings.Split(string(g.append(nil, &export{Export: Export{Window: time.Second}, stamp: 7}, []*point{p}, v)), "\n")
		if len(lines) != 2 {
			t.Fatalf("%q", lines)
		}
		for _, line := range lines {
			fields := strings.Split(line, " ")
			if len(fields) != 3 || fields[2] != "7" || len(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r < ' ' })) != 3 {
				t.Fatalf("%q", line)
			}
			if got, err := strconv.ParseFloat(fields[1], 64); err != nil && !math.IsInf(v, 0) || got != v && v == v {
				t.Fatalf("%q: %v, want %v", line, got, v)
			}
			if tags := strings.Count(fields[0], ";"); path && tags != 0 || !path && tags != 1 {
				t.Fatalf("%q has %d tags", line, tags)
			}
		}
	})
}

// TestGraphiteMissedGauge: Graphite gets a gauge of every window, and one that it did not get in time is counted;
// a StatsD server gets the newest value once it is back.
func TestGraphiteMissedGauge(t *testing.T) {
	for kind, want := range map[string]int{"graphite": 2, "feed": 0} {
		inTime(t, func(t *testing.T, w *world, srv *server) {
			stop := run(w.fed(srv, kind))
			f := w.family(metric.Desc{Name: "level", Kind: metric.Gauge, Owner: statusDesc.Owner, Free: true, Durable: true})
			f.SetOrigin("level|g")
			w.reg.Apply([]record.Delta{{Series: f.Series().ID(), Cell: record.SetCell, Add: 5}})
			srv.stop()
			time.Sleep(28 * time.Second) // three windows end, of which the last can still be sent
			w.reg.Apply([]record.Delta{{Series: f.Series().ID(), Cell: record.SetCell, Add: 6}})
			srv.start()
			time.Sleep(12 * time.Second)
			stop()
			var got []string
			for _, piece := range srv.take() {
				for line := range strings.Lines(piece) {
					if strings.Contains(line, "level") {
						got = append(got, strings.TrimSpace(line))
					}
				}
			}
			if w.missed() != float64(want) {
				t.Errorf("%s: %v values are missed, want %d; sent %q", kind, w.missed(), want, got)
			}
			if kind == "feed" && !slices.Equal(got, []string{"level:6|g"}) && !slices.Equal(got, []string{"level:5|g", "level:6|g"}) {
				t.Errorf("sent %q", got)
			}
			if kind == "graphite" && (len(got) != 2 || !strings.HasPrefix(got[0], "stats.gauges.level 5 ") || !strings.HasPrefix(got[1], "stats.gauges.level 6 ")) {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// TestLevelThatIsNotSet: a gauge that was made, and is set with the next commit, is not sent as 0 before.
func TestLevelThatIsNotSet(t *testing.T) {
	for _, kind := range []string{"graphite", "feed"} {
		inTime(t, func(t *testing.T, w *world, srv *server) {
			stop := run(w.fed(srv, kind))
			f := w.family(metric.Desc{Name: "level", Kind: metric.Gauge, Owner: statusDesc.Owner, Free: true, Durable: true})
			f.SetOrigin("level|g")
			take := func() (n int) {
				for _, piece := range srv.take() {
					n += strings.Count(piece, "level")
				}
				return n
			}
			time.Sleep(6500 * time.Millisecond)
			zero, five := f.Series("is", "0"), f.Series("is", "5")
			time.Sleep(time.Second) // :10 has passed
			if n := take(); n != 0 {
				t.Errorf("%s: %d lines of gauges that nobody has set", kind, n)
			}
			w.reg.Apply([]record.Delta{{Series: zero.ID(), Cell: record.SetCell}, {Series: five.ID(), Cell: record.SetCell, Add: 5}})
			time.Sleep(10 * time.Second)
			if n := take(); n != 2 {
				t.Errorf("%s: %d lines of two gauges", kind, n)
			}
			stop()
		})
	}
}
