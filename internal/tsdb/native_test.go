package tsdb

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestBucketsAreThoseOfPrometheus holds all bounds of buckets against Prometheus' own, to the
// last bit.
func TestBucketsAreThoseOfPrometheus(t *testing.T) {
	for schema := int32(native.MinSchema); schema <= native.MaxSchema; schema++ {
		first, last := native.Index(math.Nextafter(native.ZeroThreshold, 1), int(schema)), native.Index(math.Inf(1), int(schema))
		h := histogram.Histogram{
			Schema: schema, PositiveSpans: []histogram.Span{{Offset: first, Length: uint32(last - first + 1)}},
			PositiveBuckets: make([]int64, last-first+1),
		}
		it := h.PositiveBucketIterator()
		for i := first; i <= last; i++ {
			if !it.Next() {
				t.Fatal("too few buckets")
			}
			b := it.At()
			if b.Index != i || native.Bound(i, int(schema)) != b.Upper || native.Bound(i-1, int(schema)) != b.Lower {
				t.Fatalf("schema %d, bucket %d: from %v up to %v; Prometheus has %v", schema, i, native.Bound(i-1, int(schema)), native.Bound(i, int(schema)), b)
			}
			if inside := native.Index(b.Upper, int(schema)); inside != i {
				t.Fatalf("schema %d: %v is in bucket %d; want %d", schema, b.Upper, inside, i)
			}
		}
	}
}

// numbersOfAllKinds returns a registry with every kind of family.
func numbersOfAllKinds(t *testing.T) *metric.Registry {
	t.Helper()
	r := metric.New(record.Label{Name: "machine", Value: "web-1"})
	family := func(d metric.Desc) *metric.Family {
		t.Helper()
		f, err := r.Family(d)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	hits := family(metric.Desc{Name: "hits_total", Help: "Hits \\ and\nmore.", Labels: []string{"path", "empty"}, MaxSeries: 2})
	hits.Series(`/"a"`, "").Add(3)
	hits.Series("/ü", "x").Add(0.5)
	hits.Series("/more", "").Add(1)
	load := family(metric.Desc{Name: "load", Kind: metric.Gauge})
	load.Series().Set(math.Inf(-1))
	classic := family(metric.Desc{Name: "size_bytes", Kind: metric.Histogram, Buckets: []float64{1, 2.5}})
	for _, v := range []float64{0.5, 1, 2, 100} {
		classic.Series().Observe(v)
	}
	family(metric.Desc{Name: "empty_seconds", Kind: metric.Histogram, Native: metric.NativeFactor(1.1)}).Series()
	fine := family(metric.Desc{Name: "rt_seconds", Kind: metric.Histogram, Native: metric.NativeFactor(1.1), Labels: []string{"path"}})
	for i := range 200 {
		fine.Series("/").Observe(float64(i*i) / 1000)
	}
	for _, v := range []float64{-3, -1e10, math.Inf(1), 7} {
		fine.Series("/odd").Observe(v)
	}
	parts := family(metric.Desc{Name: "parts", Kind: metric.Histogram, Native: &metric.Native{Schema: -1}, Durable: true})
	id, n := parts.Series().ID(), parts.Desc().Native
	r.Apply([]record.Delta{{Series: id, Cell: n.CellOf(1), Add: 2.5}, {Series: id, Cell: n.CellOf(-300), Add: 0.5}, {Series: id, Cell: n.CellOf(0), Add: 1}})
	free := family(metric.Desc{Name: "free_total", Free: true})
	free.Series("env", "prod", "team", "a").Add(1)
	return r
}

// scraped is what Prometheus' parser makes of an exposition.
type scraped struct {
	values     map[string]float64
	histograms map[string]string
	types      map[string]string
	created    int
	exemplars  []string
}

func scrape(t *testing.T, r *metric.Registry, f metric.Format) scraped {
	t.Helper()
	p, err := textparse.New(r.AppendText(nil, f), f.ContentType(), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := scraped{values: map[string]float64{}, histograms: map[string]string{}, types: map[string]string{}}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		var ls labels.Labels
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			got.types[string(name)] = string(kind)
			continue
		case textparse.EntrySeries:
			p.Labels(&ls)
			_, _, v := p.Series()
			got.values[ls.WithoutEmpty().String()] = v
		case textparse.EntryHistogram:
			p.Labels(&ls)
			_, _, h, fh := p.Histogram()
			if h != nil {
				if err := h.Validate(); err != nil {
					t.Errorf("%s: %v", ls, err)
				}
				fh = h.ToFloat(nil)
			}
			got.histograms[ls.String()] = fmt.Sprint(fh.Schema, h != nil, fh.String())
		default:
			continue
		}
		if p.StartTimestamp() != 0 {
			got.created++
		}
		var e exemplar.Exemplar
		for p.Exemplar(&e) {
			got.exemplars = append(got.exemplars, fmt.Sprint(ls, e.Labels, e.Value, e.HasTs, e.Ts))
			e = exemplar.Exemplar{}
		}
		slices.Sort(got.exemplars)
	}
}

// TestProtoIsReadByPrometheus has its parser read the protobuf format, and the text formats of
// the same numbers.
func TestProtoIsReadByPrometheus(t *testing.T) {
	r := numbersOfAllKinds(t)
	proto, text := scrape(t, r, metric.Proto), scrape(t, r, metric.OpenMetrics)
	for series, v := range proto.values {
		if text.values[series] != v {
			t.Errorf("%s: %v in the protobuf format, %v in OpenMetrics", series, v, text.values[series])
		}
	}
	if len(proto.values) != 3+1+5+1 || len(text.values) != len(proto.values)+4*3 {
		t.Errorf("%d values in the protobuf format, %d in OpenMetrics:\n%v", len(proto.values), len(text.values), proto.values)
	}
	want := map[string]string{
		`{__name__="empty_seconds", machine="web-1"}`:           `3 true{count:0, sum:0}`,
		`{__name__="parts", machine="web-1"}`:                   `-1 false{count:4, sum:0, [-1024,-256):0.5, [-2.938735877055719e-39,2.938735877055719e-39]:1, (0.25,1]:2.5}`,
		`{__name__="rt_seconds", machine="web-1", path="/odd"}`: `3 true{count:4, sum:+Inf, [-1.0215211334214396e+10,-9.367390095664785e+09):1, [-3.0844216508158815,-2.82842712474619):1, (6.727171322029715,7.336032345637369]:1, (1.7976931348623157e+308,+Inf]:1}`,
	}
	for series, w := range want {
		if got := proto.histograms[series]; got != w {
			t.Errorf("%s: %s; want %s", series, got, w)
		}
	}
	if len(proto.histograms) != 4 || proto.types["rt_seconds"] != "histogram" || proto.types["hits_total"] != "counter" || proto.types["load"] != "gauge" {
		t.Errorf("%v %v", proto.histograms, proto.types)
	}
	if proto.created < 3+5+4 {
		t.Errorf("%d of them say when they began", proto.created)
	}
}

// TestNativeHistory writes native histograms to the history, and reads them, also after a
// kill. When their series ends, so do they.
func TestNativeHistory(t *testing.T) {
	w := openWorld(t, t.TempDir())
	f := w.family(metric.Desc{Name: "rt_seconds", Kind: metric.Histogram, Native: metric.NativeFactor(1.1), Labels: []string{"path"}})
	free := w.family(metric.Desc{Name: "free_total", Free: true}).Series("env", "prod", "team", "a")
	s := f.Series("/")
	var want []string
	round := func(seconds int) {
		for i := 1; i <= 100; i++ {
			s.Observe(float64(i*seconds) / 1000)
		}
		free.Add(1)
		w.take(seconds)
		var h native.Histogram
		s.ReadNative(&h)
		want = append(want, fmt.Sprint(h))
	}
	for i := range 20 {
		round(15 * i)
	}
	check := func(db *DB) {
		t.Helper()
		var got []string
		err := db.Read(t.Context(), math.MinInt64, math.MaxInt64, func(s *Series) {
			if s.Name() == "rt_seconds" {
				for _, h := range s.Histograms {
					got = append(got, fmt.Sprint(h.Value))
				}
			}
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: the history has\n%s\nwant\n%s", err, got, want)
		}
	}
	check(w.db)
	check(openWorld(t, killed(t, w.dir)).db)
	past, err := w.db.Growth(t.Context(), "rt_seconds", Steps{Until: w.clock.Add(time.Second), Each: 30 * time.Second, N: 3})
	if err != nil || len(past) != 1 || past[0].Steps[2] != 200 || past[0].Label("path") != "/" {
		t.Errorf("growth %v %v", past, err)
	}
	f.Drop(s)
	w.take(1000)
	var ended []bool
	if err := w.db.Read(t.Context(), math.MinInt64, math.MaxInt64, func(s *Series) {
		for _, h := range s.Histograms {
			ended = append(ended, value.IsStaleNaN(h.Value.Sum))
		}
	}); err != nil || len(ended) != 21 || !ended[20] || ended[19] {
		t.Errorf("%v: ends %v", err, ended)
	}
	w.has("free", `{__name__="free_total", env="prod", machine="web-1", team="a"}`+w.ends(t, "free"))
	if w.health.problem != "" || len(w.health.dropped) > 0 {
		t.Errorf("%q %v", w.health.problem, w.health.dropped)
	}
}

// ends returns the samples of the only series whose name begins with prefix.
func (w *world) ends(t *testing.T, prefix string) string {
	t.Helper()
	all := w.samples(prefix)
	if len(all) != 1 {
		t.Fatal(all)
	}
	_, samples, _ := strings.Cut(all[0], "}")
	return samples
}

// TestExemplars come into the history with the round after their commit, each once, and are
// there after a kill. Who reads round by round gets them with that round, however old they are.
func TestExemplars(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	w.db.o.Exemplars, w.db.arrivals.most = 100, 100
	w.open()
	add := func(s *metric.Series, cell uint32, seconds int) {
		e := metric.Exemplar{Series: s.ID(), Cell: cell, Value: 2, Time: start.Add(time.Duration(seconds) * time.Second).UnixMilli(), Labels: fmt.Sprintf("trace_id\xfft%d\xff", seconds)}
		w.reg.Exemplify(slices.Values([]metric.Exemplar{e}))
	}
	hits := w.family(metric.Desc{Name: "hits_total", Durable: true}).Series()
	size := w.family(metric.Desc{Name: "size", Kind: metric.Histogram, Buckets: []float64{1, 5}, Durable: true}).Series()
	f := w.family(metric.Desc{Name: "fine", Kind: metric.Histogram, Native: metric.NativeFactor(1.1), Durable: true})
	fine, n := f.Series(), f.Desc().Native
	add(hits, 0, 1)
	add(size, 1, 2)
	add(fine, n.CellOf(3), 7)
	add(fine, n.CellOf(30), 3)
	w.take(15)
	w.take(30)
	add(hits, 0, 16)
	add(hits, 0, 40)
	add(size, 2, 17)
	w.take(45)
	add(size, 1, 1) // older than the one before of its bucket
	w.take(60)
	want := []string{
		`{__name__="fine", machine="web-1"} t3 t7`,
		`{__name__="hits_total", machine="web-1"} t1 t40`,
		`{__name__="size_bucket", le="+Inf", machine="web-1"} t17`,
		`{__name__="size_bucket", le="5.0", machine="web-1"} t2`,
	}
	check := func(db *DB) {
		t.Helper()
		q, err := db.ExemplarQuerier(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found, err := q.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range found {
			line := r.SeriesLabels.String()
			for _, e := range r.Exemplars {
				line += " " + e.Labels.Get("trace_id")
			}
			got = append(got, line)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
	check(w.db)
	if w.health.dropped["exemplar"] != 1 {
		t.Errorf("%v", w.health.dropped)
	}
	brought := func(db *DB, from, until int) (all []string) {
		t.Helper()
		ms := func(seconds int) int64 { return start.Add(time.Duration(seconds) * time.Second).UnixMilli() }
		if err := db.Read(t.Context(), ms(from), ms(until), func(s *Series) {
			for _, e := range s.Exemplars {
				all = append(all, s.Name()+" "+e.Labels[0].Value)
			}
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := brought(w.db, 16, 45); !slices.Equal(got, []string{"hits_total t40", "size_bucket t17"}) {
		t.Errorf("%q", got)
	}
	if got := brought(w.db, 0, 15); len(got) != 4 {
		t.Errorf("%q", got)
	}
	killed := newWorld(t, killed(t, dir))
	killed.db.o.Exemplars, killed.db.arrivals.most = 100, 100
	killed.open()
	check(killed.db)
	if got := brought(killed.db, 16, 45); !slices.Equal(got, []string{"hits_total t40", "size_bucket t17"}) {
		t.Errorf("after a kill %q", got)
	}
	if _, err := (&DB{}).ExemplarQuerier(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestArrivals keeps the latest.
func TestArrivals(t *testing.T) {
	a := arrivals{most: 3}
	set := labels.FromStrings("a", "b")
	for i := range int64(8) {
		a.add(arrival{at: i, series: set, exemplar: exemplar.Exemplar{Ts: i}})
	}
	got := a.between(0, 100)[set.Hash()]
	if len(got) != 3 || got[0].Time != 5 || got[2].Time != 7 {
		t.Errorf("%+v", got)
	}
	if got := a.between(6, 6)[set.Hash()]; len(got) != 1 || got[0].Time != 6 {
		t.Errorf("%+v", got)
	}
	a = arrivals{}
	a.add(arrival{})
	if a.between(0, 1) != nil {
		t.Error("kept without room")
	}
}
