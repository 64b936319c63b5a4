// Package scopehttp takes scopes of package scope through HTTP: a request's headers name the
// scope that it is made in, and the server goes on with it.
//
//	client := &http.Client{Transport: &scopehttp.Transport{}}
//	handler := scopehttp.Wrap(mux, scopehttp.Options{})
//
// The headers are Distlog-Task, with an id that scope.Import takes, and the traceparent of
// W3C's Trace Context, so that other servers join the trace as well, and their clients ours.
// tracestate is left to who knows what is in it. Everything is safe for concurrent use.
package scopehttp

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/weirlog/weir/internal/response"
	"github.com/weirlog/weir/scope"
)

// The headers that name a scope.
const (
	// Header has the id of the scope that the server is to import.
	Header = "Distlog-Task"
	// Traceparent is that of W3C's Trace Context: the trace, and the span of the caller.
	Traceparent = "Traceparent"
)

// Inject sets the headers for a request that is made in ctx. Each call takes a number of the
// scope. Outside of any scope, and where there is one of the headers already, it does nothing.
func Inject(ctx context.Context, header http.Header) {
	s := scope.From(ctx)
	if s == nil || header.Get(Header) != "" || header.Get(Traceparent) != "" {
		return
	}
	header.Set(Header, string(s.Foreign()))
	header.Set(Traceparent, s.ID().Traceparent())
}

// Extract returns the id for scope.Import that the headers name, or none. What is no id is
// passed over. If the headers name two traces, the traceparent is right, since who does not
// know the other header has passed it on.
func Extract(header http.Header) scope.ID {
	id, err := scope.ParseID(header.Get(Header))
	if err != nil {
		id = ""
	}
	traced, err := scope.FromTraceparent(header.Get(Traceparent))
	if err == nil && (id == "" || id.TraceID() != traced.TraceID()) {
		return traced
	}
	return id
}

// Transport is an http.RoundTripper that sets the headers of each request whose context is in
// a scope.
type Transport struct {
	// Base makes the requests. Nil: http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip makes a request with the headers. The request itself is not changed.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if scope.From(r.Context()) == nil {
		return base.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if r.Header == nil {
		r.Header = http.Header{}
	}
	Inject(r.Context(), r.Header)
	return base.RoundTrip(r)
}

// Options are the settings of Wrap.
type Options struct {
	// Name is the message of a request's scope. It names a series of the metrics, so there
	// should be few. Nil: HTTP and the method.
	Name func(r *http.Request) string
	// Trust says whether a request's headers are believed. Who is believed can put records
	// into any task whose id he knows, so a server that faces strangers should believe none.
	// Nil: all are.
	Trust func(r *http.Request) bool
}

// Wrap returns a handler that serves each request in a scope of its own: that of the headers,
// or a task. Its first record has the method and the path, its last one the status and the
// pattern of the mux. A status from 500 on is a failure, and so is a panic, which goes on.
func Wrap(next http.Handler, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "HTTP " + method(r)
		if o.Name != nil {
			name = o.Name(r)
		}
		var id scope.ID
		if o.Trust == nil || o.Trust(r) {
			id = Extract(r.Header)
		}
		ctx, task := begin(r, id, name)
		defer task.End(nil)
		answer, inner := response.New(w), r.WithContext(ctx)
		defer func() {
			r.Pattern = inner.Pattern // others around this one look for it, too
			status := answer.Status()
			task.Success(name, "status", status, "pattern", inner.Pattern)
			if status >= http.StatusInternalServerError {
				task.Fail(fmt.Errorf("status %d", status))
			}
		}()
		next.ServeHTTP(answer.Full(), inner)
	})
}

func begin(r *http.Request, id scope.ID, name string) (context.Context, *scope.Scope) {
	if id == "" {
		return scope.Task(r.Context(), name, "method", method(r), "path", r.URL.Path)
	}
	return scope.Import(r.Context(), id, name, "method", method(r), "path", r.URL.Path)
}

// method is the request's, unless the peer has made it up.
func method(r *http.Request) string {
	if len(r.Method) > 32 || r.Method == "" || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "OTHER"
	}
	return r.Method
}

// Metrics returns a handler that answers with m in OpenMetrics' format.
func Metrics(m *scope.Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", scope.ContentType)
		_, _ = w.Write(m.AppendOpenMetrics(nil)) // who asked is gone
	})
}
