package metric

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
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
	// Cells are the values; of a native histogram, which has few of very many cells, pairs of a
	// cell's number and its value, in order of the numbers.
	Cells []float64
}

// nativeKind stands in a durable key for the kind of a native histogram.
const nativeKind = "native"

// Change makes the change of a delta, unless there is no such cell.
func (d *Durable) Change(by record.Delta) {
	cell, _ := by.Target()
	if _, rest, _ := strings.Cut(d.Key, "\x00"); !strings.HasPrefix(rest, nativeKind+"\x00") {
		if uint64(cell) < uint64(len(d.Cells)) {
			d.Cells[cell] = by.Change(d.Cells[cell])
		}
		return
	}
	i := 2 * sort.Search(len(d.Cells)/2, func(i int) bool { return d.Cells[2*i] >= float64(cell) })
	if i+1 >= len(d.Cells) || d.Cells[i] != float64(cell) {
		if _, _, ok := cellBucket(cell); !ok && cell >= nativeBuckets {
			return
		}
		d.Cells = slices.Insert(d.Cells, i, float64(cell), 0)
	}
	d.Cells[i+1] = by.Change(d.Cells[i+1])
}

// Apply makes the changes of a synced commit, in their order. Those of series that are gone
// are ignored.
func (r *Registry) Apply(deltas []record.Delta) {
	now := time.Now().Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range deltas {
		if uint64(d.Series) >= uint64(len(r.durable)) || r.durable[d.Series] == nil {
			continue
		}
		s := r.durable[d.Series]
		if n := s.native(); n != nil {
			if s.changeNative(n, d) {
				s.changed.Store(now)
			}
			continue
		}
		if i, _ := d.Target(); uint64(i) < uint64(len(s.cells)) {
			c := &s.cells[i] // nobody else writes to it
			c.Store(math.Float64bits(d.Change(math.Float64frombits(c.Load()))))
			s.changed.Store(now)
		}
	}
}

// Describe returns the stored form of a durable series, and whether there is one of that
// number. Its Cells are the values after the last Apply.
func (r *Registry) Describe(id uint32) (Durable, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if uint64(id) >= uint64(len(r.durable)) || r.durable[id] == nil {
		return Durable{}, false
	}
	s := r.durable[id]
	return s.stored(make([]float64, len(s.cells))), true
}

// Forgotten returns how many durable series have gone since New. Whoever stores them stores
// a new Snapshot when that has changed.
func (r *Registry) Forgotten() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.gone
}

// Snapshot returns all durable series, claimed or not, in order of their numbers.
func (r *Registry) Snapshot() []Durable {
	r.mu.RLock()
	defer r.mu.RUnlock()
	series, cells := 0, 0
	for _, s := range r.durable {
		if s != nil {
			series, cells = series+1, cells+len(s.cells)
		}
	}
	all, room := make([]Durable, 0, series), make([]float64, cells)
	for _, s := range r.durable {
		if s != nil {
			n := len(s.cells)
			all = append(all, s.stored(room[:n:n]))
			room = room[n:]
		}
	}
	return all
}

// stored fills cells, one for each cell of s. A native histogram has others.
func (s *Series) stored(cells []float64) Durable {
	if n := s.native(); n != nil {
		return Durable{ID: s.id, Key: s.durableKey(), Created: s.created, Cells: s.storedNative(n)}
	}
	for i := range cells {
		cells[i] = s.Cell(i)
	}
	return Durable{ID: s.id, Key: s.durableKey(), Created: s.created, Cells: cells}
}

// Restore puts back a stored series under its number, for the family that has it or will
// have it. It refuses what cannot be right, because a damaged store must not end the
// process: a number out of bounds, and a series that is there already.
func (r *Registry) Restore(d Durable) error {
	if d.ID == 0 || d.ID > maxDurableID {
		return fmt.Errorf("restore series %q: its number %d is out of bounds", d.Key, d.ID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.durable) <= int(d.ID) {
		r.durable = append(r.durable, nil)
	}
	if old := r.durable[d.ID]; old != nil {
		return fmt.Errorf("restore series %q: its number %d belongs to %q", d.Key, d.ID, old.durableKey())
	}
	if old := r.restored[d.Key]; old != nil {
		return fmt.Errorf("restore series %q: it has the numbers %d and %d", d.Key, old.id, d.ID)
	}
	s := &Series{id: d.ID, key: strings.Clone(d.Key), cells: make([]atomic.Uint64, len(d.Cells)), created: d.Created}
	for i, v := range d.Cells {
		s.cells[i].Store(math.Float64bits(v))
	}
	s.changed.Store(d.Created.Unix())
	if f := r.familyOfLocked(s.key); f != nil {
		return r.adoptLocked(f, s)
	}
	r.durable[d.ID] = s
	r.restored[s.key] = s
	return nil
}

// durableKey returns the identity of s. It is long, and only kept where no family has it.
func (s *Series) durableKey() string {
	if s.family == nil {
		return s.key
	}
	if s.values == nil {
		return s.family.prefix
	}
	return s.family.prefix + "\xff" + joinValues(s.values)
}

// familyOfLocked returns the family that a durable key belongs to, nil if there is none.
func (r *Registry) familyOfLocked(key string) *Family {
	name, _, _ := strings.Cut(key, "\x00")
	f := r.families[name]
	if f == nil || !f.desc.Durable || !strings.HasPrefix(key, f.prefix) {
		return nil
	}
	return f
}

// DropUnclaimed forgets the restored series whose family no longer exists: the rule that
// counted them has gone or has changed. It returns how many there were.
func (r *Registry) DropUnclaimed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.restored)
	for _, s := range r.restored {
		r.dropLocked(s)
	}
	clear(r.restored)
	return n
}

// claimLocked gives a new family the restored series that were its own.
func (r *Registry) claimLocked(f *Family) {
	if !f.desc.Durable || len(r.restored) == 0 {
		return
	}
	prefix := f.prefix
	for key, s := range r.restored {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		delete(r.restored, key)
		if r.adoptLocked(f, s) != nil {
			r.dropLocked(s) // not ours after all
		}
	}
}

// adoptLocked makes s, whose key starts with f's, a series of f.
func (r *Registry) adoptLocked(f *Family, s *Series) error {
	rest := strings.Clone(s.key[len(f.prefix):]) // all that is kept of the key
	if f.desc.Native != nil {
		if err := s.adoptNative(f); err != nil {
			return fmt.Errorf("restore series %q: %w", s.key, err)
		}
	}
	if len(s.cells) != f.cellCount() {
		return fmt.Errorf("restore series %q: it has %d cells, %s has %d", s.key, len(s.cells), f.desc.Name, f.cellCount())
	}
	if rest == "" {
		if f.overflow != nil {
			return fmt.Errorf("restore series %q: it is there already", s.key)
		}
		s.family, s.key, s.text = f, "", f.labelText(nil)
		f.overflow, r.durable[s.id] = s, s
		return nil
	}
	values := []string{}
	if len(f.desc.Labels) > 0 || f.desc.Free && len(rest) > 1 {
		values = strings.Split(rest[1:], "\xff")
	}
	joined := rest[1:]
	if rest[0] != 0xff || !f.fits(values) || joined != joinValues(values) {
		return fmt.Errorf("restore series %q: its values do not fit the labels %v", s.key, f.desc.Labels)
	}
	if f.series[joined] != nil {
		return fmt.Errorf("restore series %q: it is there already", s.key)
	}
	s.family, s.key, s.values, s.text = f, "", values, f.labelText(values)
	f.series[joined], r.durable[s.id] = s, s
	f.insertSorted(s)
	return nil
}

// freeLabels stands for the labels of a family whose series have their own.
const freeLabels = "*"

// Restored returns the families of an owner whose restored series nobody has claimed yet, for
// an owner that does not know what it had. It claims them by calling Family for each.
func (r *Registry) Restored(owner string) []Desc {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found := map[string]Desc{}
	for key := range r.restored {
		parts := strings.SplitN(key, "\x00", 6)
		if len(parts) < 6 || parts[2] != owner {
			continue
		}
		if d, ok := parseKey(parts); ok {
			found[strings.Join(parts[:5], "\x00")] = d
		}
	}
	var all []Desc
	for _, k := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[k])
	}
	return all
}

// Owned returns the families of an owner, in order of their names.
func (r *Registry) Owned(owner string) []*Family {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*Family
	for _, f := range r.order {
		if f.desc.Owner == owner {
			all = append(all, f)
		}
	}
	return all
}

// Find returns the series with these label values, nil if there is none.
func (f *Family) Find(values ...string) *Series {
	f.reg.mu.RLock()
	defer f.reg.mu.RUnlock()
	return f.series[joinValues(values)]
}

// parseKey returns the family of a durable key.
func parseKey(parts []string) (d Desc, ok bool) {
	d = Desc{Name: parts[0], Owner: parts[2], Durable: true, Free: parts[3] == freeLabels}
	if !d.Free && parts[3] != "" {
		d.Labels = strings.Split(parts[3], ",")
	}
	if parts[1] == nativeKind {
		schema, err := strconv.ParseInt(parts[4], 10, 8)
		d.Kind, d.Native = Histogram, &Native{Schema: int8(schema)}
		return d, err == nil
	}
	for d.Kind = Counter; d.Kind.String() != parts[1]; d.Kind++ {
		if d.Kind == Histogram {
			return d, false
		}
	}
	for limit := range strings.SplitSeq(strings.TrimSuffix(parts[4], ","), ",") {
		if limit == "" {
			continue
		}
		v, err := strconv.ParseFloat(limit, 64)
		if err != nil {
			return d, false
		}
		d.Buckets = append(d.Buckets, v)
	}
	return d, true
}

// keyPrefix begins the identities of a family's series: everything that, when changed, makes
// their old values meaningless. By itself it is that of the overflow series.
func keyPrefix(d Desc) string {
	var b strings.Builder
	b.WriteString(d.Name)
	b.WriteByte(0)
	if d.Native != nil {
		b.WriteString(nativeKind)
	} else {
		b.WriteString(d.Kind.String())
	}
	b.WriteByte(0)
	b.WriteString(d.Owner)
	b.WriteByte(0)
	if d.Free {
		b.WriteString(freeLabels)
	}
	b.WriteString(strings.Join(d.Labels, ","))
	b.WriteByte(0)
	if d.Native != nil {
		b.WriteString(strconv.Itoa(int(d.Native.Schema)))
	}
	for _, limit := range d.Buckets {
		b.WriteString(formatLimit(limit))
		b.WriteByte(',')
	}
	b.WriteByte(0)
	return b.String()
}
