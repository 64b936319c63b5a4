package otlp

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strconv"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// dry is the visitor that wants nothing: it shows whether a request makes sense.
type dry struct{}

// Resource implements wire.MetricVisitor.
func (dry) Resource(*wire.Resource) bool { return false }

// Metric implements wire.MetricVisitor.
func (dry) Metric(*wire.Metric) {}

// Point implements wire.MetricVisitor.
func (dry) Point(*wire.Point) error { return nil }

// writeMetrics checks the body of j, and then counts its points. What cannot be written now is
// written later: it is counted, so a sender that repeats it is told the same.
func (s *Source) writeMetrics(ctx context.Context, j *job) (outcome, error) {
	if err := j.decoder.Metrics(j.Text, dry{}); err != nil {
		return outcome{}, err
	}
	if err := s.numbers.take(ctx); err != nil {
		return outcome{}, err
	}
	defer s.numbers.give()
	if s.numbers.line == nil {
		return outcome{}, errStopped
	}
	// What could not be written before comes first, so that there is no more than that of one request.
	if err := s.numbers.write(ctx, nil); err != nil {
		return outcome{}, err
	}
	s.numbers.requests++
	v := &points{numbers: s.numbers, reasons: map[error]int{}}
	err := j.decoder.Metrics(j.Text, v)
	if err == nil {
		err = s.numbers.write(ctx, v.exemplars)
	}
	for reason, n := range v.reasons {
		s.deps.Ledger.Dropped("points: "+reason.Error(), n)
	}
	s.deps.Ledger.Dropped("points: attributes, buckets or quantiles", v.excess)
	s.deps.Ledger.Dropped("points: sums that are no number", v.odd)
	return v.outcome, err
}

// points is the visitor that counts points.
type points struct {
	outcome
	numbers   *numbers
	reasons   map[error]int
	excess    int
	odd       int // sums that were left out
	exemplars []described

	origin []labelPair // job and instance
	common []labelPair // those, and what else of the resource becomes labels
	info   []labelPair // all but origin that is said of the resource
	from   sender      // of the metric
	metric *wire.Metric
	name   string
	labels labelled
	values []float64
	cells  []counted
	deltas []record.Delta
}

// Resource implements wire.MetricVisitor.
func (v *points) Resource(r *wire.Resource) bool {
	var namespace, name, instance string
	v.origin, v.common, v.info = v.origin[:0], v.common[:0], v.info[:0]
	v.from = sender{resource: hashAll(r.Attributes)}
	for i := range r.Attributes {
		a := &r.Attributes[i]
		text, _ := a.Value.Plain(nil)
		switch string(a.Key) {
		case "service.namespace":
			namespace = string(text)
		case "service.name":
			name = string(text)
		case "service.instance.id":
			instance = string(text)
		default:
			pair := labelPair{string(a.Key), string(text)}
			v.info = append(v.info, pair)
			if slices.Contains(v.numbers.cfg.StreamLabels, pair.name) {
				v.common = append(v.common, labelPair{labelOf(pair.name), pair.value})
			}
		}
	}
	if name != "" && namespace != "" {
		name = namespace + "/" + name
	}
	for _, p := range []labelPair{{"job", name}, {"instance", instance}} {
		if p.value != "" {
			v.origin = append(v.origin, p)
		}
	}
	v.common = append(v.common, v.origin...)
	if len(v.origin) > 0 && len(v.info) > 0 {
		v.target()
	}
	return true
}

// target sets the series that has what is said of a resource.
func (v *points) target() {
	v.labels.reset()
	for _, p := range v.info {
		v.labels.add(p.name, p.value)
	}
	for _, p := range v.origin {
		v.labels.set(p.name, p.value)
	}
	t, err := v.numbers.seriesOf(&metric.Desc{Name: "target_info", Help: "Attributes of the resources that metrics come from.", Kind: metric.Gauge}, &v.labels)
	if err != nil {
		v.reasons[err]++
		return
	}
	if t.series.IsUnset() || t.series.Value() != 1 {
		v.numbers.pending = append(v.numbers.pending, record.Delta{Series: t.series.ID(), Cell: record.SetCell, Add: 1})
	}
}

// Metric implements wire.MetricVisitor.
func (v *points) Metric(m *wire.Metric) {
	v.metric, v.name = m, nameOf(m)
	v.from.stream = hashAll(m.Scope.Attributes) ^ hash(m.Name, m.Unit, m.Scope.Name, m.Scope.Version)
}

// Point implements wire.MetricVisitor.
func (v *points) Point(p *wire.Point) error {
	v.excess += p.Excess
	if err := v.point(p); err != nil {
		v.reasons[err]++
		v.refuse(string(v.metric.Name) + ": " + err.Error())
		return nil
	}
	if p.HasSum && !countable(p.Sum) {
		v.odd++
	}
	v.accepted++
	return nil
}

// series returns the track of a point, whose metric is d.
func (v *points) series(d metric.Desc, p *wire.Point, more ...labelPair) (*track, error) {
	if d.Name == "" {
		d.Name = v.name
	}
	d.Help = string(bytes.ToValidUTF8(cutText(v.metric.Description, maxHelp), nil))
	v.labels.reset()
	v.labels.attributes(p.Attributes)
	v.labels.set("otel_scope_name", string(v.metric.Scope.Name))
	v.labels.set("otel_scope_version", string(v.metric.Scope.Version))
	for _, pair := range v.common {
		v.labels.set(pair.name, pair.value)
	}
	for _, pair := range more {
		v.labels.set(pair.name, pair.value)
	}
	return v.numbers.seriesOf(&d, &v.labels)
}

// point counts one point.
func (v *points) point(p *wire.Point) error {
	at := span{p.Start, p.Time, sender{v.from.resource, v.from.stream + hashAll(p.Attributes)}, v.numbers.requests}
	switch v.metric.Kind {
	case wire.Sum, wire.Histogram, wire.ExponentialHistogram:
		if v.metric.Temporality != wire.Delta && v.metric.Temporality != wire.Cumulative {
			return errKind
		}
	}
	if p.Flags&wire.NoValue != 0 {
		return nil // its series goes when it expires
	}
	switch v.metric.Kind {
	case wire.Gauge:
		return v.gauge(p, at)
	case wire.Sum:
		return v.sum(p, at)
	case wire.Histogram:
		return v.histogram(p, at)
	case wire.ExponentialHistogram:
		return v.exponential(p, at)
	case wire.Summary:
		return v.summary(p, at)
	}
	return errKind
}

func (v *points) gauge(p *wire.Point, at span) error {
	if !p.HasValue {
		return errValue
	}
	t, err := v.series(metric.Desc{Kind: metric.Gauge}, p)
	if err != nil {
		return err
	}
	return v.numbers.gauge(t, at, p.Value)
}

func (v *points) sum(p *wire.Point, at span) error {
	switch {
	case !p.HasValue:
		return errValue
	case !v.metric.Monotonic && v.metric.Temporality == wire.Cumulative:
		return v.gauge(p, at)
	case v.metric.Monotonic && !(p.Value >= 0), !countable(p.Value):
		return errValue
	}
	kind := metric.Counter
	if !v.metric.Monotonic {
		kind = metric.Gauge
	}
	t, err := v.series(metric.Desc{Kind: kind}, p)
	if err != nil {
		return err
	}
	if v.metric.Temporality == wire.Delta {
		v.numbers.added(t, at, []record.Delta{{Add: p.Value}})
	} else if _, err := v.numbers.cumulative(t, at, []float64{p.Value}); err != nil {
		return err
	}
	if v.metric.Monotonic {
		v.exemplify(t, p, func(float64) uint32 { return 0 })
	}
	return nil
}

func (v *points) histogram(p *wire.Point, at span) error {
	if len(p.Counts) == 0 && len(p.Bounds) == 0 {
		p.Counts = append(p.Counts, p.Count)
	}
	if p.Excess > 0 || len(p.Counts) != len(p.Bounds)+1 || !ascending(p.Bounds) {
		return errBuckets
	}
	t, err := v.series(metric.Desc{Kind: metric.Histogram, Buckets: p.Bounds}, p)
	if err != nil {
		return err
	}
	v.values = v.values[:0]
	for _, c := range p.Counts {
		v.values = append(v.values, float64(c))
	}
	v.values = append(v.values, p.Sum)
	if v.metric.Temporality == wire.Delta {
		v.deltas = v.deltas[:0]
		for i, n := range v.values {
			v.deltas = append(v.deltas, record.Delta{Cell: uint32(i), Add: n})
		}
		v.numbers.added(t, at, v.deltas)
	} else if _, err := v.numbers.cumulative(t, at, v.values); err != nil {
		return err
	}
	bounds := p.Bounds
	v.exemplify(t, p, func(value float64) uint32 {
		i, _ := slices.BinarySearch(bounds, value)
		return uint32(i)
	})
	return nil
}

func ascending(bounds []float64) bool {
	for i, b := range bounds {
		if b-b != 0 || i > 0 && b <= bounds[i-1] {
			return false
		}
	}
	return true
}

// summary counts a summary: its count and sum, which are cumulative, and its quantiles, which
// are what they are.
func (v *points) summary(p *wire.Point, at span) error {
	if p.Excess > 0 {
		return errBuckets
	}
	n := v.numbers
	counts, err := v.series(metric.Desc{Name: v.name + "_count", Kind: metric.Counter}, p)
	if err != nil {
		return err
	}
	sums, err := v.series(metric.Desc{Name: v.name + "_sum", Kind: metric.Counter}, p)
	if err != nil {
		return err
	}
	if _, err := n.cumulative(counts, at, []float64{float64(p.Count)}); err != nil {
		return err
	}
	if _, err := n.cumulative(sums, at, []float64{p.Sum}); err != nil {
		return err
	}
	for _, q := range p.Quantiles {
		t, err := v.series(metric.Desc{Kind: metric.Gauge}, p, labelPair{"quantile", strconv.FormatFloat(q.Quantile, 'g', -1, 64)})
		if err != nil {
			return err
		}
		if err := n.gauge(t, at, q.Value); err != nil {
			return err
		}
	}
	return nil
}

// exemplify keeps the exemplars of a point, whose cells cellOf tells.
func (v *points) exemplify(t *track, p *wire.Point, cellOf func(float64) uint32) {
	for i := range p.Exemplars {
		e := &p.Exemplars[i]
		if len(e.TraceID) == 0 || len(e.TraceID) > maxID || len(e.SpanID) > maxID {
			continue // it leads nowhere
		}
		labels := "trace_id" + record.LabelEnd + hex.EncodeToString(e.TraceID) + record.LabelEnd
		if len(e.SpanID) > 0 {
			labels += "span_id" + record.LabelEnd + hex.EncodeToString(e.SpanID) + record.LabelEnd
		}
		v.exemplars = append(v.exemplars, described{labels: labels, Exemplar: record.Exemplar{
			Series: t.series.ID(), Cell: cellOf(e.Value), Value: e.Value, Time: wire.Nanoseconds(e.Time),
		}})
	}
}
