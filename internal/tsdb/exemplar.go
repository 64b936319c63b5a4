package tsdb

import (
	"context"
	"math"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/weirlog/weir/internal/metric"
)

// DefaultExemplars is how many exemplars are kept for who says nothing: about 1 MB.
const DefaultExemplars = 10_000

// Exemplar is a value that a sample counts, with labels that lead to where it comes from.
type Exemplar struct {
	Labels []Label
	Value  float64
	Time   int64 // Unix milliseconds
}

// shotExemplar is an exemplar of a series of this round.
type shotExemplar struct {
	series *metric.Series
	metric.Exemplar
}

// shootExemplars copies those that the database has not got yet.
func (f *feed) shootExemplars(s *metric.Series) {
	all := s.Exemplars()
	if len(all) == 0 {
		return
	}
	after := uint64(0)
	if t := f.known[s]; t != nil {
		after = t.exemplified
	}
	for _, e := range all {
		if e.Number > after {
			f.exemplars = append(f.exemplars, shotExemplar{s, e})
		}
	}
}

// appendExemplars adds the exemplars of a round, after its samples. One that is older than
// another of its series is dropped and counted: the database keeps them in order.
func (d *DB) appendExemplars(app storage.Appender, ts int64) {
	dropped := 0
	for _, x := range d.feed.exemplars {
		t := d.feed.known[x.series]
		i := int(x.Cell)
		if x.series.Family().Desc().Native != nil {
			i = 0
		}
		t.exemplified = max(t.exemplified, x.Number)
		if i >= len(t.refs) {
			continue
		}
		e := exemplarOf(&x.Exemplar)
		if _, err := app.AppendExemplar(t.refs[i], t.labels[i], e); err != nil {
			dropped++
			continue
		}
		d.arrivals.add(arrival{at: ts, series: t.labels[i], exemplar: e})
	}
	if dropped > 0 {
		d.o.Health.Dropped("exemplar", dropped)
	}
	d.numbers.exemplars.Add(float64(len(d.feed.exemplars) - dropped))
}

func exemplarOf(e *metric.Exemplar) exemplar.Exemplar {
	b := labels.NewScratchBuilder(2)
	for name, value := range e.AllLabels() {
		b.Add(name, value)
	}
	b.Sort()
	return exemplar.Exemplar{Labels: b.Labels(), Value: e.Value, Ts: e.Time, HasTs: true}
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (d *DB) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return exemplars{d, func(db *tsdb.DB) (storage.ExemplarQuerier, error) { return db.ExemplarQuerier(ctx) }}, nil
}

// exemplars are those that the database has while it is open.
type exemplars struct {
	d  *DB
	of func(*tsdb.DB) (storage.ExemplarQuerier, error)
}

// Select implements storage.ExemplarQuerier.
func (x exemplars) Select(from, until int64, selectors ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	if x.d.closing.Load() || !x.d.mu.TryRLock() {
		return nil, ErrNotReady
	}
	defer x.d.mu.RUnlock()
	if x.d.db == nil {
		return nil, ErrNotReady
	}
	q, err := x.of(x.d.db)
	if err != nil {
		return nil, err
	}
	return q.Select(from, until, selectors...)
}

// arrival is an exemplar with the round that brought it, which may be well after its time.
type arrival struct {
	at       int64
	series   labels.Labels
	exemplar exemplar.Exemplar
}

// arrivals are the latest exemplars in the order in which they came, for who reads the history
// round by round.
type arrivals struct {
	mu   sync.Mutex
	most int
	all  []arrival // a ring once it is full
	next int       // where the next one goes then
}

func (a *arrivals) add(x arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.most == 0:
	case len(a.all) < a.most:
		a.all = append(a.all, x)
	default:
		a.all[a.next] = x
		a.next = (a.next + 1) % a.most
	}
}

// between returns what came in the rounds of a time, by the hash of its series' labels.
func (a *arrivals) between(from, until int64) map[uint64][]Exemplar {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found map[uint64][]Exemplar
	for i := range a.all {
		x := &a.all[(a.next+i)%len(a.all)]
		if x.at < from || x.at > until {
			continue
		}
		if found == nil {
			found = map[uint64][]Exemplar{}
		}
		e := Exemplar{Value: x.exemplar.Value, Time: x.exemplar.Ts}
		x.exemplar.Labels.Range(func(l labels.Label) { e.Labels = append(e.Labels, Label(l)) })
		key := x.series.Hash()
		found[key] = append(found[key], e)
	}
	return found
}

// recall makes what the database has of before a start arrivals of the exemplars' own times.
// The caller has the database open.
func (d *DB) recall(ctx context.Context) {
	if d.arrivals.most == 0 || len(d.arrivals.all) > 0 {
		return
	}
	q, err := d.db.ExemplarQuerier(ctx)
	var found []exemplar.QueryResult
	if err == nil {
		found, err = q.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{})
	}
	if err != nil {
		d.o.Log.Warn("read the exemplars of before the start", "error", err)
	}
	for _, r := range found {
		for _, e := range r.Exemplars {
			d.arrivals.add(arrival{at: e.Ts, series: r.SeriesLabels, exemplar: e})
		}
	}
}
