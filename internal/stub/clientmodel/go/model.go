// Package io_prometheus_client declares metrics as the escaping of their names in Prometheus'
// model handles them. Weir makes none of them.
package io_prometheus_client

// MetricFamily has the metrics of a name.
type MetricFamily struct {
	Name, Help, Unit *string
	Type             *struct{}
	Metric           []*Metric
}

// GetName returns the name.
func (f *MetricFamily) GetName() string { return text(f.Name) }

// Metric is one of them.
type Metric struct {
	Label                                       []*LabelPair
	Gauge, Counter, Summary, Untyped, Histogram *struct{}
	TimestampMs                                 *int64
}

// LabelPair is a label.
type LabelPair struct{ Name, Value *string }

// GetName returns the name.
func (l *LabelPair) GetName() string { return text(l.Name) }

// GetValue returns the value.
func (l *LabelPair) GetValue() string { return text(l.Value) }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
