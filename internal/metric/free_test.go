package metric_test

import (
	"testing"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

var (
	freeDesc  = metric.Desc{Name: "hits_total", Free: true, Durable: true, Owner: "statsd"}
	levelDesc = metric.Desc{Name: "level", Kind: metric.Gauge, Free: true, Durable: true, Owner: "statsd"}
	tookDesc  = metric.Desc{Name: "took", Kind: metric.Histogram, Buckets: []float64{0.25, 10}, Free: true, Durable: true, Owner: "statsd"}
)

// TestFreeLabels: series of one family have labels of their own, also after restarts, of which
// their owner need not know what there was.
func TestFreeLabels(t *testing.T) {
	r := metric.New(record.Label{Name: "machine", Value: "m"})
	hits, level, took := family(t, r, freeDesc), family(t, r, levelDesc), family(t, r, tookDesc)
	r.Apply([]record.Delta{
		{Series: hits.Series().ID(), Add: 1},
		{Series: hits.Series("a", "1").ID(), Add: 2},
		{Series: hits.Series("a", "1", "b", "\"").ID(), Add: 3},
		{Series: level.Series("a", "").ID(), Add: 7},
		{Series: level.Series("a", "").ID(), Cell: record.SetCell, Add: -4.5},
		{Series: level.Series("a", "").ID(), Add: 0.5},
		{Series: level.Series("a", "").ID(), Cell: record.SetCell + 1, Add: 9}, // no such cell
		{Series: took.Series("a", "b").ID(), Cell: 1, Add: 1},
	})
	want := `# TYPE hits_total counter
hits_total{machine="m"} 1
hits_total{machine="m",a="1"} 2
hits_total{machine="m",a="1",b="\""} 3
# TYPE level gauge
level{machine="m",a=""} -4
# TYPE took histogram
took_bucket{machine="m",a="b",le="0.25"} 0
took_bucket{machine="m",a="b",le="10"} 1
took_bucket{machine="m",a="b",le="+Inf"} 1
took_sum{machine="m",a="b"} 0
took_count{machine="m",a="b"} 1
`
	compare(t, string(r.AppendText(nil, metric.Text)), want)
	next := metric.New(record.Label{Name: "machine", Value: "m"})
	for _, d := range r.Snapshot() {
		if err := next.Restore(d); err != nil {
			t.Fatal(err)
		}
	}
	if all := next.Restored("other"); len(all) != 0 {
		t.Errorf("of another owner: %v", all)
	}
	for _, d := range next.Restored("statsd") {
		family(t, next, d)
	}
	if n := next.DropUnclaimed(); n != 0 {
		t.Errorf("%d series were not claimed", n)
	}
	compare(t, string(next.AppendText(nil, metric.Text)), want)
	if got := family(t, next, freeDesc).Series("a", "1").Labels().String(); got != `{a="1"}` {
		t.Errorf("labels %s", got)
	}
}

func TestValidLabel(t *testing.T) {
	r := metric.New(record.Label{Name: "machine", Value: "m"})
	hits, took := family(t, r, freeDesc), family(t, r, tookDesc)
	for name, want := range map[string]bool{"a": true, "le": true, "machine": false, "overflow": false, "__x": false, "1": false, "a:b": false, "": false} {
		if got := hits.ValidLabel(name); got != want {
			t.Errorf("ValidLabel(%q) = %v", name, got)
		}
	}
	if took.ValidLabel("le") {
		t.Error("le is a histogram's own")
	}
}

func TestRetire(t *testing.T) {
	r := metric.New()
	hits := family(t, r, freeDesc)
	s := hits.Series("a", "1")
	r.Apply([]record.Delta{{Series: s.ID(), Add: 1}})
	hits.Retire(s)
	r.Apply([]record.Delta{{Series: s.ID(), Add: 1}})
	again := hits.Series("a", "1")
	if n := r.Forgotten(); again == s || again.Value() != 0 || n != 1 {
		t.Errorf("after it went it has %v, and %d have gone", again.Value(), n)
	}
}

// TestWithin: beyond the bound nothing is made, and nothing shown.
func TestWithin(t *testing.T) {
	d := levelDesc
	d.MaxSeries = 1
	level := family(t, metric.New(), d)
	one := level.Within("a", "1")
	if one == nil || level.Within("a", "1") != one || one != level.Series("a", "1") {
		t.Fatal("a series within the bound is not as Series has it")
	}
	if s := level.Within("a", "2"); s != nil {
		t.Errorf("beyond the bound is %v", s.Labels())
	}
	n := 0
	level.Each(func(*metric.Series) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d series, want one", n)
	}
}

// TestUnset: a gauge shows nothing until a delta sets it, and begins at 0.
func TestUnset(t *testing.T) {
	r := metric.New()
	level := family(t, r, levelDesc)
	set, change := level.Series("a", "1"), level.Series("a", "2")
	if text := string(r.AppendText(nil, metric.Text)); text != "" || !set.IsUnset() || set.Value() != 0 {
		t.Errorf("before it is set: %q, value %v", text, set.Value())
	}
	r.Apply([]record.Delta{{Series: set.ID(), Cell: record.SetCell}, {Series: change.ID(), Add: 2}})
	if text, want := string(r.AppendText(nil, metric.Text)), "# TYPE level gauge\nlevel{a=\"1\"} 0\nlevel{a=\"2\"} 2\n"; text != want || set.IsUnset() {
		t.Errorf("got %q, want %q", text, want)
	}
}
