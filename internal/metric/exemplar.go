package metric

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/codec/protobuf"
	"github.com/weirlog/weir/internal/record"
)

// Exemplar is one of what a cell of a durable series has counted, with labels that lead to it,
// such as the id of a trace. There is one for each cell, the latest; ten for a native histogram,
// each of another bucket. They are not stored: a registry that was restored has none.
type Exemplar struct {
	Series uint32 // durable number
	Cell   uint32
	Value  float64
	Time   int64 // in Unix milliseconds
	// Labels are names and values in turn, each ended by record.LabelEnd.
	Labels string
	// Number grows with each exemplar that a registry gets.
	Number uint64
}

// maxNativeExemplars is how many a native histogram has, as in Prometheus' client libraries.
const maxNativeExemplars = 10

// MaxExemplarRunes is how much the names and values of an exemplar's labels may have together,
// as OpenMetrics says.
const MaxExemplarRunes = 128

// AllLabels goes through the labels of e.
func (e *Exemplar) AllLabels() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := e.Labels; rest != ""; {
			var name, value string
			name, rest, _ = strings.Cut(rest, record.LabelEnd)
			value, rest, _ = strings.Cut(rest, record.LabelEnd)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Exemplify shows exemplars of a synced commit. Those of series or cells that are not there are
// ignored.
func (r *Registry) Exemplify(all iter.Seq[Exemplar]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := range all {
		if uint64(e.Series) >= uint64(len(r.durable)) || r.durable[e.Series] == nil {
			continue
		}
		if s := r.durable[e.Series]; s.family != nil {
			r.exemplified++
			e.Number = r.exemplified
			s.exemplify(e)
		}
	}
}

// DropExemplars removes the exemplars of the family of that name.
func (r *Registry) DropExemplars(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.exemplars {
		if s.family.Name() == name {
			delete(r.exemplars, s)
		}
	}
}

// exemplify keeps e. The registry is locked.
func (s *Series) exemplify(e Exemplar) {
	r := s.family.shape.reg
	all := slices.Clone(r.exemplars[s])
	if s.native() != nil {
		all = s.exemplifyNative(all, e)
	} else {
		buckets := uint32(max(s.Cells()-1, 1)) // the sum has none
		if e.Cell >= buckets {
			return
		}
		i, found := slices.BinarySearchFunc(all, e.Cell, func(e Exemplar, cell uint32) int { return cmp.Compare(e.Cell, cell) })
		if found {
			all[i] = e
		} else {
			all = slices.Insert(all, i, e)
		}
	}
	if r.exemplars == nil {
		r.exemplars = map[*Series][]Exemplar{}
	}
	r.exemplars[s] = all
}

// exemplifyNative keeps the latest in the order of their times, at the same time of their values,
// in which databases take them. Buckets may have become wider since the cells of the others were
// said.
func (s *Series) exemplifyNative(all []Exemplar, e Exemplar) []Exemplar {
	bucket := s.widest(e.Cell)
	all = slices.DeleteFunc(all, func(o Exemplar) bool { return s.widest(o.Cell) == bucket })
	if len(all) == maxNativeExemplars {
		all = slices.Delete(all, 0, 1)
	}
	i, _ := slices.BinarySearchFunc(all, e, func(a, b Exemplar) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Value, b.Value))
	})
	return slices.Insert(all, i, e)
}

// Exemplars returns the exemplars of s: of a native histogram in the order of their times, else
// of their cells. It is for a visit of Each; what it returns stays as it is.
func (s *Series) Exemplars() []Exemplar { return s.family.shape.reg.exemplars[s] }

// exemplarOf returns the exemplar of a bucket or counter, nil if there is none; of a native
// histogram the latest.
func (t *shown) exemplarOf(cell int) *Exemplar {
	all := t.exemplars
	if len(all) > 0 && t.native != nil {
		return &all[len(all)-1]
	}
	for i := range all {
		if all[i].Cell == uint32(cell) {
			return &all[i]
		}
	}
	return nil
}

// appendExemplar appends what OpenMetrics has of an exemplar behind a value.
func (t *shown) appendExemplar(dst []byte, cell int, format Format) []byte {
	if format != OpenMetrics {
		return dst
	}
	e := t.exemplarOf(cell)
	if e == nil {
		return dst
	}
	dst = append(dst, " # {"...)
	first := true
	for name, value := range e.AllLabels() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, name...), `="`...)
		dst = append(appendEscaped(dst, value, true), '"')
	}
	dst = AppendValue(append(dst, "} "...), e.Value)
	dst = append(dst, ' ')
	return strconv.AppendFloat(dst, float64(e.Time)/1000, 'f', 3, 64)
}

// appendProtoExemplar appends the exemplar of a bucket or counter, if there is one.
func (t *shown) appendProtoExemplar(dst []byte, field uint32, cell int) []byte {
	if e := t.exemplarOf(cell); e != nil {
		dst = e.appendProto(dst, field)
	}
	return dst
}

func (e *Exemplar) appendProto(dst []byte, field uint32) []byte {
	dst, at := protobuf.Open(dst, field)
	for name, value := range e.AllLabels() {
		dst = appendProtoLabel(dst, exemplarLabel, name, value)
	}
	dst = protobuf.AppendFloat(dst, exemplarValue, e.Value)
	return protobuf.Close(appendProtoTime(dst, exemplarTime, e.Time), at)
}

// appendProtoExemplars appends those of a native histogram.
func (t *shown) appendProtoExemplars(dst []byte) []byte {
	for i := range t.exemplars {
		dst = t.exemplars[i].appendProto(dst, histogramExemplar)
	}
	return dst
}
