package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/record"
)

func nativeFamily(t testing.TB, r *Registry, d Desc) *Family {
	t.Helper()
	d.Kind = Histogram
	if d.Name == "" {
		d.Name = "rt_seconds"
	}
	f, err := r.Family(d)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t testing.TB, s *Series) native.Histogram {
	t.Helper()
	var h native.Histogram
	if !s.ReadNative(&h) {
		t.Fatal("no native histogram")
	}
	return h
}

// TestNativeObserve puts each kind of number where it belongs.
func TestNativeObserve(t *testing.T) {
	s := nativeFamily(t, New(), Desc{Native: &Native{Schema: 0}}).Series()
	for _, v := range []float64{0, 1e-40, math.Copysign(0, -1), 1, 2, 1.5, -2, -0.25, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		s.Observe(v)
	}
	h := read(t, s)
	want := native.Histogram{
		Threshold: native.ZeroThreshold, Zero: 3, Count: 12,
		Positive: native.Buckets{Spans: []native.Span{{Length: 2}, {Offset: 1022, Length: 2}}, Counts: []float64{1, 2, 1, 1}},
		Negative: native.Buckets{Spans: []native.Span{{Offset: -2, Length: 4}, {Offset: 1023, Length: 1}}, Counts: []float64{1, 0, 0, 1, 1}},
	}
	if !math.IsNaN(h.Sum) {
		t.Errorf("sum %v", h.Sum)
	}
	h.Sum = 0
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", h, want)
	}
	if s.Count() != 12 {
		t.Errorf("count %v", s.Count())
	}
}

// TestBucketCells are a different one for each bucket, and can be read again.
func TestBucketCells(t *testing.T) {
	seen := map[uint32]bool{}
	for i := int32(-3000); i <= 3000; i++ {
		for _, index := range []int32{i, i * 174, maxNativeIndex - 1, 1 - maxNativeIndex} {
			for _, negative := range []bool{false, true} {
				cell := bucketCell(index, negative)
				got, neg, ok := cellBucket(cell)
				if got != index || neg != negative || !ok || cell < nativeBuckets || cell >= record.SetCell {
					t.Fatalf("bucket %d %v has cell %d, which is %d %v %v", index, negative, cell, got, neg, ok)
				}
				seen[cell] = true
			}
		}
	}
	for _, cell := range []uint32{math.MaxUint32, record.SetCell - 1, bucketCell(maxNativeIndex, false)} {
		if _, _, ok := cellBucket(cell); ok {
			t.Errorf("cell %d is a bucket", cell)
		}
	}
}

// TestMaxBuckets makes buckets wider rather than more.
func TestMaxBuckets(t *testing.T) {
	s := nativeFamily(t, New(), Desc{Native: &Native{Schema: 8, MaxBuckets: 20}}).Series()
	for v := 1e-30; v < 1e30; v *= 1.001 {
		s.Observe(v)
	}
	h := read(t, s)
	buckets := 0
	for _, c := range h.Positive.Counts {
		if c > 0 {
			buckets++
		}
	}
	if buckets > 20 || buckets < 8 || h.Schema >= 0 {
		t.Errorf("%d buckets with schema %d", buckets, h.Schema)
	}
	// With one bucket allowed there are as few as there can be.
	s = nativeFamily(t, New(), Desc{Native: &Native{Schema: 3, MaxBuckets: 1}}).Series()
	for _, v := range []float64{1e-30, 1, 1e30, -5} {
		s.Observe(v)
	}
	if h := read(t, s); h.Schema != native.MinSchema || h.Count != 4 {
		t.Errorf("%+v", h)
	}
}

// TestMaxBucketsOfOne: families that are alike share most of what they are, but not a bound that
// only one of them gets later.
func TestMaxBucketsOfOne(t *testing.T) {
	r := New()
	make := func(name string, most int) *Family {
		return nativeFamily(t, r, Desc{Name: name, Labels: []string{"a"}, Native: &Native{Schema: 8, MaxBuckets: most}})
	}
	a, b := make("a", 160), make("b", 160)
	old := a.Series("old")
	for name, most := range map[string]int{"a": 20, "b": 160} {
		make(name, most)
	}
	fill := func(s *Series) (schema int32) {
		for v := 1.0; v < 1.3; v *= 1.003 {
			s.Observe(v)
		}
		return read(t, s).Schema
	}
	if s := fill(old); s >= 8 {
		t.Errorf("a series of before has schema %d", s)
	}
	if s := fill(a.Series("new")); s >= 8 {
		t.Errorf("a new series has schema %d", s)
	}
	if s := fill(b.Series("b")); s != 8 {
		t.Errorf("a series of the other family has schema %d", s)
	}
	r.Forget("a")
	if s := fill(make("a", 160).Series("again")); s != 8 {
		t.Errorf("a series of a family made again has schema %d", s)
	}
}

// observed returns deltas for values of all kinds.
func observed(n *Native, id uint32, rnd *rand.Rand, count int) (all []record.Delta) {
	for range count {
		v := math.Exp(rnd.NormFloat64() * 10)
		switch rnd.IntN(20) {
		case 0:
			v = 0
		case 1:
			v = -v
		case 2:
			v = math.Inf(1)
		}
		sum := min(v, 1e6) // whole and small, since adding up others rounds
		all = append(all, record.Delta{Series: id, Cell: n.CellOf(v), Add: 1}, record.Delta{Series: id, Cell: nativeSum, Add: math.Trunc(sum)})
	}
	return all
}

// TestNativeIsTheSumOfItsDeltas applies the same deltas in any order, in other portions,
// through what the journal stores, over restarts, with fewer cells on the way: what comes out is
// the same to the last bucket.
func TestNativeIsTheSumOfItsDeltas(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := &Native{Schema: int8(rnd.IntN(13) - 4), MaxBuckets: 1 + rnd.IntN(200)}
		d := Desc{Native: n, Durable: true, Owner: "rule 1", Labels: []string{"path"}}
		open := func() (*Registry, *Series) {
			r := New()
			return r, nativeFamily(t, r, d).Series("/")
		}
		straight, s := open()
		all := observed(n, s.ID(), rnd, 2000)
		straight.Apply(all)
		want := fmt.Sprint(read(t, s))

		rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		r, s := open()
		for len(all) > 0 {
			some := all[:min(len(all), rnd.IntN(400))]
			all = all[len(some):]
			switch rnd.IntN(3) {
			case 0:
				r.Apply(some)
			case 1: // widened on the way, as a Tally has it
				for i := range some {
					some[i].Cell = s.widest(some[i].Cell)
				}
				r.Apply(some)
			case 2: // a crash: the log has them behind what was stored
				stored := r.Snapshot()
				for _, delta := range some {
					stored[0].Change(delta)
				}
				r = New()
				if rnd.IntN(2) == 0 { // the family is there before the series
					nativeFamily(t, r, d)
				}
				stored[0].ID = 7
				if err := r.Restore(stored[0]); err != nil {
					t.Fatal(err)
				}
				s = nativeFamily(t, r, d).Find("/")
				for i := range all {
					all[i].Series = s.ID()
				}
			}
		}
		if got := fmt.Sprint(read(t, s)); got != want {
			t.Fatalf("seed %d, %+v:\n%s\nwant\n%s", seed, n, got, want)
		}
	}
}

// TestTally adds up in between, and allocates nothing.
func TestTally(t *testing.T) {
	r := New()
	d := Desc{Native: NativeFactor(1.1), Durable: true}
	s := nativeFamily(t, r, d).Series()
	var tally Tally
	var deltas []record.Delta
	allocs := testing.AllocsPerRun(10, func() {
		for _, v := range []float64{0.5, 3, 3, 0, 1e-3, -7} {
			tally.Add(d.Native.CellOf(v), 1)
		}
		deltas = tally.AppendTo(deltas[:0], s)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if len(deltas) != 5 {
		t.Errorf("%v", deltas)
	}
	r.Apply(deltas)
	if s.Count() != 6 || s.Sum() != 0 {
		t.Errorf("count %v, sum %v", s.Count(), s.Sum())
	}
}

// TestNativeRestored is found by an owner that does not know what it had.
func TestNativeRestored(t *testing.T) {
	r := New()
	s := nativeFamily(t, r, Desc{Name: "x", Native: &Native{Schema: -2}, Durable: true, Owner: "o", Free: true}).Series("a", "b")
	r.Apply([]record.Delta{{Series: s.ID(), Cell: nativeZero, Add: 3}})
	again := New()
	if err := again.Restore(r.Snapshot()[0]); err != nil {
		t.Fatal(err)
	}
	all := again.Restored("o")
	if len(all) != 1 || all[0].Native == nil || all[0].Native.Schema != -2 || !all[0].Free || all[0].Kind != Histogram {
		t.Fatalf("%+v", all)
	}
	if s := nativeFamily(t, again, all[0]).Find("a", "b"); s == nil || s.Count() != 3 {
		t.Error("what was stored is not there")
	}
	if _, err := again.Family(Desc{Name: "x", Kind: Histogram, Native: &Native{Schema: 3}, Durable: true, Owner: "o", Free: true}); err == nil {
		t.Error("another schema is the same family")
	}
}

// TestNativeDamaged refuses stored cells that nothing has made.
func TestNativeDamaged(t *testing.T) {
	d := Desc{Native: &Native{Schema: 3}, Durable: true}
	key := "rt_seconds" + keyTail(&Desc{Kind: Histogram, Native: d.Native}) + separator
	for _, cells := range [][]float64{{1}, {-1, 1}, {0.5, 1}, {math.NaN(), 1}, {2, 8}, {2, 0.5}, {2, -1}, {1 << 40, 1}, {float64(bucketCell(maxNativeIndex, false)), 1}} {
		r := New()
		f := nativeFamily(t, r, d)
		if err := r.Restore(Durable{ID: 1, Key: key, Cells: cells}); err == nil || f.Find() != nil {
			t.Errorf("%v: %v", cells, err)
		}
	}
	r := New()
	f := nativeFamily(t, r, d)
	if err := r.Restore(Durable{ID: 1, Key: key, Cells: []float64{0, 2, 2, 7}}); err != nil || f.Find().Count() != 2 {
		t.Error(err)
	}
}

// TestNativeText is a histogram of one bucket in the text formats.
func TestNativeText(t *testing.T) {
	r := New(record.Label{Name: "machine", Value: "m"})
	s := nativeFamily(t, r, Desc{Native: &Native{Schema: 3}, Labels: []string{"path"}}).Series("/a")
	s.Observe(2)
	s.Observe(0.5)
	want := "# TYPE rt_seconds histogram\n" +
		`rt_seconds_bucket{machine="m",path="/a",le="+Inf"} 2` + "\n" +
		`rt_seconds_sum{machine="m",path="/a"} 2.5` + "\n" +
		`rt_seconds_count{machine="m",path="/a"} 2` + "\n"
	if got := string(r.AppendText(nil, Text)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := string(r.AppendText(nil, OpenMetrics)); got != want+"# EOF\n" {
		t.Errorf("%s", got)
	}
}

// TestProtoAllocates nothing for a series.
func TestProtoAllocates(t *testing.T) {
	r := New(record.Label{Name: "machine", Value: "m"})
	hits, err := r.Family(Desc{Name: "hits_total", Labels: []string{"path"}})
	if err != nil {
		t.Fatal(err)
	}
	classic, err := r.Family(Desc{Name: "classic", Kind: Histogram, Labels: []string{"path"}, Buckets: []float64{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	fine := nativeFamily(t, r, Desc{Native: NativeFactor(1.1), Labels: []string{"path"}})
	for i := range 300 {
		path := strings.Repeat("/", i%100) + fmt.Sprint(i)
		hits.Series(path).Add(1)
		classic.Series(path).Observe(1.5)
		for k := range 40 {
			fine.Series(path).Observe(float64(k))
		}
	}
	body := r.AppendText(nil, Proto)
	most := 10.0 // for the memory of one histogram, which is used again
	if n := testing.AllocsPerRun(5, func() { body = r.AppendText(body[:0], Proto) }); n > most {
		t.Errorf("%v allocations for %d series", n, 900)
	}
}

// TestNegotiateProto gives the format with everything to whoever reads it.
func TestNegotiateProto(t *testing.T) {
	const proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	for accept, want := range map[string]Format{
		proto + ",application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": Proto,
		proto:                       Proto,
		proto + ";q=0.5,text/plain": Text,
		"application/openmetrics-text;version=1.0.0," + proto + ";q=0.4":                                                                         Text + 1,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text,*/*;q=1":                                          Text,
		"application/vnd.google.protobuf":                                                                                                        Text,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.9,text/plain;q=0.5": Proto,
		proto + ";q=0": Text,
	} {
		if got := Negotiate(accept); got != want {
			t.Errorf("%s: %v; want %v", accept, got, want)
		}
	}
}

// FuzzDurableChange applies any deltas to any stored cells: nothing breaks, and cells stay in
// order.
func FuzzDurableChange(f *testing.F) {
	f.Add(true, uint32(0), 1.0, uint32(900), 2.0)
	f.Add(false, uint32(1), 1.0, uint32(math.MaxUint32), math.NaN())
	f.Fuzz(func(t *testing.T, isNative bool, a uint32, x float64, b uint32, y float64) {
		d := Durable{Key: "n\x00counter\x00", Cells: []float64{1}, Created: time.Unix(1, 0)}
		if isNative {
			d = Durable{Key: "n\x00native\x00"}
		}
		for range 2 {
			d.Change(record.Delta{Cell: a, Add: x})
			d.Change(record.Delta{Cell: b, Add: y})
		}
		if !isNative {
			if len(d.Cells) != 1 {
				t.Fatal(d.Cells)
			}
			return
		}
		var numbers []float64
		for i := 0; i < len(d.Cells); i += 2 {
			numbers = append(numbers, d.Cells[i])
		}
		if len(d.Cells)%2 != 0 || len(numbers) > 2 || !slices.IsSorted(numbers) || len(slices.Compact(numbers)) != len(d.Cells)/2 {
			t.Fatal(d.Cells)
		}
	})
}

// TestPieces: written in pieces every format is what it is in one.
func TestPieces(t *testing.T) {
	r := New(record.Label{Name: "machine", Value: "m"})
	fine := nativeFamily(t, r, Desc{Native: NativeFactor(1.1), Labels: []string{"path"}})
	hits, err := r.Family(Desc{Name: "hits_total", Labels: []string{"path"}, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		path := fmt.Sprint("/", i)
		fine.Series(path).Observe(float64(i))
		e := Exemplar{Series: hits.Series(path).ID(), Time: int64(i), Labels: "trace_id\xfft\xff"}
		r.Exemplify(slices.Values([]Exemplar{e}))
	}
	for _, format := range []Format{Text, OpenMetrics, Proto} {
		var got []byte
		pieces := 0
		write := func(b []byte) error {
			got = append(got, b...)
			pieces++
			return nil
		}
		if err := r.WriteText(write, make([]byte, 0, 64), format); err != nil || pieces < 3 {
			t.Fatalf("%d pieces: %v", pieces, err)
		}
		if want := r.AppendText(nil, format); string(got) != string(want) {
			t.Errorf("%s: %d bytes in %d pieces, %d in one", format.ContentType(), len(got), pieces, len(want))
		}
	}
}
