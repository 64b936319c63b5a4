// Package trace declares the spans that nobody looks at.
package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
)

// Span would be a part of a trace.
type Span interface {
	AddEvent(name string, options ...EventOption)
	End()
	SetAttributes(kv ...attribute.KeyValue)
	SpanContext() SpanContext
}

// Dormant is a span that does nothing.
type Dormant struct{}

// AddEvent does nothing.
func (Dormant) AddEvent(string, ...EventOption) {}

// End does nothing.
func (Dormant) End() {}

// SetAttributes does nothing.
func (Dormant) SetAttributes(...attribute.KeyValue) {}

// SpanContext returns nothing.
func (Dormant) SpanContext() SpanContext { return SpanContext{} }

// SpanContext would say which trace it is.
type SpanContext struct{}

// SpanID is empty.
func (SpanContext) SpanID() string { return "" }

// TraceID is empty.
func (SpanContext) TraceID() string { return "" }

// EventOption is an option that nothing reads.
type EventOption struct{}

// WithAttributes does nothing.
func WithAttributes(...attribute.KeyValue) EventOption { return EventOption{} }

// SpanFromContext returns a span that does nothing.
func SpanFromContext(context.Context) Span { return Dormant{} }
