package metric

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// Family is the series of one name. Most have one series, which is a part of it.
type Family struct {
	shape  *shape
	text   string       // name and subject, see name.go
	many   *many        // nil: there is no series but first; guarded by reg.mu
	max    atomic.Int32 // bound on series
	border uint16       // of the first of them in text
	joint  bool         // the name is made of the subject
	fate   fate         // guarded by reg.mu
	first  Series
}

// fate is what became of a family, in bits: two fields would make a family larger than 80 bytes.
type fate uint8

const (
	untyped fate = 1 << iota // a counter whose OpenMetrics name another family has
	gone                     // it was forgotten
)

// many is what a family with several series has; guarded by reg.mu.
type many struct {
	series   index[*Series] // by joined label values
	sorted   []*Series      // in order of label values as far as ordered; with those that have gone
	ordered  int
	dead     int // series in sorted that have gone
	untidy   bool
	overflow *Series
	overflew atomic.Uint64 // additions that went to the overflow series
}

// maxFamilyName is the longest name of a family.
const maxFamilyName = math.MaxUint16

// Owner returns whose the family is.
func (f *Family) Owner() string { return f.shape.desc.Owner }

// Kind returns what the family's values mean.
func (f *Family) Kind() Kind { return f.shape.desc.Kind }

// Desc returns what the family was made with.
func (f *Family) Desc() Desc {
	d := f.shape.desc
	d.Name, d.Subject = f.Name(), f.Subject()
	return d
}

// ValidLabel tells whether a series of a Free family can have a label of that name.
func (f *Family) ValidLabel(name string) bool {
	return ValidName(name) && !strings.Contains(name, ":") && !strings.HasPrefix(name, "__") && name != OverflowLabel &&
		(name != "le" || f.shape.desc.Kind != Histogram) && f.shape.reg.constant.Get(name) == ""
}

// fits tells whether there are as many values as series of the family have.
func (f *Family) fits(values []string) bool {
	if f.shape.desc.Free {
		return len(values)%2 == 0
	}
	return len(values) == len(f.shape.desc.Labels)
}

// cells returns how many cells each of the series has.
func (f *Family) cells() int {
	switch d := &f.shape.desc; {
	case d.Native != nil:
		return nativeBuckets
	case d.Kind == Histogram:
		return len(d.Buckets) + 2
	}
	return 1
}

// Series returns the series with these label values, one for each of Desc.Labels, making
// it if need be. Beyond the bound it returns the overflow series.
func (f *Family) Series(values ...string) *Series {
	if !f.fits(values) {
		panic(fmt.Sprintf("metric: %s has labels %v, got %d values", f.Name(), f.shape.desc.Labels, len(values)))
	}
	key := joinValues(values)
	mu := &f.shape.reg.mu
	mu.RLock()
	s := f.findLocked(key)
	mu.RUnlock()
	if s != nil {
		return s
	}
	return f.seriesSlow(values)
}

// Find returns the series with these label values, nil if there is none.
func (f *Family) Find(values ...string) *Series {
	key := joinValues(values)
	f.shape.reg.mu.RLock()
	defer f.shape.reg.mu.RUnlock()
	return f.findLocked(key)
}

// Within is Series, but beyond the bound it makes nothing and returns nil: of what cannot be
// added up, as of gauges, an overflow series would show what is not so.
func (f *Family) Within(values ...string) *Series {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = cleanValue(v)
	}
	mu := &f.shape.reg.mu
	mu.RLock()
	beyond := f.findLocked(joinValues(clean)) == nil && f.fullLocked()
	mu.RUnlock()
	if beyond {
		return nil
	}
	if s := f.Series(clean...); !s.IsOverflow() {
		return s
	}
	return nil
}

func (f *Family) findLocked(key string) *Series {
	if f.many != nil {
		return f.many.series.get(key, "")
	}
	if f.first.family != nil && f.first.key() == key {
		return &f.first
	}
	return nil
}

// fullLocked tells whether the family has as many series as it may.
func (f *Family) fullLocked() bool {
	n := 0
	switch {
	case f.many != nil:
		n = f.many.series.n
	case f.first.family != nil:
		n = 1
	}
	return n >= int(f.max.Load())
}

// seriesSlow is Series for values that are not known as they stand.
func (f *Family) seriesSlow(values []string) *Series {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = cleanValue(v)
	}
	key := joinValues(clean) // values that differ in what is cut off are one series
	mu := &f.shape.reg.mu
	mu.RLock()
	s := f.findLocked(key)
	if s == nil && f.fullLocked() {
		s = f.overLocked() // a flood of new values must not stop readers
	}
	mu.RUnlock()
	if s != nil {
		return s
	}
	mu.Lock()
	defer mu.Unlock()
	if s := f.findLocked(key); s != nil {
		return s
	}
	if f.fullLocked() {
		f.widenLocked()
		if f.many.overflow == nil {
			f.many.overflow = f.newLocked(new(Series), overflowKey)
		}
		return f.overLocked()
	}
	return f.addLocked(f.newLocked(f.roomLocked(), key))
}

// overLocked counts an addition to the overflow series, which it returns if there is one.
func (f *Family) overLocked() *Series {
	if f.many == nil || f.many.overflow == nil {
		return nil
	}
	f.many.overflew.Add(1)
	return f.many.overflow
}

// roomLocked returns where the family's next series goes.
func (f *Family) roomLocked() *Series {
	if f.many == nil && f.first.family == nil {
		return &f.first
	}
	f.widenLocked()
	return new(Series)
}

// widenLocked prepares f for several series.
func (f *Family) widenLocked() {
	if f.many != nil {
		return
	}
	f.many = &many{}
	if s := &f.first; s.family != nil {
		f.many.series.put(s)
		f.many.sorted, f.many.ordered = append(f.many.sorted, s), 1
	}
}

// addLocked makes s, which is new, one of f's series.
func (f *Family) addLocked(s *Series) *Series {
	if s == &f.first {
		return s
	}
	f.many.series.put(s)
	f.many.sorted = append(f.many.sorted, s)
	f.shape.reg.disorderLocked(f)
	return s
}

// newLocked makes s a new series of f, without adding it.
func (f *Family) newLocked(s *Series, joined string) *Series {
	now := time.Now()
	s.fill(f, joined, f.cells())
	s.created = now.UnixMicro()
	s.changed.Store(uint32(now.Unix()))
	if r := f.shape.reg; f.shape.desc.Durable && f.fate&gone == 0 { // a forgotten family is not stored
		s.id = uint32(len(r.durable))
		r.durable = append(r.durable, s)
		if f.shape.desc.Kind == Gauge && f.shape.desc.Free {
			s.value.Store(unset)
		}
	}
	return s
}

// Drop removes a series of a volatile family whose subject is gone. Whoever has s uses it no
// more; Series makes a new one. A series that is not in the family any more, or is its
// overflow series, which others use, is left alone.
func (f *Family) Drop(s *Series) {
	if s != nil && s.id == 0 && !s.IsOverflow() {
		f.Retire(s)
	}
}

// Retire is Drop for durable series as well: a new one begins at zero, and deltas of s that
// are under way change nothing. The journal stores everything anew after it, so that one who
// has several to retire does it at once. The overflow series is for whoever knows that no other
// uses it. It tells whether the family has series still.
func (f *Family) Retire(s *Series) (left bool) {
	r := f.shape.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.many != nil && f.many.overflow == s:
		r.dropLocked(s)
		f.many.overflow = nil
	case f.findLocked(s.key()) == s:
		f.removeLocked(s)
	}
	if f.many == nil {
		return f.first.family != nil
	}
	return f.many.series.n > 0 || f.many.overflow != nil
}

func (f *Family) removeLocked(s *Series) {
	f.shape.reg.dropLocked(s)
	if f.many == nil {
		f.many = &many{} // first is never used again: somebody may have it
		return
	}
	m := f.many
	m.series.remove(s)
	m.dead++
	f.thinLocked()
}

// thinLocked is called when series of f have gone. Where nobody reads in order, they go from
// the list as well once they are most of it.
func (f *Family) thinLocked() {
	m, r := f.many, f.shape.reg
	if crowded(m.dead, len(m.sorted)) {
		m.tidy()
		m.untidy = slices.Contains(r.untidy, f)
		return
	}
	r.disorderLocked(f)
}

// Single tells whether the family has had no more than one series at a time so far.
func (f *Family) Single() bool {
	f.shape.reg.mu.RLock()
	defer f.shape.reg.mu.RUnlock()
	return f.many == nil
}

// Each calls visit for each series of the family in order of label values, the overflow
// series last, and stops when visit returns false. visit must not call back into the registry.
func (f *Family) Each(visit func(s *Series) bool) {
	r := f.shape.reg
	writing := r.lockOrdered()
	defer r.unlockOrdered(writing)
	f.eachLocked(visit)
}

func (f *Family) eachLocked(visit func(s *Series) bool) bool {
	m := f.many
	if m == nil {
		return f.first.family == nil || visit(&f.first)
	}
	for _, s := range m.sorted {
		if !visit(s) {
			return false
		}
	}
	return m.overflow == nil || visit(m.overflow)
}

// Overflowed returns how often a series was asked for beyond the bound.
func (f *Family) Overflowed() uint64 {
	f.shape.reg.mu.RLock()
	defer f.shape.reg.mu.RUnlock()
	if f.many == nil {
		return 0
	}
	return f.many.overflew.Load()
}

// expireLocked removes the series that have not changed since a time, and returns how many.
func (f *Family) expireLocked(limit time.Time) (n int) {
	idle := func(s *Series) bool { return int64(s.changed.Load()) < limit.Unix() }
	if f.many == nil {
		if f.first.family == nil || !idle(&f.first) {
			return 0
		}
		f.removeLocked(&f.first)
		return 1
	}
	m := f.many
	for _, s := range m.sorted {
		if idle(s) && m.series.get(s.key(), "") == s { // asked once: s may change meanwhile
			m.series.remove(s)
			m.dead++
			n++
		}
	}
	if n > 0 {
		f.thinLocked()
	}
	if m.overflow != nil && idle(m.overflow) {
		m.overflow = nil
		n++
	}
	return n
}

// ValidName tells whether s is a metric name of the classic Prometheus data model.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// joinValues makes one map key of label values; the separator cannot be part of UTF-8.
func joinValues(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, separator)
}

// separator stands between joined label values; overflowKey instead of those of the overflow
// series. Neither is part of any UTF-8.
const (
	separator   = "\xff"
	overflowKey = "\xfe"
)

// cleanValue makes a copy of v that fits the text formats: valid UTF-8, bounded.
func cleanValue(v string) string {
	if len(v) > maxLabelBytes {
		end := maxLabelBytes
		for end > maxLabelBytes-utf8.UTFMax && !utf8.RuneStart(v[end]) {
			end--
		}
		v = v[:end]
	}
	if utf8.ValidString(v) {
		return strings.Clone(v)
	}
	return strings.ToValidUTF8(v, "\uFFFD")
}

// labels calls visit for the labels of a series of f with these joined values, those of the
// registry left out.
func (f *Family) labels(joined string, visit func(name, value string)) {
	d := &f.shape.desc
	if joined == overflowKey {
		return
	}
	if d.Free {
		for joined != "" {
			var name, value string
			name, joined, _ = strings.Cut(joined, separator)
			value, joined, _ = strings.Cut(joined, separator)
			visit(name, value)
		}
		return
	}
	for _, name := range d.Labels {
		var value string
		value, joined, _ = strings.Cut(joined, separator)
		visit(name, value)
	}
}

// Labels returns the labels of s, those of the registry left out; none for the overflow series.
func (s *Series) Labels() record.Labels {
	var ls record.Labels
	s.family.labels(s.key(), func(name, value string) { ls = append(ls, record.Label{Name: name, Value: value}) })
	return ls
}
