package agent

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/tsdb"
	"github.com/weirlog/weir/internal/web"
)

// TestPast: the page gets what the history has of what it shows, and is shown without it when
// there is no history to be read.
func TestPast(t *testing.T) {
	reg := metric.New()
	l, err := ledger.New(reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	family := func(d metric.Desc) *metric.Family {
		f, err := reg.Family(d)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	lines := family(metric.Desc{Name: "lines_total", Help: "h", Labels: []string{"status", "method"}})
	waits := family(metric.Desc{Name: "wait_seconds", Help: "h", Kind: metric.Histogram, Buckets: []float64{1}})
	busy := family(metric.Desc{Name: "container_cpu_usage_percent", Help: "h", Kind: metric.Gauge, Labels: []string{"container"}})
	lines.Series("200", "GET").Add(1)
	waits.Series().Observe(2)
	busy.Series("web").Set(0.5)
	history, err := tsdb.New(tsdb.Options{Dir: t.TempDir(), Interval: time.Second, Registry: reg, Health: l.Component("history", "tsdb", "tsdb"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := &pasts{history: history, interval: time.Second}
	snapshot := func(now time.Time) web.Snapshot {
		s := web.Snapshot{Now: now, Containers: []web.Container{{Name: "web"}, {Name: "other"}}}
		s.Rules = []web.Rule{{Counters: []web.Counter{web.CounterOf("lines_total", lines, 0), web.CounterOf("wait_seconds", waits, 0)}}}
		p.Fill(t.Context(), &s)
		return s
	}
	began := time.Now()
	if s := snapshot(began.Add(-time.Hour)); s.Rules[0].Counters[0].Series[0].Past != nil || s.Containers[0].CPUPast != nil {
		t.Error("there is a past without a history")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = history.Run(ctx) })
	defer running.Wait()
	defer cancel()
	round, err := history.Await(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines.Series("200", "GET").Add(30)
	waits.Series().Observe(2)
	if _, err := history.Await(ctx, round); err != nil {
		t.Fatal(err)
	}
	s := snapshot(time.Now())
	counters, web, other := s.Rules[0].Counters, s.Containers[0], s.Containers[1]
	rates := counters[0].Series[0].Past
	if len(rates) != 60 || sum(rates)*10 != 30 || sum(counters[1].Series[0].Past)*10 != 1 || s.PastOf != 10*time.Minute {
		t.Errorf("%v and %v in %v", rates, counters[1].Series[0].Past, s.PastOf)
	}
	if last := web.CPUPast[len(web.CPUPast)-1]; last != 0.5 || other.CPUPast != nil || web.MemoryPast != nil {
		t.Errorf("%+v %+v", web, other)
	}
}

// sum adds up what is known.
func sum(values []float64) (total float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			total += v
		}
	}
	return total
}
