//go:build !race

package statsd_test

// burst is how many metrics the bursts of tests have.
const burst = 2_000_000
