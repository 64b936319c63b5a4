package tsdb

import (
	"errors"
	"syscall"

	"github.com/weirlog/weir/internal/metric"
)

// The parts that can fail by themselves.
const (
	feeding = iota
	compacting
)

// trouble is what is wrong with a part; zero when nothing is.
type trouble struct{ problem, remedy string }

// tell says how a part did.
func (d *DB) tell(part int, err error) {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.troubles[part] = trouble{}
	if err != nil {
		d.troubles[part] = trouble{err.Error(), d.remedy(err)}
	}
	for _, t := range d.troubles {
		if t.problem != "" {
			d.o.Health.Degraded(t.problem, t.remedy)
			return
		}
	}
	d.o.Health.Healthy()
}

// remedy returns what to do about a problem. Counting never depends on it.
func (d *DB) remedy(err error) string {
	switch {
	case errors.Is(err, errClock):
		return "set the clock; if it is right now, and was ahead before, the history goes on when that time has come, or at once with " + d.o.Dir + " removed"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on the disk of " + d.o.Dir + ", or lower history.size; counting goes on, what was not written is missing in the history"
	}
	return "mend " + d.o.Dir + " or move it away; counting goes on, and weir tries again by itself"
}

// numbers are what weir tells of its history.
type numbers struct{ samples, exemplars, series, bytes, oldest, newest *metric.Series }

func newNumbers(reg *metric.Registry) (n numbers, err error) {
	series := func(name, help string, kind metric.Kind) *metric.Series {
		f, e := reg.Family(metric.Desc{Name: name, Help: help, Kind: kind, Owner: "history"})
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		return f.Series()
	}
	n.samples = series("weir_history_samples_total", "Samples that were written to the history.", metric.Counter)
	n.exemplars = series("weir_history_exemplars_total", "Exemplars that were written to the history, which keeps the newest.", metric.Counter)
	n.series = series("weir_history_series", "Series that have recent samples in the history.", metric.Gauge)
	n.bytes = series("weir_history_bytes", "What the history takes on the disk.", metric.Gauge)
	n.oldest = series("weir_history_oldest_timestamp_seconds", "Time of the oldest sample.", metric.Gauge)
	n.newest = series("weir_history_newest_timestamp_seconds", "Time of the newest sample.", metric.Gauge)
	return n, err
}

// measure sets the numbers that are looked up on demand.
func (d *DB) measure() {
	if !d.mu.TryRLock() { // being opened or closed: a scrape does not wait for that
		return
	}
	defer d.mu.RUnlock()
	if d.db == nil {
		return
	}
	head := d.db.Head()
	bytes := head.Size()
	oldest, newest := d.oldest(), head.MaxTime()
	for _, b := range d.db.Blocks() {
		bytes += b.Size()
	}
	d.numbers.series.Set(float64(head.NumSeries()))
	d.numbers.bytes.Set(float64(bytes))
	if oldest <= newest { // there are samples
		d.numbers.oldest.Set(float64(oldest) / 1000)
		d.numbers.newest.Set(float64(newest) / 1000)
	}
}
