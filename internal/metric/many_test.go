package metric_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

func plain(i int) metric.Desc {
	return metric.Desc{
		Name: fmt.Sprintf("app_requests_of_%06d_total", i), Help: "StatsD counter", Subject: fmt.Sprintf("app.requests.of.%06d", i),
		Free: true, Durable: true, Owner: "statsd/test", MaxSeries: 100,
	}
}

// TestMemory: names that come from outside are many, and nearly all have one series.
func TestMemory(t *testing.T) {
	const n = 50_000
	bytesOf := func(make func(r *metric.Registry)) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := metric.New(record.Label{Name: "machine", Value: "m"})
		make(r)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(r)
		return (after.HeapAlloc - before.HeapAlloc) / n
	}
	if got := bytesOf(func(r *metric.Registry) {
		for i := range n {
			family(t, r, plain(i)).Series()
		}
	}); got > 250 {
		t.Errorf("a family of one series takes %d bytes", got)
	}
	if got := bytesOf(func(r *metric.Registry) {
		f := family(t, r, metric.Desc{Name: "requests_total", Labels: []string{"path"}, MaxSeries: n})
		for i := range n {
			f.Series(fmt.Sprintf("/some/path/of/%06d", i))
		}
	}); got > 250 {
		t.Errorf("a series of one label takes %d bytes", got)
	}
}

// TestMemoryReturns: once many series and families have gone there is no more memory than before.
func TestMemoryReturns(t *testing.T) {
	const n = 50_000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	r := metric.New()
	f := family(t, r, metric.Desc{Name: "app_jobs", Kind: metric.Gauge, Labels: []string{"job"}, MaxSeries: n, Idle: time.Minute})
	before := heap()
	for i := range n {
		f.Series(fmt.Sprint(i))
		family(t, r, metric.Desc{Name: fmt.Sprint("n", i), Labels: []string{"a"}}).Series("a")
	}
	r.Each(func(*metric.Family, *metric.Series) bool { return true })
	if got := r.Expire(time.Now().Add(time.Hour)); got != n {
		t.Errorf("%d have expired", got)
	}
	for i := range n {
		r.Forget(fmt.Sprint("n", i))
	}
	if more := heap() - before; more > 100_000 {
		t.Errorf("%d bytes are left", more)
	}
	runtime.KeepAlive(r)
}

// TestOrder: whatever the order in which families and series come and go, they are shown in theirs.
func TestOrder(t *testing.T) {
	r := metric.New()
	rng := rand.New(rand.NewPCG(1, 2))
	values := []string{"", "a", "a\x00", "ab", "b", "é", "z", "\U0010FFFF"}
	type known struct {
		f *metric.Family
		s *metric.Series
	}
	var all []known
	for round := range 300 {
		for range rng.IntN(40) {
			f := family(t, r, metric.Desc{Name: fmt.Sprintf("n%d_total", rng.IntN(60)), Free: true, Durable: true, Owner: "o"})
			var labels []string
			for i := range rng.IntN(3) {
				labels = append(labels, string(rune('a'+i)), values[rng.IntN(len(values))])
			}
			all = append(all, known{f, f.Series(labels...)})
		}
		for range min(len(all), rng.IntN(30)) {
			i := rng.IntN(len(all))
			if rng.IntN(4) == 0 {
				r.Forget(all[i].f.Name())
			} else {
				all[i].f.Retire(all[i].s)
			}
			all = slices.Delete(all, i, i+1)
		}
		if round%3 > 0 {
			continue
		}
		lastName, last, n := "", []string(nil), 0
		var shown []known
		r.Each(func(f *metric.Family, s *metric.Series) bool {
			n++
			if f.Name() < lastName || f.Name() == lastName && slices.Compare(s.Values(), last) <= 0 {
				t.Fatalf("%s %q stands behind %s %q", f.Name(), s.Values(), lastName, last)
			}
			shown = append(shown, known{f, s})
			lastName, last = f.Name(), s.Values()
			return true
		})
		for _, k := range shown {
			if k.f.Find(k.s.Values()...) != k.s || r.Named(k.f.Name()) != k.f {
				t.Fatalf("%s %q is not found", k.f.Name(), k.s.Values())
			}
		}
		if stored := len(r.Snapshot()); stored != n || len(r.Durables(nil)) != n {
			t.Fatalf("%d series are shown, %d stored", n, stored)
		}
	}
}

// TestWriteText: in pieces it is the same text, of one moment, whatever comes and goes meanwhile.
func TestWriteText(t *testing.T) {
	for _, format := range []metric.Format{metric.Text, metric.OpenMetrics} {
		r := sampleRegistry(t)
		want := string(r.AppendText(nil, format))
		var got bytes.Buffer
		pieces := 0
		err := r.WriteText(func(b []byte) error {
			pieces++
			got.Write(b)
			family(t, r, metric.Desc{Name: fmt.Sprintf("new_%d_total", pieces)}).Series().Add(1)
			r.Forget("rt_seconds")
			return nil
		}, make([]byte, 0, 100), format)
		if err != nil || pieces < 5 {
			t.Errorf("%d pieces, %v", pieces, err)
		}
		compare(t, got.String(), want)
		broken := errors.New("broken")
		if err := r.WriteText(func([]byte) error { return broken }, nil, format); err != broken {
			t.Errorf("a writer's error comes back as %v", err)
		}
	}
}

// TestExpositionOfOneCommit: two series that each commit raises together agree in every exposition, while
// others come and go.
func TestExpositionOfOneCommit(t *testing.T) {
	r := metric.New()
	first, last := family(t, r, metric.Desc{Name: "a_total", Durable: true}).Series(), family(t, r, metric.Desc{Name: "z_total", Durable: true}).Series()
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 2000 {
			r.Apply([]record.Delta{{Series: first.ID(), Add: 1}, {Series: last.ID(), Add: 1}})
		}
	})
	wg.Go(func() {
		for i := range 2000 {
			f := family(t, r, plain(i))
			s := f.Series("a", fmt.Sprint(i))
			if f.Series("a", "b"); i%2 == 0 {
				f.Retire(s)
			}
			if i%3 == 0 {
				r.Forget(f.Name())
			}
		}
	})
	for range 50 {
		var text strings.Builder
		_ = r.WriteText(func(b []byte) error { text.Write(b); return nil }, make([]byte, 0, 1000), metric.Text)
		value := func(name string) string {
			_, v, _ := strings.Cut(text.String(), "\n"+name+" ")
			v, _, _ = strings.Cut(v, "\n")
			return v
		}
		if a, z := value("a_total"), value("z_total"); a != z || a == "" {
			t.Fatalf("a_total %q, z_total %q", a, z)
		}
	}
	wg.Wait()
}

// TestClaim: who does not know what it had gets it back.
func TestClaim(t *testing.T) {
	r := metric.New()
	for i := range 100 {
		s := family(t, r, plain(i)).Series("a", "b")
		r.Apply([]record.Delta{{Series: s.ID(), Add: float64(i)}})
	}
	r = restart(t, r)
	stored := r.Durables(nil)
	n := 0
	r.Claim("statsd/test", func(d *metric.Desc) bool {
		n++
		d.MaxSeries = 7
		return d.Name != plain(5).Name
	})
	if left := r.DropUnclaimed(); n != 100 || left != 1 || r.Named(plain(5).Name) != nil {
		t.Errorf("%d were asked for, %d are left", n, left)
	}
	f := r.Named(plain(9).Name)
	if s := f.Find("a", "b"); s.Value() != 9 || f.Desc().MaxSeries != 7 || string(s.AppendKey(nil)) != string(stored[9].AppendKey(nil)) {
		t.Errorf("it came back as %q with %v", s.AppendKey(nil), s.Value())
	}
}

func BenchmarkNewFamilies(b *testing.B) {
	for b.Loop() {
		r := metric.New()
		for i := range 100_000 {
			f, err := r.Family(plain(i * 7919 % 100_000))
			if err != nil {
				b.Fatal(err)
			}
			f.Series()
		}
		r.Each(func(*metric.Family, *metric.Series) bool { return false })
	}
}
