package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/weirlog/weir/internal/metric"
)

func TestSamplesAreWhatMetricsShows(t *testing.T) {
	w := openWorld(t, t.TempDir())
	hits := w.family(metric.Desc{Name: "hits_total", Labels: []string{"status", "path"}, MaxSeries: 2})
	hits.Series("200", "/").Add(3)
	hits.Series("404", "").Add(1)
	hits.Series("500", "/beyond").Add(7)
	w.family(metric.Desc{Name: "temperature", Kind: metric.Gauge}).Series().Set(-0.5)
	free := w.family(metric.Desc{Name: "free_total", Free: true})
	free.Series("env", "prod", "path", "/").Add(2)
	free.Series().Add(1)
	rt := w.family(metric.Desc{Name: "rt_seconds", Kind: metric.Histogram, Buckets: []float64{0.1, 1}}).Series()
	rt.Observe(0.05)
	rt.Observe(0.5)
	rt.Observe(50)
	w.take(0)
	hits.Series("200", "/").Add(1)
	w.take(15)
	w.has("hits", // an empty label is an absent one
		`{__name__="hits_total", machine="web-1", overflow="true"} 0:7 15:7`,
		`{__name__="hits_total", machine="web-1", path="/", status="200"} 0:3 15:4`,
		`{__name__="hits_total", machine="web-1", status="404"} 0:1 15:1`)
	w.has("temp", `{__name__="temperature", machine="web-1"} 0:-0.5 15:-0.5`)
	w.has("free",
		`{__name__="free_total", env="prod", machine="web-1", path="/"} 0:2 15:2`,
		`{__name__="free_total", machine="web-1"} 0:1 15:1`)
	w.has("rt_", // limits are written as OpenMetrics writes them
		`{__name__="rt_seconds_bucket", le="+Inf", machine="web-1"} 0:3 15:3`,
		`{__name__="rt_seconds_bucket", le="0.1", machine="web-1"} 0:1 15:1`,
		`{__name__="rt_seconds_bucket", le="1.0", machine="web-1"} 0:2 15:2`,
		`{__name__="rt_seconds_count", machine="web-1"} 0:3 15:3`,
		`{__name__="rt_seconds_sum", machine="web-1"} 0:50.55 15:50.55`)
}

// TestSeriesEnd: a series that the registry no longer has gets its end at once, and one that
// went and came back between two rounds gets none.
func TestSeriesEnd(t *testing.T) {
	w := openWorld(t, t.TempDir())
	idle := w.family(metric.Desc{Name: "idle", Kind: metric.Gauge, Labels: []string{"a"}, Idle: time.Minute})
	idle.Series("1").Set(1)
	idle.Series("2").Set(2)
	w.take(0)
	w.reg.Expire(time.Now().Add(time.Hour))
	idle.Series("2").Set(3)
	w.take(15)
	w.take(30)
	idle.Series("1").Set(4)
	w.take(45)
	w.reg.Forget("idle")
	w.take(60)
	w.has("idle",
		`{__name__="idle", a="1", machine="web-1"} 0:1 15:end 45:4 60:end`,
		`{__name__="idle", a="2", machine="web-1"} 0:2 15:3 30:3 45:3 60:end`)
	if w.health.problemNow() != "" || len(w.health.dropped) > 0 {
		t.Errorf("degraded: %q, dropped: %v", w.health.problem, w.health.dropped)
	}
}

// TestKilled: what was taken is there for the next process, however the one before ended.
func TestKilled(t *testing.T) {
	w := openWorld(t, t.TempDir())
	hits := w.family(metric.Desc{Name: "hits_total"}).Series()
	for i := range 3 {
		hits.Add(1)
		w.take(15 * i)
	}
	next := openWorld(t, killed(t, w.dir))
	next.family(metric.Desc{Name: "hits_total"}).Series().Add(10)
	next.take(60)
	next.has("hits", `{__name__="hits_total", machine="web-1"} 0:1 15:2 30:3 60:10`)
	if err := next.db.close(); err != nil {
		t.Fatal(err)
	}
	next.open()
	next.has("hits", `{__name__="hits_total", machine="web-1"} 0:1 15:2 30:3 60:10`)
}

// TestTornLog: a log that ends in the middle of a record, or has a damaged one, is read up
// to there, and goes on.
func TestTornLog(t *testing.T) {
	w := openWorld(t, t.TempDir())
	w.family(metric.Desc{Name: "hits_total"}).Series().Add(1)
	for i := range 10 {
		w.take(15 * i)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"cut off": func(b []byte) []byte { return b[:len(b)-3] },
		"flipped": func(b []byte) []byte { b[len(b)-3] ^= 0x10; return b },
		"zeroes":  func(b []byte) []byte { clear(b[len(b)-20:]); return b },
		"empty":   func([]byte) []byte { return nil },
	} {
		dir := killed(t, w.dir)
		log := filepath.Join(dir, "wal", "00000000")
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(log, spoil(b), 0o600); err != nil {
			t.Fatal(err)
		}
		next := openWorld(t, dir)
		next.family(metric.Desc{Name: "hits_total"}).Series().Add(5)
		next.take(300)
		again := openWorld(t, killed(t, dir))
		lines := again.samples("hits")
		if len(lines) != 1 || !strings.HasSuffix(lines[0], " 300:5") || name != "empty" && !strings.Contains(lines[0], " 0:1 15:1") {
			t.Errorf("%s: the history has %q", name, lines)
		}
	}
}

// fillHours takes a round a minute, and makes what blocks are due.
func (w *world) fillHours(hours int) {
	w.t.Helper()
	for m := range hours * 60 {
		w.take(60 * m)
		if m%60 == 59 {
			if err := w.db.compact(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func TestAgeIsBounded(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.db.o.Age = 6 * time.Hour
	w.open()
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.fillHours(24)
	oldest := int64(math.MaxInt64)
	for _, b := range w.db.db.Blocks() {
		oldest = min(oldest, b.MinTime())
	}
	age := start.Add(24 * time.Hour).Sub(time.UnixMilli(oldest))
	if age < 6*time.Hour || age > 11*time.Hour { // the bound, the newest two hours to three, and a block
		t.Errorf("the oldest block begins %s ago", age)
	}
}

func TestSizeIsBounded(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.db.o.Size = 200 << 10
	w.open()
	f := w.family(metric.Desc{Name: "g", Kind: metric.Gauge, Labels: []string{"a"}})
	for i := range 20 {
		f.Series(fmt.Sprint(i)).Set(math.Sqrt(float64(i)))
	}
	w.fillHours(30)
	var bytes int64
	for _, b := range w.db.db.Blocks() {
		bytes += b.Size()
	}
	if n := len(w.db.db.Blocks()); n == 0 || n > 10 || bytes > w.db.o.Size {
		t.Errorf("%d blocks of %d bytes", n, bytes)
	}
}

// TestDamagedBlock: a block that cannot be read is set aside, and the rest goes on.
func TestDamagedBlock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tsdb")
	w := openWorld(t, dir)
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.fillHours(10)
	whole := len(w.samples("g")[0])
	blocks := w.db.db.Blocks()
	if len(blocks) < 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	victim := blocks[0].Dir()
	if err := w.db.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(victim, "index"), 10); err != nil {
		t.Fatal(err)
	}
	w.open()
	if now := len(w.samples("g")[0]); now == 0 || now >= whole {
		t.Errorf("%d bytes of samples of %d", now, whole)
	}
	if _, err := os.Stat(filepath.Join(dir+damagedSuffix, filepath.Base(victim))); err != nil || w.health.dropped["damaged block"] != 1 {
		t.Errorf("set aside: %v, dropped %v", err, w.health.dropped)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	w := openWorld(t, t.TempDir())
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.take(0)
	w.take(15)
	w.take(5)
	if p := w.health.problemNow(); !strings.Contains(p, "clock") || w.health.dropped["round"] != 1 {
		t.Errorf("degraded: %q, dropped: %v", p, w.health.dropped)
	}
	w.take(30)
	if p := w.health.problemNow(); p != "" {
		t.Errorf("still degraded: %s", p)
	}
	w.has("g", `{__name__="g", machine="web-1"} 0:1 15:1 30:1`)
}

// TestFullDisk: rounds that do not fit are dropped and counted, what was written before can
// be asked for meanwhile, and once there is room the history goes on, also over a kill.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIP: no tmpfs can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	w := openWorld(t, filepath.Join(dir, "tsdb"))
	f := w.family(metric.Desc{Name: "g", Kind: metric.Gauge, Labels: []string{"a"}})
	f.Series("first").Set(1)
	w.take(0)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	n := 0
	for ; w.health.problemNow() == "" && n < 2000; n++ { // until the last page is full as well
		f.Series(fmt.Sprintf("meanwhile %d %s", n, strings.Repeat("x", 500))).Set(2)
		w.take(15 + n)
	}
	if p := w.health.problemNow(); !strings.Contains(p, "no space left") || !strings.Contains(w.health.remedy, "make room") {
		t.Errorf("degraded: %q, remedy: %q", p, w.health.remedy)
	}
	for i := range 5 {
		w.take(15 + n + i)
	}
	if w.health.dropped["round"] < 6 {
		t.Errorf("dropped: %v", w.health.dropped)
	}
	if lines := w.samples("g"); len(lines) == 0 || !strings.Contains(strings.Join(lines, "\n"), `a="first", machine="web-1"} 0:1`) {
		t.Errorf("while the disk is full the history has %q", lines)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.reg.Forget("g")
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge, Labels: []string{"a"}}).Series("after").Set(3)
	w.take(4000)
	w.take(4015)
	if p := w.health.problemNow(); p != "" {
		t.Errorf("still degraded: %s", p)
	}
	next := openWorld(t, killed(t, w.dir))
	lines := strings.Join(next.samples("g"), "\n")
	if !strings.Contains(lines, `a="first", machine="web-1"} 0:1`) || !strings.Contains(lines, `{__name__="g", a="after", machine="web-1"} 4000:3 4015:3`) {
		t.Errorf("after a kill the history has\n%s", lines)
	}
	next.take(5000)
	if p := next.health.problemNow(); p != "" {
		t.Errorf("after a kill: %s", p)
	}
}

// TestRun: it opens, takes a round at once and one at the end, and closes.
func TestRun(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "tsdb"))
	hits := w.family(metric.Desc{Name: "hits_total"}).Series()
	hits.Add(1)
	if _, err := w.db.Querier(0, 1); !errors.Is(err, ErrNotReady) {
		t.Errorf("before it is open: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.db.o.Interval = time.Hour
	ended := make(chan error)
	go func() { ended <- w.db.Run(ctx) }()
	for w.db.numbers.samples.Value() < 1 {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	hits.Add(41)
	<-time.After(2 * time.Millisecond) // a time has one sample
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.open()
	if lines := w.samples("hits"); len(lines) != 1 || !strings.HasSuffix(lines[0], ":42") {
		t.Errorf("the history has %q", lines)
	}
}

// TestOpenFails: weir goes on without a history that cannot be opened, and says so.
func TestOpenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tsdb")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.db.Run(ctx) }()
	for w.health.problemNow() == "" {
		<-time.After(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRoundDoesNotAllocatePerSeries: a round of series that are known costs no memory each.
func TestRoundDoesNotAllocatePerSeries(t *testing.T) {
	w := openWorld(t, t.TempDir())
	f := w.family(metric.Desc{Name: "g", Kind: metric.Gauge, Labels: []string{"a"}, MaxSeries: 10000})
	for i := range 5000 {
		f.Series(fmt.Sprint(i)).Set(float64(i))
	}
	second := 0
	round := func() { w.take(second); second += 15 }
	round()
	round()
	if n := testing.AllocsPerRun(10, round); n > 1000 {
		t.Errorf("%v allocations for 5,000 series", n)
	}
}

// TestQueriesWhileItIsReadAgain: a query that runs keeps the database open until it notices
// that it shall end, and those that come while it is closed are told so.
func TestQueriesWhileItIsReadAgain(t *testing.T) {
	w := openWorld(t, t.TempDir())
	w.family(metric.Desc{Name: "g", Kind: metric.Gauge}).Series().Set(1)
	w.take(0)
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 3 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				q, err := w.db.Querier(math.MinInt64, math.MaxInt64)
				if errors.Is(err, ErrNotReady) {
					continue
				}
				set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "g"))
				for set.Next() {
					for it := set.At().Iterator(nil); it.Next() != 0; {
					}
				}
				if err := errors.Join(set.Err(), q.Close()); err != nil && !errors.Is(err, ErrNotReady) {
					t.Error(err)
				}
			}
		})
	}
	for i := range 8 {
		w.db.feed.failed = true
		w.take(15 * (i + 1))
	}
	close(done)
	asking.Wait()
	if lines := w.samples("g"); len(lines) != 1 || strings.Count(lines[0], ":1") != 9 {
		t.Errorf("the history has %q", lines)
	}
}
