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
// All methods may be called concurrently. The package leaves out how values travel: the
// text formats are in expose.go, everything else reads with Each.
package metric

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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

// OverflowLabel is the only label of the series that takes what comes over the bound.
const OverflowLabel = "overflow"

// Desc describes a family. Two calls with an equal Desc get the same family.
type Desc struct {
	// Name is the full name on the wire, with its unit and, for a counter, "_total".
	Name string
	Help string
	Kind Kind
	// Labels are the names of the labels whose values tell the series apart.
	Labels []string
	// Buckets are a histogram's upper limits, ascending, without +Inf.
	Buckets []float64
	// Owner is the rule or component that the family belongs to. For a durable family
	// it includes a digest of the rule: a changed rule starts new series.
	Owner string
	// MaxSeries bounds the series; zero means DefaultMaxSeries.
	MaxSeries int
	// Idle is how long a series stays without a change; zero means for ever.
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

// Family is the series of one name.
type Family struct {
	desc     Desc
	reg      *Registry
	series   map[string]*Series // by joined label values; guarded by reg.mu
	sorted   []*Series          // in order of label values, kept for exposition
	overflow *Series
	overflew atomic.Uint64 // additions that went to the overflow series
}

// Series is one set of label values of a family, and its cells: one for a counter or a
// gauge; for a histogram a count for each bucket (not cumulative), one for +Inf, and the sum.
type Series struct {
	family  *Family
	id      uint32 // durable number; 0 when volatile
	key     string // durable identity, see durableKey
	values  []string
	cells   []atomic.Uint64 // float64 bits
	created time.Time
	changed atomic.Int64 // Unix seconds of the last change
}

// Family returns the family d describes, making it if need be. It fails when the name is
// taken by a family of another shape or owner, or is not a legal metric name.
func (r *Registry) Family(d Desc) (*Family, error) {
	if !ValidName(d.Name) {
		return nil, fmt.Errorf("metric name %q: use letters, digits, '_' and ':', not a digit first", d.Name)
	}
	for _, l := range d.Labels {
		if !ValidName(l) || strings.Contains(l, ":") {
			return nil, fmt.Errorf("label name %q of %s: use letters, digits and '_', not a digit first", l, d.Name)
		}
	}
	if d.MaxSeries == 0 {
		d.MaxSeries = DefaultMaxSeries
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.families[d.Name]; ok {
		if f.desc.Kind != d.Kind || f.desc.Owner != d.Owner || !slices.Equal(f.desc.Labels, d.Labels) || !slices.Equal(f.desc.Buckets, d.Buckets) {
			return nil, fmt.Errorf("metric %s is already defined by %s with labels %v", d.Name, f.desc.Owner, f.desc.Labels)
		}
		return f, nil
	}
	f := &Family{desc: d, reg: r, series: map[string]*Series{}}
	r.families[d.Name] = f
	i, _ := slices.BinarySearchFunc(r.order, d.Name, func(f *Family, n string) int { return strings.Compare(f.desc.Name, n) })
	r.order = slices.Insert(r.order, i, f)
	r.claim(f)
	return f, nil
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
	for _, s := range f.series {
		if s.id != 0 {
			r.durable[s.id] = nil
		}
	}
	if f.overflow != nil && f.overflow.id != 0 {
		r.durable[f.overflow.id] = nil
	}
}

// Desc returns what the family was made with.
func (f *Family) Desc() Desc { return f.desc }

// Series returns the series with these label values, one for each of Desc.Labels, making
// it if need be. Beyond the bound it returns the overflow series.
func (f *Family) Series(values ...string) *Series {
	if len(values) != len(f.desc.Labels) {
		panic(fmt.Sprintf("metric: %s has labels %v, got %d values", f.desc.Name, f.desc.Labels, len(values)))
	}
	key := joinValues(values)
	f.reg.mu.RLock()
	s := f.series[key]
	f.reg.mu.RUnlock()
	if s != nil {
		return s
	}
	f.reg.mu.Lock()
	defer f.reg.mu.Unlock()
	if s := f.series[key]; s != nil {
		return s
	}
	if len(f.series) >= f.desc.MaxSeries {
		f.overflew.Add(1)
		return f.overflowLocked()
	}
	return f.addLocked(key, values)
}

// Overflowed returns how often a series was asked for beyond the bound.
func (f *Family) Overflowed() uint64 { return f.overflew.Load() }

// IsOverflow tells whether s is its family's overflow series.
func (s *Series) IsOverflow() bool { return s.family != nil && s == s.family.overflow }

func (f *Family) addLocked(key string, values []string) *Series {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = cleanValue(v)
	}
	s := f.newSeriesLocked(clean)
	f.series[key] = s
	f.insertSorted(s)
	return s
}

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
	s := &Series{family: f, values: values, cells: make([]atomic.Uint64, f.cellCount()), created: time.Now()}
	s.changed.Store(s.created.Unix())
	if f.desc.Durable {
		s.key = durableKey(f.desc, values)
		f.reg.numberLocked(s)
	}
	return s
}

func (f *Family) cellCount() int {
	if f.desc.Kind == Histogram {
		return len(f.desc.Buckets) + 2
	}
	return 1
}

// Values returns the label values, in the order of Desc.Labels; nil for the overflow series.
func (s *Series) Values() []string { return s.values }

// Family returns the family of s; nil while a restored series is not claimed.
func (s *Series) Family() *Family { return s.family }

// ID returns the durable number of s, for a record.Delta; 0 when it is volatile.
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

// Value returns the counter's or gauge's value; for a histogram the count of its first bucket.
func (s *Series) Value() float64 { return s.Cell(0) }

// Cells returns how many cells s has.
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
		for _, s := range f.sorted {
			if !visit(f, s) {
				return
			}
		}
		if f.overflow != nil && !visit(f, f.overflow) {
			return
		}
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
		for key, s := range f.series {
			if s.changed.Load() < limit {
				delete(f.series, key)
				gone++
			}
		}
		f.sorted = slices.DeleteFunc(f.sorted, func(s *Series) bool { return s.changed.Load() < limit })
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

// cleanValue makes v fit the text formats: valid UTF-8, bounded.
func cleanValue(v string) string {
	if len(v) > maxLabelBytes {
		v = v[:maxLabelBytes]
	}
	return strings.Clone(strings.ToValidUTF8(v, "\uFFFD"))
}
