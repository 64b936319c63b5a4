// Package cmp stands in for the comparing of values that Prometheus' helpers of tests use,
// which its database is linked with. Weir's tests do not. It says that nothing is equal.
package cmp

// Option is an option that nothing reads.
type Option any

// Options are several.
type Options []Option

// Comparer does nothing.
func Comparer(any) Option { return nil }

// Equal says no.
func Equal(_, _ any, _ ...Option) bool { return false }

// Diff says why.
func Diff(_, _ any, _ ...Option) string { return "comparing is not built into weir" }
