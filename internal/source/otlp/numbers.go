package otlp

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// maxSparePoints is for how many deltas memory is kept between two requests.
const maxSparePoints = 16 << 10

// numbers are the series of a source. Who has the turn may use all of it.
type numbers struct {
	cfg    *Config
	deps   flow.Deps
	owner  string // of all families
	stream record.Stream
	turn   chan struct{}

	tracks   map[string]*track // by name and labels
	families map[*metric.Family]*extent
	bytes    int            // what all of these take, about
	requests uint64         // how many there were
	line     flow.Line      // nil while Run does not
	pending  []record.Delta // not in the journal yet
}

// Owner returns who owns the families of a source of that name, so that they can be forgotten
// with it.
func Owner(source string) string { return "otlp/" + source }

// newNumbers takes over the series of before a restart or reload.
func newNumbers(cfg *Config, deps flow.Deps) *numbers {
	n := &numbers{
		cfg: cfg, deps: deps, owner: Owner(deps.Name), turn: make(chan struct{}, 1), tracks: map[string]*track{}, families: map[*metric.Family]*extent{},
		// No labels of a resource come to this identity: theirs begins with a brace.
		stream: record.Stream{ID: deps.Name + "//metrics", Source: deps.Name, Labels: record.NewLabels(map[string]string{"source": deps.Name, "signal": "metrics"})},
	}
	deps.Metrics.Claim(n.owner, func(d *metric.Desc) bool {
		d.MaxSeries = cfg.MaxSeriesPerName
		return true
	})
	for _, f := range deps.Metrics.Owned(n.owner) {
		f.Each(func(s *metric.Series) bool {
			key := seriesKey(f.Name(), s.Values())
			n.track(key, s)
			return true
		})
	}
	return n
}

func seriesKey(name string, values []string) string {
	return name + "\x00" + strings.Join(values, "\xff")
}

// take waits for the turn.
func (n *numbers) take(ctx context.Context) error {
	select {
	case n.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *numbers) give() { <-n.turn }

// open gives n its line.
func (n *numbers) open(lines flow.Lines) error {
	line, err := lines.Open(flow.Input{Stream: n.stream, Whole: true})
	if err != nil {
		return err
	}
	n.turn <- struct{}{}
	n.line = line
	n.give()
	return nil
}

// close takes its line from n, once what waits is written.
func (n *numbers) close(ctx context.Context) {
	n.turn <- struct{}{}
	defer n.give()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	_ = n.write(last, nil) // what could not be written is told by the journal
	n.line.Close(true)     // it has no position that one could come back to
	n.line = nil
}

// described is an exemplar with the labels that it has.
type described struct {
	record.Exemplar
	labels string
}

// write writes what is pending.
func (n *numbers) write(ctx context.Context, exemplars []described) error {
	if len(n.pending) == 0 {
		return nil
	}
	b, err := n.deps.Batches.Get(ctx, &n.stream)
	if err != nil {
		return err
	}
	defer n.deps.Batches.Put(b)
	for _, e := range exemplars {
		e.Labels = b.Append([]byte(e.labels))
		b.Exemplars = append(b.Exemplars, e.Exemplar)
	}
	b.Deltas, n.pending = n.pending, b.Deltas
	err = n.line.Write(ctx, b)
	b.Deltas, n.pending = n.pending, b.Deltas
	if err != nil {
		return err
	}
	if n.pending = n.pending[:0]; cap(n.pending) > maxSparePoints {
		n.pending = nil
	}
	return nil
}

// seriesOf returns the track of a series, making it if need be.
func (n *numbers) seriesOf(d *metric.Desc, l *labelled) (*track, error) {
	if !metric.ValidName(d.Name) || len(d.Name) > maxName {
		return nil, errName
	}
	d.Owner, d.Free, d.Durable, d.MaxSeries = n.owner, true, true, n.cfg.MaxSeriesPerName
	f, err := n.deps.Metrics.Family(*d)
	if err != nil {
		return nil, errShape
	}
	values := l.values(f)
	key := seriesKey(d.Name, values)
	if t := n.tracks[key]; t != nil {
		return t, nil
	}
	s, err := n.newSeries(f, values)
	if err != nil {
		n.forgetEmpty(f)
		return nil, err
	}
	// What the registry cuts off the values makes no other series.
	if key = seriesKey(d.Name, s.Values()); n.tracks[key] == nil {
		n.track(key, s)
	}
	return n.tracks[key], nil
}

// forgetEmpty forgets a family without series.
func (n *numbers) forgetEmpty(f *metric.Family) {
	empty := true
	f.Each(func(*metric.Series) bool { empty = false; return false })
	if empty {
		n.deps.Metrics.Forget(f.Name())
	}
}

// expire retires the series that had no point since a time.
func (n *numbers) expire(since int64) (gone int) {
	n.turn <- struct{}{}
	defer n.give()
	for _, t := range n.tracks {
		if t.used > since {
			continue
		}
		n.untrack(t)
		n.deps.State.Store(t.state, nil)
		f := t.series.Family()
		if left := f.Retire(t.series); !left && n.deps.Metrics.Named(f.Name()) == f {
			n.deps.Metrics.Forget(f.Name())
		}
		gone++
	}
	return gone
}

// keep writes what is left over of requests that could not be written, and lets idle series
// go, until ctx ends.
func (n *numbers) keep(ctx context.Context, ended *sync.WaitGroup) {
	defer ended.Done()
	tick := time.NewTicker(idlePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if n.cfg.Expiry > 0 {
				n.deps.Ledger.Events("series expired", n.expire(now.Add(-n.cfg.Expiry).Unix()))
			}
			if n.take(ctx) == nil {
				_ = n.write(ctx, nil)
				n.give()
			}
		}
	}
}
