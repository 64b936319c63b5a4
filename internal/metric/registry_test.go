package metric_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

func Example() {
	reg := metric.New(record.Label{Name: "machine", Value: "web-1"})
	f, err := reg.Family(metric.Desc{Name: "nginx_status_count_total", Help: "Lines by status.", Kind: metric.Counter, Labels: []string{"status"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Series("200").Add(13)
	f.Series("404").Add(3)
	fmt.Printf("%s", reg.AppendText(nil, metric.Text))
	// Output:
	// # HELP nginx_status_count_total Lines by status.
	// # TYPE nginx_status_count_total counter
	// nginx_status_count_total{machine="web-1",status="200"} 13
	// nginx_status_count_total{machine="web-1",status="404"} 3
}

func TestFamilyRefuses(t *testing.T) {
	r := metric.New(record.Label{Name: "machine", Value: "m"})
	family(t, r, metric.Desc{Name: "taken_total", Labels: []string{"a"}, Owner: "rule one"})
	family(t, r, metric.Desc{Name: "rt", Kind: metric.Histogram, Buckets: []float64{1}})
	family(t, r, metric.Desc{Name: "size_sum", Kind: metric.Gauge})
	bad := func(want string, d metric.Desc) {
		t.Helper()
		if _, err := r.Family(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Family(%+v) = %v; want an error with %q", d, err, want)
		}
	}
	bad("metric name", metric.Desc{Name: ""})
	bad("metric name", metric.Desc{Name: "nginx.status"})
	bad("metric name", metric.Desc{Name: "1st"})
	bad("label name", metric.Desc{Name: "x", Labels: []string{"a-b"}})
	bad("label name", metric.Desc{Name: "x", Labels: []string{"a:b"}})
	bad("reserved", metric.Desc{Name: "x", Labels: []string{"__name__"}})
	bad("reserved", metric.Desc{Name: "x", Labels: []string{"overflow"}})
	bad("reserved", metric.Desc{Name: "x", Kind: metric.Histogram, Labels: []string{"le"}})
	bad("twice", metric.Desc{Name: "x", Labels: []string{"a", "a"}})
	bad("label of every series", metric.Desc{Name: "x", Labels: []string{"machine"}})
	bad("buckets", metric.Desc{Name: "x", Buckets: []float64{1}})
	bad("buckets", metric.Desc{Name: "x", Kind: metric.Histogram, Buckets: []float64{2, 1}})
	bad("rule one", metric.Desc{Name: "taken_total", Labels: []string{"a"}, Owner: "rule two"})
	bad("rule one", metric.Desc{Name: "taken_total", Labels: []string{"b"}, Owner: "rule one"})
	bad("rule one", metric.Desc{Name: "taken_total", Labels: []string{"a"}, Owner: "rule one", Durable: true})
	bad("share a name", metric.Desc{Name: "rt_count"})
	bad("share a name", metric.Desc{Name: "size", Kind: metric.Histogram})
	same := family(t, r, metric.Desc{Name: "taken_total", Labels: []string{"a"}, Owner: "rule one", MaxSeries: 5})
	if same.Desc().MaxSeries != metric.DefaultMaxSeries {
		t.Error("a second description changed the first")
	}
}

func TestValuesThatCleanToTheSame(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x_total", Labels: []string{"a"}, MaxSeries: 10})
	long := strings.Repeat("é", 1000)
	f.Series(long + "1").Add(1)
	f.Series(long + "2").Add(1)
	f.Series("bad\xff").Add(1)
	f.Series("bad\xfe").Add(1)
	var seen []string
	f.Each(func(s *metric.Series) bool {
		if s.Value() != 2 {
			t.Errorf("series %.10q has %v; want 2", s.Values(), s.Value())
		}
		seen = append(seen, s.Values()[0])
		return true
	})
	if len(seen) != 2 || seen[1] != long[:1024] {
		t.Errorf("got series of %d values, last of %d bytes", len(seen), len(seen[len(seen)-1]))
	}
	two := family(t, r, metric.Desc{Name: "y_total", Labels: []string{"a", "b"}})
	if two.Series("a\xffb", "c") == two.Series("a", "b\xffc") {
		t.Error("values with the separator in them are one series")
	}
}

func TestSeriesDoesNotKeepItsArguments(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x_total", Labels: []string{"a"}})
	s := f.Series("200")
	if n := testing.AllocsPerRun(100, func() { f.Series("200").Add(1) }); n > 0 {
		t.Errorf("%v allocations to find a series of one label", n)
	}
	if s != f.Series("200") || s.Family() != f || s.ID() != 0 || s.IsOverflow() {
		t.Error("series lost its identity")
	}
}

func TestOverflow(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x_total", Labels: []string{"a"}, MaxSeries: 2})
	for _, v := range []string{"1", "2", "3", "4", "3", "1"} {
		f.Series(v).Add(1)
	}
	var got []string
	r.Each(func(_ *metric.Family, s *metric.Series) bool {
		got = append(got, fmt.Sprint(s.Values(), s.Value(), s.IsOverflow()))
		return true
	})
	if want := "[[1] 2 false [2] 1 false [] 3 true]"; fmt.Sprint(got) != want {
		t.Errorf("got %v; want %s", got, want)
	}
	if f.Overflowed() != 3 {
		t.Errorf("overflowed %d times; want 3", f.Overflowed())
	}
}

// TestExpireUnread: series that expire go from memory also where nobody reads the rest.
func TestExpireUnread(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x", Kind: metric.Gauge, Labels: []string{"a"}, Idle: time.Minute})
	gone, freed := 0, new(atomic.Int64)
	for round := range 20 {
		for i := range 500 {
			s := f.Series(fmt.Sprint(round, "/", i))
			runtime.AddCleanup(s, func(n *atomic.Int64) { n.Add(1) }, freed)
		}
		gone += r.Expire(time.Now().Add(time.Hour))
	}
	if gone != 20*500 {
		t.Errorf("%d have expired", gone)
	}
	for range 100 {
		if runtime.GC(); freed.Load() >= 20*500-1 { // the first is a part of its family
			break
		}
		runtime.Gosched()
	}
	if n := freed.Load(); n < 20*500-1 {
		t.Errorf("%d are freed", n)
	}
	runtime.KeepAlive(f)
}

func TestDrop(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x", Kind: metric.Gauge, Labels: []string{"a"}, MaxSeries: 3})
	all := []*metric.Series{f.Series("1"), f.Series("2"), f.Series("3"), f.Series("over")}
	f.Drop(all[1])
	f.Drop(all[1]) // twice is once
	f.Drop(all[3]) // others use the overflow series
	f.Drop(nil)
	again := f.Series("2")
	if again == all[1] || again.IsOverflow() {
		t.Error("a dropped series leaves no room for its successor")
	}
	f.Drop(all[1]) // its successor is another
	again.Set(7)
	compare(t, string(r.AppendText(nil, metric.Text)), `# TYPE x gauge
x{a="1"} 0
x{a="2"} 7
x{a="3"} 0
x{overflow="true"} 0
`)
	d := family(t, r, metric.Desc{Name: "durable_total", Labels: []string{"a"}, Durable: true})
	kept := d.Series("kept")
	d.Drop(kept)
	if d.Series("kept") != kept {
		t.Error("a durable series went")
	}
}

func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := metric.New()
		f := family(t, r, metric.Desc{Name: "x_total", Labels: []string{"a"}, MaxSeries: 2, Idle: time.Minute})
		d := family(t, r, metric.Desc{Name: "durable_total", Labels: []string{"a"}, Idle: time.Minute, Durable: true})
		f.Series("old").Add(1)
		f.Series("busy").Add(1)
		f.Series("over").Add(1)
		d.Series("kept")
		time.Sleep(50 * time.Second)
		f.Series("busy").Add(1)
		if n := r.Expire(time.Now()); n != 0 {
			t.Errorf("%d series expired early", n)
		}
		time.Sleep(20 * time.Second)
		if n := r.Expire(time.Now()); n != 2 {
			t.Errorf("%d series expired; want the old one and the overflow", n)
		}
		compare(t, string(r.AppendText(nil, metric.Text)), `# TYPE durable_total counter
durable_total{a="kept"} 0
# TYPE x_total counter
x_total{a="busy"} 2
`)
		if f.Series("old").Value() != 0 {
			t.Error("an expired series came back with its value")
		}
	})
}

func TestForget(t *testing.T) {
	r := metric.New()
	desc := metric.Desc{Name: "x_total", Labels: []string{"a"}, Durable: true, MaxSeries: 1}
	f := family(t, r, desc)
	f.Series("1")
	f.Series("2")
	r.Forget("x_total")
	r.Forget("x_total")
	if s := r.Snapshot(); len(s) != 0 {
		t.Errorf("a forgotten family is stored: %v", s)
	}
	if text := r.AppendText(nil, metric.Text); len(text) > 0 {
		t.Errorf("a forgotten family is shown: %s", text)
	}
	desc.Owner = "new"
	family(t, r, desc)
}

// TestConcurrent is for the race detector; afterwards no addition may be missing.
func TestConcurrent(t *testing.T) {
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "x_total", Labels: []string{"a"}, MaxSeries: 8})
	durable := family(t, r, metric.Desc{Name: "d_total", Labels: []string{"a"}, Durable: true})
	h := family(t, r, metric.Desc{Name: "h", Kind: metric.Histogram, Buckets: []float64{1, 10}})
	r.OnCollect(func() { f.Series("collected").Add(0) })
	var wg sync.WaitGroup
	const rounds = 300
	for g := range 4 {
		wg.Go(func() {
			for i := range rounds {
				f.Series(fmt.Sprint(i % 16)).Add(1)
				h.Series().Observe(float64(i % 20))
				s := durable.Series(fmt.Sprint(g))
				r.Apply([]record.Delta{{Series: s.ID(), Add: 1}})
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			var buf []byte
			for range rounds / 10 {
				buf = r.AppendText(buf[:0], metric.OpenMetrics)
				r.Snapshot()
				r.Expire(time.Now())
				family(t, r, metric.Desc{Name: "other"})
				r.Forget("other")
			}
		})
	}
	wg.Wait()
	sums := map[string]float64{}
	r.Each(func(f *metric.Family, s *metric.Series) bool {
		for i := range s.Cells() - s.Cells()/2 { // not the sum of the histogram
			sums[f.Desc().Name] += s.Cell(i)
		}
		return true
	})
	for name, sum := range sums {
		if name != "h" && sum != 4*rounds {
			t.Errorf("%s: %v of %d additions", name, sum, 4*rounds)
		}
	}
}
