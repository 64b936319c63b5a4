package tsdb

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/weirlog/weir/internal/metric"
)

// readAll reads every sample, and returns how many there are.
func readAll(t *testing.T, q storage.Querier) (n int, err error) {
	t.Helper()
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "g"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != 0 {
			n++
		}
		err = errors.Join(err, it.Err())
	}
	return n, errors.Join(err, set.Err())
}

// TestDamagedChunks: what is damaged where nobody looks at the start is found when a query
// meets it, set aside in the next round, and not there any more for the queries after it.
func TestDamagedChunks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tsdb")
	w := openWorld(t, dir)
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.fillHours(10)
	blocks := w.db.db.Blocks()
	if len(blocks) < 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	victim := blocks[0].Dir()
	if err := w.db.close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(victim, "chunks", "000001")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 20; i < len(b); i++ {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	count := func() (int, error) {
		q, err := w.db.Querier(math.MinInt64, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		return readAll(t, q)
	}
	if _, err := count(); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Fatalf("a damaged block: %v", err)
	}
	select {
	case <-w.db.doubts: // which maintain waits for
	default:
		t.Fatal("nobody looks for the damage")
	}
	w.db.examine(t.Context())
	w.take(10 * 3600)
	if n, err := count(); n == 0 || n >= 600 || err != nil {
		t.Errorf("%d samples, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir+damagedSuffix, filepath.Base(victim))); err != nil || w.health.dropped["damaged block"] != 1 || w.health.dropped["round"] != 0 {
		t.Errorf("set aside: %v, dropped %v", err, w.health.dropped)
	}
	w.db.examine(t.Context())
	if w.db.broken.Load() != nil {
		t.Error("a good block is said to be broken")
	}
}

// TestClockThatWasAhead: what was written while the clock was a month ahead is set aside when
// it is right again, at the start and while weir runs, and takes nothing else with it.
func TestClockThatWasAhead(t *testing.T) {
	const month = 30 * 24 * 3600
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		for part, ahead := range map[string]int{"log": 10, "blocks": 8 * 60} {
			dir := filepath.Join(t.TempDir(), "tsdb")
			w := newWorld(t, dir)
			w.db.o.Age = 365 * 24 * time.Hour // else the good blocks go while the clock is wrong
			w.open()
			w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
			w.fillHours(5)
			for m := range ahead {
				w.take(month + 60*m)
				if m%60 == 59 {
					if err := w.db.compact(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if restart {
				if err := w.db.close(); err != nil {
					t.Fatal(err)
				}
				w.clock = start.Add(5*time.Hour + time.Minute)
				w.open()
			}
			w.take(5*3600 + 60)
			w.take(5*3600 + 120)
			if p := w.health.problemNow(); p != "" || w.health.dropped["round"]+w.health.dropped["sample"] != 0 || w.health.dropped["ahead of the clock"] == 0 {
				t.Errorf("%s, %s: degraded: %q, dropped: %v", name, part, p, w.health.dropped)
			}
			text := w.samples("g")[0]
			if n := strings.Count(text, ":1"); n != 302 || !strings.HasSuffix(text, " 17940:1 18060:1 18120:1") {
				t.Errorf("%s, %s: %d samples: %.100s … %s", name, part, n, text, text[max(0, len(text)-100):])
			}
			kept, next := start.Add(299*time.Minute).UnixMilli(), start.Add(301*time.Minute).UnixMilli()
			if at, err := w.db.Await(t.Context(), start.Add(month*time.Second).UnixMilli()); err != nil || at < kept || at >= next {
				t.Errorf("%s, %s: one who waits since then is told %s, %v", name, part, time.UnixMilli(at), err)
			}
			if found, err := os.ReadDir(dir + aheadSuffix); err != nil || len(found) != w.health.dropped["ahead of the clock"] {
				t.Errorf("%s, %s: set aside %v, %v", name, part, found, err)
			}
			after := openWorld(t, killed(t, dir))
			after.clock = w.clock
			if again := after.samples("g"); len(again) != 1 || again[0] != text {
				t.Errorf("%s, %s: after a kill the history has %.300s", name, part, again)
			}
		}
	}
}

// TestClockThatIsBehind: where all there is seems to be of times to come, the clock may be
// what is wrong: nothing is set aside.
func TestClockThatIsBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tsdb")
	w := openWorld(t, dir)
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.fillHours(10)
	if err := w.db.close(); err != nil {
		t.Fatal(err)
	}
	w.clock = time.Unix(0, 0)
	w.open()
	w.db.take(t.Context(), w.clock)
	if p := w.health.problemNow(); !strings.Contains(p, "clock") || w.health.dropped["ahead of the clock"] != 0 {
		t.Errorf("degraded: %q, dropped: %v", p, w.health.dropped)
	}
	w.take(10 * 3600)
	if text := w.samples("g")[0]; strings.Count(text, ":1") != 601 {
		t.Errorf("%d samples", strings.Count(text, ":1"))
	}
}

// TestClockThatSettles: while a machine that has just started may have a wrong clock, nothing
// is set aside, and nothing is too old; what is ahead then goes when the clock is still so.
func TestClockThatSettles(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "tsdb"))
	settled := true
	w.db.settled = func() bool { return settled }
	w.db.o.Age = 365 * 24 * time.Hour
	w.open()
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.fillHours(10)
	w.db.o.Age = time.Hour
	blocks := len(w.db.db.Blocks())
	restart := func(seconds int) {
		t.Helper()
		if err := w.db.close(); err != nil {
			t.Fatal(err)
		}
		w.clock = start.Add(time.Duration(seconds) * time.Second)
		w.open()
		w.take(seconds)
	}
	settled = false
	restart(3600)
	if p := w.health.problemNow(); !strings.Contains(p, "clock") || w.health.dropped["ahead of the clock"] != 0 || len(w.db.db.Blocks()) != blocks {
		t.Errorf("degraded: %q, dropped: %v, %d blocks of %d", p, w.health.dropped, len(w.db.db.Blocks()), blocks)
	}
	w.take(10 * 3600) // the clock is right now
	if p := w.health.problemNow(); p != "" || strings.Count(w.samples("g")[0], ":1") != 601 {
		t.Errorf("degraded: %q, dropped: %v", p, w.health.dropped)
	}
	settled = true
	w.take(10*3600 + 60)
	if w.db.hasty || len(w.db.db.Blocks()) >= blocks {
		t.Errorf("%d blocks: nothing is too old", len(w.db.db.Blocks()))
	}
	settled = false
	restart(6*3600 + 1800)
	settled = true
	w.take(6*3600 + 1860) // it was right before
	if p := w.health.problemNow(); p != "" || w.health.dropped["ahead of the clock"] == 0 {
		t.Errorf("degraded: %q, dropped: %v", p, w.health.dropped)
	}
}

// TestQueriesEndForClose: a query does not keep the database from being closed for long, and
// no query waits for that.
func TestQueriesEndForClose(t *testing.T) {
	w := openWorld(t, t.TempDir())
	f := w.family(metric.Desc{Name: "g", Kind: metric.Gauge, Labels: []string{"a"}})
	f.Series("1").Set(1)
	f.Series("2").Set(2)
	w.take(0)
	w.take(15)
	q, err := w.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "g"))
	if !set.Next() {
		t.Fatal(set.Err())
	}
	it := set.At().Iterator(nil)
	if it.Next() == 0 {
		t.Fatal(it.Err())
	}
	closed := make(chan error)
	go func() { closed <- w.db.close() }()
	for !w.db.closing.Load() {
		<-time.After(time.Millisecond)
	}
	if _, err := w.db.Querier(0, 1); !errors.Is(err, ErrNotReady) {
		t.Errorf("while it is being closed: %v", err)
	}
	if it.Next() != 0 || !errors.Is(it.Err(), ErrNotReady) {
		t.Errorf("the rest of a series: %v", it.Err())
	}
	if it = set.At().Iterator(it); it.Next() != 0 || !errors.Is(it.Err(), ErrNotReady) {
		t.Errorf("samples: %v", it.Err())
	}
	if set.Next() || !errors.Is(set.Err(), ErrNotReady) {
		t.Errorf("series: %v", set.Err())
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if len(w.db.doubts) != 0 {
		t.Error("blocks are looked at because a query was ended")
	}
}
