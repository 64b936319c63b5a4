package metric

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
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
	now := uint32(time.Now().Unix())
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
		if i, _ := d.Target(); uint64(i) < uint64(s.Cells()) {
			c := s.cell(int(i)) // nobody else writes to it
			c.Store(math.Float64bits(d.Change(s.Cell(int(i)))))
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
	return s.stored(make([]float64, s.Cells())), true
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
			series, cells = series+1, cells+s.Cells()
		}
	}
	all, room := make([]Durable, 0, series), make([]float64, cells)
	for _, s := range r.durable {
		if s != nil {
			n := s.Cells()
			all = append(all, s.stored(room[:n:n]))
			room = room[n:]
		}
	}
	return all
}

// stored fills cells, one for each cell of s. A native histogram has others.
func (s *Series) stored(cells []float64) Durable {
	if s.native() != nil {
		cells = nil
	}
	cells = s.AppendCells(cells[:0])
	return Durable{ID: s.id, Key: string(s.AppendKey(nil)), Created: s.Created(), Cells: cells}
}

// Durables appends all durable series, claimed or not, in order of their numbers. Who stores
// them needs no more memory than that: but for their cells, which Apply changes, they stay as they are.
func (r *Registry) Durables(dst []*Series) []*Series {
	r.mu.RLock()
	defer r.mu.RUnlock()
	dst = slices.Grow(dst, len(r.durable))
	for _, s := range r.durable {
		if s != nil {
			dst = append(dst, s)
		}
	}
	return dst
}

// Durable returns the durable series of that number, nil if there is none.
func (r *Registry) Durable(id uint32) *Series {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if uint64(id) >= uint64(len(r.durable)) {
		return nil
	}
	return r.durable[id]
}

// Restore puts back a stored series under its number, for the family that has it or will
// have it. It refuses what cannot be right, because a damaged store must not end the
// process: a number out of bounds, a series without cells, and one that is there already.
func (r *Registry) Restore(d Durable) error {
	if d.ID == 0 || d.ID > maxDurableID {
		return fmt.Errorf("restore series %q: its number %d is out of bounds", d.Key, d.ID)
	}
	if len(d.Cells) == 0 {
		return fmt.Errorf("restore series %q: it has no cells", d.Key)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := int(d.ID) + 1; n > len(r.durable) {
		r.durable = slices.Grow(r.durable, n-len(r.durable))[:n]
	}
	if old := r.durable[d.ID]; old != nil {
		return fmt.Errorf("restore series %q: its number %d belongs to %q", d.Key, d.ID, old.AppendKey(nil))
	}
	if old := r.restored[d.Key]; old != nil {
		return fmt.Errorf("restore series %q: it has the numbers %d and %d", d.Key, old.id, d.ID)
	}
	s := &Series{id: d.ID, created: d.Created.UnixMicro()}
	s.fill(nil, strings.Clone(d.Key), len(d.Cells))
	for i, v := range d.Cells {
		s.cell(i).Store(math.Float64bits(v))
	}
	s.changed.Store(uint32(max(0, min(d.Created.Unix(), math.MaxUint32))))
	if f := r.familyOfLocked(s.key()); f != nil {
		return r.adoptLocked(f, s)
	}
	r.durable[d.ID] = s
	if r.restored == nil {
		r.restored, r.waiting = map[string]*Series{}, map[string][]*Series{}
	}
	r.restored[s.key()] = s
	name, _, _ := strings.Cut(s.key(), "\x00")
	r.waiting[name] = append(r.waiting[name], s)
	return nil
}

// AppendKey appends the durable identity of s: that of its family, and its label values.
func (s *Series) AppendKey(dst []byte) []byte {
	if s.family == nil {
		return append(dst, s.key()...)
	}
	dst = append(s.family.AppendName(dst), s.family.shape.tail...)
	if s.IsOverflow() {
		return dst
	}
	return append(append(dst, separator...), s.key()...)
}

// familyOfLocked returns the family that a durable key belongs to, nil if there is none.
func (r *Registry) familyOfLocked(key string) *Family {
	name, _, _ := strings.Cut(key, "\x00")
	f := r.families.get(name, "")
	if f == nil || !f.shape.desc.Durable || !strings.HasPrefix(key[len(name):], f.shape.tail) {
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
	r.restored, r.waiting = nil, nil
	return n
}

// claimLocked gives a new family of that name the restored series that were its own.
func (r *Registry) claimLocked(f *Family, name string) {
	waiting := r.waiting[name]
	if !f.shape.desc.Durable || len(waiting) == 0 {
		return
	}
	left := waiting[:0]
	for _, s := range waiting {
		if !strings.HasPrefix(s.key()[len(name):], f.shape.tail) {
			left = append(left, s)
			continue
		}
		delete(r.restored, s.key())
		if r.adoptLocked(f, s) != nil {
			r.dropLocked(s) // not ours after all
		}
	}
	if r.waiting[name] = left; len(left) == 0 {
		delete(r.waiting, name)
	}
	if len(r.restored) == 0 {
		r.restored, r.waiting = nil, nil // a map keeps its memory
	}
}

// adoptLocked gives f a series that is what s was, whose key starts with f's. s stays as it is:
// whoever stores it may be reading it.
func (r *Registry) adoptLocked(f *Family, s *Series) error {
	rest := s.key()[f.nameLen()+len(f.shape.tail):]
	if f.shape.desc.Native != nil {
		if err := f.checkPairs(s); err != nil {
			return fmt.Errorf("restore series %q: %w", s.key(), err)
		}
	} else if s.Cells() != f.cells() {
		return fmt.Errorf("restore series %q: it has %d cells, %s has %d", s.key(), s.Cells(), f.Name(), f.cells())
	}
	if rest == "" {
		f.widenLocked()
		if f.many.overflow != nil {
			return fmt.Errorf("restore series %q: it is there already", s.key())
		}
		f.many.overflow = f.adoptedLocked(new(Series), s, overflowKey)
		return nil
	}
	values := []string{}
	if len(f.shape.desc.Labels) > 0 || f.shape.desc.Free && len(rest) > 1 {
		values = strings.Split(rest[1:], separator)
	}
	if rest[:1] != separator || !f.fits(values) || rest[1:] != joinValues(values) {
		return fmt.Errorf("restore series %q: its values do not fit the labels %v", s.key(), f.shape.desc.Labels)
	}
	joined := strings.Clone(rest[1:]) // all that is kept of the key
	if f.findLocked(joined) != nil {
		return fmt.Errorf("restore series %q: it is there already", s.key())
	}
	f.addLocked(f.adoptedLocked(f.roomLocked(), s, joined))
	return nil
}

// adoptedLocked makes s what old was, as a series of f.
func (f *Family) adoptedLocked(s, old *Series, joined string) *Series {
	s.fill(f, joined, f.cells())
	if n := s.native(); n != nil {
		s.takePairs(n, old)
	} else {
		for i := range old.Cells() {
			s.cell(i).Store(old.cell(i).Load())
		}
	}
	s.id, s.created = old.id, old.created
	s.changed.Store(old.changed.Load())
	f.shape.reg.durable[s.id] = s
	return s
}

// freeLabels stands for the labels of a family whose series have their own.
const freeLabels = "*"

// Restored returns the families of an owner whose restored series nobody has claimed yet, for
// an owner that does not know what it had. It claims them by calling Family for each.
func (r *Registry) Restored(owner string) (all []Desc) {
	for _, prefix := range r.unclaimed(owner) {
		if d, ok := parseKey(strings.SplitN(prefix, "\x00", 6)); ok {
			all = append(all, d)
		}
	}
	return all
}

// Claim makes the families of an owner whose restored series nobody has claimed yet, as wanted
// changes what is known of them; those it does not want stay. It is for an owner with so many that
// Restored would take much memory.
func (r *Registry) Claim(owner string, wanted func(d *Desc) bool) {
	for _, prefix := range r.unclaimed(owner) {
		if d, ok := parseKey(strings.SplitN(prefix, "\x00", 6)); ok && wanted(&d) {
			_, _ = r.Family(d) // if something else has its name it is gone
		}
	}
}

// unclaimed returns the beginnings, up to the label values, of the keys of an owner's restored
// series, in order.
func (r *Registry) unclaimed(owner string) (prefixes []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for key := range r.restored {
		parts := strings.SplitN(key, "\x00", 6)
		if len(parts) == 6 && parts[2] == owner {
			prefixes = append(prefixes, key[:len(key)-len(parts[5])])
		}
	}
	slices.Sort(prefixes)
	return slices.Compact(prefixes)
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

// keyTail is what the identities of a family's series have behind its name: everything that, when
// changed, makes their old values meaningless. With the name it is that of the overflow series.
func keyTail(d *Desc) string {
	var b strings.Builder
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
