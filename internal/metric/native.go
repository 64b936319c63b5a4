package metric

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/record"
)

// DefaultMaxBuckets bounds a native histogram whose Native does not say; Prometheus'
// documentation advises to it.
const DefaultMaxBuckets = 160

// Native says how fine the buckets of a native histogram are: each power of two is divided
// into 2^Schema of them, which exist where there are values.
type Native struct {
	// Schema is from native.MinSchema to native.MaxSchema.
	Schema int8
	// MaxBuckets bounds the buckets of a series, positive and negative ones together; 0 is
	// DefaultMaxBuckets. Beyond it buckets become twice as wide, as often as it takes, until
	// they are as wide as they can be.
	MaxBuckets int
}

// NativeFactor returns the Native whose buckets each end at most factor above where they begin.
func NativeFactor(factor float64) *Native {
	return &Native{Schema: int8(native.Schema(factor))}
}

// same tells whether histograms of both can be one family.
func (n *Native) same(o *Native) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.Schema == o.Schema
}

// fill sets the bounds that d leaves to defaults.
func (d *Desc) fill() {
	if d.MaxSeries == 0 {
		d.MaxSeries = DefaultMaxSeries
	}
	if d.Native != nil {
		d.Native = &Native{Schema: d.Native.Schema, MaxBuckets: cmp.Or(d.Native.MaxBuckets, DefaultMaxBuckets)}
	}
}

// maxBucketsLocked returns the bound on the buckets of each of f's series.
func (f *Family) maxBucketsLocked() int {
	if most := f.shape.reg.maxBuckets[f]; most != 0 {
		return most
	}
	return f.shape.desc.Native.MaxBuckets
}

// boundLocked gives f the bound that d says. Other families may share its shape, and keep theirs.
func (f *Family) boundLocked(d *Desc) {
	if d.Native == nil || d.Native.MaxBuckets == f.maxBucketsLocked() {
		return
	}
	r := f.shape.reg
	if r.maxBuckets == nil {
		r.maxBuckets = map[*Family]int{}
	}
	r.maxBuckets[f] = d.Native.MaxBuckets
	f.eachLocked(func(s *Series) bool {
		n := s.native()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.most = d.Native.MaxBuckets
		return true
	})
}

// sameBound tells whether both have the same bound, or none.
func (n *Native) sameBound(o *Native) bool {
	return n == nil || o == nil || n.MaxBuckets == o.MaxBuckets
}

// checkNative returns what a histogram cannot be.
func (d *Desc) checkNative() error {
	switch {
	case d.Native == nil:
		return nil
	case d.Kind != Histogram || len(d.Buckets) > 0:
		return fmt.Errorf("%s: only a histogram without limits of its own can be native", d.Name)
	case d.Native.Schema < native.MinSchema || d.Native.Schema > native.MaxSchema || d.Native.MaxBuckets < 0:
		return fmt.Errorf("%s: a native histogram has a schema from %d to %d", d.Name, native.MinSchema, native.MaxSchema)
	}
	return nil
}

// The cells of a native histogram. Those of buckets have numbers from nativeBuckets on, which
// are about the finest buckets whatever the series has at the time:
//
// What a series is depends on the sum of its deltas alone, not on their order or on when it
// was stored in between: widening has the same outcome before and after adding up, and how
// often it takes place depends on which buckets were ever counted in. So a registry that was
// restored has what the one before had, to the last bucket.
const (
	nativeZero    = iota // count of values in the bucket of zero
	nativeNone           // count of values that are in no bucket: NaN
	nativeHalved         // how often buckets have become wider
	nativeSum            // of the values: the last of those that every series has
	nativeBuckets        // the first bucket's
)

// maxNativeIndex bounds the indexes of buckets; those of the finest schema stay below it.
const maxNativeIndex = 1 << 19

// bucketCell returns the cell of a bucket: small numbers for values around 1.
func bucketCell(index int32, negative bool) uint32 {
	cell := nativeBuckets + 2*(uint32(index)<<1^uint32(index>>31))
	if negative {
		cell++
	}
	return cell
}

// cellBucket is the reverse of bucketCell.
func cellBucket(cell uint32) (index int32, negative, ok bool) {
	n := cell - nativeBuckets
	index = int32(n>>2) ^ -int32(n>>1&1)
	return index, n&1 != 0, index < maxNativeIndex && index > -maxNativeIndex
}

// CellOf returns the cell that counts v in a native histogram; only the schema of n counts.
func (n *Native) CellOf(v float64) uint32 {
	switch {
	case math.IsNaN(v):
		return nativeNone
	case math.Abs(v) <= native.ZeroThreshold:
		return nativeZero
	}
	return bucketCell(native.Index(v, int(n.Schema)), v < 0)
}

// WiderCell returns the last of the cells that are one with a cell when buckets have become wider so
// often. The other cells of a series are themselves.
func WiderCell(cell uint32, times uint8) uint32 {
	if cell < nativeBuckets || times == 0 {
		return cell
	}
	index, negative, _ := cellBucket(cell)
	return bucketCell(native.Last(native.Halve(index, times), times), negative)
}

// SumCell returns the cell of d's series that has the sum of a histogram's values: the last
// of those that all its series have.
func (d *Desc) SumCell() uint32 {
	if d.Native != nil {
		return nativeSum
	}
	return uint32(len(d.Buckets) + 1)
}

// sparse are the buckets of a series that have anything.
type sparse struct {
	mu    sync.Mutex // guards below, and the series' other cells against a torn read
	sides [2]side    // positive, negative
	most  int        // bound on the buckets of both
}

// side is the buckets of one sign, in the order of their indexes.
type side struct {
	index []int32
	count []float64
}

// native returns the buckets of a native histogram; nil: s is none.
func (s *Series) native() *sparse {
	if s.detail == nil || s.detail.more == nil {
		return nil
	}
	return s.detail.more.sparse
}

// changeNative makes the change d of a native histogram, and tells whether it has such a cell.
func (s *Series) changeNative(n *sparse, d record.Delta) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return s.changeNativeLocked(n, d)
}

func (s *Series) changeNativeLocked(n *sparse, d record.Delta) bool {
	cell, _ := d.Target()
	if cell < nativeBuckets {
		c := s.cell(int(cell))
		c.Store(math.Float64bits(d.Change(math.Float64frombits(c.Load()))))
		return true
	}
	index, negative, ok := cellBucket(cell)
	if !ok {
		return false
	}
	side := &n.sides[0]
	if negative {
		side = &n.sides[1]
	}
	index = native.Halve(index, s.halved())
	i, found := slices.BinarySearch(side.index, index)
	if !found {
		side.index = slices.Insert(side.index, i, index)
		side.count = slices.Insert(side.count, i, 0)
	}
	side.count[i] = d.Change(side.count[i])
	if !found {
		s.widenLocked(n)
	}
	return true
}

// Halved returns how often the buckets of a native histogram have become wider.
func (s *Series) Halved() uint8 {
	n := s.native()
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return s.halved()
}

// AppendCounts appends the cells of a native histogram as AppendCells does, but for the one that has
// what Halved returns: what is left can be added up.
func (s *Series) AppendCounts(dst []float64) []float64 {
	from := len(dst)
	dst = s.AppendCells(dst)
	for i := from; i+1 < len(dst); i += 2 {
		if dst[i] == nativeHalved {
			return slices.Delete(dst, i, i+2)
		}
	}
	return dst
}

func (s *Series) halved() uint8 { return uint8(s.Cell(nativeHalved)) }

// widenLocked makes the buckets of s wider until there are no more than there may be.
func (s *Series) widenLocked(n *sparse) {
	halved := s.halved()
	for len(n.sides[0].index)+len(n.sides[1].index) > n.most && int(s.family.shape.desc.Native.Schema)-int(halved) > native.MinSchema {
		halved++
		n.sides[0].widen()
		n.sides[1].widen()
	}
	s.cell(nativeHalved).Store(math.Float64bits(float64(halved)))
}

// widen puts buckets together that are one when all are twice as wide.
func (b *side) widen() {
	to := -1
	for i, index := range b.index {
		index, count := native.Halve(index, 1), b.count[i]
		if to >= 0 && b.index[to] == index {
			b.count[to] += count
			continue
		}
		to++
		b.index[to], b.count[to] = index, count
	}
	b.index, b.count = b.index[:to+1], b.count[:to+1]
}

// observeNative counts v in a volatile native histogram.
func (s *Series) observeNative(n *sparse, v float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.changeNativeLocked(n, record.Delta{Cell: s.family.shape.desc.Native.CellOf(v), Add: 1})
	s.changeNativeLocked(n, record.Delta{Cell: nativeSum, Add: v})
}

// ReadNative puts what a native histogram has into h, whose memory it uses again, and tells
// whether s is one.
func (s *Series) ReadNative(h *native.Histogram) bool {
	n := s.native()
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h.Reset()
	s.readLocked(n, h)
	return true
}

// readLocked puts what s has into h, which is empty.
func (s *Series) readLocked(n *sparse, h *native.Histogram) {
	h.Schema, h.Threshold = int32(s.family.shape.desc.Native.Schema)-int32(s.halved()), native.ZeroThreshold
	h.Zero, h.Sum = s.Cell(nativeZero), s.Cell(nativeSum)
	h.Count = s.countNativeLocked(n)
	n.sides[0].read(&h.Positive)
	n.sides[1].read(&h.Negative)
}

// addNative adds the native histogram of s, in memory that all of them share.
func (t *shot) addNative(s *Series, n *sparse) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t.natives = append(t.natives, native.Histogram{Positive: t.room(&n.sides[0]), Negative: t.room(&n.sides[1])})
	s.readLocked(n, &t.natives[len(t.natives)-1])
}

// room returns memory for buckets. When there is no more, what was given stays where it is.
func (t *shot) room(b *side) native.Buckets {
	n := len(b.index)
	counts, spans := len(t.counts), len(t.spans)
	moreCounts, moreSpans := counts+n*(native.MaxEmpty+1), spans+n
	t.counts = slices.Grow(t.counts, moreCounts-counts)[:moreCounts]
	t.spans = slices.Grow(t.spans, n)[:moreSpans]
	return native.Buckets{Spans: t.spans[spans:spans:moreSpans], Counts: t.counts[counts:counts:moreCounts]}
}

func (b *side) read(into *native.Buckets) {
	last := int32(0)
	for i, index := range b.index {
		into.Add(index, last, b.count[i])
		last = index
	}
}

func (s *Series) countNativeLocked(n *sparse) float64 {
	count := s.Cell(nativeZero) + s.Cell(nativeNone)
	for _, side := range n.sides {
		for _, c := range side.count {
			count += c
		}
	}
	return count
}

// Count returns how many values a histogram has seen; of another series its value.
func (s *Series) Count() float64 {
	if n := s.native(); n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		return s.countNativeLocked(n)
	}
	if s.Cells() == 1 {
		return s.Value()
	}
	count := 0.0
	for i := range s.Cells() - 1 {
		count += s.Cell(i)
	}
	return count
}

// Sum returns the sum of what a histogram has seen; of another series its value.
func (s *Series) Sum() float64 { return s.Cell(s.Cells() - 1) }

// AppendCells appends the cells of s as Durable has them.
func (s *Series) AppendCells(dst []float64) []float64 {
	n := s.native()
	if n == nil {
		for i := range s.Cells() {
			dst = append(dst, s.Cell(i))
		}
		return dst
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	type pair struct {
		cell  uint32
		value float64
	}
	pairs := []pair{{nativeZero, s.Cell(nativeZero)}} // there is always one
	for cell := uint32(1); cell < nativeBuckets; cell++ {
		if v := s.Cell(int(cell)); v != 0 {
			pairs = append(pairs, pair{cell, v})
		}
	}
	for i, side := range n.sides {
		for k, index := range side.index {
			pairs = append(pairs, pair{bucketCell(native.Last(index, s.halved()), i == 1), side.count[k]})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.cell) - int(b.cell) })
	for _, p := range pairs {
		dst = append(dst, float64(p.cell), p.value)
	}
	return dst
}

// errPairs means that the cells of a stored native histogram are not what AppendCells makes.
var errPairs = errors.New("its cells are no pairs of a number and a value")

// checkPairs returns whether the cells that old was restored with are those of a native
// histogram of f.
func (f *Family) checkPairs(old *Series) error {
	most := float64(f.shape.desc.Native.Schema) - native.MinSchema
	for i := 0; i < old.Cells(); i += 2 {
		if i+1 == old.Cells() {
			return errPairs
		}
		cell, value := old.Cell(i), old.Cell(i+1)
		if !(cell >= 0 && cell < record.SetCell && cell == math.Trunc(cell)) {
			return errPairs
		}
		if cell == nativeHalved && !(value >= 0 && value <= most && value == math.Trunc(value)) {
			return errPairs
		}
		if _, _, ok := cellBucket(uint32(cell)); cell >= nativeBuckets && !ok {
			return errPairs
		}
	}
	return nil
}

// takePairs adds the cells that old was restored with to s.
func (s *Series) takePairs(n *sparse, old *Series) {
	for i := 0; i < old.Cells(); i += 2 {
		s.changeNative(n, record.Delta{Cell: uint32(old.Cell(i)), Add: old.Cell(i + 1)})
	}
}

// Tally adds up what a native histogram gets between two commits. The zero value is ready and
// belongs to one goroutine. Nothing is allocated once it has seen as many buckets at a time
// as it will.
type Tally struct {
	cells  []uint32
	counts []float64
}

// Add counts in a cell, which CellOf has returned.
func (t *Tally) Add(cell uint32, times float64) {
	i, found := slices.BinarySearch(t.cells, cell)
	if !found {
		t.cells, t.counts = slices.Insert(t.cells, i, cell), slices.Insert(t.counts, i, 0)
	}
	t.counts[i] += times
}

// AppendTo appends the deltas for s, and empties t.
func (t *Tally) AppendTo(dst []record.Delta, s *Series) []record.Delta {
	for i, cell := range t.cells {
		dst = append(dst, record.Delta{Series: s.id, Cell: s.widest(cell), Add: t.counts[i]})
	}
	t.cells, t.counts = t.cells[:0], t.counts[:0]
	return dst
}

// widest returns the one of those cells that s has together with a cell which stands for
// them, so that there are fewer on the way.
func (s *Series) widest(cell uint32) uint32 { return WiderCell(cell, s.halved()) }
