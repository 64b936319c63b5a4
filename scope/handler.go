package scope

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// Handler is a [slog.Handler] that adds to each record which scope it belongs to, and sends it.
type Handler struct {
	core *core
	// next is the wrapped handler as it was given; local has had the groups and attributes
	// of later as well. Both are nil if there is none.
	next, local slog.Handler
	later       []step
	groups      bool // later has a group
	extra       extra
}

// core is what all Handlers have in common that came from one by WithAttrs and WithGroup.
type core struct {
	settings
	head   [headBytes]byte
	writer *writer
	queue  *queue
	sender *sender // nil if nothing is sent
	local  atomic.Uint64
}

// step is a call of WithGroup, or, without a name, of WithAttrs.
type step struct {
	group string
	attrs []slog.Attr
}

// New returns a Handler around next, which may be nil, and begins to connect in the background:
// that the server cannot be reached is no error, what is logged waits for it. The error is about
// o alone. Close ends the Handler's goroutines.
//
// A next that came from slog.Default before any SetDefault writes by way of package log, which
// SetDefault leads back to the new logger: such a loop never ends, so give it another one.
func New(next slog.Handler, o Options) (*Handler, error) {
	all, err := o.resolve()
	if err != nil {
		return nil, err
	}
	return newHandler(next, all), nil
}

func newHandler(next slog.Handler, all settings) *Handler {
	c := &core{settings: all}
	if all.network != "" {
		c.head = head(all.System)
		c.writer = newWriter(all.Name, all.Trace)
		c.queue = newQueue(all)
		c.sender = newSender(all, c.queue)
		go c.sender.run()
	}
	return &Handler{core: c, next: next, local: next}
}

// Enabled says whether records of a level are sent, or taken by the wrapped handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.sends(level) || h.core.always() && h.local != nil && h.local.Enabled(ctx, level)
}

func (h *Handler) sends(level slog.Level) bool {
	return h.core.sender != nil && level >= h.core.Level.Level()
}

// Handle gives r the next number of the scope that ctx is in, and sends it. It does not wait
// for the server. The error is that of the wrapped handler, if that gets r too.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	s := From(ctx)
	var number int64
	if s != nil {
		number = s.records.Add(1) - 1
	}
	c := h.core
	local := c.always()
	if h.sends(r.Level) {
		queued := h.send(&r, s, number)
		if c.Local == Fallback && (!queued || c.sender.state.Load() == down) && h.local != nil && h.local.Enabled(ctx, r.Level) {
			c.local.Add(1)
			local = true
		}
	}
	if !local {
		return nil
	}
	return h.locally(ctx, r, s, number)
}

// always says whether the wrapped handler gets all records.
func (c *core) always() bool { return c.Local == Always || c.sender == nil }

// send queues r, or says that it was dropped.
func (h *Handler) send(r *slog.Record, s *Scope, number int64) bool {
	w := h.core.writer
	e := w.pool.Get().(*encoder)
	e.buf = append(e.buf[:0], h.core.head[:]...)
	where := w.append(e, r, s, number)
	e.attrs(&h.extra, r, where)
	finish(e.buf)
	queued := h.core.queue.put(e.buf, r.Level >= slog.LevelError)
	if cap(e.buf) <= largeBuffer {
		w.pool.Put(e)
	}
	return queued
}

// WithAttrs returns a Handler whose records have attrs too.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(step{attrs: slices.Clone(attrs)})
}

// WithGroup returns a Handler whose further attributes are in a group, those of the scope not.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(step{group: name})
}

func (h *Handler) with(s step) *Handler {
	c := *h
	c.later = append(slices.Clip(h.later), s)
	c.groups = h.groups || s.group != ""
	if c.local != nil {
		c.local = s.apply(c.local)
	}
	if c.core.sender != nil {
		c.extra = h.extra.with(s)
	}
	return &c
}

func (s step) apply(h slog.Handler) slog.Handler {
	if s.group != "" {
		return h.WithGroup(s.group)
	}
	return h.WithAttrs(s.attrs)
}

// locally gives r to the wrapped handler.
func (h *Handler) locally(ctx context.Context, r slog.Record, s *Scope, number int64) error {
	if h.local == nil || !h.local.Enabled(ctx, r.Level) {
		return nil
	}
	if s == nil {
		return h.local.Handle(ctx, r)
	}
	attrs := s.attrs(number, h.core.Trace)
	if !h.groups {
		r = r.Clone()
		r.AddAttrs(attrs...)
		return h.local.Handle(ctx, r)
	}
	// What is added to the record now would be in the group.
	local := h.next.WithAttrs(attrs)
	for _, step := range h.later {
		local = step.apply(local)
	}
	return local.Handle(ctx, r)
}

// attrs are what a record of the scope has besides its own.
func (s *Scope) attrs(number int64, trace bool) []slog.Attr {
	b := s.bound.Load()
	context := make([]slog.Attr, 0, 1+len(b.attrs))
	context = append(append(context, slog.String(keyName, string(appendKey(nil, s, number)))), b.attrs...)
	attrs := []slog.Attr{{Key: contextName, Value: slog.GroupValue(context...)}}
	if trace {
		attrs = append(attrs, slog.String("trace_id", s.id.TraceID()), slog.String("span_id", s.id.SpanID()))
	}
	return attrs
}

// contextName is where a record has its key and what is bound to its scope.
const contextName = "context"
