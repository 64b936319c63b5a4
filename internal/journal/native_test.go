package journal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestNativeComesBack kills a journal after each sync: what comes back is the histogram that was
// shown, to the last bucket, out of the snapshot of a generation and what was added since, while
// buckets become wider.
func TestNativeComesBack(t *testing.T) {
	var fs disk.Faulty
	rnd := rand.New(rand.NewPCG(1, 2))
	desc := metric.Desc{Name: "rt", Kind: metric.Histogram, Native: &metric.Native{Schema: 5, MaxBuckets: 40}, Durable: true, Owner: "test"}
	series := func(w *world) *metric.Series {
		t.Helper()
		f, err := w.reg.Family(desc)
		if err != nil {
			t.Fatal(err)
		}
		return f.Series()
	}
	text := func(s *metric.Series) string {
		var h native.Histogram
		s.ReadNative(&h)
		return fmt.Sprint(h)
	}
	w := open(t, &fs)
	s := series(w)
	for i := range 150 {
		b := new(record.Batch)
		var tally metric.Tally
		for range 5 {
			v := math.Exp(rnd.NormFloat64() * float64(i) / 20)
			tally.Add(desc.Native.CellOf(v), 1)
			b.Deltas = append(b.Deltas, record.Delta{Series: s.ID(), Cell: desc.SumCell(), Add: v})
		}
		b.Deltas = tally.AppendTo(b.Deltas, s)
		before := text(s)
		if err := w.journal.Input(inputOf("a")).Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if text(s) != before {
			t.Fatal("it is ahead of the commit")
		}
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		shown := text(s)
		if i%3 > 0 {
			continue
		}
		fs.Crash(func(int, int) int { return 0 })
		w = open(t, &fs)
		s = series(w)
		if got := text(s); got != shown {
			t.Fatalf("round %d: after a crash it is\n%s\nit was\n%s", i, got, shown)
		}
	}
	if s.Count() != 750 {
		t.Errorf("%v values", s.Count())
	}
}
