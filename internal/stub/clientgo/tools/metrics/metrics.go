// Package metrics declares the measures of a Kubernetes client that Prometheus' discovery
// asks for and weir never makes.
package metrics

import (
	"context"
	"net/url"
	"time"
)

// LatencyMetric takes how long a request took.
type LatencyMetric interface {
	Observe(ctx context.Context, verb string, u url.URL, latency time.Duration)
}

// ResultMetric takes how a request ended.
type ResultMetric interface {
	Increment(ctx context.Context, code, method, host string)
}

// RegisterOpts are the measures to be told.
type RegisterOpts struct {
	RequestLatency LatencyMetric
	RequestResult  ResultMetric
}

// Register does nothing: there is no client to measure.
func Register(RegisterOpts) {}
