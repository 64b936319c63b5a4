// Package api answers Prometheus' HTTP query API from the history, so that Grafana's
// Prometheus data source, promtool and whatever else speaks it work as they are:
//
//	a, err := api.New(api.Deps{History: db, Registry: registry, Log: log, Version: "v0.1.0"})
//	mux.Handle("/api/v1/", a)
//
// It owns the form of requests and answers on the wire, and what one client may take from
// the others: queries are bounded in number, time and samples. What a query means is the
// business of Prometheus' own engine, and who may ask that of whoever mounts the handler.
//
// An API may be used concurrently. A request ends with its context.
package api

import (
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/weirlog/weir/internal/metric"
)

// History has the samples.
type History interface {
	// Querier reads those of a time, in Unix milliseconds. It is closed by who asked.
	Querier(mint, maxt int64) (storage.Querier, error)
	// ExemplarQuerier reads exemplars.
	ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error)
}

// Deps is what an API answers from. Log may be nil.
type Deps struct {
	History  History
	Registry *metric.Registry // for types and helps, and what the API tells of itself
	Log      *slog.Logger
	Version  string
	Limits   Limits
}

// Limits are what requests may take. The zero value is what is meant for use.
type Limits struct {
	// Running is how many requests are answered at one time; 0 is two a processor.
	Running int
	// Waiting is how many more wait for that; 0 is 64. What comes beyond is refused.
	Waiting int
	// Timeout is how long a request may wait and run; 0 is one minute.
	Timeout time.Duration
	// Samples is how many samples a query may hold in memory; 0 is five million, some 80 MB.
	Samples int
	// Series is how many series an answer without samples may list; 0 is 50,000.
	Series int
}

func (l *Limits) fill() {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&l.Running, 2*runtime.GOMAXPROCS(0))
	set(&l.Waiting, 64)
	set(&l.Samples, 5_000_000)
	set(&l.Series, 50_000)
	if l.Timeout <= 0 {
		l.Timeout = time.Minute
	}
}

const (
	// lookback is how old a sample may be that stands for now, as in Prometheus.
	lookback = 5 * time.Minute
	// subqueryStep is the step of a subquery that has none: Prometheus' default interval of
	// evaluation.
	subqueryStep = time.Minute
)

// API is the handler.
type API struct {
	Deps
	mux     *http.ServeMux
	engine  *promql.Engine
	parser  parser.Parser
	running chan struct{} // holds a token for each request that is worked on
	inside  atomic.Int64  // requests that run or wait
	held    atomic.Int64  // bytes of the answers that are made and not written yet
	numbers numbers
	zippers sync.Pool // of *gzip.Writer
}

// New returns the handler for the addresses below /api/v1.
func New(d Deps) (*API, error) {
	d.Limits.fill()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{Deps: d, mux: http.NewServeMux(), parser: parser.NewParser(parser.Options{}), running: make(chan struct{}, d.Limits.Running)}
	var err error
	if a.numbers, err = newNumbers(d.Registry); err != nil {
		return nil, err
	}
	a.engine = promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(&brief{d.Log.Handler()}), MaxSamples: d.Limits.Samples, Timeout: d.Limits.Timeout, LookbackDelta: lookback, Parser: a.parser,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true,
	})
	a.add("query", a.instant)
	a.add("query_range", a.ranged)
	a.add("query_exemplars", a.exemplars)
	a.add("series", a.series)
	a.add("labels", a.labels)
	a.add("label/{name}/values", a.values)
	a.add("metadata", a.metadata)
	a.add("format_query", a.format)
	a.add("status/buildinfo", a.buildInfo)
	a.add("rules", a.rules)
	a.add("alerts", a.alerts)
	a.mux.HandleFunc(root, func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, &failure{http.StatusNotFound, "not_found", "weir does not have " + strings.ToValidUTF8(r.URL.Path, "?")})
	})
	return a, nil
}

// root is what all addresses begin with.
const root = "/api/v1/"

// maxForm bounds the body of a request.
const maxForm = 512 << 10

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	a.mux.ServeHTTP(w, r)
}

// handler writes the data of an answer, within ctx.
type handler func(ctx context.Context, f form, o *out) error

// add adds an address for GET and, with the parameters in a form, POST.
func (a *API) add(name string, h handler) {
	serve := func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, name, h) }
	a.mux.HandleFunc("GET "+root+name, serve)
	a.mux.HandleFunc("POST "+root+name, serve)
	a.mux.HandleFunc(root+name, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD, POST")
		a.refuse(w, &failure{http.StatusMethodNotAllowed, "bad_data", "use GET or POST, not " + strings.ToValidUTF8(r.Method, "?")})
	})
}

// writeTime is how long a client may take to read an answer.
const writeTime = 2 * time.Minute

// serve waits for its turn, and answers. The turn is over when the answer is made; only
// then it is written, as slowly as the client reads.
func (a *API) serve(w http.ResponseWriter, r *http.Request, name string, h handler) {
	began := time.Now()
	f, err := readForm(r)
	if err != nil {
		a.refuse(w, err)
		return
	}
	if a.inside.Add(1) > int64(a.Limits.Running+a.Limits.Waiting) {
		a.inside.Add(-1)
		a.numbers.answered(name, began, errBusy)
		w.Header().Set("Retry-After", "1")
		a.refuse(w, errBusy)
		return
	}
	// The deadlines of the listener are for clients that are slow, not for queries.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(a.Limits.Timeout + writeTime))
	o, err := a.make(r.Context(), f, h)
	a.inside.Add(-1)
	compressed := err == nil && len(o.buf) >= minGzipBytes && acceptsGzip(r.Header.Values("Accept-Encoding"))
	if err == nil {
		bytes := int64(cap(o.buf))
		if compressed {
			bytes += zipperBytes
		}
		if a.hold(bytes) {
			defer a.held.Add(-bytes)
		} else {
			err = errHeld
			w.Header().Set("Retry-After", "1")
		}
	}
	a.numbers.answered(name, began, err)
	if err != nil {
		a.refuse(w, err)
		return
	}
	if o.none {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = control.SetWriteDeadline(time.Now().Add(writeTime))
	a.send(w, o, compressed)
}

const (
	// maxHeld is how many bytes the answers may have that wait for clients which read slowly.
	maxHeld = 128 << 20
	// zipperBytes is about what compressing takes.
	zipperBytes = 1 << 20
)

// hold tells whether there is room for an answer until it is written. For one alone there
// always is.
func (a *API) hold(bytes int64) bool {
	if held := a.held.Add(bytes); held > maxHeld && held > bytes {
		a.held.Add(-bytes)
		return false
	}
	return true
}

func (a *API) make(ctx context.Context, f form, h handler) (*out, error) {
	limit := a.Limits.Timeout
	if text := f.get("timeout"); text != "" {
		wanted, err := parseDuration(text)
		if err != nil {
			return nil, invalid("timeout", err)
		}
		limit = min(limit, wanted)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case a.running <- struct{}{}:
		defer func() { <-a.running }()
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	if ctx.Err() != nil { // it ended while it waited
		return nil, ended(ctx)
	}
	o := &out{query: f.get("query")}
	o.raw(`{"status":"success","data":`)
	if err := h(ctx, f, o); err != nil {
		return nil, err
	}
	o.annotations()
	o.raw("}")
	return o, nil
}

// ended returns why a request ended before its turn, as the engine words it.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return promql.ErrQueryTimeout("query execution")
	}
	return ctx.Err()
}

// A failure is an answer without data.
type failure struct {
	status     int
	kind, text string
}

// Error returns what went wrong.
func (f *failure) Error() string { return f.text }

var (
	errBusy = unavailable("too many queries at one time")
	errHeld = unavailable("too many answers wait for clients that read slowly")
)

func unavailable(text string) error {
	return &failure{http.StatusServiceUnavailable, "unavailable", text}
}

func invalid(name string, err error) error {
	return &failure{http.StatusBadRequest, "bad_data", `invalid parameter "` + name + `": ` + err.Error()}
}

func badData(err error) error { return &failure{http.StatusBadRequest, "bad_data", err.Error()} }

// clientGone is what Prometheus answers, and logs, where nobody reads the answer any more.
const clientGone = 499

// failed returns what Prometheus says of an error.
func failed(err error) *failure {
	var known *failure
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return &failure{http.StatusRequestEntityTooLarge, "bad_data", "the request is too large"}
	case errors.As(err, new(promql.ErrQueryCanceled)), errors.Is(err, context.Canceled):
		return &failure{clientGone, "canceled", err.Error()}
	case errors.As(err, new(promql.ErrQueryTimeout)), errors.Is(err, context.DeadlineExceeded):
		return &failure{http.StatusServiceUnavailable, "timeout", err.Error()}
	case errors.As(err, new(promql.ErrStorage)):
		return &failure{http.StatusInternalServerError, "internal", err.Error()}
	}
	return &failure{http.StatusUnprocessableEntity, "execution", err.Error()}
}

// refuse answers with an error.
func (a *API) refuse(w http.ResponseWriter, err error) {
	f := failed(err)
	if f.status == http.StatusInternalServerError {
		a.Log.Error("answer query", "error", err)
	}
	o := &out{}
	o.raw(`{"status":"error","errorType":`)
	o.string(f.kind)
	o.raw(`,"error":`)
	o.string(f.text)
	o.raw("}")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_, _ = w.Write(o.buf) // fails only when the client has gone
}

// minGzipBytes is the smallest answer that is worth compressing.
const minGzipBytes = 1 << 10

// send writes an answer.
func (a *API) send(w http.ResponseWriter, o *out, compressed bool) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Add("Vary", "Accept-Encoding")
	if !compressed {
		_, _ = w.Write(o.buf) // fails only when the client has gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	z, _ := a.zippers.Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	}
	z.Reset(w)
	_, _ = z.Write(o.buf)
	_ = z.Close()
	a.zippers.Put(z)
}

// acceptsGzip tells whether the client names gzip and does not rule it out.
func acceptsGzip(header []string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, quality, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(strings.TrimSpace(quality), "q=0.") != "" || quality == ""
		}
	}
	return false
}
