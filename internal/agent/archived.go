package agent

import (
	"errors"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/metric"
)

// showArchive has the registry show what the archive has and did, measured when asked for.
func showArchive(reg *metric.Registry, a *archive.Archive) error {
	var failed error
	series := func(kind metric.Kind, name, help string) *metric.Series {
		f, err := reg.Family(metric.Desc{Name: name, Help: help, Kind: kind, Owner: "journal"})
		if failed = errors.Join(failed, err); err != nil {
			return nil
		}
		return f.Series()
	}
	streams := series(metric.Gauge, "weir_journal_streams", "Streams whose text is kept.")
	blocks := series(metric.Gauge, "weir_journal_blocks", "Sealed blocks of kept text.")
	bytes := series(metric.Gauge, "weir_journal_bytes", "Bytes that kept text takes on the disk.")
	text := series(metric.Gauge, "weir_journal_text_bytes", "Bytes of kept text before compression.")
	full := series(metric.Gauge, "weir_journal_full", "1 while the disk has less free space than journal.free, or none, so that text is not kept.")
	missed := series(metric.Counter, "weir_journal_missed_records_total", "Records that were counted and not kept, because the disk was full or failed, since the start.")
	removed := series(metric.Counter, "weir_journal_removed_records_total", "Records that retention removed since the start.")
	damaged := series(metric.Counter, "weir_journal_damaged_blocks_total", "Places of kept text that were found damaged since the start.")
	if failed != nil {
		return failed
	}
	reg.OnCollect(func() {
		st := a.Stats()
		streams.Set(float64(st.Streams))
		blocks.Set(float64(st.Blocks))
		bytes.Set(float64(st.Bytes))
		text.Set(float64(st.TextBytes))
		full.Set(0)
		if a.Full() {
			full.Set(1)
		}
		missed.Set(float64(st.Missed))
		removed.Set(float64(st.Removed))
		damaged.Set(float64(st.Damaged))
	})
	return nil
}
