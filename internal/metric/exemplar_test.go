package metric

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

func example(s *Series, cell uint32, value float64, ms int64) Exemplar {
	return Exemplar{Series: s.ID(), Cell: cell, Value: value, Time: ms, Labels: "trace_id\xfft" + strconv.Itoa(int(ms)) + "\xffspan_id\xff\"s\"\xff"}
}

// TestExemplars are shown in OpenMetrics alone, one for each bucket, the latest.
func TestExemplars(t *testing.T) {
	r := New()
	family := func(d Desc) *Series {
		d.Durable = true
		f, err := r.Family(d)
		if err != nil {
			t.Fatal(err)
		}
		return f.Series()
	}
	hits := family(Desc{Name: "hits_total"})
	size := family(Desc{Name: "size", Kind: Histogram, Buckets: []float64{1, 2}})
	fine := family(Desc{Name: "fine", Kind: Histogram, Native: &Native{Schema: 0, MaxBuckets: 3}})
	plain := family(Desc{Name: "plain"}) // OpenMetrics has no name for its type
	n := fine.Family().Desc().Native
	r.Apply([]record.Delta{{Series: hits.ID(), Add: 2}, {Series: size.ID(), Cell: 1, Add: 1}, {Series: fine.ID(), Cell: n.CellOf(3), Add: 1}})
	r.Exemplify(slices.Values([]Exemplar{
		example(hits, 0, 1, 1500), example(hits, 0, 1, 2001), example(size, 1, 1.5, 3000), example(size, 3, 9, 1), example(size, 77, 9, 1),
		example(fine, n.CellOf(3), 3, 4000), example(plain, 0, 1, 1), {Series: 99}, {Series: 0},
	}))
	body := string(r.AppendText(nil, OpenMetrics))
	for _, want := range []string{
		`hits_total 2 # {trace_id="t2001",span_id="\"s\""} 1 2.001` + "\n",
		`size_bucket{le="2.0"} 1 # {trace_id="t3000",span_id="\"s\""} 1.5 3.000` + "\n",
		`fine_bucket{le="+Inf"} 1 # {trace_id="t4000",span_id="\"s\""} 3 4.000` + "\n",
		"plain 0\n", `size_bucket{le="+Inf"} 1` + "\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if strings.Contains(string(r.AppendText(nil, Text)), "#  {") || strings.Contains(string(r.AppendText(nil, Text)), "trace_id") {
		t.Error("the text format has exemplars")
	}
	fine.Family().Retire(fine)
	r.Exemplify(slices.Values([]Exemplar{example(fine, 0, 1, 9)})) // of a series that is gone
}

// TestNativeExemplars are the ten latest, each of another bucket, also once buckets became wider.
func TestNativeExemplars(t *testing.T) {
	r := New()
	f := nativeFamily(t, r, Desc{Native: &Native{Schema: 3, MaxBuckets: 40}, Durable: true})
	s := f.Series()
	n := f.Desc().Native
	add := func(v float64, ms int64) {
		cell := n.CellOf(v)
		r.Apply([]record.Delta{{Series: s.ID(), Cell: cell, Add: 1}})
		r.Exemplify(slices.Values([]Exemplar{example(s, cell, v, ms)}))
	}
	times := func() (all []int64) {
		for _, e := range s.Exemplars() {
			all = append(all, e.Time)
		}
		return all
	}
	for i := range int64(20) {
		add(float64(int(1)<<i), i)
	}
	if got := times(); !slices.Equal(got, []int64{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}) {
		t.Errorf("%v", got)
	}
	add(1<<12, 30)
	add(1<<13, 5) // comes late
	if got := times(); !slices.Equal(got, []int64{5, 10, 11, 14, 15, 16, 17, 18, 19, 30}) {
		t.Errorf("%v", got)
	}
	for i := range 300 {
		r.Apply([]record.Delta{{Series: s.ID(), Cell: n.CellOf(float64(i) * 1e6), Add: 1}})
	}
	for i := range int64(20) {
		add(float64(int(1)<<i), 100+i)
	}
	seen := map[uint32]bool{}
	for _, e := range s.Exemplars() {
		bucket := s.widest(e.Cell)
		if seen[bucket] || e.Time < 100 {
			t.Errorf("%+v", e)
		}
		seen[bucket] = true
	}
}

// FuzzExemplarLabels reads any packed labels.
func FuzzExemplarLabels(f *testing.F) {
	f.Add("trace_id\xffabc\xff")
	f.Add("\xff\xff\xff")
	f.Add("x")
	f.Fuzz(func(t *testing.T, packed string) {
		e := Exemplar{Labels: packed}
		n := 0
		for name, value := range e.AllLabels() {
			if strings.Contains(name+value, record.LabelEnd) {
				t.Fatalf("%q %q", name, value)
			}
			n++
		}
		if n > len(packed)/2+1 {
			t.Fatal(n)
		}
	})
}
