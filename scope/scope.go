package scope

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Scope is a piece of work: a task, or a part of one. The functions that make one log its
// beginning, and End logs its end.
type Scope struct {
	id     ID
	name   string
	logger *slog.Logger
	began  time.Time
	pc     uintptr // where it was begun

	records  atomic.Int64 // how many have been numbered
	children atomic.Int64
	bound    atomic.Pointer[bound]
	traced   atomic.Pointer[string] // what trace returns, once it was asked

	// mu guards what follows, and is held by who changes bound.
	mu      sync.Mutex
	ended   bool
	closing closing
}

// closing is what the scope will say at its end.
type closing struct {
	message string
	attrs   []slog.Attr
	failure error
}

type (
	scopeKey  struct{}
	loggerKey struct{}
)

// WithLogger returns a context whose scopes log their beginnings and ends to logger. Those of
// other contexts do so to slog.Default.
func WithLogger(ctx context.Context, logger *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, logger)
}

// From returns the scope that ctx is in, or nil.
func From(ctx context.Context) *Scope {
	if ctx == nil {
		return nil // what slog allows, logging must not panic for
	}
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// Task begins a task and returns a context that is in it. msg names it, so it should be a
// constant; args are as of slog.Info, and are in each of its records, but not in those of its
// parts. A task that begins within another is a part of that.
func Task(ctx context.Context, msg string, args ...any) (context.Context, *Scope) {
	id := newTask()
	if outer := From(ctx); outer != nil && len(outer.id)+1+len(id) <= maxID {
		id = outer.id + "/" + id
	}
	return begin(ctx, id, msg, attrsOf(args))
}

// To begins a part of what ctx is in; outside of any scope, it is a task. For msg and args
// see Task.
func To(ctx context.Context, msg string, args ...any) (context.Context, *Scope) {
	id := From(ctx).Foreign()
	if id == "" {
		id = newTask()
	}
	return begin(ctx, id, msg, attrsOf(args))
}

// Import begins the scope whose id another process has got of Foreign. Each id is to be
// imported once. What is no id begins a task of its own instead, with the text, shortened,
// as imported_id. For msg and args see Task.
func Import(ctx context.Context, id ID, msg string, args ...any) (context.Context, *Scope) {
	attrs := attrsOf(args)
	known, err := ParseID(string(id))
	if err != nil {
		const shown = 64
		attrs = append(attrs, slog.String("imported_id", string(id[:min(len(id), shown)])))
		known = newTask()
	}
	return begin(ctx, known, msg, attrs)
}

// begin is called by what its caller's caller calls.
func begin(ctx context.Context, id ID, msg string, attrs []slog.Attr) (context.Context, *Scope) {
	logger, _ := ctx.Value(loggerKey{}).(*slog.Logger)
	if logger == nil {
		logger = slog.Default()
	}
	s := &Scope{id: id, name: msg, logger: logger, began: time.Now(), closing: closing{message: msg}}
	const ours = 3 // runtime.Callers, begin, and what was called
	var pc [1]uintptr
	runtime.Callers(ours, pc[:])
	s.pc = pc[0]
	s.bound.Store(bind(nil, attrs))
	ctx = context.WithValue(ctx, scopeKey{}, s)
	s.log(ctx, slog.LevelInfo, msg, nil)
	return ctx, s
}

// attrsOf reads arguments as slog does.
func attrsOf(args []any) []slog.Attr {
	var r slog.Record
	r.Add(args...)
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	return attrs
}

// log logs the scope's beginning or end. Both have the place where it was begun, as in
// distlog, so that a reader knows them to belong together whatever Success has said.
func (s *Scope) log(ctx context.Context, level slog.Level, msg string, attrs []slog.Attr) {
	h := s.logger.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, msg, s.pc)
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // as slog.Logger does
}

// ID names the scope.
func (s *Scope) ID() ID {
	if s == nil {
		return ""
	}
	return s.id
}

// Foreign returns the ID of a further part of the scope, for another process to Import. Each
// call takes a number. Beyond 1,024 bytes of nesting it is the ID of a task of its own. Of a
// nil Scope it is empty.
func (s *Scope) Foreign() ID {
	if s == nil {
		return ""
	}
	if id := s.id.child(s.children.Add(1)); len(id) <= maxID {
		return id
	}
	return newTask()
}

// Bind adds attributes to the records that come after it; args are as of slog.Info. An
// attribute that is there already is replaced. A scope has up to 128 of them, of 32 KiB
// together; beyond that its records say that its context is truncated.
func (s *Scope) Bind(args ...any) {
	if s == nil {
		return
	}
	attrs := attrsOf(args)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound.Store(bind(s.bound.Load(), attrs))
}

// Success says with what message the scope ends if nothing fails, in place of the one that it
// began with; args are as of slog.Info. An empty msg leaves the record out.
func (s *Scope) Success(msg string, args ...any) {
	if s == nil {
		return
	}
	attrs := attrsOf(args)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.message, s.closing.attrs = msg, attrs
}

// Fail says that the scope has failed, whatever End finds. A nil err does nothing.
func (s *Scope) Fail(err error) {
	if s == nil || err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.failure = err
}

// End ends the scope. It is meant to be deferred, directly and with the function's result:
//
//	defer task.End(&err)
//
// The last record has the place where the scope began, which tells readers what it ends.
// With an error in err, after Fail, or in a panic, the last record is "FAILED" and the
// scope's message at slog.LevelError, with the error; a panic then goes on. Otherwise it is
// what Success said. err may be nil. Calls after the first do nothing.
//
// Within a deferred function literal End does not notice a panic, nor can it notice
// runtime.Goexit.
func (s *Scope) End(err *error) {
	if s == nil {
		return
	}
	if value := recover(); value != nil {
		s.end(&panicked{value: value, stack: debug.Stack()})
		panic(value)
	}
	if err != nil {
		s.end(*err)
		return
	}
	s.end(nil)
}

// end is called by End alone.
func (s *Scope) end(failure error) {
	s.mu.Lock()
	first, c := !s.ended, s.closing
	s.ended = true
	s.mu.Unlock()
	if !first {
		return
	}
	if failure == nil {
		failure = c.failure
	}
	took := time.Since(s.began)
	if core := coreOf(s.logger.Handler()); core != nil {
		core.Metrics.Observe(s.id, s.name, took, failure != nil)
		if core.Took {
			c.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], slog.String("task", s.name), slog.Float64("took", took.Seconds()))
		}
	}
	switch {
	case failure != nil:
		s.log(within{s}, slog.LevelError, "FAILED "+s.name, append(c.attrs, slog.Any("error", failure)))
	case c.message != "":
		s.log(within{s}, slog.LevelInfo, c.message, c.attrs)
	}
}

// coreOf returns that of the Handler that h is, or wraps; nil if there is none.
func coreOf(h slog.Handler) *core {
	const deepest = 16 // or a handler wraps itself
	for range deepest {
		if ours, ok := h.(*Handler); ok {
			return ours.core
		}
		outer, ok := h.(interface{ Unwrap() slog.Handler })
		if !ok {
			return nil
		}
		h = outer.Unwrap()
	}
	return nil
}

// within is a context that is in a scope, and nothing else: a deferred End has none.
type within struct{ s *Scope }

func (within) Deadline() (time.Time, bool) { return time.Time{}, false }
func (within) Done() <-chan struct{}       { return nil }
func (within) Err() error                  { return nil }
func (w within) Value(key any) any {
	if key == (scopeKey{}) {
		return w.s
	}
	return nil
}

// panicked is a panic as an error.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// appendKey appends what a record of s is known by.
func appendKey(dst []byte, s *Scope, number int64) []byte {
	return append(append(strconv.AppendInt(dst, number, 10), '@'), s.id...)
}

// trace returns the members that name the scope in W3C's way, as they are written.
func (s *Scope) trace() string {
	if text := s.traced.Load(); text != nil {
		return *text
	}
	text := `, "trace_id": "` + s.id.TraceID() + `", "span_id": "` + s.id.SpanID() + `"`
	s.traced.Store(&text)
	return text
}
