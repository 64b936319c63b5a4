package api

import (
	"context"
	"log/slog"
	"unicode/utf8"
)

// brief is the engine's log without the stack that it gives where a query made it panic, and
// with as much of the query as a line may have: whoever asks could fill the log otherwise.
type brief struct{ slog.Handler }

// maxLogged is how much of a text is logged.
const maxLogged = 200

// Handle implements slog.Handler.
func (b *brief) Handle(ctx context.Context, r slog.Record) error {
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch text := a.Value.String(); {
		case a.Key == "stacktrace":
		case len(text) > maxLogged:
			end := maxLogged
			for !utf8.RuneStart(text[end]) {
				end--
			}
			short.AddAttrs(slog.String(a.Key, text[:end]+"…"))
		default:
			short.AddAttrs(a)
		}
		return true
	})
	return b.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (b *brief) WithAttrs(attrs []slog.Attr) slog.Handler { return &brief{b.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (b *brief) WithGroup(name string) slog.Handler { return &brief{b.Handler.WithGroup(name)} }
