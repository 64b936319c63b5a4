package tsdb

import (
	"math"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// TestPast asks for steps of a minute over samples that are 20 s apart.
func TestPast(t *testing.T) {
	w := openWorld(t, t.TempDir())
	lines := w.family(metric.Desc{Name: "lines_total", Help: "h", Labels: []string{"status"}})
	share := w.family(metric.Desc{Name: "share", Help: "h", Kind: metric.Gauge})
	for at := 0; at <= 240; at += 20 {
		switch at {
		case 180: // nobody knows it, then it begins again
			lines.Drop(lines.Series("200"))
		default:
			lines.Series("200").Add(3)
		}
		if at >= 60 {
			lines.Series("404").Add(1)
		}
		share.Series().Set(float64(at))
		w.take(at)
	}
	steps := Steps{Until: start.Add(241 * time.Second), Each: time.Minute, N: 5}
	// the steps end at 1, 61, 121, 181 and 241 s
	nan := math.NaN()
	want := map[string][]float64{"200": {nan, 9, 9, 6, 6}, "404": {nan, nan, 3, 3, 3}}
	all, err := w.db.Growth(t.Context(), "lines_total", steps)
	if err != nil || len(all) != len(want) {
		t.Fatal(all, err)
	}
	for _, p := range all {
		same(t, p.Label("status"), p.Steps, want[p.Label("status")])
		if p.Label("machine") != "web-1" || p.Label("none") != "" {
			t.Error(p.labels)
		}
	}
	levels, err := w.db.Levels(t.Context(), "share", steps)
	if err != nil || len(levels) != 1 {
		t.Fatal(levels, err)
	}
	same(t, "share", levels[0].Steps, []float64{0, 60, 120, 180, 240})
	if all, err := w.db.Growth(t.Context(), "nothing", steps); len(all) > 0 || err != nil {
		t.Error(all, err)
	}
	closed := newWorld(t, t.TempDir())
	if _, err := closed.db.Levels(t.Context(), "share", steps); err != ErrNotReady {
		t.Error("a closed history:", err)
	}
}

func same(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}
