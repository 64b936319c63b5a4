package web_test

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/web"
)

// measured gives the registry of f the metrics of some containers.
func measured(t *testing.T, f *fake) {
	t.Helper()
	for _, m := range []struct {
		name   string
		values []string
		v      float64
	}{
		{"container_state", []string{"web", "running"}, 1}, {"container_state", []string{"web", "exited"}, 0},
		{"container_state", []string{"old", "exited"}, 1}, {"container_state", []string{"<b>sick</b>", "running"}, 1},
		{"container_health_status", []string{"<b>sick</b>", "unhealthy"}, 1},
		{"container_cpu_usage_percent", []string{"web"}, 0.0024}, {"container_cpus_available", []string{"web"}, 1.5},
		{"container_memory_working_set_bytes", []string{"web"}, 320 << 10}, {"container_max_memory_bytes", []string{"web"}, 64 << 20},
		{"container_restarts_total", []string{"<b>sick</b>"}, 3},
		{"container_up_timestamp_seconds", []string{"removed"}, 1795197600},
	} {
		labels := []string{"container", "state"}
		if m.name == "container_health_status" {
			labels[1] = "status"
		}
		family, err := f.registry.Family(metric.Desc{Name: m.name, Help: "h", Kind: metric.Gauge, Labels: labels[:len(m.values)]})
		if err != nil {
			t.Fatal(err)
		}
		family.Series(m.values...).Set(m.v)
	}
}

// withContainers is a Status with the containers of its registry.
type withContainers struct{ *fake }

func (s withContainers) Snapshot() web.Snapshot {
	snapshot := s.fake.Snapshot()
	snapshot.Containers = web.Containers(s.registry)
	return snapshot
}

// past is a Past that knows one counter and one container.
type past struct{}

func (past) Fill(_ context.Context, s *web.Snapshot) {
	s.PastOf = time.Hour
	series := s.Rules[0].Counters[0].Series
	series[0].Past = []float64{math.NaN(), 0, 5, 10, math.NaN(), 10}
	series[1].Past = []float64{math.NaN(), math.NaN(), 1}
	for i := range s.Containers {
		if s.Containers[i].Name == "web" {
			s.Containers[i].CPUPast = []float64{0.5, 0.25}
			s.Containers[i].MemoryPast = []float64{0, 0}
		}
	}
}

func TestContainersOfPage(t *testing.T) {
	f := newFake(t)
	measured(t, f)
	h := web.Handler(web.Config{}, web.Deps{Metrics: f.registry, Status: withContainers{f}, Past: past{}, Log: slog.New(slog.DiscardHandler)})
	page := body(t, ask(h, "/", "Accept: "+browser))
	for _, want := range []string{
		`0.0024 <small>of 1.5</small>`, "320\u00a0KiB <small>of 64\u00a0MiB</small>", `&lt;b&gt;sick&lt;/b&gt;`, `class="odd">running <small>unhealthy</small>`,
		`data-label="restarts">3<`, `data-label="processors">–<`,
		`<title>at most 10/s in the last 1` + "\u00a0" + `h</title><path d="M20.0 15.0h.1L40.0 8.0L60.0 1.0M100.0 1.0h.1"/>`,
		`<title>at most 0.5 in the last 1` + "\u00a0" + `h</title><path d="M0.0 1.0h.1L100.0 8.0"/>`,
		`<path d="M0.0 15.0h.1L100.0 15.0"/>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(page, `class="spark"`); n != 3 {
		t.Errorf("%d lines are drawn", n) // one value alone is none
	}
	if strings.Contains(page, "removed") {
		t.Error("a container that is gone is on the page")
	}
	without := body(t, ask(handler(t, web.Config{}, f), "/", "Accept: "+browser))
	if strings.Contains(without, "h-containers") || strings.Contains(without, "spark\"") {
		t.Error("a page without containers and past shows them")
	}
}
