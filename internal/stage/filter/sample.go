package filter

import (
	"math"
	"math/bits"
	"slices"

	"github.com/weirlog/weir/internal/record"
)

// sampler keeps one in n records.
type sampler struct {
	n    uint64
	by   int // slot; -1: none
	of   *condition
	seed uint64 // of the stream
	salt uint64 // tells samples on one line apart
	// group is how many groups of n were seen whole, at the place in the present one, and
	// pick the place of the one that is kept.
	group, at, pick uint64
}

func newSampler(c Sample, l Line) (*sampler, error) {
	s := &sampler{n: uint64(c.OneIn), by: -1, seed: hash([]byte(l.Stream)), salt: mix(uint64(l.Samples))}
	if c.By != "" {
		s.by = slices.Index(l.Slots, c.By)
	}
	if c.Of != nil {
		of, err := compile(*c.Of, l.Slots)
		if err != nil {
			return nil, err
		}
		s.of = of
	}
	s.choose()
	return s, nil
}

// keeps tells whether record i is kept, which gets its weight then.
func (s *sampler) keeps(rd *reader, b *record.Batch, i int) bool {
	if s.of != nil && !s.of.holds(rd, b, i) {
		return true
	}
	var kept bool
	if value := rd.field(b, i, s.by); len(value) > 0 {
		kept = mix(hash(value)^s.salt)%s.n == 0
	} else {
		kept = s.next()
	}
	if kept {
		r := &b.Records[i]
		r.Weight = times(r.Weight, s.n)
	}
	return kept
}

// next tells whether the next record is the one of its group.
func (s *sampler) next() bool {
	kept := s.at == s.pick
	if s.at++; s.at == s.n {
		s.at = 0
		s.group++
		s.choose()
	}
	return kept
}

// choose decides which record of the group is kept. It is another one in each, so that logs
// that go round in circles of n lines are not seen from one side.
func (s *sampler) choose() { s.pick = mix(s.seed^s.salt+s.group) % s.n }

// times returns a weight that is n times as large, at most as large as can be said.
func times(weight uint32, n uint64) uint32 {
	high, product := bits.Mul64(uint64(max(weight, 1)), n)
	if high > 0 || product > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(product)
}

// hash is FNV-1a, whose numbers do not change from one version to the next.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// mix makes each bit of x decide about each of the result (the last steps of MurmurHash3).
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
