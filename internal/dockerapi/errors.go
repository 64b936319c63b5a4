package dockerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// What the engine's refusals mean, for errors.Is.
var (
	// ErrNotFound: there is no such container (any more).
	ErrNotFound = errors.New("not found")
	// ErrConflict: the container is not in a state to answer, as when it is being removed.
	ErrConflict = errors.New("conflict")
	// ErrUnsupported: the engine or the container's logging driver cannot do this.
	ErrUnsupported = errors.New("not supported")
	// ErrForbidden: the engine, or a proxy before it, does not let us.
	ErrForbidden = errors.New("forbidden")
	// ErrWantsTLS: the engine speaks TLS, and was not spoken to in it.
	ErrWantsTLS = errors.New("TLS is wanted")
)

// Error is a refusal by the engine.
type Error struct {
	// Status is the HTTP status; zero when the engine was not asked or had begun to answer.
	Status int
	// Message is what the engine says.
	Message string

	kind error // one of the sentinels, or nil
}

// Error returns the engine's message, with the status when it has one.
func (e *Error) Error() string {
	if e.Status == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (HTTP status %d)", e.Message, e.Status)
}

// Is tells whether the error is of a kind.
func (e *Error) Is(kind error) bool { return e.kind == kind && kind != nil }

func newError(status int, body []byte) *Error {
	e := &Error{Status: status}
	var m struct{ Message string }
	if json.Unmarshal(body, &m) == nil && m.Message != "" {
		e.Message = m.Message
	} else {
		e.Message = strings.TrimSpace(string(body))
	}
	if len(e.Message) > 400 {
		e.Message = e.Message[:400] + "…"
	}
	e.Message = strings.ToValidUTF8(e.Message, "\uFFFD")
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		e.kind = ErrNotFound
	case status == http.StatusConflict:
		e.kind = ErrConflict
	case status == http.StatusNotImplemented || strings.Contains(e.Message, "does not support reading"):
		e.kind = ErrUnsupported
	case status == http.StatusBadRequest && strings.Contains(e.Message, "HTTP request to an HTTPS server"):
		e.kind = ErrWantsTLS
	case status == http.StatusForbidden || status == http.StatusUnauthorized || status == http.StatusMethodNotAllowed:
		e.kind = ErrForbidden
	}
	return e
}

// decodeSmall decodes an answer that has no reason to be large.
func decodeSmall(r io.Reader, v any) error {
	body, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}
