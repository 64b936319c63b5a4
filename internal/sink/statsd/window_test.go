package statsd

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// inTime runs a test in fake time, three seconds into a window of 10 s.
func inTime(t *testing.T, test func(t *testing.T, w *world, srv *server)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Second)
		test(t, newWorld(t), &server{})
	})
}

func (w *world) piped(srv *server, c Config, exports ...Export) *Sink {
	w.t.Helper()
	s := w.sink(c, exports...)
	s.target.dial = srv.dial
	return s
}

func expect(t *testing.T, srv *server, what string, want ...string) {
	t.Helper()
	if got := srv.take(); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %q; want %q", what, got, want)
	}
}

func TestWindows(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		w.count("200", 100) // before the sink was configured
		stop := run(w.piped(srv, config10s("udp://127.0.0.1:8125")))
		w.count("200", 12)
		time.Sleep(6999 * time.Millisecond)
		expect(t, srv, "before the window ends")
		w.count("404", 1)
		time.Sleep(time.Millisecond)
		expect(t, srv, "at :10", "nginx.status_count:12|g|#status:200\nnginx.status_count:1|g|#status:404")
		w.count("200", 5)
		time.Sleep(10 * time.Second)
		expect(t, srv, "at :20", "nginx.status_count:5|g|#status:200\nnginx.status_count:0|g|#status:404")
		time.Sleep(10 * time.Second)
		expect(t, srv, "at :30", "nginx.status_count:0|g|#status:200\nnginx.status_count:0|g|#status:404")
		time.Sleep(10 * time.Second)
		expect(t, srv, "at :40", "nginx.status_count:0|g|#status:200\nnginx.status_count:0|g|#status:404")
		time.Sleep(10 * time.Second)
		expect(t, srv, "at :50, 404 has expired", "nginx.status_count:0|g|#status:200")
		time.Sleep(10 * time.Second)
		expect(t, srv, "at 1:00, all is silent")
		w.count("404", 2)
		time.Sleep(10 * time.Second)
		expect(t, srv, "at 1:10, 404 goes on from where it was", "nginx.status_count:2|g|#status:404")
		w.count("404", 3)
		time.Sleep(time.Second)
		stop()
		expect(t, srv, "at the end, without zeros", "nginx.status_count:3|g|#status:404")
		if n := w.missed(); n != 0 {
			t.Errorf("missed %v", n)
		}
	})
}

func TestTwoWindows(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		total := w.family(metric.Desc{Name: "lines_total", Owner: "rule 2", Durable: true})
		c := config10s("tcp://127.0.0.1:8125")
		c.Prefix = "shop."
		stop := run(w.piped(srv, c, Export{Family: w.status, Name: "status"}, Export{Family: total, Name: "lines", As: "count", Window: 4 * time.Second}))
		time.Sleep(500 * time.Millisecond)
		for range 10 {
			w.count("200", 1)
			w.reg.Apply([]record.Delta{{Series: total.Series().ID(), Add: 1}})
			time.Sleep(time.Second)
		}
		stop()
		// Windows end at :04, :08, :10, :12 and, with the sink, at :13.5.
		expect(t, srv, "both", "shop.lines:1|c\n", "shop.lines:4|c\n", "shop.status:7|g|#status:200\n",
			"shop.lines:4|c\n", "shop.status:3|g|#status:200\nshop.lines:1|c\n")
	})
}

func TestHistogramAndSum(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		rt := w.family(metric.Desc{Name: "rt_seconds", Kind: metric.Histogram, Buckets: []float64{0.1, 1}, Labels: []string{"path"}, Owner: "rule 1", Durable: true})
		bytes := w.family(metric.Desc{Name: "bytes_total", Owner: "rule 1", Durable: true})
		s := w.piped(srv, config10s("udp://h:1"), Export{Family: rt, Name: "rt"}, Export{Family: bytes, Name: "bytes"})
		stop := run(s)
		id := rt.Series("/").ID()
		w.reg.Apply([]record.Delta{{Series: id, Cell: 0, Add: 2}, {Series: id, Cell: 2, Add: 1}, {Series: id, Cell: 3, Add: 2.5}, {Series: bytes.Series().ID(), Add: 1e15}})
		time.Sleep(7 * time.Second)
		expect(t, srv, "first", "rt.count:3|g|#path:/\nrt.sum:2.5|g|#path:/\nbytes:1000000000000000|g")
		w.reg.Apply([]record.Delta{{Series: id, Cell: 1, Add: 1}, {Series: id, Cell: 3, Add: 0.25}})
		stop()
		expect(t, srv, "second", "rt.count:1|g|#path:/\nrt.sum:0.25|g|#path:/")
	})
}

func TestOverflowAndLookAlikes(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		stop := run(w.piped(srv, config10s("udp://h:1")))
		for i, status := range []string{"a,b", "a|b", "a_b", "4", "5", "over", "over 2"} {
			w.count(status, 1<<i)
		}
		time.Sleep(7 * time.Second)
		expect(t, srv, "merged", "nginx.status_count:96|g|#overflow:true\nnginx.status_count:8|g|#status:4\n"+
			"nginx.status_count:16|g|#status:5\nnginx.status_count:7|g|#status:a_b")
		stop()
	})
}

func TestTargetDownAndUp(t *testing.T) {
	for kind, want := range map[string][2]string{
		"gauge": {"n:3|g|#status:200\n", "missed 3"}, // the window that ended while it was down
		"count": {"n:6|c|#status:200\n", "missed 0"}, // all windows
	} {
		inTime(t, func(t *testing.T, w *world, srv *server) {
			s := w.piped(srv, config10s("tcp://h:1"), Export{Family: w.status, Name: "n", As: kind})
			stop := run(s)
			w.count("200", 1)
			time.Sleep(7100 * time.Millisecond) // :10.1
			expect(t, srv, "up", "n:1|"+kind[:1]+"|#status:200\n")
			srv.stop()
			w.count("200", 3)
			time.Sleep(10 * time.Second) // :20
			w.count("200", 3)
			time.Sleep(13 * time.Second) // :33
			expect(t, srv, "down")
			state := w.ledger.Components()[0].State()
			if state.Healthy || !strings.Contains(state.Problem, "send to tcp://h:1: ") || !strings.Contains(state.Problem, "refused for the test") {
				t.Errorf("%s: down, but %+v", kind, state)
			}
			srv.start()
			time.Sleep(5 * time.Second) // :38, before the next window ends
			expect(t, srv, "up again, the window of :30 late", want[0])
			if got := fmt.Sprint("missed ", w.missed()); got != want[1] {
				t.Errorf("%s: %s; want %s", kind, got, want[1])
			}
			w.count("200", 4)
			time.Sleep(2 * time.Second)
			expect(t, srv, "as before", "n:4|"+kind[:1]+"|#status:200\n")
			if !w.ledger.Components()[0].State().Healthy || w.ledgerValue("weir_component_events_total", "reconnected") != 1 {
				t.Errorf("%s: not healthy again", kind)
			}
			stop()
			if n := strings.Count(w.log.String(), "\n"); n != 2 {
				t.Errorf("%s: %d log lines; want one for each change of state:\n%s", kind, n, &w.log.b)
			}
		})
	}
}

func TestTargetDownForADay(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		srv.down = true
		stop := run(w.piped(srv, config10s("tcp://h:1")))
		for range 24 * 60 {
			w.count("200", 1)
			time.Sleep(time.Minute)
		}
		stop()
		if srv.dials > 24*60*60/2 || srv.dials < 24*60 {
			t.Errorf("%d attempts in a day", srv.dials)
		}
		if missed := w.missed(); missed != 24*60-1 && missed != 24*60 {
			t.Errorf("missed %v of %d lines", missed, 24*60)
		}
	})
}

func TestHungTargetDoesNotDelayWindows(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		s := w.piped(srv, config10s("tcp://h:1"))
		s.target.dial = hang
		stop := run(s)
		time.Sleep(500 * time.Millisecond)
		for range 60 {
			w.count("200", 1)
			time.Sleep(time.Second)
		}
		// :03.5 to 1:03.5. The window that ended at 1:00 may still be sent.
		if n := w.missed(); n != 47 {
			t.Errorf("missed %v; want 47", n)
		}
		start := time.Now()
		stop()
		if d := time.Since(start); d > finalTimeout {
			t.Errorf("stopping took %v", d)
		}
	})
}

func TestClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 3 * time.Second, -3 * time.Second, time.Hour + 4*time.Second, 24*time.Hour - time.Millisecond} {
		inTime(t, func(t *testing.T, w *world, srv *server) {
			s := w.piped(srv, config10s("udp://h:1"))
			offset := time.Duration(0)
			s.wall = func() time.Time { return time.Now().Add(offset) }
			stop := run(s)
			w.count("200", 1)
			time.Sleep(9 * time.Second) // :12
			expect(t, srv, "before the step", "nginx.status_count:1|g|#status:200")
			offset = step
			sum, last := 0, time.Now()
			for range 120 {
				w.count("200", 1)
				time.Sleep(500 * time.Millisecond)
				for _, got := range srv.take() {
					var n int
					if _, err := fmt.Sscanf(got, "nginx.status_count:%d|g", &n); err != nil {
						t.Fatal(err)
					}
					sum += n
					if d := time.Since(last); d > 15500*time.Millisecond || d < 4500*time.Millisecond && sum != n {
						t.Errorf("step %v: a window of %v", step, d)
					}
					last = time.Now()
					if time.Since(time.Unix(946684800, 0)) > 40*time.Second && s.wall().UnixNano()%int64(10*time.Second) >= 5e8 {
						t.Errorf("step %v: window ends at %v", step, s.wall())
					}
				}
			}
			stop()
			expect(t, srv, "rest", fmt.Sprintf("nginx.status_count:%d|g|#status:200", 120-sum))
			if w.missed() != 0 {
				t.Errorf("step %v: missed %v", step, w.missed())
			}
		})
	}
}

func TestSuddenSeriesRemoval(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		desc := metric.Desc{Name: "vol_total", Labels: []string{"a"}, Idle: 5 * time.Second}
		f := w.family(desc)
		s := w.piped(srv, config10s("udp://h:1"), Export{Family: f, Name: "vol"})
		stop := run(s)
		f.Series("x").Add(4)
		time.Sleep(8 * time.Second)
		w.reg.Expire(time.Now())
		time.Sleep(10 * time.Second)
		f.Series("x").Add(2)
		time.Sleep(10 * time.Second)
		expect(t, srv, "a series that went and came", "vol:4|g|#a:x", "vol:2|g|#a:x")
		if len(s.exports[0].points) != 1 {
			t.Errorf("%d points are kept", len(s.exports[0].points))
		}
		stop()
	})
}
