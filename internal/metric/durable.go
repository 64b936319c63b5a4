package metric

import (
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// Durable is the stored form of a durable series.
type Durable struct {
	ID      uint32    // its number in deltas
	Key     string    // identity over restarts: family shape, owner and label values
	Created time.Time // when counting began
	Cells   []float64
}

// Apply adds the deltas of a synced commit. Deltas of series that are gone are ignored.
func (r *Registry) Apply(deltas []record.Delta) {
	now := time.Now().Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range deltas {
		if int(d.Series) >= len(r.durable) || r.durable[d.Series] == nil {
			continue
		}
		s := r.durable[d.Series]
		if int(d.Cell) < len(s.cells) {
			s.addCell(int(d.Cell), d.Add)
			s.changed.Store(now)
		}
	}
}

// Describe returns the stored form of a durable series, and whether there is one of that
// number. Its Cells are the values after the last Apply.
func (r *Registry) Describe(id uint32) (Durable, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if int(id) >= len(r.durable) || r.durable[id] == nil {
		return Durable{}, false
	}
	return r.durable[id].stored(), true
}

// Snapshot returns all durable series, claimed or not, in order of their numbers.
func (r *Registry) Snapshot() []Durable {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []Durable
	for _, s := range r.durable {
		if s != nil {
			all = append(all, s.stored())
		}
	}
	return all
}

func (s *Series) stored() Durable {
	d := Durable{ID: s.id, Key: s.key, Created: s.created, Cells: make([]float64, len(s.cells))}
	for i := range s.cells {
		d.Cells[i] = s.Cell(i)
	}
	return d
}

// Restore puts back a stored series under a new number. It must come before the family
// that claims it.
func (r *Registry) Restore(d Durable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Series{id: uint32(len(r.durable)), key: strings.Clone(d.Key), cells: make([]atomic.Uint64, len(d.Cells)), created: d.Created}
	for i, v := range d.Cells {
		s.cells[i].Store(math.Float64bits(v))
	}
	s.changed.Store(d.Created.Unix())
	r.durable = append(r.durable, s)
	r.restored[s.key] = s
}

// DropUnclaimed forgets the restored series whose family no longer exists: the rule that
// counted them has gone or has changed. It returns how many there were.
func (r *Registry) DropUnclaimed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.restored)
	for _, s := range r.restored {
		r.durable[s.id] = nil
	}
	clear(r.restored)
	return n
}

// claim gives a new family the restored series that were its own.
func (r *Registry) claim(f *Family) {
	if !f.desc.Durable || len(r.restored) == 0 {
		return
	}
	prefix := durableKey(f.desc, nil)
	for key, s := range r.restored {
		rest, ok := strings.CutPrefix(key, prefix)
		values := strings.Split(strings.TrimPrefix(rest, "\xff"), "\xff")
		if !ok {
			continue
		}
		delete(r.restored, key)
		if len(s.cells) != f.cellCount() || rest != "" && len(values) < len(f.desc.Labels) {
			r.durable[s.id] = nil // not ours after all: a damaged store must not end the process
			continue
		}
		s.family = f
		if rest == "" {
			f.overflow = s
			continue
		}
		s.values = values[:len(f.desc.Labels)]
		f.series[joinValues(s.values)] = s
		f.insertSorted(s)
	}
}

func (r *Registry) numberLocked(s *Series) {
	if old := r.restored[s.key]; old != nil {
		panic("metric: restored series " + s.key + " was not claimed by its family")
	}
	s.id = uint32(len(r.durable))
	r.durable = append(r.durable, s)
}

// durableKey is the identity of a durable series: everything that, when changed, makes its
// old value meaningless. Without values it is the overflow series and the prefix of all others.
func durableKey(d Desc, values []string) string {
	var b strings.Builder
	b.WriteString(d.Name)
	b.WriteByte(0)
	b.WriteString(d.Kind.String())
	b.WriteByte(0)
	b.WriteString(d.Owner)
	b.WriteByte(0)
	b.WriteString(strings.Join(d.Labels, ","))
	b.WriteByte(0)
	for _, limit := range d.Buckets {
		b.WriteString(formatLimit(limit))
		b.WriteByte(',')
	}
	b.WriteByte(0)
	if values == nil {
		return b.String()
	}
	for _, v := range values {
		b.WriteByte(0xff)
		b.WriteString(v)
	}
	if len(values) == 0 {
		b.WriteByte(0xff)
	}
	return b.String()
}
