package statsd

import (
	"context"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// counts are the numbers about lines. All but those of senders are in the commits of the
// lines' values, so that they agree at any time.
type counts struct {
	source                                               string
	lines, counted, bad, dropped, values, packets, bytes *metric.Family
	kernel, expired                                      *metric.Family
	senderLines, senderBad                               *metric.Family
	timed                                                *metric.Family
	relayed, relayDropped                                *metric.Family
}

func newCounts(d flow.Deps) (c *counts, err error) {
	family := func(desc metric.Desc) *metric.Family {
		desc.Labels = append([]string{"source"}, desc.Labels...)
		desc.Owner = "statsd"
		f, failed := d.Metrics.Family(desc)
		if err == nil {
			err = failed
		}
		return f
	}
	durable := func(name, help string, labels ...string) *metric.Family {
		return family(metric.Desc{Name: name, Help: help, Labels: labels, Durable: true})
	}
	volatile := func(name, help string) *metric.Family {
		return family(metric.Desc{Name: name, Help: help, Labels: []string{"sender"}, Idle: time.Hour})
	}
	c = &counts{
		source:      d.Name,
		lines:       durable("weir_statsd_lines_total", "Lines received. Each is counted, bad or dropped.", "listener"),
		counted:     durable("weir_statsd_counted_lines_total", "Lines of which everything is counted.", "listener"),
		bad:         durable("weir_statsd_bad_lines_total", "Lines, or parts of them, that make no sense.", "listener", "reason"),
		dropped:     durable("weir_statsd_dropped_lines_total", "Good lines that were dropped because of a bound.", "listener", "reason"),
		values:      durable("weir_statsd_values_total", "Values taken out of lines.", "listener"),
		timed:       durable("weir_statsd_timestamped_values_total", "Values that had a time of their own, and were counted when they came in.", "listener"),
		packets:     durable("weir_statsd_packets_total", "Datagrams, and reads of streams.", "listener"),
		bytes:       durable("weir_statsd_bytes_total", "Bytes received.", "listener"),
		kernel:      durable("weir_statsd_kernel_dropped_packets_total", "Datagrams that the kernel dropped because the socket's receive buffer was full.", "listener"),
		expired:     durable("weir_statsd_expired_series_total", "Series that went for want of lines."),
		senderLines: volatile("weir_statsd_sender_lines_total", "Lines received, by the sender's address."),
		relayed:     family(metric.Desc{Name: "weir_statsd_relayed_lines_total", Help: "Lines passed on as they came.", Labels: []string{"to"}}),
		relayDropped: family(metric.Desc{Name: "weir_statsd_relay_dropped_lines_total", Help: "Lines that were to be passed on and were not.",
			Labels: []string{"to", "reason"}}),
		senderBad: volatile("weir_statsd_sender_bad_lines_total", "Bad lines, by the sender's address."),
	}
	return c, err
}

// delta appends an addition of n, unless that is nothing.
func delta(dst []record.Delta, s *metric.Series, n uint64) []record.Delta {
	if n == 0 {
		return dst
	}
	return append(dst, record.Delta{Series: s.ID(), Add: float64(n)})
}

// commit writes what lines came to since the last commit.
func (s *Source) commit(ctx context.Context, to outlets, now time.Time) error {
	for _, l := range s.listeners {
		for _, w := range l.workers {
			s.pending = w.take(s.pending)
		}
		s.pending = delta(s.pending, s.counts.kernel.Series(s.deps.Name, l.name), l.lost())
	}
	s.names.mu.Lock()
	retired := s.names.retired
	s.names.retired = 0
	s.names.mu.Unlock()
	s.pending = delta(s.pending, s.counts.expired.Series(s.deps.Name), retired)
	if now.Sub(s.flushed) >= s.cfg.FlushInterval || now.Before(s.flushed) {
		s.pending = s.sets.flush(s.pending)
		var missed int
		s.pending, missed = s.summaries.flush(s.pending, s.cfg.FlushInterval)
		s.deps.Ledger.Dropped("too many values for percentiles", missed)
		s.flushed = now.Truncate(s.cfg.FlushInterval)
	}
	if err := s.writeNumbers(ctx, to.numbers); err != nil {
		return err
	}
	for _, l := range s.listeners {
		for _, w := range l.workers {
			if err := s.writeEvents(ctx, w, to.events); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Source) writeNumbers(ctx context.Context, line flow.Line) error {
	if len(s.pending) == 0 {
		return nil
	}
	b, err := s.deps.Batches.Get(ctx, &s.metrics)
	if err != nil {
		return err
	}
	defer s.deps.Batches.Put(b)
	written := len(s.pending)
	b.Deltas, s.pending = s.pending, b.Deltas // there may be hundreds of thousands
	err = line.Write(ctx, b)
	b.Deltas, s.pending = s.pending, b.Deltas
	if err != nil {
		return err
	}
	if cap(s.pending) > maxSpareDeltas && written < cap(s.pending)/4 {
		s.pending = nil
	}
	s.pending = s.pending[:0]
	return nil
}

// maxSpareDeltas is for how many deltas memory is kept between two commits, whatever they have.
const maxSpareDeltas = 16 << 10

// writeEvents writes the records of w.
func (s *Source) writeEvents(ctx context.Context, w *worker, line flow.Line) error {
	w.mu.Lock()
	s.records, w.events.batch = w.events.batch, s.records
	w.mu.Unlock()
	b := &s.records
	n := len(b.Records)
	if n == 0 {
		return nil
	}
	defer b.Reset(&s.events)
	b.Stream = &s.events
	err := line.Write(ctx, b)
	if err != nil {
		s.deps.Ledger.Dropped("events not written", n)
	}
	return err
}

// tallyDeltas is how many deltas there are beside those of the series, or somewhat more.
const tallyDeltas = 64

// withRoom returns dst with room for n more. Where there are hundreds of thousands, the half again
// that append leaves room for would be megabytes.
func withRoom(dst []record.Delta, n int) []record.Delta {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]record.Delta, 0, len(dst)+n), dst...)
}

// take appends what w has added up since it was last asked.
func (w *worker) take(dst []record.Delta) []record.Delta {
	w.mu.Lock()
	w.tick++
	dst = withRoom(dst, len(w.table.touched)+tallyDeltas)
	for _, n := range w.table.touched {
		dst = w.table.take(w.table.at(int(n)), dst)
	}
	w.table.touched = w.table.touched[:0]
	w.showSenders()
	t, bad := w.tally, w.sample
	w.tally, w.sample = tally{}, sample{}
	w.mu.Unlock()
	if t.lines == 0 && t.bytes == 0 {
		return dst
	}
	return w.appendTally(dst, &t, bad)
}

// take appends what a slot has, which it has no longer.
func (t *table) take(s *slot, dst []record.Delta) []record.Delta {
	s.touched = false
	if s.fate != counted {
		return dst
	}
	id := s.series.ID()
	switch {
	case s.set:
		dst = append(dst, record.Delta{Series: id, Cell: record.SetCell, Add: s.sum})
	case s.sum != 0:
		dst = append(dst, record.Delta{Series: id, Add: s.sum})
	}
	s.sum, s.set = 0, false
	if s.wide == 0 {
		return dst
	}
	x := t.wides[s.wide]
	for i, v := range x.cells {
		if i == len(x.cells)-1 {
			v *= x.scale
		}
		if v != 0 {
			dst = append(dst, record.Delta{Series: id, Cell: uint32(i), Add: v})
			x.cells[i] = 0
		}
	}
	return x.tally.AppendTo(dst, s.series)
}

// appendTally appends what became of lines, and shows one that was bad.
func (w *worker) appendTally(dst []record.Delta, t *tally, bad sample) []record.Delta {
	c := w.source.counts
	by := func(f *metric.Family) *metric.Series { return f.Series(c.source, w.listener.name) }
	dst = delta(dst, by(c.lines), t.lines)
	dst = delta(dst, by(c.packets), t.packets)
	dst = delta(dst, by(c.bytes), t.bytes)
	dst = delta(dst, by(c.values), t.samples)
	dst = delta(dst, by(c.timed), t.timed)
	dst = delta(dst, by(c.counted), t.fates[counted])
	for f, n := range t.fates {
		f := fate(f)
		switch {
		case n == 0:
			continue
		case f.isBad():
			dst = delta(dst, c.bad.Series(c.source, w.listener.name, f.String()), n)
		case f.isDropped():
			dst = delta(dst, c.dropped.Series(c.source, w.listener.name, f.String()), n)
		default:
			continue
		}
		if bad.fate == f && f.isBad() {
			w.source.deps.Ledger.Bad(f.String(), bad.shown())
			n--
		}
		w.source.deps.Ledger.Dropped(f.String(), int(n))
	}
	return dst
}

// shown returns the bad line with its sender before it.
func (s sample) shown() []byte {
	if !s.from.IsValid() {
		return s.line
	}
	return append(append(s.from.AppendTo(nil), ": "...), s.line...)
}

// showSenders tells who sent how much. Who sends nothing any more is forgotten.
func (w *worker) showSenders() {
	c := w.source.counts
	for from, s := range w.senders {
		if s.container = w.source.containerOf(from); s.lines == 0 {
			if s != w.sender {
				delete(w.senders, from)
			}
			continue
		}
		name := "other"
		if from.addr.IsValid() {
			name = from.addr.String()
		} else if w.listener.network == "unix" || w.listener.network == "unixgram" {
			name = "unix"
		}
		c.senderLines.Series(c.source, name).Add(float64(s.lines))
		if s.bad > 0 {
			c.senderBad.Series(c.source, name).Add(float64(s.bad))
		}
		s.lines, s.bad = 0, 0
	}
}

// refusedFor is how long a slot stays whose lines are dropped: there may be room again.
const refusedFor = 60

// expire removes the slots that had no line for a time, zero is never, and returns their series.
func (w *worker) expire(idle time.Duration) (gone []*metric.Series) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := uint32(idle / commitInterval)
	w.table.expire(func(s *slot) bool {
		unused := w.tick - s.used
		if s.touched || unused < refusedFor && s.fate != counted || s.fate == counted && (limit == 0 || unused < limit) {
			return false
		}
		if s.series != nil {
			gone = append(gone, s.series)
		}
		return true
	})
	return gone
}
