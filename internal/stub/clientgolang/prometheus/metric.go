package prometheus

// Counter goes up.
type Counter interface {
	Collector
	Inc()
	Add(float64)
}

// Gauge goes up and down.
type Gauge interface {
	Counter
	Dec()
	Sub(float64)
	Set(float64)
	SetToCurrentTime()
}

// GaugeFunc is asked.
type GaugeFunc interface{ Collector }

// Observer takes observations.
type Observer interface{ Observe(float64) }

// Histogram is an Observer.
type Histogram interface {
	Collector
	Observer
}

// Summary is an Observer.
type Summary interface {
	Collector
	Observer
}

// Dormant is every metric.
type Dormant struct{}

func (Dormant) dormant() {}

// Inc does nothing.
func (Dormant) Inc() {}

// Dec does nothing.
func (Dormant) Dec() {}

// Add does nothing.
func (Dormant) Add(float64) {}

// Sub does nothing.
func (Dormant) Sub(float64) {}

// Set does nothing.
func (Dormant) Set(float64) {}

// SetToCurrentTime does nothing.
func (Dormant) SetToCurrentTime() {}

// Observe does nothing.
func (Dormant) Observe(float64) {}

// vec is every family of metrics.
type vec struct{}

func (vec) dormant() {}

// DeleteLabelValues has nothing to delete.
func (vec) DeleteLabelValues(...string) bool { return false }

// CounterVec is a family of counters.
type CounterVec struct{ vec }

// WithLabelValues returns one of them.
func (*CounterVec) WithLabelValues(...string) Counter { return Dormant{} }

// MustCurryWith returns a part of them.
func (v *CounterVec) MustCurryWith(Labels) *CounterVec { return v }

// GaugeVec is a family of gauges.
type GaugeVec struct{ vec }

// WithLabelValues returns one of them.
func (*GaugeVec) WithLabelValues(...string) Gauge { return Dormant{} }

// HistogramVec is a family of histograms.
type HistogramVec struct{ vec }

// WithLabelValues returns one of them.
func (*HistogramVec) WithLabelValues(...string) Observer { return Dormant{} }

// SummaryVec is a family of summaries.
type SummaryVec struct{ vec }

// WithLabelValues returns one of them.
func (*SummaryVec) WithLabelValues(...string) Observer { return Dormant{} }

// NewCounter returns a counter that forgets.
func NewCounter(CounterOpts) Counter { return Dormant{} }

// NewCounterVec returns a family of such.
func NewCounterVec(CounterOpts, []string) *CounterVec { return &CounterVec{} }

// NewGauge returns a gauge that forgets.
func NewGauge(GaugeOpts) Gauge { return Dormant{} }

// NewGaugeVec returns a family of such.
func NewGaugeVec(GaugeOpts, []string) *GaugeVec { return &GaugeVec{} }

// NewGaugeFunc returns a gauge that never asks.
func NewGaugeFunc(GaugeOpts, func() float64) GaugeFunc { return Dormant{} }

// NewHistogram returns a histogram that forgets.
func NewHistogram(HistogramOpts) Histogram { return Dormant{} }

// NewHistogramVec returns a family of such.
func NewHistogramVec(HistogramOpts, []string) *HistogramVec { return &HistogramVec{} }

// NewSummary returns a summary that forgets.
func NewSummary(SummaryOpts) Summary { return Dormant{} }

// NewSummaryVec returns a family of such.
func NewSummaryVec(SummaryOpts, []string) *SummaryVec { return &SummaryVec{} }
