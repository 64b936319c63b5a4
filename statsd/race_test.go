//go:build race

package statsd_test

// The race detector makes a call take twenty times as long.
const burst = 200_000
