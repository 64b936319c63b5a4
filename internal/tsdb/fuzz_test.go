package tsdb

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// FuzzProto has Prometheus' parser read any numbers and texts in the protobuf format.
func FuzzProto(f *testing.F) {
	f.Add("GET", "help", 1.5, -3.0, 2.0, "t1", int64(1700000000000), int8(3))
	f.Add("\xff\x00\"\\\n", "", math.NaN(), math.Inf(1), 0.1, "", int64(-1), int8(-4))
	f.Fuzz(func(t *testing.T, label, help string, a, b, times float64, id string, ms int64, schema int8) {
		n := &metric.Native{Schema: (schema%13+13)%13 - 4}
		r := metric.New(record.Label{Name: "machine", Value: "m"})
		family := func(d metric.Desc) *metric.Series {
			d.Help, d.Labels, d.Durable = strings.ToValidUTF8(help, "?"), []string{"l"}, true
			made, err := r.Family(d)
			if err != nil {
				t.Fatal(err)
			}
			return made.Series(label)
		}
		hits := family(metric.Desc{Name: "hits_total"})
		size := family(metric.Desc{Name: "size", Kind: metric.Histogram, Buckets: []float64{1, 2}})
		fine := family(metric.Desc{Name: "fine", Kind: metric.Histogram, Native: n})
		times = math.Abs(times)
		if !(times < 1e15) {
			times = 2
		}
		r.Apply([]record.Delta{
			{Series: hits.ID(), Add: a}, {Series: size.ID(), Cell: 1, Add: times}, {Series: size.ID(), Cell: 3, Add: b},
			{Series: fine.ID(), Cell: n.CellOf(a), Add: times}, {Series: fine.ID(), Cell: n.CellOf(b), Add: 1}, {Series: fine.ID(), Cell: 3, Add: a},
		})
		e := metric.Exemplar{Series: fine.ID(), Cell: n.CellOf(a), Value: a, Time: max(min(ms, 4e12), 1), Labels: "trace_id\xff" + strings.ToValidUTF8(id, "?") + "\xff"}
		r.Exemplify(slices.Values([]metric.Exemplar{e}))
		got := scrape(t, r, metric.Proto)
		clean := hits.Values()[0]
		set := func(name string, more ...string) string {
			return labels.FromStrings(append(more, "__name__", name, "machine", "m", "l", clean)...).WithoutEmpty().String()
		}
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if v, ok := got.values[set("hits_total")]; !ok || !same(v, a) {
			t.Fatalf("%v; want %v in %v", v, a, got.values)
		}
		if v := got.values[set("size_bucket", "le", "2.0")]; v != times {
			t.Fatalf("%v; want %v", v, times)
		}
		var h native.Histogram
		fine.ReadNative(&h)
		for series, text := range got.histograms {
			if want := fmt.Sprint(h.Schema, h.Whole(), floatHistogram(&h).Compact(0).String()); text != want || series != labels.FromStrings("__name__", "fine", "machine", "m", "l", clean).WithoutEmpty().String() {
				t.Fatalf("%s: %s; want %s", series, text, want)
			}
		}
		if len(got.histograms) != 1 || len(got.exemplars) != 1 {
			t.Fatalf("%v %v", got.histograms, got.exemplars)
		}
	})
}
