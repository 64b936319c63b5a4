// Package response has the http.ResponseWriter that middleware puts around the server's, to know
// how a request was answered. It leaves out what is done with that.
package response

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Writer is a ResponseWriter that remembers the status. It belongs to one request.
type Writer struct {
	http.ResponseWriter
	status int // 0: nothing has been written
}

// New returns a Writer around the server's.
func New(w http.ResponseWriter) *Writer { return &Writer{ResponseWriter: w} }

// Unwrap is for http.ResponseController, which finds deadlines and full duplex with it.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader takes the first status that is an answer; 100 to 199 announce one, but for
// 101, after which the protocol is another.
func (w *Writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter; without a status before it, that is 200.
func (w *Writer) Write(b []byte) (int, error) {
	w.implicit()
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets the server send a file without copying it.
func (w *Writer) ReadFrom(from io.Reader) (int64, error) {
	w.implicit()
	return io.Copy(w.ResponseWriter, from)
}

func (w *Writer) implicit() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Started tells whether something has been written.
func (w *Writer) Started() bool { return w.status != 0 }

// Status returns the status once the handler has returned.
func (w *Writer) Status() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Full returns w with the methods that handlers ask for by type assertion, as far as the
// server's own ResponseWriter has them.
func (w *Writer) Full() http.ResponseWriter {
	_, flusher := w.ResponseWriter.(http.Flusher)
	_, hijacker := w.ResponseWriter.(http.Hijacker)
	switch {
	case flusher && hijacker:
		return struct {
			*Writer
			flushing
			hijacking
		}{w, flushing{w}, hijacking{w}}
	case flusher:
		return struct {
			*Writer
			flushing
		}{w, flushing{w}}
	case hijacker:
		return struct {
			*Writer
			hijacking
		}{w, hijacking{w}}
	}
	return w
}

type flushing struct{ w *Writer }

// Flush sends what has been written; the first time, the header with it.
func (f flushing) Flush() {
	f.w.implicit()
	f.w.ResponseWriter.(http.Flusher).Flush()
}

// FlushError is Flush for http.ResponseController.
func (f flushing) FlushError() error {
	f.w.implicit()
	return http.NewResponseController(f.w.ResponseWriter).Flush()
}

type hijacking struct{ w *Writer }

// Hijack gives the connection to the handler.
func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil && h.w.status == 0 {
		h.w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}
