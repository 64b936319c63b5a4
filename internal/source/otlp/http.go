package otlp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/protobuf"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
)

// errStopped says that Run does not run.
var errStopped = errors.New("weir is starting, stopping or loading its configuration")

// answer is what a sender is told.
type answer struct {
	partial wire.Partial // of a request that was taken
	status  int          // of HTTP
	code    code         // of gRPC
	text    string       // why it was not
	after   int          // seconds after which to send it again; 0: never
}

// The paths of OTLP over HTTP and of gRPC's methods.
const (
	pathLogs    = "/v1/logs"
	pathMetrics = "/v1/metrics"

	methodLogs    = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	methodMetrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
)

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

func (s *Source) newHandler() http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		if isGRPC(r) {
			s.serveGRPC(w, r)
			return
		}
		if err := origins.Check(r); err != nil {
			deny(w, r, &answer{status: http.StatusForbidden, code: permissionDenied, text: "web pages of other sites may not send"})
			return
		}
		s.serveHTTP(w, r)
	})
}

// serveHTTP answers OTLP over HTTP.
func (s *Source) serveHTTP(w http.ResponseWriter, r *http.Request) {
	var what wire.Request
	switch r.URL.Path {
	case pathLogs:
		what = wire.Logs
	case pathMetrics:
		what = wire.Metrics
	default:
		deny(w, r, &answer{status: http.StatusNotFound, code: unimplemented, text: "logs are taken at /v1/logs and metrics at /v1/metrics"})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		deny(w, r, &answer{status: http.StatusMethodNotAllowed, code: unimplemented, text: "use POST"})
		return
	}
	if !s.open(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
		deny(w, r, &answer{status: http.StatusUnauthorized, code: unauthenticated, text: "give the source's token, as Authorization: Bearer …"})
		return
	}
	f, problem := formOf(r.Header)
	if problem != "" {
		deny(w, r, &answer{status: http.StatusUnsupportedMediaType, code: unimplemented, text: problem})
		return
	}
	a := s.take(r.Context(), what, func(j *job) error { return j.read(r.Body, what, f) })
	a.write(w, what, f.json)
}

// deny refuses a request before it is read: in the form of its body, or as text where that is none
// of OTLP's.
func deny(w http.ResponseWriter, r *http.Request, a *answer) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != typeJSON && kind != typeProtobuf {
		http.Error(w, a.text, a.status)
		return
	}
	a.write(w, wire.Logs, kind == typeJSON)
}

// write writes an answer as OTLP over HTTP has it.
func (a *answer) write(w http.ResponseWriter, what wire.Request, json bool) {
	kind, body := typeProtobuf, []byte(nil)
	if json {
		kind = typeJSON
	}
	status := http.StatusOK
	switch failed := a.status != 0; {
	case failed && json:
		body = wire.AppendJSONStatus(nil, wire.Status{Code: int32(a.code), Message: a.text})
	case failed:
		body = wire.AppendStatus(nil, wire.Status{Code: int32(a.code), Message: a.text})
	case json:
		body = wire.AppendJSONResponse(nil, what, a.partial)
	default:
		body = wire.AppendResponse(nil, a.partial)
	}
	if a.status != 0 {
		status = a.status
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if a.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(a.after))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// open tells whether a request may pass.
func (s *Source) open(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return s.is(strings.TrimSpace(token))
	}
	_, password, ok := r.BasicAuth()
	return ok && s.is(password)
}

// is compares in a time that tells neither the token nor its length.
func (s *Source) is(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// form is how a body is written.
type form struct {
	json     bool
	encoding intake.Encoding
}

// formOf returns how a body is written, or what is wrong with how it is said to be.
func formOf(h http.Header) (f form, problem string) {
	switch encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "deflate", "zstd":
		f.encoding = intake.Encoding(encoding)
	case "zlib":
		f.encoding = intake.Deflate
	default:
		return f, fmt.Sprintf("content encoding %q is not supported: use gzip or zstd", shorten(encoding))
	}
	kind := h.Get("Content-Type")
	switch media, _, err := mime.ParseMediaType(kind); {
	case err == nil && media == typeJSON:
		f.json = true
	case err == nil && media == typeProtobuf:
	default:
		return f, fmt.Sprintf("content type %q is not supported: use application/x-protobuf or application/json", shorten(kind))
	}
	return f, ""
}

// maxShown is how much of a sender's text is in a message.
const maxShown = 100

func shorten(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// read reads and unpacks a body, and makes protobuf of it.
func (j *job) read(from io.Reader, what wire.Request, f form) error {
	if err := j.Read(from, f.encoding); err != nil {
		return err
	}
	if !f.json {
		return nil
	}
	return j.Rewrite(func(dst, text []byte, room func([]byte, int) ([]byte, error)) ([]byte, error) {
		return wire.AppendWithin(dst, what, text, room)
	})
}

// bodyError is one that the sender of a request made.
type bodyError struct{ err error }

// Error returns the cause.
func (e *bodyError) Error() string { return e.err.Error() }

// take reads a request, takes it, and waits for the commit.
func (s *Source) take(ctx context.Context, what wire.Request, read func(*job) error) answer {
	defer s.requests.Add(-1)
	if s.requests.Add(1) > maxRequests {
		return s.failed(intake.ErrBusy)
	}
	result, err := s.takeBody(ctx, what, read)
	if err == nil && result.accepted > 0 {
		err = s.commits.Wait(ctx)
	}
	if err != nil {
		return s.failed(err)
	}
	return answer{partial: wire.Partial{Rejected: int64(result.refused), Message: strings.Join(result.reasons, "; ")}}
}

// takeBody reads a request and writes it. Its memory is free for others when that is done.
func (s *Source) takeBody(ctx context.Context, what wire.Request, read func(*job) error) (outcome, error) {
	j, err := s.job()
	if err != nil {
		return outcome{}, err
	}
	defer s.done(j)
	if err := read(j); err != nil {
		if errors.Is(err, intake.ErrBusy) || errors.Is(err, intake.ErrTooLarge) || errors.Is(err, os.ErrDeadlineExceeded) {
			return outcome{}, err
		}
		return outcome{}, &bodyError{err}
	}
	result, err := s.write(ctx, j, what)
	if syntax := (*protobuf.SyntaxError)(nil); errors.As(err, &syntax) {
		s.deps.Ledger.Bad("syntax", j.Text[min(syntax.Offset, len(j.Text)):])
		return outcome{}, &bodyError{err}
	}
	return result, err
}

// failed returns the answer to a request that could not be taken.
func (s *Source) failed(err error) answer {
	body := (*bodyError)(nil)
	switch {
	case errors.Is(err, intake.ErrBusy):
		s.deps.Ledger.Event("too many requests")
		return answer{status: http.StatusTooManyRequests, code: resourceExhausted, text: "too many requests are in work", after: 1}
	case errors.Is(err, intake.ErrFull):
		s.deps.Ledger.Event("too many streams")
		return answer{status: http.StatusTooManyRequests, code: resourceExhausted, text: s.streams.Full(), after: 30}
	case errors.Is(err, intake.ErrTooLarge):
		s.deps.Ledger.Event("too large")
		return answer{status: http.StatusRequestEntityTooLarge, code: resourceExhausted, text: fmt.Sprintf("the request has more than %s unpacked (max_body); send it in parts", s.cfg.MaxBody)}
	case errors.Is(err, errTooMany):
		s.deps.Ledger.Event("too large")
		return answer{status: http.StatusRequestEntityTooLarge, code: resourceExhausted, text: fmt.Sprintf("the request has more than %d records; send it in parts", s.maxRecords())}
	case errors.As(err, &body):
		return answer{status: http.StatusBadRequest, code: invalidArgument, text: err.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded): // the latter: of reading
		return answer{status: http.StatusServiceUnavailable, code: deadlineExceeded, text: "it took too long", after: 1}
	case errors.Is(err, flow.ErrNoRoom):
		s.deps.Ledger.Event("no room")
	case errors.Is(err, context.Canceled): // nobody reads it
	case !errors.Is(err, errStopped):
		s.deps.Log.Warn("write request", "error", err)
	}
	return answer{status: http.StatusServiceUnavailable, code: unavailable, text: err.Error(), after: 1}
}
