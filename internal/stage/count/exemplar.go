package count

import (
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// label is one of the labels of exemplars, and where its values come from.
type label struct {
	name string
	from origin
}

// candidate is the latest record that a batch counts in a cell.
type candidate struct {
	cell   uint32
	record int
	value  float64
}

// consider notes a record that was counted in a cell.
func (e *entry) consider(c candidate) {
	for i := range e.candidates {
		if e.candidates[i].cell == c.cell {
			e.candidates[i] = c
			return
		}
	}
	e.candidates = append(e.candidates, c)
}

// leads tells whether a record has any of the labels.
func (t *table) leads(b *record.Batch, row []record.Span) bool {
	for _, l := range t.labels {
		if i := l.from.slot; i >= 0 && row[i].Len > 0 && string(b.Bytes(row[i])) != "-" {
			return true
		}
	}
	return false
}

// exemplify adds the exemplars of a series to the batch: one for each cell that it was counted
// in. Fields are as they are now, that is redacted.
func (t *table) exemplify(b *record.Batch, e *entry) {
	for _, c := range e.candidates {
		r := &b.Records[c.record]
		first := len(b.Arena)
		if !t.appendLabels(b, r, b.Row(c.record)) {
			b.Arena = b.Arena[:first]
			continue
		}
		at := r.Time
		if now := time.Now().UnixNano(); at == 0 || at > now { // databases take none that is older than their last
			at = now
		}
		b.Exemplars = append(b.Exemplars, record.Exemplar{
			Series: e.series.ID(), Cell: c.cell, Value: c.value, Time: at,
			Labels: record.Span{Off: uint32(first), Len: uint32(len(b.Arena) - first)},
		})
	}
	e.candidates = e.candidates[:0]
}

// appendLabels appends a record's labels to the arena, and tells whether there are any. Those
// that it has no value for are left out; if they are too long together, or no text, there are
// none: half an id leads nowhere.
func (t *table) appendLabels(b *record.Batch, r *record.Record, row []record.Span) bool {
	runes, found := 0, false
	for _, l := range t.labels {
		v := t.get(l.from, b, r, row)
		if len(v) == 0 || len(v) == 1 && v[0] == '-' {
			continue
		}
		runes += len(l.name) + utf8.RuneCount(v)
		if runes > metric.MaxExemplarRunes || !utf8.Valid(v) {
			return false
		}
		found = true
		b.Arena = append(append(b.Arena, l.name...), record.LabelEnd...)
		b.Arena = append(append(b.Arena, v...), record.LabelEnd...)
	}
	return found
}
