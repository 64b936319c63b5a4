package statsdhttp

import (
	"io"
	"net/http"
	"strconv"

	"github.com/weirlog/weir/internal/response"
)

// fail answers a panic, if nothing has been written. The flush is because the server closes
// the connection without sending what it has buffered. After http.ErrAbortHandler nothing
// is written: that panic asks for the connection to be closed.
func fail(w *response.Writer, failure any) {
	if w.Started() || failure == http.ErrAbortHandler {
		return
	}
	text := http.StatusText(http.StatusInternalServerError) + "\n"
	header := w.Header()
	for _, name := range []string{"Cache-Control", "Content-Encoding", "Etag", "Last-Modified"} {
		header.Del(name) // they were meant for another body
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Connection", "close")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, text) // the panic is what is reported
	_ = http.NewResponseController(w).Flush()
}
