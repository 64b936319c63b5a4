// Package loki answers the HTTP API of Grafana Loki from what weir keeps, so that Grafana,
// logcli and whatever else speaks it work as they are:
//
//	api, err := loki.New(loki.Deps{Engine: engine, Index: engine, Survey: engine, Live: archive, ...})
//	mux.Handle("/loki/", api)
//	mux.Handle("/prometheus/", api)
//
// It also answers /weir/v1/logs and /weir/v1/tasks, which have what Loki's forms have no
// place for, and share their bounds.
//
// It owns the form of requests and answers on the wire, the default of every parameter, and
// what one client may take from the others: queries that run and wait are bounded in number
// and time, tails in number and memory. What a query means is the business of package logql,
// and who may ask that of whoever mounts the handler, pushes included.
//
// An API may be used concurrently. A request ends with its context; that of a tail ends
// the connection with a close frame.
package loki

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/task"
)

// Engine answers queries. An error for which logql.IsUserError holds is shown to who asks.
type Engine interface {
	// Query answers with lines or with numbers.
	Query(ctx context.Context, p logql.Params) (logql.Result, error)
	// DetectedFields looks at lines for the fields they have, or would have if parsed; for one
	// of them alone if it has a name.
	DetectedFields(ctx context.Context, p logql.Params, name string) ([]logql.Field, error)
	// Records returns what a stream has at some of its places.
	Records(ctx context.Context, stream string, ranges []logql.Range) (logql.Result, error)
}

// Index lists what there is, sorted.
type Index interface {
	// Labels returns the names that streams have.
	Labels(ctx context.Context, s logql.Selection) ([]string, error)
	// LabelValues returns what streams have under a name.
	LabelValues(ctx context.Context, name string, s logql.Selection) ([]string, error)
	// Series returns the labels of the streams that one of the selectors selects.
	Series(ctx context.Context, selectors [][]syntax.Matcher, start, end time.Time) ([]record.Labels, error)
}

// Survey tells how much there is.
type Survey interface {
	// IndexStats counts streams, blocks, bytes and records.
	IndexStats(ctx context.Context, s logql.Selection) (logql.IndexStats, error)
	// Volume returns how many bytes groups of streams have.
	Volume(ctx context.Context, p logql.VolumeParams) ([]logql.Series, error)
	// DetectedLabels counts the values of labels.
	DetectedLabels(ctx context.Context, s logql.Selection) ([]logql.LabelCount, error)
}

// Live gives records as they are written.
type Live interface {
	// Streams returns all that have text.
	Streams() []*archive.Stream
	// Tail follows the streams whose labels match and holds up to limit bytes.
	Tail(match func(record.Labels) bool, limit int) *archive.Tail
}

// Deps is what an API answers from. Log and Registry may be nil.
type Deps struct {
	Engine Engine
	Index  Index
	Survey Survey
	Live   Live
	// Tasks finds tasks; it is given its turns here.
	Tasks task.Finder
	// Sync makes what was written so far visible to queries.
	Sync     func(context.Context) error
	Registry *metric.Registry
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
	// Entries is how many lines an answer may have; 0 is 5000.
	Entries int
	// Tails is how many connections may follow at one time; 0 is 64.
	Tails int
	// TailBytes is how much a slow one may be behind before it loses lines; 0 is 4 MiB.
	TailBytes int
	// Ping is how long a connection that has nothing to say is left alone; 0 is 15 s.
	Ping time.Duration
}

func (l *Limits) fill() {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&l.Running, 2*runtime.GOMAXPROCS(0))
	set(&l.Waiting, 64)
	set(&l.Entries, 5000)
	set(&l.Tails, 64)
	set(&l.TailBytes, 4<<20)
	if l.Timeout <= 0 {
		l.Timeout = time.Minute
	}
	if l.Ping <= 0 {
		l.Ping = 15 * time.Second
	}
}

// API is the handler.
type API struct {
	Deps
	mux     *http.ServeMux
	gate    *gate
	tails   chan struct{} // holds a token for each connection that follows
	numbers numbers
	zippers sync.Pool // of *gzip.Writer
}

// New returns the handler for /weir/v1/logs, /weir/v1/tasks, all addresses below /loki/api/v1
// but push, and those below /prometheus.
func New(d Deps) (*API, error) {
	d.Limits.fill()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Registry == nil {
		d.Registry = metric.New()
	}
	a := &API{Deps: d, mux: http.NewServeMux(), gate: newGate(d.Limits.Running, d.Limits.Waiting), tails: make(chan struct{}, d.Limits.Tails)}
	var err error
	if a.numbers, err = newNumbers(d.Registry); err != nil {
		return nil, err
	}
	a.queries("query", a.instant)
	a.queries("query_range", a.ranged)
	a.queries("labels", a.labels)
	a.queries("label", a.labels)
	a.queries("label/{name}/values", a.values)
	a.queries("series", a.series)
	a.queries("index/stats", a.indexStats)
	a.queries("index/volume", a.volume)
	a.queries("index/volume_range", a.volumeRange)
	a.queries("detected_labels", a.detectedLabels)
	a.queries("detected_fields", a.detectedFields)
	a.queries("detected_field/{name}/values", a.detectedValues)
	a.queries("patterns", a.patterns)
	a.plain("format_query", a.format)
	a.plain("status/buildinfo", a.buildInfo)
	a.plain("drilldown-limits", a.drilldownLimits)
	a.none("rules", "groups")
	a.none("alerts", "alerts")
	a.mux.HandleFunc("GET "+root+"tail", a.tail)
	a.mux.HandleFunc("GET /weir/v1/logs", a.lines)
	a.Tasks.Turn, a.Tasks.Sync, a.Tasks.Trees = a.turn, d.Sync, make(chan struct{}, maxTrees)
	a.mux.HandleFunc("GET /weir/v1/tasks", a.taskList)
	a.mux.HandleFunc("GET /weir/v1/tasks/{id...}", a.taskTree)
	return a, nil
}

// root is what nearly all addresses begin with, rulesRoot what those begin with where Loki
// says what its rules are at.
const (
	root      = "/loki/api/v1/"
	rulesRoot = "/prometheus/api/v1/"
)

// maxForm bounds the body of a request: a query in it may be as long as the language
// allows, and may have been escaped.
const maxForm = 512 << 10

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	a.mux.ServeHTTP(w, r)
}

// answer writes itself.
type answer func(o *out)

// handler makes the answer to a request, within ctx.
type handler func(ctx context.Context, f form, u *usage) (answer, error)

// queries adds an address whose answer takes reading what is kept.
func (a *API) queries(name string, h handler) {
	a.add(name, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, name, h) })
}

// plain adds one whose answer takes nothing.
func (a *API) plain(name string, h func(f form) (made answer, status int)) {
	a.add(name, func(w http.ResponseWriter, r *http.Request) {
		f, err := readForm(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		made, status := h(f)
		a.send(w, r, status, made)
	})
}

func (a *API) add(name string, f http.HandlerFunc) {
	a.mux.Handle("GET "+root+name, f)
	a.mux.Handle("POST "+root+name, f)
}

// writeTime is how long a client may take to read an answer.
const writeTime = 2 * time.Minute

// serve waits for its turn, and answers. The turn is over when the answer is made; only
// then it is written, as slowly as the client reads.
func (a *API) serve(w http.ResponseWriter, r *http.Request, name string, h handler) {
	f, err := readForm(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if !a.gate.admit() {
		a.numbers.refused(name)
		w.Header().Set("Retry-After", "1")
		a.refuse(w, r, errBusy)
		return
	}
	defer a.gate.leave()
	// The deadlines of the listener are for clients that are slow, not for queries.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(a.Limits.Timeout + writeTime))
	u := &usage{began: time.Now(), categorize: wantsCategories(r)}
	made, err := a.make(r.Context(), f, u, h)
	if a.gate.hold(u.bytes) {
		defer a.gate.letGo(u.bytes)
	} else if err == nil {
		err = errBusy
	}
	a.numbers.answered(name, u, err)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	_ = control.SetWriteDeadline(time.Now().Add(writeTime))
	a.send(w, r, http.StatusOK, made)
}

func (a *API) make(ctx context.Context, f form, u *usage, h handler) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Limits.Timeout)
	defer cancel()
	if err := a.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer a.gate.exit()
	u.queued = time.Since(u.began)
	made, err := h(ctx, f, u)
	u.took = time.Since(u.began)
	if err == nil || ctx.Err() == nil {
		return made, err
	}
	return nil, ctx.Err() // whatever it was that the end of the time made fail
}

// A requestError is the client's, and says with which status.
type requestError struct {
	status int
	text   string
}

// Error returns what is wrong.
func (e *requestError) Error() string { return e.text }

func bad(text string) error { return &requestError{http.StatusBadRequest, text} }

// clientGone is what Loki answers, and logs, where nobody reads the answer any more.
const clientGone = 499

// statusOf returns the status for an error, and the text that the client gets.
func statusOf(err error) (status int, text string) {
	var request *requestError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &request):
		return request.status, request.text
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, "the request is too large"
	case logql.IsUserError(err):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "request timed out, decrease the duration of the request or add more label matchers " +
			"(prefer exact match over regex match) to reduce the amount of data processed"
	case errors.Is(err, context.Canceled):
		return clientGone, "the request was cancelled by the client"
	}
	return http.StatusInternalServerError, "something went wrong here; weir's log has more"
}

// refuse answers with an error, as Loki does: in plain text.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := statusOf(err)
	if status == http.StatusInternalServerError {
		a.Log.Error("answer request", "path", r.URL.Path, "error", err)
	}
	http.Error(w, text, status)
}
