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
	"hash/maphash"
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

// maxDurableID bounds the numbers that Restore takes, so that a damaged store cannot ask
// for gigabytes.
const maxDurableID = 1 << 24

// OverflowLabel is the only label of the series that takes what comes over the bound.
const OverflowLabel = "overflow"

// Desc describes a family. Two calls that agree in name, kind, labels, buckets, owner and
// durability get the same family; the help, subject, bound and idle time of the first stay.
type Desc struct {
	// Name is the full name on the wire, with its unit and, for a counter, "_total".
	Name string
	Help string
	// Subject, unless empty, stands behind the help, with a full stop. Families that differ in nothing but
	// name and subject share most of their memory.
	Subject string
	Kind    Kind
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
	labels   string        // these, as the text formats have them, without braces
	spare    atomic.Pointer[shot]

	mu       sync.RWMutex // guards all below, and durable cells against a torn read
	families index[*Family]
	seed     maphash.Seed
	shapes   map[uint64][]*shape // by Desc.hash
	order    []*Family           // in order of names as far as ordered; with those that have gone
	ordered  int
	dead     int                  // families in order that have gone
	untidy   []*Family            // those whose series are not in order
	durable  []*Series            // by durable number; nil where one was dropped
	restored map[string]*Series   // durable series that no family has claimed yet, by their identity
	waiting  map[string][]*Series // the same by the name of their family
	gone     uint64               // durable series that were forgotten
	hooks    []func()             // append-only, see OnCollect
	origins  map[*Family]string   // see SetOrigin; nil while nobody asks
	// maxBuckets are the bounds of native histograms that are not those of their shape any more.
	maxBuckets map[*Family]int

	exemplars   map[*Series][]Exemplar // each list is replaced, never changed
	exemplified uint64                 // how many exemplars there were
}

// New returns an empty registry whose series all carry the constant labels.
func New(constant ...record.Label) *Registry {
	r := &Registry{
		constant: constant,
		seed:     maphash.MakeSeed(),
		shapes:   map[uint64][]*shape{},
		durable:  []*Series{nil}, // numbers start at 1
	}
	var text []byte
	for i, l := range constant {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendLabel(text, l.Name, l.Value)
	}
	r.labels = string(text)
	return r
}

// Constant returns the labels that every series carries besides its own. The caller must
// not change them.
func (r *Registry) Constant() record.Labels { return r.constant }

// Family returns the family d describes, making it if need be. It fails when the name is
// taken by a family of another shape or owner, or when d breaks the rules of the text formats.
func (r *Registry) Family(d Desc) (*Family, error) {
	if err := d.check(r.constant); err != nil {
		return nil, err
	}
	d.fill()
	bound := int32(min(d.MaxSeries, math.MaxInt32))
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.families.get(d.Name, ""); f != nil {
		if has := &f.shape.desc; !has.same(&d) {
			return nil, fmt.Errorf("metric %s is already defined by %s with labels %v", d.Name, has.Owner, has.Labels)
		}
		f.max.Store(bound) // a reload may have changed it
		f.boundLocked(&d)
		return f, nil
	}
	if other := r.clashLocked(&d); other != "" {
		return nil, fmt.Errorf("metric %s: the histogram and %s would share a name on the wire", d.Name, other)
	}
	f := &Family{shape: r.shapeLocked(&d)}
	f.setText(d.Name, d.Subject)
	f.max.Store(bound)
	r.families.put(f)
	r.order = append(r.order, f)
	r.retypeLocked(d.Name)
	r.claimLocked(f, d.Name)
	return f, nil
}

// same tells whether d and o describe one family.
func (d *Desc) same(o *Desc) bool {
	return d.Kind == o.Kind && d.Free == o.Free && d.Owner == o.Owner && d.Durable == o.Durable &&
		slices.Equal(d.Labels, o.Labels) && slices.Equal(d.Buckets, o.Buckets) && d.Native.same(o.Native)
}

// check returns what the text formats cannot express about d.
func (d *Desc) check(constant record.Labels) error {
	if !ValidName(d.Name) {
		return fmt.Errorf("metric name %q: use letters, digits, '_' and ':', not a digit first", d.Name)
	}
	if len(d.Name) > maxFamilyName {
		return fmt.Errorf("metric name %.40q...: it is longer than %d bytes", d.Name, maxFamilyName)
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

// HelpText returns the help with its subject.
func (d *Desc) HelpText() string {
	if d.Subject == "" {
		return d.Help
	}
	return d.Help + " " + d.Subject + "."
}

// clashLocked returns a family that has one of the sample names that d would have.
func (r *Registry) clashLocked(d *Desc) string {
	for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		if d.Kind == Histogram && r.families.get(d.Name, suffix) != nil {
			return d.Name + suffix
		}
		if stem, ok := strings.CutSuffix(d.Name, suffix); ok {
			if f := r.families.get(stem, ""); f != nil && f.shape.desc.Kind == Histogram {
				return stem
			}
		}
	}
	return ""
}

// retypeLocked is called when the family of that name has come or gone. In OpenMetrics a
// counter's family has no "_total", so a gauge "jobs" leaves no name for "jobs_total",
// which then has to appear without its type.
func (r *Registry) retypeLocked(name string) {
	for _, suffix := range [...]string{"", counterSuffix} {
		if f := r.families.get(name, suffix); f != nil {
			stem, ok := name, true
			if suffix == "" {
				stem, ok = strings.CutSuffix(name, counterSuffix)
			}
			f.fate &^= untyped
			if f.shape.desc.Kind == Counter && (!ok || r.families.get(stem, "") != nil) {
				f.fate |= untyped
			}
		}
	}
}

// Forget removes the family of that name and its series.
func (r *Registry) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.families.get(name, "")
	if f == nil {
		return
	}
	r.families.remove(f)
	delete(r.origins, f)
	delete(r.maxBuckets, f)
	f.fate |= gone
	if r.dead++; crowded(r.dead, len(r.order)) {
		r.tidyLocked()
	}
	r.releaseLocked(f.shape)
	r.retypeLocked(name)
	f.eachLocked(func(s *Series) bool {
		if f.findLocked(s.key()) == s || s.IsOverflow() { // else it has gone before
			r.dropLocked(s)
		}
		return true
	})
}

// dropLocked takes the number from a series that goes, if it has one.
func (r *Registry) dropLocked(s *Series) {
	if s.id != 0 {
		r.durable[s.id] = nil
		r.gone++
	}
	delete(r.exemplars, s)
}

// Named returns the family of that name, nil if there is none.
func (r *Registry) Named(name string) *Family {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.families.get(name, "")
}

// Owned returns the families of an owner, in order of their names.
func (r *Registry) Owned(owner string) []*Family {
	writing := r.lockOrdered()
	defer r.unlockOrdered(writing)
	var all []*Family
	for _, f := range r.order {
		if f.Owner() == owner {
			all = append(all, f)
		}
	}
	return all
}

// Each calls visit for each series in order of family name and label values, the overflow
// series last in its family, and stops when visit returns false. Cells of durable series
// are those of one commit throughout. visit must not call back into the registry.
func (r *Registry) Each(visit func(f *Family, s *Series) bool) {
	writing := r.lockOrdered()
	defer r.unlockOrdered(writing)
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
	n := 0
	for _, f := range r.order {
		if d := &f.shape.desc; d.Idle > 0 && !d.Durable && f.fate&gone == 0 {
			n += f.expireLocked(now.Add(-d.Idle))
		}
	}
	return n
}
