package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// read returns what Read visits, as text, of the series whose names begin with prefix.
func (w *world) read(prefix string, from, until int) (lines []string) {
	w.t.Helper()
	ms := func(seconds int) int64 { return start.Add(time.Duration(seconds) * time.Second).UnixMilli() }
	err := w.db.Read(w.t.Context(), ms(from), ms(until), func(s *Series) {
		if !strings.HasPrefix(s.Name(), prefix) {
			return
		}
		line := fmt.Sprint(s.Labels)
		for _, x := range s.Samples {
			if math.IsNaN(x.Value) {
				line += fmt.Sprintf(" %d:%#x", (x.Time-start.UnixMilli())/1000, math.Float64bits(x.Value))
				continue
			}
			line += fmt.Sprintf(" %d:%v", (x.Time-start.UnixMilli())/1000, x.Value)
		}
		lines = append(lines, line)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

// TestRead reads ranges of time, over blocks and what is not in one yet, ended series among
// them.
func TestRead(t *testing.T) {
	w := openWorld(t, t.TempDir())
	hits := w.family(metric.Desc{Name: "hits_total", Kind: metric.Counter, Labels: []string{"path"}})
	a, b := hits.Series("/a"), hits.Series("/b")
	w.take(0)
	a.Add(1)
	w.take(15)
	hits.Drop(b)
	a.Add(1)
	w.take(30)
	w.take(4 * 3600)
	if err := w.db.compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(from, until int, want ...string) {
		t.Helper()
		if got := w.read("hits", from, until); !slices.Equal(got, want) {
			t.Errorf("from %d until %d: %q\nwant %q", from, until, got, want)
		}
	}
	const setA, setB = "[{__name__ hits_total} {machine web-1} {path /a}]", "[{__name__ hits_total} {machine web-1} {path /b}]"
	check(0, 15, setA+" 0:0 15:1", setB+" 0:0 15:0")
	check(1, 30, setA+" 15:1 30:2", setB+" 15:0 30:0x7ff0000000000002")
	check(30, 5*3600, setA+" 30:2 14400:2", setB+" 30:0x7ff0000000000002")
	check(31, 100)
	if oldest, n, err := w.db.Extent(); err != nil || oldest != start.UnixMilli() || n == 0 {
		t.Errorf("Extent() = %d, %d, %v", oldest, n, err)
	}
}

// TestReadSaysWhenCountersBegan has the time of counters that the registry has, and of no
// others.
func TestReadSaysWhenCountersBegan(t *testing.T) {
	w := openWorld(t, t.TempDir())
	counters := w.family(metric.Desc{Name: "hits_total", Kind: metric.Counter, Labels: []string{"path"}})
	gauge := w.family(metric.Desc{Name: "heat", Kind: metric.Gauge}).Series()
	gone := counters.Series("/gone")
	stays := counters.Series("/stays")
	gauge.Set(1)
	w.take(0)
	counters.Drop(gone)
	w.take(15)
	want := map[string]int64{"/gone": 0, "/stays": stays.Created().UnixMilli(), "heat": 0}
	err := w.db.Read(t.Context(), start.UnixMilli(), start.UnixMilli()+15000, func(s *Series) {
		key := s.Name()
		if key == "hits_total" {
			key = s.Labels[len(s.Labels)-1].Value
		}
		if created, ok := want[key]; ok && s.Created != created {
			t.Errorf("%s began at %d; want %d", key, s.Created, created)
		}
		delete(want, key)
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%v, not seen: %v", err, want)
	}
}

// TestDescribe has a histogram under each of its names.
func TestDescribe(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.family(metric.Desc{Name: "took", Help: "Time.", Kind: metric.Histogram, Buckets: []float64{1}}).Series()
	all := w.db.Describe()
	for _, name := range []string{"took_bucket", "took_sum", "took_count"} {
		if all[name].Help != "Time." || all[name].Kind != metric.Histogram {
			t.Errorf("%s: %+v", name, all[name])
		}
	}
	if _, ok := all["took"]; ok {
		t.Error("a histogram has no samples under its own name")
	}
}

// TestAwait waits for the next round, for the database to open, and no longer than asked.
func TestAwait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		type answer struct {
			newest int64
			err    error
		}
		next := func(last int64) <-chan answer {
			told := make(chan answer, 1)
			go func() {
				newest, err := w.db.Await(ctx, last)
				told <- answer{newest, err}
			}()
			synctest.Wait()
			return told
		}
		if _, _, err := w.db.Extent(); !errors.Is(err, ErrNotReady) {
			t.Errorf("a closed database: %v", err)
		}
		first := next(math.MinInt64)
		if len(first) > 0 {
			t.Fatal("answered before there is anything")
		}
		if err := w.db.open(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.db.close()
		w.take(0)
		at := start.UnixMilli()
		if got := <-first; got != (answer{at, nil}) {
			t.Errorf("the first round: %v", got)
		}
		if got := <-next(at - 1); got != (answer{at, nil}) {
			t.Errorf("a round that is there: %v", got)
		}
		second := next(at)
		w.take(15)
		if got := <-second; got != (answer{at + 15000, nil}) {
			t.Errorf("the second round: %v", got)
		}
		if got := <-next(at + 15000); !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("no further round: %v", got)
		}
	})
}

// TestFreeLabels: series that have labels of their own, as StatsD's have.
func TestFreeLabels(t *testing.T) {
	w := openWorld(t, t.TempDir())
	hits := w.family(metric.Desc{Name: "hits_total", Kind: metric.Counter, Free: true})
	hits.Series().Add(1)
	hits.Series("code", "200", "env", "prod").Add(2)
	w.take(0)
	const name = "[{__name__ hits_total} "
	want := []string{name + "{code 200} {env prod} {machine web-1}] 0:2", name + "{machine web-1}] 0:1"}
	got := w.read("hits_total", 0, 0)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
