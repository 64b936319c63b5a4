package loki

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/syntax"
)

// linesForm is what /weir/v1/logs answers with: JSON, a line each.
const linesForm = "application/x-ndjson"

// maxWords is how many names of streams a request may have.
const maxWords = 100

// linesRequest reads the parameters of /weir/v1/logs.
func (a *API) linesRequest(r *http.Request) (q lines.Request, follow bool, err error) {
	f, err := readForm(r)
	if err != nil {
		return q, false, err
	}
	expr, err := lines.Parse(f.get("query"))
	if err != nil {
		return q, false, err
	}
	var ok bool
	if q.Query, ok = expr.(*syntax.LogQuery); !ok {
		return q, false, bad("give a query for lines; " + root + "query answers those for numbers")
	}
	if q.Words = f.values["stream"]; len(q.Words) > maxWords {
		return q, false, bad("too many streams are named; use a selector")
	}
	var errs [6]error
	q.Start, errs[0] = f.time("start", time.Time{})
	q.End, errs[1] = f.time("end", time.Time{})
	q.Limit, errs[2] = f.number("limit", 0)
	q.Before, errs[3] = f.number("before", 0)
	q.After, errs[4] = f.number("after", 0)
	if q.Limit < 0 || min(q.Before, q.After) < 0 || max(q.Before, q.After) > lines.MaxContext {
		errs[5] = bad("limit, before and after can't be negative, before and after not more than " + strconv.Itoa(lines.MaxContext))
	}
	for _, err := range errs {
		if err != nil {
			return q, false, err
		}
	}
	return q, f.get("follow") == "true", nil
}

// lines answers /weir/v1/logs: lines as they are kept, with those around them, and those to
// come. However many they are, they are sent in pieces, each of which waits for its turn.
func (a *API) lines(w http.ResponseWriter, r *http.Request) {
	q, follow, err := a.linesRequest(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		a.numbers.refused("logs")
		a.refuse(w, r, requestErrorOf(http.StatusTooManyRequests, "too many connections read streams already"))
		return
	}
	reader := lines.Reader{Engine: a.Engine, Archive: a.Live, Sync: a.Sync, Turn: a.turn, TailBytes: a.Limits.TailBytes, Ping: a.Limits.Ping}
	w.Header().Set("Content-Type", linesForm)
	w.Header().Set(streamsHeader, strconv.Itoa(reader.Count(q)))
	out := lineWriter{w: w, control: http.NewResponseController(w), api: a}
	_ = out.control.SetReadDeadline(time.Time{}) // it is for clients that are slow to ask
	if follow {
		a.numbers.tails.Add(1)
		defer a.numbers.tails.Add(-1)
		err = reader.Follow(r.Context(), q, out.write)
	} else {
		u := &usage{began: time.Now()}
		err = reader.Read(r.Context(), q, out.write)
		a.numbers.answered("logs", u, err)
	}
	a.linesEnd(&out, r, err)
}

// streamsHeader has how many streams a request is about now.
const streamsHeader = "Weir-Streams"

// turn lets one query of many run.
func (a *API) turn(ctx context.Context) (func(), error) {
	if !a.gate.admit() {
		return nil, errBusy
	}
	if err := a.gate.enter(ctx); err != nil {
		a.gate.leave()
		return nil, err
	}
	return func() { a.gate.exit(); a.gate.leave() }, nil
}

// linesEnd says why the lines end before all were sent, if so.
func (a *API) linesEnd(out *lineWriter, r *http.Request, err error) {
	var gone *goneError
	switch {
	case err == nil || errors.As(err, &gone):
		return
	case r.Context().Err() != nil: // the client left, or weir stops: then it hears so
		err = requestErrorOf(http.StatusServiceUnavailable, "weir stops")
	}
	if !out.begun {
		out.w.Header().Del(streamsHeader)
		a.refuse(out.w, r, err)
		return
	}
	status, text := statusOf(err)
	if status == http.StatusInternalServerError {
		a.Log.Error("answer request", "path", r.URL.Path, "error", err)
	}
	out.buf = lines.AppendError(out.buf[:0], text)
	_ = out.flush() // who has gone does not need it
}

// lineWriter sends lines.
type lineWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	api     *API
	buf     []byte
	begun   bool
}

// goneError says that nobody reads the answer.
type goneError struct{ err error }

// Error returns how that was noticed.
func (e *goneError) Error() string { return "the client reads nothing: " + e.err.Error() }

// write sends some lines, or, without any, an empty one: so both sides notice when the other
// has gone.
func (o *lineWriter) write(some []lines.Line) error {
	if len(some) == 0 {
		o.buf = append(o.buf[:0], '\n')
		return o.flush()
	}
	o.buf = o.buf[:0]
	for i := range some {
		if n := some[i].Lost; n > 0 {
			o.api.numbers.lost.Add(float64(n))
		}
		if o.buf = lines.Append(o.buf, &some[i]); len(o.buf) >= messageBytes {
			if err := o.flush(); err != nil {
				return err
			}
			o.buf = o.buf[:0]
		}
	}
	return o.flush()
}

func (o *lineWriter) flush() error {
	o.begun = true
	_ = o.control.SetWriteDeadline(time.Now().Add(frameTime)) // without it the listener's holds
	_, err := o.w.Write(o.buf)
	if err == nil {
		err = o.control.Flush()
	}
	if err != nil {
		return &goneError{err}
	}
	return nil
}
