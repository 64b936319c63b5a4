package file

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestSent: what is counted as sent are the records that were written: neither those whose
// numbers are missing, nor the lines that say so.
func TestSent(t *testing.T) {
	reg := metric.New()
	l, err := ledger.New(reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	st, dir := newStates(), t.TempDir()
	s, err := New(Config{Dir: dir, Selection: deliver.SelectAll(), MaxSize: 60, MaxFiles: 9}, deliver.Deps{Name: "files", State: st, Ledger: l.Component("sink", "files", "file")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lost := batch(999, 1)
	lost.Records[0].Flags |= record.Lost
	for _, b := range []*record.Batch{batch(1, 20), lost, batch(1000, 7), batch(1000, 7), batch(5000, 3)} {
		if err := errors.Join(s.Write(t.Context(), b), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(lines(t, dir)); n != 31 {
		t.Errorf("%d lines were written", n)
	}
	sent := 0.0
	reg.Each(func(f *metric.Family, s *metric.Series) bool {
		if f.Desc().Name == "weir_component_sent_total" {
			sent += s.Value()
		}
		return true
	})
	if sent != 30 {
		t.Errorf("%v are counted as sent", sent)
	}
}
