package push

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
)

// errStopped says that Run does not run.
var errStopped = errors.New("weir is starting, stopping or loading its configuration")

// form is how a body is written.
type form struct {
	format   lokipush.Format
	encoding intake.Encoding
}

// Handler takes pushes: 204 says that all of it is kept for good, 400 that a part of it, or
// all, was refused for what it is, and why. After 413 and 415 nothing was taken, after 429
// neither, and it should come again; after 503 some of it may be there.
func (s *Source) Handler() http.Handler { return s.handler }

func (s *Source) newHandler() http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origins.Check(r); err != nil {
			http.Error(w, "web pages of other sites may not push", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "use POST", http.StatusMethodNotAllowed)
			return
		}
		status, text := s.serve(r)
		switch status {
		case http.StatusNoContent:
			w.WriteHeader(status)
			return
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, text, status)
	})
}

// serve takes one push and returns what it is answered.
func (s *Source) serve(r *http.Request) (status int, text string) {
	f, problem := formOf(r.Header)
	if problem != "" {
		return http.StatusUnsupportedMediaType, problem
	}
	defer s.pushes.Add(-1)
	if s.pushes.Add(1) > maxPushes {
		return s.failed(intake.ErrBusy)
	}
	result, err := s.take(r, f)
	if err == nil && result.accepted > 0 {
		err = s.commits.Wait(r.Context())
	}
	switch {
	case err != nil:
		return s.failed(err)
	case len(result.reasons) > 0: // Alloy and Promtail show the first line of an answer alone
		return http.StatusBadRequest, fmt.Sprintf("%d entries were taken, %d refused: %s", result.accepted, result.refused, strings.Join(result.reasons, "\n"))
	}
	return http.StatusNoContent, ""
}

// take reads a push and writes it. Its memory is free for others when that is done.
func (s *Source) take(r *http.Request, f form) (outcome, error) {
	j, err := s.job()
	if err != nil {
		return outcome{}, err
	}
	defer s.done(j)
	if err := j.read(r.Body, f); err != nil {
		if errors.Is(err, intake.ErrBusy) || errors.Is(err, intake.ErrTooLarge) || errors.Is(err, os.ErrDeadlineExceeded) {
			return outcome{}, err // the last is for a body that comes too slowly, which is to be sent again
		}
		return outcome{}, &bodyError{err}
	}
	result, err := s.push(r.Context(), j, f.format, r.Header.Get("X-Scope-OrgID"))
	if syntax := (*lokipush.SyntaxError)(nil); errors.As(err, &syntax) {
		s.deps.Ledger.Bad("syntax", j.Text[min(syntax.Offset, len(j.Text)):])
		return outcome{}, &bodyError{err}
	}
	return result, err
}

// bodyError is one that the sender of a push made.
type bodyError struct{ err error }

// Error returns the cause.
func (e *bodyError) Error() string { return e.err.Error() }

// failed returns the answer to a push that could not be taken.
func (s *Source) failed(err error) (status int, text string) {
	body := (*bodyError)(nil)
	switch {
	case errors.Is(err, intake.ErrBusy):
		s.deps.Ledger.Event("too many pushes")
		return http.StatusTooManyRequests, err.Error()
	case errors.Is(err, intake.ErrFull):
		s.deps.Ledger.Event("too many streams")
		return http.StatusTooManyRequests, s.streams.Full()
	case errors.Is(err, intake.ErrTooLarge):
		s.deps.Ledger.Event("too large")
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the push has more than %s unpacked (max_body); send it in parts", s.cfg.MaxBody)
	case errors.As(err, &body):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, flow.ErrNoRoom):
		s.deps.Ledger.Event("no room")
	case errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded): // nobody reads it, or waits for it
	case !errors.Is(err, errStopped):
		s.deps.Log.Warn("write push", "error", err)
	}
	return http.StatusServiceUnavailable, err.Error()
}

// formOf returns how a body is written, or what is wrong with how it is said to be.
func formOf(h http.Header) (f form, problem string) {
	switch encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); encoding {
	case "", "identity", "snappy": // protobuf is in snappy, whether they say so or not
	case "gzip", "deflate":
		f.encoding = intake.Encoding(encoding)
	default:
		return f, fmt.Sprintf("content encoding %q is not supported: use gzip or deflate", shorten([]byte(encoding)))
	}
	kind := h.Get("Content-Type")
	if kind == "" {
		return f, ""
	}
	media, _, err := mime.ParseMediaType(kind)
	switch {
	case err == nil && media == "application/json":
		f.format = lokipush.JSON
		if strings.EqualFold(h.Get("Content-Encoding"), "snappy") {
			return f, "JSON in snappy is not supported: use gzip or deflate"
		}
	case err == nil && media == "application/x-protobuf":
	default:
		return f, fmt.Sprintf("content type %q is not supported: use application/json, or application/x-protobuf in snappy", shorten([]byte(kind)))
	}
	return f, ""
}
