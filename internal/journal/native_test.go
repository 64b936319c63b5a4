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

// TestExemplarsFollowTheCommit: an exemplar is shown once the commit of what it stands for is
// synced, the latest of each cell, and is gone after a crash.
func TestExemplarsFollowTheCommit(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	s := w.lines.Series("a")
	write := func(id string, ms int64) {
		t.Helper()
		b := &record.Batch{Deltas: []record.Delta{{Series: s.ID(), Add: 1}}}
		labels := b.Append([]byte("trace_id" + record.LabelEnd + id + record.LabelEnd))
		b.Exemplars = append(b.Exemplars, record.Exemplar{Series: s.ID(), Value: 1, Time: ms * 1e6, Labels: labels})
		if err := w.journal.Input(inputOf("a")).Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		clear(b.Arena) // the batch is used again
	}
	shown := func() string {
		all := ""
		for _, e := range w.lines.Series("a").Exemplars() {
			for name, value := range e.AllLabels() {
				all += fmt.Sprint(name, "=", value, "@", e.Time)
			}
		}
		return all
	}
	write("one", 1)
	w.write()
	write("two", 2)
	fs.FailWith(func(op string) error {
		if op == "sync" {
			return fmt.Errorf("the disk fails")
		}
		return nil
	})
	if err := w.sync(); err == nil || shown() != "" {
		t.Errorf("before the sync: %v, %q", err, shown())
	}
	fs.FailWith(nil)
	if err := w.sync(); err != nil || shown() != "trace_id=two@2" || s.Value() != 2 {
		t.Errorf("%v, %q, %v", err, shown(), s.Value())
	}
	fs.Crash(func(int, int) int { return 0 })
	if w = open(t, &fs); shown() != "" || w.lines.Series("a").Value() != 2 {
		t.Errorf("after a crash: %q", shown())
	}
}
