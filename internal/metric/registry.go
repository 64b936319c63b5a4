// Package metric is the registry of weir's numbers: counters, gauges and histograms in
// families, each family with an owner, a bound on its series, and an expiry.
//
// A family is either volatile, set by whoever measures (the self metrics), or durable:
// then nothing but Apply changes it, with the deltas of synced commits, and its values
// come back with Restore after a restart.
//
//	reg := metric.New(record.Label{Name: "machine", Value: "web-1"})
//	f, err := reg.Family(metric.Desc{Name: "nginx_status_count_total", Kind: metric.Counter, Labels: []string{"status"}})
//	f.Series("200").Add(1)
//
// All methods may be called concurrently. AppendText writes the text formats; whatever
// else wants the numbers reads with Each, after Collect. The package leaves out how values
// travel.
package metric

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// Kind is what a family's values mean.
type Kind uint8

// The kinds of families.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

// String returns the kind as the text format's TYPE line has it.
func (k Kind) String() string {
	return [...]string{"counter", "gauge", "histogram"}[k]
}

// DefaultMaxSeries bounds a family whose Desc does not say.
const DefaultMaxSeries = 1000

// maxLabelBytes is the longest label value kept; what is longer is cut.
const maxLabelBytes = 1024

// maxDurableID bounds the numbers that Restore takes, so that a damaged store cannot ask
// for gigabytes.
const maxDurableID = 1 << 24

// OverflowLabel is the only label of the series that takes what comes over the bound.
const OverflowLabel = "overflow"

// Desc describes a family. Two calls that agree in name, kind, labels, buckets, owner and
// durability get the same family; the help and idle time of the first stay, the bounds are
// those of the last.
type Desc struct {
	// Name is the full name on the wire, with its unit and, for a counter, "_total".
	Name string
	Help string
	Kind Kind
	// Labels are the names of the labels whose values tell the series apart.
	Labels []string
	// Free says that series have labels of their own instead: their values are names and
	// values in turn, sorted by name, of names that ValidLabel takes.
	Free bool
	// Buckets are a histogram's upper limits, ascending, without +Inf.
	Buckets []float64
	// Native makes a histogram a native one, which has no Buckets.
	Native *Native
	// Owner is the rule or component that the family belongs to. For a durable family
	// it includes a digest of the rule: a changed rule starts new series.
	Owner string
	// MaxSeries bounds the series; zero means DefaultMaxSeries.
	MaxSeries int
	// Idle is how long a series of a volatile family stays without a change; zero means
	// for ever. Whoever sets it asks for the series each time and keeps none: what is
	// added to an expired series is lost.
	Idle time.Duration
	// Durable families change by Apply alone.
	Durable bool
}

// Registry holds families by name.
type Registry struct {
	constant record.Labels // on every series

	mu       sync.RWMutex // guards all below, and durable cells against a torn read
	families map[string]*Family
	order    []*Family          // sorted by name
	durable  []*Series          // by durable number; nil where one was dropped
	restored map[string]*Series // durable series that no family has claimed yet
	gone     uint64             // durable series that were forgotten
	// exemplified is how many exemplars there were.
	exemplified uint64
	hooks       []func() // append-only, see OnCollect
}

// New returns an empty registry whose series all carry the constant labels.
func New(constant ...record.Label) *Registry {
	return &Registry{
		constant: constant,
		families: map[string]*Family{},
		durable:  []*Series{nil}, // numbers start at 1
		restored: map[string]*Series{},
	}
}

// Constant returns the labels that every series carries besides its own. The caller must
// not change them.
func (r *Registry) Constant() record.Labels { return r.constant }

// Family is the series of one name.
type Family struct {
	desc     Desc
	reg      *Registry
	prefix   string             // of the durable identities of its series
	buckets  [2][]string        // a histogram's le labels, by Format
	untyped  bool               // a counter whose OpenMetrics name another family has; guarded by reg.mu
	series   map[string]*Series // by joined label values; guarded by reg.mu
	sorted   []*Series          // in order of label values, kept for exposition
	overflow *Series
	max      atomic.Int64 // bound on series
	// maxBuckets bounds a native histogram's buckets.
	maxBuckets atomic.Int64
	overflew   atomic.Uint64 // additions that went to the overflow series
}

// Series is one set of label values of a family, and its cells: one for a counter or a
// gauge; for a histogram a count for each bucket (not cumulative), one for +Inf, and the sum.
// Those of a native histogram are in native.go; ReadNative has what they come to.
type Series struct {
	family  *Family
	id      uint32 // durable number; 0 when volatile
	key     string // durable identity, of one that no family has claimed
	values  []string
	text    string          // all labels as the text formats have them, with braces; may be ""
	cells   []atomic.Uint64 // float64 bits
	extra   atomic.Pointer[extra]
	created time.Time
	changed atomic.Int64 // Unix seconds of the last change
}

// Family returns the family d describes, making it if need be. It fails when the name is
// taken by a family of another shape or owner, or when d breaks the rules of the text formats.
func (r *Registry) Family(d Desc) (*Family, error) {
	if err := d.check(r.constant); err != nil {
		return nil, err
	}
	if d.MaxSeries == 0 {
		d.MaxSeries = DefaultMaxSeries
	}
	d.Labels, d.Buckets = slices.Clone(d.Labels), slices.Clone(d.Buckets)
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.families[d.Name]; ok {
		if !f.desc.same(d) {
			return nil, fmt.Errorf("metric %s is already defined by %s with labels %v", d.Name, f.desc.Owner, f.desc.Labels)
		}
		f.bound(d) // a reload may have changed it
		return f, nil
	}
	if other := r.clashLocked(d); other != "" {
		return nil, fmt.Errorf("metric %s: the histogram and %s would share a name on the wire", d.Name, other)
	}
	f := &Family{desc: d, reg: r, prefix: keyPrefix(d), series: map[string]*Series{}}
	f.bound(d)
	if d.Kind == Histogram {
		f.buckets = bucketLabels(d.Buckets)
	}
	r.families[d.Name] = f
	i, _ := slices.BinarySearchFunc(r.order, d.Name, func(f *Family, n string) int { return strings.Compare(f.desc.Name, n) })
	r.order = slices.Insert(r.order, i, f)
	r.retypeLocked(d.Name)
	r.claimLocked(f)
	return f, nil
}

// same tells whether d and o describe one family.
func (d Desc) same(o Desc) bool {
	return d.Kind == o.Kind && d.Free == o.Free && d.Owner == o.Owner && d.Durable == o.Durable &&
		slices.Equal(d.Labels, o.Labels) && slices.Equal(d.Buckets, o.Buckets) && d.Native.same(o.Native)
}

// check returns what the text formats cannot express about d.
func (d Desc) check(constant record.Labels) error {
	if !ValidName(d.Name) {
		return fmt.Errorf("metric name %q: use letters, digits, '_' and ':', not a digit first", d.Name)
	}
	if d.Free && len(d.Labels) > 0 {
		return fmt.Errorf("metric %s has labels of its own and free ones", d.Name)
	}
	for i, l := range d.Labels {
		switch {
		case !ValidName(l) || strings.Contains(l, ":"):
			return fmt.Errorf("label name %q of %s: use letters, digits and '_', not a digit first", l, d.Name)
		case strings.HasPrefix(l, "__"), l == OverflowLabel, l == "le" && d.Kind == Histogram:
			return fmt.Errorf("label name %q of %s is reserved, choose another", l, d.Name)
		case slices.Contains(d.Labels[:i], l):
			return fmt.Errorf("label name %q of %s is given twice", l, d.Name)
		case constant.Get(l) != "":
			return fmt.Errorf("label name %q of %s is already a label of every series", l, d.Name)
		}
	}
	if err := d.checkNative(); err != nil {
		return err
	}
	for i, limit := range d.Buckets {
		if d.Kind != Histogram || math.IsNaN(limit) || math.IsInf(limit, 0) || i > 0 && limit <= d.Buckets[i-1] {
			return fmt.Errorf("buckets of %s: give a histogram finite limits, each above the one before", d.Name)
		}
	}
	return nil
}

// clashLocked returns a family that has one of the sample names that d would have.
func (r *Registry) clashLocked(d Desc) string {
	for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		if _, ok := r.families[d.Name+suffix]; ok && d.Kind == Histogram {
			return d.Name + suffix
		}
		if stem, ok := strings.CutSuffix(d.Name, suffix); ok && r.families[stem] != nil && r.families[stem].desc.Kind == Histogram {
			return stem
		}
	}
	return ""
}

// retypeLocked is called when the family of that name has come or gone. In OpenMetrics a
// counter's family has no "_total", so a gauge "jobs" leaves no name for "jobs_total",
// which then has to appear without its type.
func (r *Registry) retypeLocked(name string) {
	for _, n := range [...]string{name, name + counterSuffix} {
		if f := r.families[n]; f != nil {
			stem, ok := strings.CutSuffix(n, counterSuffix)
			f.untyped = f.desc.Kind == Counter && (!ok || r.families[stem] != nil)
		}
	}
}

// Forget removes the family of that name and its series.
func (r *Registry) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.families[name]
	if !ok {
		return
	}
	delete(r.families, name)
	r.order = slices.DeleteFunc(r.order, func(o *Family) bool { return o == f })
	r.retypeLocked(name)
	for _, s := range f.series {
		r.dropLocked(s)
	}
	if f.overflow != nil {
		r.dropLocked(f.overflow)
	}
}

// dropLocked takes the number from a series that goes, if it has one.
func (r *Registry) dropLocked(s *Series) {
	if s.id != 0 {
		r.durable[s.id] = nil
		r.gone++
	}
}

// Desc returns what the family was made with.
func (f *Family) Desc() Desc { return f.desc }

// ValidLabel tells whether a series of a Free family can have a label of that name.
func (f *Family) ValidLabel(name string) bool {
	return ValidName(name) && !strings.Contains(name, ":") && !strings.HasPrefix(name, "__") && name != OverflowLabel &&
		(name != "le" || f.desc.Kind != Histogram) && f.reg.constant.Get(name) == ""
}

// fits tells whether there are as many values as series of the family have.
func (f *Family) fits(values []string) bool {
	if f.desc.Free {
		return len(values)%2 == 0
	}
	return len(values) == len(f.desc.Labels)
}

// Series returns the series with these label values, one for each of Desc.Labels, making
// it if need be. Beyond the bound it returns the overflow series.
func (f *Family) Series(values ...string) *Series {
	if !f.fits(values) {
		panic(fmt.Sprintf("metric: %s has labels %v, got %d values", f.desc.Name, f.desc.Labels, len(values)))
	}
	key := joinValues(values)
	f.reg.mu.RLock()
	s := f.series[key]
	f.reg.mu.RUnlock()
	if s != nil {
		return s
	}
	return f.seriesSlow(values)
}

// seriesSlow is Series for values that are not known as they stand.
func (f *Family) seriesSlow(values []string) *Series {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = cleanValue(v)
	}
	key := joinValues(clean) // values that differ in what is cut off are one series
	f.reg.mu.RLock()
	s, overflow, full := f.series[key], f.overflow, int64(len(f.series)) >= f.max.Load()
	f.reg.mu.RUnlock()
	if s != nil {
		return s
	}
	if full && overflow != nil { // a flood of new values must not stop readers
		f.overflew.Add(1)
		return overflow
	}
	f.reg.mu.Lock()
	defer f.reg.mu.Unlock()
	if s := f.series[key]; s != nil {
		return s
	}
	if int64(len(f.series)) >= f.max.Load() {
		f.overflew.Add(1)
		return f.overflowLocked()
	}
	if len(clean) > 1 {
		clean = strings.Split(key, "\xff") // they share its memory
	}
	s = f.newSeriesLocked(clean)
	f.series[key] = s
	f.insertSorted(s)
	return s
}

// Drop removes a series of a volatile family whose subject is gone. Whoever has s uses it no
// more; Series makes a new one. A series that is not in the family any more, or is its
// overflow series, which others use, is left alone.
func (f *Family) Drop(s *Series) {
	if s != nil && s.id == 0 {
		f.Retire(s)
	}
}

// Retire is Drop for durable series as well: a new one begins at zero, and deltas of s that
// are under way change nothing. The journal stores everything anew after it, so that one who
// has several to retire does it at once.
func (f *Family) Retire(s *Series) {
	if s.IsOverflow() {
		return
	}
	f.reg.mu.Lock()
	defer f.reg.mu.Unlock()
	key := joinValues(s.values)
	if f.series[key] != s {
		return
	}
	delete(f.series, key)
	f.reg.dropLocked(s)
	i, _ := slices.BinarySearchFunc(f.sorted, s, func(a, b *Series) int { return slices.Compare(a.values, b.values) })
	f.sorted = slices.Delete(f.sorted, i, i+1)
}

// Each calls visit for each series of the family in order of label values, the overflow
// series last, and stops when visit returns false. visit must not call back into the registry.
func (f *Family) Each(visit func(s *Series) bool) {
	f.reg.mu.RLock()
	defer f.reg.mu.RUnlock()
	f.eachLocked(visit)
}

func (f *Family) eachLocked(visit func(s *Series) bool) bool {
	for _, s := range f.sorted {
		if !visit(s) {
			return false
		}
	}
	return f.overflow == nil || visit(f.overflow)
}

// Overflowed returns how often a series was asked for beyond the bound.
func (f *Family) Overflowed() uint64 { return f.overflew.Load() }

// IsOverflow tells whether s is its family's overflow series.
func (s *Series) IsOverflow() bool { return s.values == nil }

func (f *Family) insertSorted(s *Series) {
	i, _ := slices.BinarySearchFunc(f.sorted, s, func(a, b *Series) int { return slices.Compare(a.values, b.values) })
	f.sorted = slices.Insert(f.sorted, i, s)
}

func (f *Family) overflowLocked() *Series {
	if f.overflow == nil {
		f.overflow = f.newSeriesLocked(nil)
	}
	return f.overflow
}

func (f *Family) newSeriesLocked(values []string) *Series {
	s := &Series{family: f, values: values, text: f.labelText(values), cells: make([]atomic.Uint64, f.cellCount()), created: time.Now()}
	s.changed.Store(s.created.Unix())
	if f.desc.Native != nil {
		s.makeSparse()
	}
	if f.desc.Durable && f.reg.families[f.desc.Name] == f { // a forgotten family is not stored
		s.id = uint32(len(f.reg.durable))
		f.reg.durable = append(f.reg.durable, s)
	}
	return s
}

// Labels returns the labels of s, those of the registry left out; none for the overflow series.
func (s *Series) Labels() record.Labels {
	var ls record.Labels
	for i, v := range s.values {
		switch {
		case !s.family.desc.Free:
			ls = append(ls, record.Label{Name: s.family.desc.Labels[i], Value: v})
		case i%2 == 1:
			ls = append(ls, record.Label{Name: s.values[i-1], Value: v})
		}
	}
	return ls
}

func (f *Family) cellCount() int {
	switch {
	case f.desc.Native != nil:
		return nativeBuckets
	case f.desc.Kind == Histogram:
		return len(f.desc.Buckets) + 2
	}
	return 1
}

// Values returns the label values, in the order of Desc.Labels; nil for the overflow series.
func (s *Series) Values() []string { return s.values }

// Family returns the family of s; nil while a restored series is not claimed.
func (s *Series) Family() *Family { return s.family }

// ID returns the durable number of s, for a record.Delta; 0 when it is volatile, or made
// after its family was forgotten.
func (s *Series) ID() uint32 { return s.id }

// Add adds v to a volatile counter or gauge.
func (s *Series) Add(v float64) {
	s.addCell(0, v)
	s.changed.Store(time.Now().Unix())
}

// Set sets a volatile gauge.
func (s *Series) Set(v float64) {
	s.cells[0].Store(math.Float64bits(v))
	s.changed.Store(time.Now().Unix())
}

// Observe counts v in a volatile histogram: in the first bucket whose limit it does not
// pass, and in the sum.
func (s *Series) Observe(v float64) {
	if n := s.native(); n != nil {
		s.observeNative(n, v)
		s.changed.Store(time.Now().Unix())
		return
	}
	limits := s.family.desc.Buckets
	i, _ := slices.BinarySearch(limits, v)
	s.addCell(i, 1)
	s.addCell(len(limits)+1, v)
	s.changed.Store(time.Now().Unix())
}

// Value returns the counter's or gauge's value; for a histogram the count of its first bucket.
func (s *Series) Value() float64 { return s.Cell(0) }

// Cells returns how many cells s has, buckets of a native histogram left out.
func (s *Series) Cells() int { return len(s.cells) }

// Cell returns the value of one cell.
func (s *Series) Cell(i int) float64 { return math.Float64frombits(s.cells[i].Load()) }

// Changed returns when s last changed.
func (s *Series) Changed() time.Time { return time.Unix(s.changed.Load(), 0) }

// Created returns when counting of s began.
func (s *Series) Created() time.Time { return s.created }

func (s *Series) addCell(i int, v float64) {
	c := &s.cells[i]
	for {
		old := c.Load()
		if c.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Each calls visit for each series in order of family name and label values, the overflow
// series last in its family, and stops when visit returns false. Cells of durable series
// are those of one commit throughout. visit must not call back into the registry.
func (r *Registry) Each(visit func(f *Family, s *Series) bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.order {
		if !f.eachLocked(func(s *Series) bool { return visit(f, s) }) {
			return
		}
	}
}

// OnCollect has measure called by every Collect, to set what costs too much to keep up to
// date all the time.
func (r *Registry) OnCollect(measure func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, measure)
}

// Collect brings up to date what is measured on demand. AppendText does it by itself; a
// reader with Each calls it first.
func (r *Registry) Collect() {
	r.mu.RLock()
	hooks := r.hooks
	r.mu.RUnlock()
	for _, measure := range hooks {
		measure()
	}
}

// Expire removes the series of volatile families that have not changed for their family's
// Idle time before now, and returns how many went.
func (r *Registry) Expire(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := 0
	for _, f := range r.order {
		if f.desc.Idle == 0 || f.desc.Durable {
			continue
		}
		limit := now.Add(-f.desc.Idle).Unix()
		idle := func(s *Series) bool { return s.changed.Load() < limit }
		before := len(f.sorted)
		f.sorted = slices.DeleteFunc(f.sorted, func(s *Series) bool {
			if !idle(s) { // asked once: s may change meanwhile
				return false
			}
			delete(f.series, joinValues(s.values))
			return true
		})
		gone += before - len(f.sorted)
		if f.overflow != nil && idle(f.overflow) {
			f.overflow = nil
			gone++
		}
	}
	return gone
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
	return strings.Join(values, "\xff")
}

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
