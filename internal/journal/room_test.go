package journal

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestNoRoom: below the floor text is counted and not kept, and that is said; what its sender
// can send again is refused, and not counted.
func TestNoRoom(t *testing.T) {
	var fs disk.Faulty
	w := &told{world: &world{t: t, reg: metric.New()}}
	l, err := ledger.New(w.reg, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := l.Component("journal", "commits", "journal")
	if w.journal, err = Open(Options{FS: &fs, Registry: w.reg, Ledger: c, FileBytes: 1 << 10, Floor: 1 << 60}); err != nil {
		t.Fatal(err)
	}
	defer w.journal.Close()
	w.claim()
	now := time.Now()
	w.journal.commit.tick(w.journal, now)
	if s := c.State(); s.Healthy || !strings.Contains(s.Problem, "journal.free") {
		t.Errorf("%+v", s)
	}
	in := w.journal.Input(inputOf("app"))
	in.Keep(Keep{Bound: archive.Bound{}})
	defer in.Close()
	write := func(refusable bool) error {
		b := &record.Batch{Refusable: refusable}
		b.Records = append(b.Records, record.Record{Time: 1, Body: b.Append([]byte("text"))})
		b.Deltas = append(b.Deltas, record.Delta{Series: w.lines.Series("app").ID(), Add: 1})
		return in.Write(t.Context(), b)
	}
	if err := write(true); !errors.Is(err, flow.ErrNoRoom) {
		t.Error(err)
	}
	if err := write(false); err != nil {
		t.Error(err)
	}
	w.journal.commit.tick(w.journal, now.Add(time.Minute))
	if n := w.lines.Series("app").Value(); n != 1 {
		t.Errorf("%v lines are counted", n)
	}
	w.journal.commit.archive.Retain(now) // nothing: it was looked at already
	if s := c.State(); s.Healthy {
		t.Errorf("%+v", s)
	}
}
