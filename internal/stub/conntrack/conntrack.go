// Package conntrack stands in for the counting of connections in the HTTP client of
// Prometheus' configuration, which weir never makes. What it returns refuses to dial.
package conntrack

import (
	"context"
	"errors"
	"net"
)

// DialFunc opens a connection.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Option is an option that nothing reads.
type Option struct{}

// DialWithDialContextFunc does nothing.
func DialWithDialContextFunc(DialFunc) Option { return Option{} }

// DialWithName does nothing.
func DialWithName(string) Option { return Option{} }

// DialWithTracing does nothing.
func DialWithTracing() Option { return Option{} }

// NewDialContextFunc returns what refuses.
func NewDialContextFunc(...Option) DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the HTTP client of Prometheus' configuration is not built into weir")
	}
}
