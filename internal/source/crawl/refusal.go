package crawl

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// refusedError is an answer that is an error.
type refusedError struct {
	status int
	text   string
	after  time.Duration // how long the server wants not to be asked; 0: it does not say
}

// Error returns the answer's status, and the start of what it says.
func (e *refusedError) Error() string { return "the answer is " + e.text }

// useful tells whether it may be another one in a moment.
func (e *refusedError) useful() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	case http.StatusForbidden:
		return e.after > 0
	}
	return e.status >= 500
}

// refusal returns the error that an answer is, nil if it is none.
func (a *asking) refusal(got *answer) error {
	if got.StatusCode/100 == 2 {
		return nil
	}
	text := a.shown([]byte(got.Status))
	said := make([]byte, shownBody)
	n, _ := io.ReadFull(got.body, said)
	if more := a.shown(bytes.TrimSpace(said[:n])); more != "" {
		text += ": " + more
	}
	return &refusedError{status: got.StatusCode, text: text, after: retryAfter(got.StatusCode, got.Header, time.Now())}
}

// shown returns the start of what a server says, without the secrets that weir has sent.
func (a *asking) shown(said []byte) string { return a.masks.shown(string(said), a.token) }

// where returns what may be shown of a URL that a server may have given.
func (a *asking) where(u *url.URL) string { return a.shown([]byte(shownURL(u.String()))) }

// retryAfter returns for how long a server wants not to be asked: Retry-After in seconds or as
// a date, which is by the server's own clock, or the reset of a limit that is used up.
func retryAfter(status int, h http.Header, now time.Time) time.Duration {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		now = at
	}
	d := time.Duration(0)
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		d = time.Duration(min(seconds, longestPause.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	} else if (status == http.StatusForbidden || status == http.StatusTooManyRequests) && h.Get("X-RateLimit-Remaining") == "0" {
		if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && reset > 1e8 {
			d = time.Unix(reset, 0).Sub(now)
		}
	}
	return min(max(d, 0), longestPause)
}

// limiter spaces out the requests of all streams.
type limiter struct {
	gap  time.Duration
	turn chan struct{} // has an element while someone uses next
	next time.Time
}

func newLimiter(r Rate) *limiter {
	l := &limiter{turn: make(chan struct{}, 1)}
	if r.Requests > 0 {
		l.gap = r.Per / time.Duration(r.Requests)
	}
	return l
}

// wait returns when it is time for a request.
func (l *limiter) wait(ctx context.Context) error {
	if l.gap == 0 {
		return ctx.Err()
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	now := time.Now()
	at := l.next
	if at.Before(now) {
		at = now
	}
	l.next = at.Add(l.gap)
	<-l.turn
	return sleep(ctx, at.Sub(now))
}
