// Package testutil stands in for what Prometheus' helpers of tests read metrics with.
package testutil

import "github.com/prometheus/client_golang/prometheus"

// ToFloat64 returns 0: metrics forget here.
func ToFloat64(prometheus.Collector) float64 { return 0 }
