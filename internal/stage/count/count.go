// Package count turns records into numbers: counters by fields, sums and histograms over
// numeric fields, and the tally of everything a line takes in.
//
//	m, err := count.New(reg, cfg, owner)
//	line := count.Stage([]count.Rule{{Bit: 0, Metrics: []*count.Metric{m}}}, slots, labels)(next)
//
// A stage changes no number itself: it adds deltas to the batch, and they take effect with
// the batch's commit. A Metric may be used by many lines at once; a stage belongs to one.
package count

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// Metric is a Config with the family it feeds.
type Metric struct {
	Config
	Family *metric.Family
	scale  float64
	// Invalid is the durable series that counts values that are not numbers; 0: not counted.
	Invalid uint32
}

// New returns the metric of a valid c. owner is the rule with a digest of all that decides
// what is counted. It fails when the name is taken with other labels or by another owner.
func New(reg *metric.Registry, c Config, owner string) (*Metric, error) {
	u, _ := findUnit(c.Unit)
	d := metric.Desc{
		Name: c.MetricName(), Help: c.help(), Owner: owner, Durable: true,
		Buckets: c.buckets(), Native: c.Native.desc(), MaxSeries: c.MaxSeries,
	}
	if c.Histogram != "" {
		d.Kind = metric.Histogram
	}
	for _, by := range c.By {
		d.Labels = append(d.Labels, promName(by))
	}
	f, err := reg.Family(d)
	if err != nil {
		return nil, err
	}
	if len(c.By) == 0 {
		f.Series() // a number without labels is shown from the start, as 0
	}
	return &Metric{Config: c, Family: f, scale: u.scale}, nil
}

// Rule is the metrics of the rule that has this bit in Record.Rules.
type Rule struct {
	Bit     int
	Metrics []*Metric
}

// Stage returns the stage that makes the rules' counts. slots are the fields of the line's
// batches, labels those of its stream.
func Stage(rules []Rule, slots []string, labels record.Labels) flow.Stage {
	var tables []*table
	for _, r := range rules {
		for _, m := range r.Metrics {
			tables = append(tables, newTable(m, uint64(1)<<r.Bit, slots, labels))
		}
	}
	return func(next flow.Sink) flow.Sink {
		return flow.SinkFunc(func(ctx context.Context, b *record.Batch) error {
			for _, t := range tables {
				t.add(b)
			}
			return next.Write(ctx, b)
		})
	}
}

// table counts one metric of one line. Between batches all its entries are zero.
type table struct {
	metric  *Metric
	rule    uint64 // bit in Record.Rules
	by      []origin
	value   origin // of a sum or histogram
	numeric bool
	native  *metric.Native // nil: it has buckets with limits, or none
	limits  []float64
	labels  []label // of exemplars
	entries map[string]*entry
	recent  [64]*entry // by a cheap hash of the key; saves the map in nearly all cases
	touched []*entry
	invalid int
	key     []byte // scratch
	plain   []byte // scratch
}

// origin is where a value comes from: a slot, the level, or a constant.
type origin struct {
	slot     int  // -1: not a slot
	level    bool // the record's level, whatever a field of that name says in its own words
	constant string
}

// entry is what a series got in the present batch.
type entry struct {
	key     string
	series  *metric.Series
	touched bool
	cells   []float64
	// tally has the buckets of a native histogram; its sum is the last of cells.
	tally      metric.Tally
	candidates []candidate // for exemplars
}

func newTable(m *Metric, rule uint64, slots []string, labels record.Labels) *table {
	find := func(name string) origin {
		i := slices.Index(slots, name)
		if name == "level" {
			return origin{slot: i, level: true}
		}
		if i >= 0 {
			return origin{slot: i}
		}
		return origin{slot: -1, constant: labels.Get(name)}
	}
	desc := m.Family.Desc()
	t := &table{metric: m, rule: rule, native: desc.Native, limits: desc.Buckets, entries: map[string]*entry{}}
	for _, name := range m.Exemplar {
		t.labels = append(t.labels, label{promName(name), find(name)})
	}
	for _, name := range m.By {
		t.by = append(t.by, find(name))
	}
	if field := m.Sum + m.Histogram; field != "" {
		t.value, t.numeric = find(field), true
	}
	return t
}

func (t *table) add(b *record.Batch) {
	width := len(b.Slots)
	for i := range b.Records {
		r := &b.Records[i]
		if r.Rules&t.rule == 0 {
			continue
		}
		row := b.Values[i*width : i*width+width]
		v := 1.0
		if t.numeric {
			n, absent, ok := number(t.get(t.value, b, r, row), t.metric.scale)
			if ok && n < 0 && t.metric.Sum != "" {
				ok = false // a counter does not go back
			}
			if !ok {
				if !absent {
					t.invalid++
				}
				continue
			}
			v = n
		}
		e := t.find(t.keyOf(b, r, row))
		if !e.touched {
			e.touched = true
			t.touched = append(t.touched, e)
		}
		cell := uint32(0)
		switch {
		case t.native != nil:
			cell = t.native.CellOf(v)
			e.tally.Add(cell, 1)
			e.cells[len(e.cells)-1] += v
		case len(e.cells) == 1:
			e.cells[0] += v
		default:
			cell = e.observe(v, t.limits)
		}
		if t.labels != nil && t.leads(b, row) {
			e.consider(candidate{cell, i, v})
		}
	}
	t.flush(b)
}

// get returns a value of a record, unescaped; valid until the next call.
func (t *table) get(o origin, b *record.Batch, r *record.Record, row []record.Span) []byte {
	if o.level && (r.Level != record.LevelUnknown || o.slot < 0 || row[o.slot].Len == 0) {
		t.plain = append(t.plain[:0], r.Level.String()...)
		return t.plain
	}
	if o.slot < 0 {
		t.plain = append(t.plain[:0], o.constant...)
		return t.plain
	}
	v := b.Bytes(row[o.slot])
	if r.Flags&record.Escaped != 0 && bytes.IndexByte(v, '\\') >= 0 {
		t.plain = dockerjson.Unescape(t.plain[:0], v)
		return t.plain
	}
	return v
}

// keyOf returns the label values of a record, joined; valid until the next call.
func (t *table) keyOf(b *record.Batch, r *record.Record, row []record.Span) []byte {
	if len(t.by) == 1 {
		return t.get(t.by[0], b, r, row)
	}
	t.key = t.key[:0]
	for i, o := range t.by {
		if i > 0 {
			t.key = append(t.key, keySeparator...)
		}
		from := len(t.key)
		t.key = append(t.key, t.get(o, b, r, row)...)
		if value := t.key[from:]; bytes.IndexByte(value, keySeparator[0]) >= 0 {
			for k, c := range value {
				if c == keySeparator[0] {
					value[k] = 0xfe // no more UTF-8 than it was, and shown as the same
				}
			}
		}
	}
	return t.key
}

// keySeparator cannot be part of UTF-8. Values that have it all the same get another such
// byte, so that nobody can shift text from one label into the next.
const keySeparator = "\xff"

func (t *table) find(key []byte) *entry {
	h := len(key)
	if h > 0 {
		h += int(key[0]) + int(key[h-1])<<2 + int(key[h/2])<<1
	}
	recent := &t.recent[h%len(t.recent)]
	if e := *recent; e != nil && e.key == string(key) {
		return e
	}
	e := t.entries[string(key)]
	if e == nil {
		e = t.make(string(key))
	}
	*recent = e
	return e
}

// make returns the entry for a key that has none of its own yet. Entries are as many as the
// family's series: a value that is shown shortened or mended shares the entry of what is
// shown, and keys beyond the bound share one.
func (t *table) make(key string) *entry {
	values := make([]string, 0, len(t.by))
	if len(t.by) > 0 {
		values = strings.SplitN(key, keySeparator, len(t.by))
	}
	for len(values) < len(t.by) {
		values = append(values, "")
	}
	s := t.metric.Family.Series(values...)
	key = overflowKey
	if !s.IsOverflow() {
		key = strings.Join(s.Values(), keySeparator)
	}
	if e := t.entries[key]; e != nil {
		return e
	}
	e := &entry{key: key, series: s, cells: make([]float64, s.Cells())}
	t.entries[key] = e
	return e
}

const overflowKey = "\xff\xffoverflow"

// observe adds v to its bucket, which it returns, and to the sum, which is the last cell.
func (e *entry) observe(v float64, limits []float64) (bucket uint32) {
	i := 0
	for i < len(limits) && v > limits[i] {
		i++
	}
	e.cells[i]++
	e.cells[len(e.cells)-1] += v
	return uint32(i)
}

// flush moves what the batch counted into its deltas.
func (t *table) flush(b *record.Batch) {
	for _, e := range t.touched {
		e.touched = false
		for i, v := range e.cells {
			if v != 0 {
				b.Deltas = append(b.Deltas, record.Delta{Series: e.series.ID(), Cell: uint32(i), Add: v})
				e.cells[i] = 0
			}
		}
		b.Deltas = e.tally.AppendTo(b.Deltas, e.series)
		t.exemplify(b, e)
	}
	t.touched = t.touched[:0]
	if t.invalid > 0 && t.metric.Invalid != 0 {
		b.Deltas = append(b.Deltas, record.Delta{Series: t.metric.Invalid, Add: float64(t.invalid)})
	}
	t.invalid = 0
}
