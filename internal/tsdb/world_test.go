package tsdb

import (
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// start is when the world of a test begins.
var start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// health notes what a database says of itself.
type health struct {
	mu      sync.Mutex
	problem string
	remedy  string
	dropped map[string]int
}

func (h *health) Degraded(problem, remedy string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problem, h.remedy = problem, remedy
}

func (h *health) Healthy() { h.Degraded("", "") }

func (h *health) Dropped(reason string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped[reason] += n
}

func (h *health) problemNow() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.problem
}

// world is a registry with its history.
type world struct {
	t      *testing.T
	dir    string
	reg    *metric.Registry
	health *health
	db     *DB
	clock  time.Time // of the newest round that was taken
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t, dir: dir, reg: metric.New(record.Label{Name: "machine", Value: "web-1"}), health: &health{dropped: map[string]int{}}}
	var err error
	w.db, err = New(Options{Dir: dir, Registry: w.reg, Health: w.health, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.clock = start.Add(48 * time.Hour)
	w.db.settled = func() bool { return true }
	w.db.now = func() time.Time { return w.clock }
	return w
}

// openWorld returns a world whose database is open until the test ends.
func openWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := newWorld(t, dir)
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	if err := w.db.open(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.db.close() })
}

func (w *world) family(d metric.Desc) *metric.Family {
	w.t.Helper()
	f, err := w.reg.Family(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// take takes a round so many seconds after the start.
func (w *world) take(seconds int) {
	w.clock = start.Add(time.Duration(seconds) * time.Second)
	w.db.take(w.t.Context(), w.clock)
}

// has checks the samples of the series whose names begin with prefix, each written as its
// labels and then second:value pairs; the end of a series is "end".
func (w *world) has(prefix string, want ...string) {
	w.t.Helper()
	got := w.samples(prefix)
	if !slices.Equal(got, want) {
		w.t.Errorf("the history has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (w *world) samples(prefix string) []string {
	w.t.Helper()
	q, err := w.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	byName := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, prefix+".*")
	set := q.Select(w.t.Context(), true, nil, byName)
	all := map[string]string{}
	for set.Next() {
		series := set.At()
		var text []byte
		it := series.Iterator(nil)
		for it.Next() != 0 {
			ts, v := it.At()
			text = append(text, ' ')
			text = metric.AppendValue(text, float64(ts-start.UnixMilli())/1000)
			text = append(text, ':')
			if value.IsStaleNaN(v) {
				text = append(text, "end"...)
			} else {
				text = metric.AppendValue(text, v)
			}
		}
		if it.Err() != nil {
			w.t.Fatal(it.Err())
		}
		all[series.Labels().String()] = string(text)
	}
	if set.Err() != nil {
		w.t.Fatal(set.Err())
	}
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, key+all[key])
	}
	return lines
}

// killed returns a copy of a database's folder as it is now, which is what a process that
// was killed leaves.
func killed(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "tsdb")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}
