package main

import (
	"context"
	"log/slog"
)

// trialLog leaves out that a source is degraded: its problem is the end of what is printed.
type trialLog struct{ slog.Handler }

// Handle implements slog.Handler.
func (h trialLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "degraded" {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h trialLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return trialLog{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h trialLog) WithGroup(name string) slog.Handler { return trialLog{h.Handler.WithGroup(name)} }
