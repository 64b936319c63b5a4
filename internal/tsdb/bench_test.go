package tsdb

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/weirlog/weir/internal/metric"
)

// BenchmarkDay keeps a day of series with a sample every ten seconds, as time would make
// them, and then reads one series over the day. WEIR_DAY_SERIES is their number, by default
// 1000; 20000 take some minutes. WEIR_DAY_DIR is where it stays, for a weir to find.
func BenchmarkDay(b *testing.B) {
	const rounds, step = 8640, 10 * time.Second
	series := 1000
	_, _ = fmt.Sscan(os.Getenv("WEIR_DAY_SERIES"), &series)
	dir := os.Getenv("WEIR_DAY_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	reg := metric.New()
	db, err := New(Options{Dir: dir, Size: 4 << 30, Registry: reg, Health: &health{dropped: map[string]int{}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	f, err := reg.Family(metric.Desc{Name: "hits_total", Labels: []string{"path", "status"}, MaxSeries: series})
	if err != nil {
		b.Fatal(err)
	}
	all := make([]*metric.Series, series)
	for i := range all {
		all[i] = f.Series(fmt.Sprintf("/some/path/%d", i), "200")
	}
	if err := db.open(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer db.close()
	began := cpu()
	for round := range rounds {
		for i := round % 7; i < series; i += 7 {
			all[i].Add(float64(i%13 + 1))
		}
		db.take(b.Context(), start.Add(time.Duration(round)*step))
		if round%6 == 5 { // once a minute, as in time that passes
			db.db.ForceHeadMMap()
		}
		if round%360 == 359 {
			if err := db.compact(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	spent, peak := cpu()-began, peakBytes()
	reg.Collect()
	runtime.GC()
	for b.Loop() {
		if n := oneSeries(b, db, fmt.Sprintf("/some/path/%d", series/2)); n != rounds {
			b.Fatalf("%d samples", n)
		}
	}
	b.ReportMetric(float64(spent)/rounds/1e6, "cpu-ms/round")
	b.ReportMetric(float64(peak)/(1<<20), "peak-rss-MiB")
	b.ReportMetric(db.numbers.bytes.Value()/(1<<20), "disk-MiB")
}

// oneSeries reads a series from its beginning to its end.
func oneSeries(b *testing.B, db *DB, path string) (n int) {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	set := q.Select(b.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "hits_total"), labels.MustNewMatcher(labels.MatchEqual, "path", path))
	for set.Next() {
		for it := set.At().Iterator(nil); it.Next() != 0; {
			n++
		}
	}
	return n
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakBytes returns the most that this process has had in RAM.
func peakBytes() int64 {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	_, _ = fmt.Sscan(rest, &kilobytes)
	return kilobytes << 10
}
