package metric

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestNames has names and subjects in each relation: both are what they were given, in order and found.
func TestNames(t *testing.T) {
	r := New()
	var want []string
	for _, d := range []Desc{
		{Name: "app_hits_total", Subject: "app.hits"},
		{Name: "app_hits", Subject: "app.hits", Kind: Gauge},
		{Name: "app_hit_s", Subject: "app-hit.s", Kind: Gauge},
		{Name: "app:hits", Subject: "app:hits", Kind: Gauge},
		{Name: "a_b", Subject: "a:b", Kind: Gauge},
		{Name: "a_b_c", Subject: "a\u00e9", Kind: Gauge},
		{Name: "a__", Subject: "a\u00e9", Kind: Gauge},
		{Name: "_1st", Subject: "1st", Kind: Gauge},
		{Name: "app", Subject: "app.hits", Kind: Gauge},
		{Name: "other", Subject: "app", Kind: Gauge},
		{Name: "plain", Kind: Gauge},
		{Name: strings.Repeat("n", 300), Subject: strings.Repeat("n", 300), Kind: Gauge},
	} {
		f, err := r.Family(d)
		if err != nil {
			t.Fatal(err)
		}
		f.Series().Set(1)
		if f.Name() != d.Name || f.Subject() != d.Subject || string(f.AppendName([]byte("x"))) != "x"+d.Name {
			t.Errorf("%q, of %q: got %q, of %q", d.Name, d.Subject, f.Name(), f.Subject())
		}
		if again, err := r.Family(d); err != nil || again != f || r.Named(d.Name) != f {
			t.Errorf("%q is not found again: %v", d.Name, err)
		}
		want = append(want, d.Name)
	}
	slices.Sort(want)
	var got []string
	r.Each(func(f *Family, _ *Series) bool { got = append(got, f.Name()); return true })
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, a := range r.order {
		for _, b := range r.order {
			if got, want := compareNames(a, b), cmp.Compare(a.Name(), b.Name()); got != want {
				t.Errorf("%q and %q compare as %d, want %d", a.Name(), b.Name(), got, want)
			}
		}
	}
}

// TestNamesCostNothing finds and shows a family named after its subject without allocating.
func TestNamesCostNothing(t *testing.T) {
	r := New()
	for _, subject := range []string{"app.hits", "app.misses", "app.a.name.of.usual.length.or.somewhat.more.than.that"} {
		if _, err := r.Family(Desc{Name: metricName(subject) + "_total", Help: "StatsD counter", Subject: subject, Free: true, Durable: true, Owner: "o"}); err != nil {
			t.Fatal(err)
		}
	}
	r.order[0].Series()
	text := r.AppendText(nil, Text)
	allocs := testing.AllocsPerRun(100, func() {
		if r.Named("app_misses_total") == nil {
			t.Fatal("not found")
		}
		text = r.AppendText(text[:0], Text)
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func metricName(subject string) string { return strings.ReplaceAll(subject, ".", "_") }

// TestFamilyIsSmall notices when families, of which there may be hundreds of thousands, no longer fit
// in the memory that Go gives to what has up to 80 bytes; the next is 96.
func TestFamilyIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Family{}); n > 80 {
		t.Errorf("a family has %d bytes", n)
	}
}
