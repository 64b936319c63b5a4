// Package promauto makes metrics that forget, for a registry that there is not.
package promauto

import "github.com/prometheus/client_golang/prometheus"

// Factory makes them.
type Factory struct{}

// With returns one.
func With(prometheus.Registerer) Factory { return Factory{} }

// NewCounter returns a counter that forgets.
func (Factory) NewCounter(o prometheus.CounterOpts) prometheus.Counter {
	return prometheus.NewCounter(o)
}

// NewCounterVec returns a family of such.
func (Factory) NewCounterVec(o prometheus.CounterOpts, labels []string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(o, labels)
}

// NewGauge returns a gauge that forgets.
func (Factory) NewGauge(o prometheus.GaugeOpts) prometheus.Gauge { return prometheus.NewGauge(o) }

// NewGaugeFunc returns a gauge that never asks.
func (Factory) NewGaugeFunc(o prometheus.GaugeOpts, f func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(o, f)
}

// NewSummary returns a summary that forgets.
func (Factory) NewSummary(o prometheus.SummaryOpts) prometheus.Summary {
	return prometheus.NewSummary(o)
}
