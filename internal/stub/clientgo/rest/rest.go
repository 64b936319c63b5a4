// Package rest declares the warnings of a Kubernetes client, which Prometheus' logging wraps
// and weir never makes.
package rest

import "context"

// WarningHandlerWithContext takes what a Kubernetes server warns of.
type WarningHandlerWithContext interface {
	HandleWarningHeaderWithContext(ctx context.Context, code int, agent string, text string)
}

// WarningLogger drops what it is told.
type WarningLogger struct{}

// HandleWarningHeaderWithContext does nothing.
func (WarningLogger) HandleWarningHeaderWithContext(context.Context, int, string, string) {}
