// Package statsdhttp measures the handlers of net/http with a statsd.Client: each request is
// one timer, named for its handler, method and status.
//
//	mux := http.NewServeMux()
//	mux.HandleFunc("GET /users/{id}", showUser)
//	server := &http.Server{Handler: statsdhttp.New(client, statsdhttp.Options{}).Wrap(mux)}
//
// A GET of /users/7 that succeeds is the timer users.id.GET.200, or timers.users.id.GET.200
// where the client has the Sprockets naming. Requests that no pattern of the mux fits are not
// measured, so that nobody can make names up; those that a pattern fits but for the method,
// which the mux answers with 405, are among them. The mux writes the pattern into the request that
// it is given. So wrap the mux itself: a handler between the two that gives it a copy, as by
// Request.WithContext, leaves none that could be seen here.
//
// Within a request, From gives what measures parts of it:
//
//	defer statsdhttp.From(r.Context()).Timer("db", "query").Stop()
//
// A handler sees a ResponseWriter that flushes and takes over connections as the server's
// does, by http.ResponseController and by type assertion alike, so server-sent events and
// WebSockets work. Everything may be used by many requests at once. What is left out:
// sizes of bodies, and requests of clients.
package statsdhttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/response"
	"github.com/weirlog/weir/statsd"
)

// Options say how requests are named. The zero value names them by pattern, method and status.
type Options struct {
	// Metric is the name of one timer for all requests, in which handler, method and
	// status are tags (handler:users.id, method:GET, status:200). Empty: they are the
	// timer's name, users.id.GET.200.
	Metric string
	// Name names the handler of a request that has been answered. Dots in it are parts of
	// the name. Empty: the request is not measured. Nil: PatternName of r.Pattern.
	Name func(r *http.Request) string
}

// Middleware measures the requests of the handlers it wraps.
type Middleware struct {
	client *statsd.Client
	Options
}

// New returns a middleware that records with client. With a nil client, handlers are
// wrapped all the same and nothing is recorded.
func New(client *statsd.Client, o Options) *Middleware {
	if o.Name == nil {
		o.Name = func(r *http.Request) string { return PatternName(r.Pattern) }
	}
	return &Middleware{client, o}
}

// Wrap returns a handler that serves with next and measures how long that took. A panic
// of next is recorded as status 500, and answered so if nothing has been written; then it
// goes on to the server, which logs it and closes the connection. A connection that was
// taken over is recorded as status 101, when the handler returns.
func (m *Middleware) Wrap(next http.Handler) http.Handler { return m.wrap(next, m.Name) }

// WrapNamed is Wrap for a handler with a name of its own, which may have dots.
func (m *Middleware) WrapNamed(name string, next http.Handler) http.Handler {
	return m.wrap(next, func(*http.Request) string { return name })
}

func (m *Middleware) wrap(next http.Handler, name func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		// The mux sets the pattern in the request that it is given, so it is given this one.
		outer := r
		r = r.WithContext(context.WithValue(r.Context(), key{}, &Recorder{m.client}))
		answer := response.New(w)
		defer func() {
			failure := recover()
			status := answer.Status()
			if failure != nil {
				status = http.StatusInternalServerError
			}
			outer.Pattern = r.Pattern // others around this one look for it, too
			m.record(name(r), r.Method, status, time.Since(start))
			if failure != nil {
				fail(answer, failure)
				panic(failure)
			}
		}()
		next.ServeHTTP(answer.Full(), r)
	})
}

func (m *Middleware) record(handler, method string, status int, took time.Duration) {
	if handler == "" {
		return
	}
	if len(method) > 32 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		method = "OTHER" // the peer may make up as many as it likes
	}
	code := strconv.Itoa(status)
	if m.Metric != "" {
		m.client.Timing(m.Metric, took, "handler:"+handler, "method:"+method, "status:"+code)
		return
	}
	m.client.Timing(handler+"."+method+"."+code, took)
}

// PatternName makes a name of a pattern of http.ServeMux: its path with dots for slashes
// and without what is around wildcards. The method is left out; the host, if there is one,
// comes first, with underscores for its dots. "GET /users/{id}/posts" is users.id.posts, "/"
// is root, and the empty pattern, which is that of no handler, has the empty name.
func PatternName(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = strings.TrimLeft(path, " \t")
	}
	if pattern == "" {
		return ""
	}
	host, path, _ := strings.Cut(pattern, "/")
	var parts []string
	if host != "" {
		parts = append(parts, strings.ReplaceAll(host, ".", "_"))
	}
	for part := range strings.SplitSeq(path, "/") {
		if inner, ok := strings.CutPrefix(part, "{"); ok {
			part = strings.TrimSuffix(strings.TrimSuffix(inner, "}"), "...")
		}
		if part != "" && part != "$" {
			parts = append(parts, strings.ReplaceAll(part, ".", "_"))
		}
	}
	if len(parts) == 0 || len(parts) == 1 && host != "" {
		parts = append(parts, "root")
	}
	return strings.Join(parts, ".")
}

// key is where a request's context has its Recorder.
type key struct{}

// Recorder measures parts of a request. A nil Recorder records nothing. Parts of a path are
// written as fmt.Sprint does and joined by dots.
type Recorder struct{ client *statsd.Client }

// From returns the Recorder of a request's context; nil where no middleware is.
func From(ctx context.Context) *Recorder {
	r, _ := ctx.Value(key{}).(*Recorder)
	return r
}

// Timer starts a timer, whose Stop records the time:
//
//	defer statsdhttp.From(ctx).Timer("db", "query").Stop()
func (r *Recorder) Timer(path ...any) statsd.Timer {
	if r == nil {
		return statsd.Timer{}
	}
	return r.client.StartTimer(join(path))
}

// Count adds n to a counter.
func (r *Recorder) Count(n int64, path ...any) {
	if r != nil {
		r.client.Incr(join(path), n)
	}
}

// Timing records that something took d.
func (r *Recorder) Timing(d time.Duration, path ...any) {
	if r != nil {
		r.client.Timing(join(path), d)
	}
}

func join(path []any) string {
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}
