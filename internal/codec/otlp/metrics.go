package otlp

import (
	"encoding/binary"
	"math"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

// Kind is what the points of a metric are.
type Kind uint8

// The kinds, by their fields in Metric.
const (
	Gauge                Kind = 5
	Sum                  Kind = 7
	Histogram            Kind = 9
	ExponentialHistogram Kind = 10
	Summary              Kind = 11
)

// Temporality says what a sum or histogram is the sum of.
type Temporality uint8

// The temporalities.
const (
	// Unspecified is that of a sender that does not say.
	Unspecified Temporality = iota
	// Delta is what came since the last point.
	Delta
	// Cumulative is what came since the point's start.
	Cumulative
)

// Metric is what its points have in common.
type Metric struct {
	Name, Description, Unit []byte
	Kind                    Kind
	Temporality             Temporality
	Monotonic               bool
	// Scope made it.
	Scope *Scope
}

// Buckets are those of one sign of an exponential histogram.
type Buckets struct {
	Offset int32
	Counts []uint64
}

// Quantile is one of a summary.
type Quantile struct{ Quantile, Value float64 }

// Exemplar is a measurement that a point stands for.
type Exemplar struct {
	Time            uint64
	Value           float64
	TraceID, SpanID []byte
}

// Point is one of any kind. Its bytes are valid until Point of the visitor returns.
type Point struct {
	Attributes []Attribute
	// Excess is how many attributes, buckets or quantiles there were beyond the bounds.
	Excess      int
	Start, Time uint64
	Flags       uint32
	// Value is that of a sum or gauge; HasValue says that there is one.
	Value    float64
	HasValue bool
	// Count and Sum are those of histograms and summaries.
	Count  uint64
	Sum    float64
	HasSum bool
	// Counts and Bounds are the buckets of a histogram.
	Counts []uint64
	Bounds []float64
	// Scale to Negative are those of an exponential histogram.
	Scale              int32
	ZeroCount          uint64
	ZeroThreshold      float64
	Positive, Negative Buckets
	Quantiles          []Quantile
	Exemplars          []Exemplar
}

// NoValue is the flag of a point that says that there is no value any more.
const NoValue = 1

// MetricVisitor gets what a request of metrics holds.
type MetricVisitor interface {
	// Resource begins a resource. With false its points are checked but not given.
	Resource(r *Resource) bool
	// Metric begins a metric of the resource. It is not called for one that is not wanted.
	Metric(m *Metric)
	// Point is one of its points. Its error ends the visit.
	Point(p *Point) error
}

// The fields of Metric and of what its data is.
const (
	metricName        = 1
	metricDescription = 2
	metricUnit        = 3

	dataPoints      = 1
	dataTemporality = 2
	dataMonotonic   = 3
)

// Metrics gives v what an ExportMetricsServiceRequest holds. Its error is a
// *protobuf.SyntaxError, or what v returned.
func (d *Decoder) Metrics(body []byte, v MetricVisitor) error {
	return d.visit(body, visit{
		resource: func() bool { return v.Resource(&d.resource) },
		scope:    func() {},
		item:     func(r protobuf.Reader, wanted bool) error { return d.readMetric(r, v, wanted) },
	})
}

func (d *Decoder) readMetric(r protobuf.Reader, v MetricVisitor, wanted bool) error {
	m := &d.metric
	*m = Metric{Scope: &d.scope}
	var data protobuf.Reader
	for r.Next() {
		switch r.Number {
		case metricName:
			m.Name = r.Bytes
		case metricDescription:
			m.Description = r.Bytes
		case metricUnit:
			m.Unit = r.Bytes
		case uint32(Gauge), uint32(Sum), uint32(Histogram), uint32(ExponentialHistogram), uint32(Summary):
			m.Kind, data = Kind(r.Number), r.Message()
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	for look := data; look.Next(); {
		switch {
		case look.Wire != protobuf.Varint:
		case look.Number == dataTemporality:
			m.Temporality = Temporality(look.Value)
		case look.Number == dataMonotonic:
			m.Monotonic = look.Value != 0
		}
	}
	if wanted {
		v.Metric(m)
	}
	for data.Next() {
		if data.Number != dataPoints {
			continue
		}
		if err := d.readPoint(data.Message(), m.Kind); err != nil {
			return err
		}
		if wanted {
			if err := v.Point(&d.point); err != nil {
				return err
			}
		}
	}
	return data.Err()
}

// trim empties p for another body.
func (p *Point) trim() {
	clear(p.Attributes[:cap(p.Attributes)])
	clear(p.Exemplars[:cap(p.Exemplars)])
	if cap(p.Counts) > maxScratch || cap(p.Bounds) > maxScratch || cap(p.Positive.Counts) > maxScratch || cap(p.Negative.Counts) > maxScratch {
		*p = Point{}
	}
	p.reset()
}

func (p *Point) reset() {
	*p = Point{
		Attributes: p.Attributes[:0], Counts: p.Counts[:0], Bounds: p.Bounds[:0], Quantiles: p.Quantiles[:0], Exemplars: p.Exemplars[:0],
		Positive: Buckets{Counts: p.Positive.Counts[:0]}, Negative: Buckets{Counts: p.Negative.Counts[:0]},
	}
}

// The fields of points: those of one kind do not have the numbers of another.
const (
	pointStart = 2
	pointTime  = 3

	numberDouble     = 4
	numberExemplars  = 5
	numberInt        = 6
	numberAttributes = 7
	numberFlags      = 8

	histogramCount      = 4 // and that of exponential ones and summaries
	histogramSum        = 5 // the same
	histogramCounts     = 6
	histogramBounds     = 7
	histogramExemplars  = 8
	histogramAttributes = 9
	histogramFlags      = 10

	exponentialAttributes = 1
	exponentialScale      = 6
	exponentialZero       = 7
	exponentialPositive   = 8
	exponentialNegative   = 9
	exponentialFlags      = 10
	exponentialExemplars  = 11
	exponentialThreshold  = 14

	summaryQuantiles  = 6
	summaryAttributes = 7
	summaryFlags      = 8
)

func (d *Decoder) readPoint(r protobuf.Reader, kind Kind) error {
	p := &d.point
	p.reset()
	d.excess = 0
	for r.Next() {
		var err error
		switch {
		case r.Number == pointStart && r.Wire == protobuf.Fixed64:
			p.Start = r.Value
		case r.Number == pointTime && r.Wire == protobuf.Fixed64:
			p.Time = r.Value
		case kind == Gauge || kind == Sum:
			err = d.number(&r)
		case kind == Summary:
			err = d.summary(&r)
		case r.Number == histogramCount && r.Wire == protobuf.Fixed64:
			p.Count = r.Value
		case r.Number == histogramSum && r.Wire == protobuf.Fixed64:
			p.Sum, p.HasSum = r.Float(), true
		case kind == Histogram:
			err = d.histogram(&r)
		default:
			err = d.exponential(&r)
		}
		if err != nil {
			return err
		}
	}
	p.Excess += d.excess
	return r.Err()
}

func (d *Decoder) number(r *protobuf.Reader) (err error) {
	p := &d.point
	switch r.Number {
	case numberDouble:
		p.Value, p.HasValue = r.Float(), true
	case numberInt:
		p.Value, p.HasValue = float64(int64(r.Value)), true
	case numberFlags:
		p.Flags = uint32(r.Value)
	case numberExemplars:
		err = p.exemplar(r.Message())
	case numberAttributes:
		p.Attributes, err = d.attribute(p.Attributes, r)
	}
	return err
}

func (d *Decoder) histogram(r *protobuf.Reader) (err error) {
	p := &d.point
	switch r.Number {
	case histogramCounts:
		err = p.fixed(r, func(bits uint64) { p.Counts = append(p.Counts, bits) }, len(p.Counts))
	case histogramBounds:
		err = p.fixed(r, func(bits uint64) { p.Bounds = append(p.Bounds, math.Float64frombits(bits)) }, len(p.Bounds))
	case histogramFlags:
		p.Flags = uint32(r.Value)
	case histogramExemplars:
		err = p.exemplar(r.Message())
	case histogramAttributes:
		p.Attributes, err = d.attribute(p.Attributes, r)
	}
	return err
}

func (d *Decoder) exponential(r *protobuf.Reader) (err error) {
	p := &d.point
	switch r.Number {
	case exponentialScale:
		p.Scale = int32(r.Signed())
	case exponentialZero:
		p.ZeroCount = r.Value
	case exponentialThreshold:
		p.ZeroThreshold = r.Float()
	case exponentialPositive:
		err = p.buckets(r.Message(), &p.Positive)
	case exponentialNegative:
		err = p.buckets(r.Message(), &p.Negative)
	case exponentialFlags:
		p.Flags = uint32(r.Value)
	case exponentialExemplars:
		err = p.exemplar(r.Message())
	case exponentialAttributes:
		p.Attributes, err = d.attribute(p.Attributes, r)
	}
	return err
}

func (d *Decoder) summary(r *protobuf.Reader) (err error) {
	p := &d.point
	switch r.Number {
	case histogramCount:
		p.Count = r.Value
	case histogramSum:
		p.Sum, p.HasSum = r.Float(), true
	case summaryFlags:
		p.Flags = uint32(r.Value)
	case summaryQuantiles:
		err = p.quantile(r.Message())
	case summaryAttributes:
		p.Attributes, err = d.attribute(p.Attributes, r)
	}
	return err
}

// fixed reads numbers of eight bytes, of which there are n already: packed, or one.
func (p *Point) fixed(r *protobuf.Reader, add func(bits uint64), n int) error {
	if r.Wire == protobuf.Fixed64 {
		if n == MaxBuckets {
			p.Excess++
			return nil
		}
		add(r.Value)
		return nil
	}
	packed := r.Bytes
	if len(packed)%8 != 0 {
		return r.Wrong("numbers of eight bytes that do not end")
	}
	for ; len(packed) > 0; packed = packed[8:] {
		if n++; n > MaxBuckets {
			p.Excess += len(packed) / 8
			return nil
		}
		add(binary.LittleEndian.Uint64(packed))
	}
	return nil
}

// The fields of Buckets, ValueAtQuantile and Exemplar.
const (
	bucketsOffset = 1
	bucketsCounts = 2

	quantileRank  = 1
	quantileValue = 2

	exemplarTime   = 2
	exemplarDouble = 3
	exemplarSpan   = 4
	exemplarTrace  = 5
	exemplarInt    = 6
)

func (p *Point) buckets(r protobuf.Reader, b *Buckets) error {
	for r.Next() {
		switch {
		case r.Number == bucketsOffset:
			b.Offset = int32(r.Signed())
		case r.Number != bucketsCounts:
		case r.Wire == protobuf.Varint:
			p.bucket(b, r.Value)
		default:
			for packed := r.Bytes; len(packed) > 0; {
				n, width := binary.Uvarint(packed)
				if width <= 0 {
					return r.Wrong("a count of a bucket that does not end")
				}
				p.bucket(b, n)
				packed = packed[width:]
			}
		}
	}
	return r.Err()
}

func (p *Point) bucket(b *Buckets, count uint64) {
	if len(b.Counts) == MaxBuckets {
		p.Excess++
		return
	}
	b.Counts = append(b.Counts, count)
}

func (p *Point) quantile(r protobuf.Reader) error {
	var q Quantile
	for r.Next() {
		switch r.Number {
		case quantileRank:
			q.Quantile = r.Float()
		case quantileValue:
			q.Value = r.Float()
		}
	}
	if len(p.Quantiles) == MaxBuckets {
		p.Excess++
		return r.Err()
	}
	p.Quantiles = append(p.Quantiles, q)
	return r.Err()
}

func (p *Point) exemplar(r protobuf.Reader) error {
	var e Exemplar
	for r.Next() {
		switch r.Number {
		case exemplarTime:
			e.Time = r.Value
		case exemplarDouble:
			e.Value = r.Float()
		case exemplarInt:
			e.Value = float64(int64(r.Value))
		case exemplarSpan:
			e.SpanID = r.Bytes
		case exemplarTrace:
			e.TraceID = r.Bytes
		}
	}
	if len(p.Exemplars) < MaxExemplars {
		p.Exemplars = append(p.Exemplars, e)
	}
	return r.Err()
}
