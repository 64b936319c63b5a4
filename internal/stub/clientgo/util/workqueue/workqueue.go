// Package workqueue declares the measures of a Kubernetes client's queues that Prometheus'
// discovery asks for and weir never makes.
package workqueue

// GaugeMetric goes up and down.
type GaugeMetric interface {
	Inc()
	Dec()
}

// SettableGaugeMetric is set.
type SettableGaugeMetric interface{ Set(float64) }

// CounterMetric goes up.
type CounterMetric interface{ Inc() }

// HistogramMetric takes observations.
type HistogramMetric interface{ Observe(float64) }

// MetricsProvider makes the measures of a queue.
type MetricsProvider interface {
	NewDepthMetric(name string) GaugeMetric
	NewAddsMetric(name string) CounterMetric
	NewLatencyMetric(name string) HistogramMetric
	NewWorkDurationMetric(name string) HistogramMetric
	NewUnfinishedWorkSecondsMetric(name string) SettableGaugeMetric
	NewLongestRunningProcessorSecondsMetric(name string) SettableGaugeMetric
	NewRetriesMetric(name string) CounterMetric
}

// SetProvider does nothing: there is no queue to measure.
func SetProvider(MetricsProvider) {}
