package metric

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
)

// shape is what families have in common that differ in name and subject alone. A StatsD source
// has hundreds of thousands of families of four shapes.
type shape struct {
	desc    Desc // without name and subject
	reg     *Registry
	hash    uint64      // its place in reg.shapes
	tail    string      // of the durable identities of its families' series, behind the name
	buckets [2][]string // a histogram's le labels, by Format
	users   int         // families that have it; guarded by reg.mu
}

// shapeLocked returns the shape of d for one more family.
func (r *Registry) shapeLocked(d *Desc) *shape {
	hash := d.hash(r.seed)
	for _, s := range r.shapes[hash] {
		if s.desc.same(d) && s.desc.Help == d.Help && s.desc.MaxSeries == d.MaxSeries && s.desc.Idle == d.Idle && d.Native.sameBound(s.desc.Native) {
			s.users++
			return s
		}
	}
	s := &shape{desc: *d, reg: r, hash: hash, tail: keyTail(d), users: 1}
	s.desc.Name, s.desc.Subject = "", ""
	s.desc.Labels, s.desc.Buckets = slices.Clone(d.Labels), slices.Clone(d.Buckets)
	if d.Kind == Histogram {
		s.buckets = bucketLabels(d.Buckets)
	}
	r.shapes[hash] = append(r.shapes[hash], s)
	return s
}

// releaseLocked says that one family less has the shape.
func (r *Registry) releaseLocked(s *shape) {
	if s.users--; s.users > 0 {
		return
	}
	r.shapes[s.hash] = slices.DeleteFunc(r.shapes[s.hash], func(o *shape) bool { return o == s })
	if len(r.shapes[s.hash]) == 0 {
		delete(r.shapes, s.hash)
	}
}

// hash returns a number that is the same for what has the same shape. A source whose senders
// describe their metrics has about as many shapes as families.
func (d *Desc) hash(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_ = h.WriteByte(byte(d.Kind))
	for _, text := range append([]string{d.Owner, d.Help}, d.Labels...) {
		_, _ = h.WriteString(text)
		_ = h.WriteByte(0)
	}
	var bits [8]byte
	for _, limit := range d.Buckets {
		binary.LittleEndian.PutUint64(bits[:], math.Float64bits(limit+0)) // -0 is 0
		_, _ = h.Write(bits[:])
	}
	return h.Sum64()
}
