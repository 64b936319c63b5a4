// Package prometheus stands in for the metrics that Prometheus' database and engine keep of
// themselves. Weir tells its own (internal/tsdb) and shows none of these, so they cost
// nothing here: they can be made and raised, and forget it.
package prometheus

import "time"

// Labels are names and values.
type Labels map[string]string

// Collector is any metric here.
type Collector interface{ dormant() }

// Registerer has no implementation here.
type Registerer interface {
	Register(Collector) error
	MustRegister(...Collector)
	Unregister(Collector) bool
}

// WrapRegistererWithPrefix returns what it was given.
func WrapRegistererWithPrefix(_ string, r Registerer) Registerer { return r }

// ExponentialBuckets returns no buckets.
func ExponentialBuckets(_, _ float64, _ int) []float64 { return nil }

// Opts describe a metric.
type Opts struct {
	Namespace, Subsystem, Name, Help string
	ConstLabels                      Labels
}

// CounterOpts describe a counter.
type CounterOpts Opts

// GaugeOpts describe a gauge.
type GaugeOpts Opts

// SummaryOpts describe a summary.
type SummaryOpts struct {
	Namespace, Subsystem, Name, Help string
	ConstLabels                      Labels
	Objectives                       map[float64]float64
	MaxAge                           time.Duration
	AgeBuckets, BufCap               uint32
}

// HistogramOpts describe a histogram.
type HistogramOpts struct {
	Namespace, Subsystem, Name, Help string
	ConstLabels                      Labels
	Buckets                          []float64
	NativeHistogramBucketFactor      float64
	NativeHistogramMaxBucketNumber   uint32
	NativeHistogramMinResetDuration  time.Duration
}
