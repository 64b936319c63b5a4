package scopehttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// answer is a ResponseWriter that remembers the status. It belongs to one request.
type answer struct {
	http.ResponseWriter
	status int // 0: nothing has been written
}

// Unwrap is for http.ResponseController, which finds deadlines and full duplex with it.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader takes the first status that is an answer; 100 to 199 announce one, but for
// 101, after which the protocol is another.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.implicit()
	return a.ResponseWriter.Write(b)
}

// ReadFrom lets the server send a file without copying it.
func (a *answer) ReadFrom(from io.Reader) (int64, error) {
	a.implicit()
	return io.Copy(a.ResponseWriter, from)
}

func (a *answer) implicit() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
}

// final is the status once the handler has returned.
func (a *answer) final() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// full returns a with the methods that handlers ask for by type assertion, as far as the
// server's own ResponseWriter has them.
func (a *answer) full() http.ResponseWriter {
	_, flusher := a.ResponseWriter.(http.Flusher)
	_, hijacker := a.ResponseWriter.(http.Hijacker)
	switch {
	case flusher && hijacker:
		return struct {
			*answer
			flushing
			hijacking
		}{a, flushing{a}, hijacking{a}}
	case flusher:
		return struct {
			*answer
			flushing
		}{a, flushing{a}}
	case hijacker:
		return struct {
			*answer
			hijacking
		}{a, hijacking{a}}
	}
	return a
}

type flushing struct{ a *answer }

// Flush sends what has been written; the first time, the header with it.
func (f flushing) Flush() {
	f.a.implicit()
	f.a.ResponseWriter.(http.Flusher).Flush()
}

// FlushError is Flush for http.ResponseController.
func (f flushing) FlushError() error {
	f.a.implicit()
	return http.NewResponseController(f.a.ResponseWriter).Flush()
}

type hijacking struct{ a *answer }

// Hijack gives the connection to the handler.
func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.a.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil && h.a.status == 0 {
		h.a.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}
