// Package proto is the one function of protobuf that the model of Prometheus' metrics uses.
package proto

// String returns a pointer to a text.
func String(s string) *string { return &s }
