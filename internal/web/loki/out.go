package loki

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/codec/kept"
)

const (
	// outBytes is how much of an answer is made before it is sent.
	outBytes = 64 << 10
	// minGzipBytes is the smallest answer that is worth compressing.
	minGzipBytes = 1 << 10
)

// out writes JSON in pieces, so that a large answer is in memory once.
type out struct {
	buf     []byte
	first   func() io.Writer // chooses how the answer is sent; called when there is much of it
	to      io.Writer        // nil until then
	err     error            // the client has gone
	scratch []byte
}

func (o *out) raw(text string) { o.buf = append(o.buf, text...) }

func (o *out) int(n int64) { o.buf = strconv.AppendInt(o.buf, n, 10) }

func (o *out) float(v float64) { o.buf = strconv.AppendFloat(o.buf, v, 'f', -1, 64) }

// string writes a JSON string.
func (o *out) string(s string) {
	o.scratch = append(o.scratch[:0], s...)
	o.buf = append(o.buf, '"')
	o.buf = kept.Escape(o.buf, o.scratch)
	o.buf = append(o.buf, '"')
	o.spill()
}

// comma separates the elements of a list, of which this is number i.
func (o *out) comma(i int) {
	if i > 0 {
		o.buf = append(o.buf, ',')
	}
}

// strings writes a list.
func (o *out) strings(list []string) {
	o.raw("[")
	for i, s := range list {
		o.comma(i)
		o.string(s)
	}
	o.raw("]")
}

// spill sends what is there, if it is much.
func (o *out) spill() {
	if len(o.buf) < outBytes || o.first == nil {
		return
	}
	o.flush()
}

func (o *out) flush() {
	if o.to == nil {
		o.to = o.first()
	}
	if o.err == nil {
		_, o.err = o.to.Write(o.buf)
	}
	o.buf = o.buf[:0]
}

// send writes an answer, compressed where that is wanted and worth it.
func (a *API) send(w http.ResponseWriter, r *http.Request, status int, made answer) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=UTF-8")
	header.Add("Vary", "Accept-Encoding")
	var z *gzip.Writer
	begin := func() io.Writer {
		if !acceptsGzip(r) {
			w.WriteHeader(status)
			return w
		}
		if z, _ = a.zippers.Get().(*gzip.Writer); z == nil {
			z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
		}
		z.Reset(w)
		header.Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		return z
	}
	o := &out{first: begin}
	made(o)
	if o.to == nil && len(o.buf) < minGzipBytes {
		header.Set("Content-Length", strconv.Itoa(len(o.buf)))
		w.WriteHeader(status)
		o.to = w
	}
	o.flush() // what cannot be written had a reader who has gone
	if z != nil {
		_ = z.Close()
		a.zippers.Put(z)
	}
}

// acceptsGzip tells whether the client takes compressed answers.
func acceptsGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
				v, err := strconv.ParseFloat(q, 64)
				return !ok || err == nil && v > 0
			}
		}
	}
	return false
}
