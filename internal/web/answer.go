package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/metric"
)

// minGzipBytes is the smallest body that is worth compressing.
const minGzipBytes = 1 << 10

// scrape answers with the metrics.
func (h *handler) scrape(w http.ResponseWriter, r *http.Request) error {
	if !h.metrics.open(r) && (h.page.token == "" || !h.page.open(r)) {
		h.refuse(w, r)
		return nil
	}
	select {
	case h.scrapes <- struct{}{}:
		defer func() { <-h.scrapes }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	format := metric.Negotiate(strings.Join(r.Header.Values("Accept"), ","))
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	buf, _ := h.bodies.Get().(*[]byte)
	if buf == nil {
		buf = new(make([]byte, 0, pieceBytes))
	}
	defer h.bodies.Put(buf)
	p := pieces{handler: h, w: w, r: r, contentType: format.ContentType()}
	err := h.Metrics.WriteText(p.write, *buf, format)
	if p.zipper == nil {
		return nil // an error says that the client has gone
	}
	if err == nil {
		_ = p.zipper.Close() // fails only when the client has gone
	}
	p.zipper.Reset(nil)
	h.zippers.Put(p.zipper)
	return nil
}

// pieces answers with a text that comes in pieces of pieceBytes or more, but for the last one.
type pieces struct {
	*handler
	w           http.ResponseWriter
	r           *http.Request
	contentType string
	begun       bool
	zipper      *gzip.Writer // nil: what comes is not compressed
}

// write answers with a piece. Where it is the only one the answer tells its length.
func (p *pieces) write(b []byte) error {
	if !p.begun {
		p.begun = true
		if len(b) < pieceBytes {
			return p.send(p.w, p.r, p.contentType, b)
		}
		p.w.Header().Set("Content-Type", p.contentType)
		if accepts(p.r.Header.Values("Accept-Encoding"), "gzip") {
			p.w.Header().Set("Content-Encoding", "gzip")
			p.zipper = p.newZipper()
			p.zipper.Reset(p.w)
		}
	}
	to := io.Writer(p.w)
	if p.zipper != nil {
		to = p.zipper
	}
	_, err := to.Write(b)
	return err
}

// The answers of /weir/v1. Every one says whose it is and of when.
type about struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
}

func (h *handler) ledger(w http.ResponseWriter, r *http.Request) error {
	return h.api(w, r, func(a about, s *Snapshot) any {
		return struct {
			about
			Problems   []Problem   `json:"problems"`
			Components []Component `json:"components"`
		}{a, s.Problems, s.Components}
	})
}

func (h *handler) streams(w http.ResponseWriter, r *http.Request) error {
	return h.api(w, r, func(a about, s *Snapshot) any {
		return struct {
			about
			Sources []Source `json:"sources"`
		}{a, s.Sources}
	})
}

func (h *handler) rules(w http.ResponseWriter, r *http.Request) error {
	return h.api(w, r, func(a about, s *Snapshot) any {
		return struct {
			about
			Rules []Rule `json:"rules"`
		}{a, s.Rules}
	})
}

func (h *handler) api(w http.ResponseWriter, r *http.Request, pick func(about, *Snapshot) any) error {
	if !h.admit(w, r) {
		return nil
	}
	s := h.snapshot()
	body, err := json.Marshal(pick(about{s.Node, s.Version, s.Now, s.Started}, &s))
	if err != nil {
		return fmt.Errorf("encode %s: %w", r.URL.Path, err)
	}
	return h.send(w, r, "application/json", append(body, '\n'))
}

// MarshalJSON writes the stream with its labels as an object.
func (s Stream) MarshalJSON() ([]byte, error) {
	type plain Stream
	labels := make(map[string]string, len(s.Labels))
	for _, l := range s.Labels {
		labels[l.Name] = l.Value
	}
	return json.Marshal(struct {
		plain
		Labels map[string]string `json:"labels"`
	}{plain(s), labels})
}

// admit lets who has the token pass. A token in the address is taken once: the browser
// gets a cookie for it, and an address without it.
func (h *handler) admit(w http.ResponseWriter, r *http.Request) bool {
	query := r.URL.Query()
	token := query.Get("token")
	if h.page.token != "" && token != "" && h.page.is(token) {
		h.page.signIn(w, r)
		query.Del("token")
		to := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
		return false
	}
	if h.page.open(r) {
		return true
	}
	h.refuse(w, r)
	return false
}

// push passes a push on.
func (h *handler) push(w http.ResponseWriter, r *http.Request) error {
	if !h.page.open(r) {
		h.refuse(w, r)
		return nil
	}
	h.Push.ServeHTTP(w, r)
	return nil
}

// loki passes a request for Loki's API on.
func (h *handler) loki(w http.ResponseWriter, r *http.Request) error {
	if !h.page.open(r) {
		h.refuse(w, r)
		return nil
	}
	h.Loki.ServeHTTP(w, r)
	return nil
}

// prometheus passes a request for Prometheus' API on.
func (h *handler) prometheus(w http.ResponseWriter, r *http.Request) error {
	if !h.page.open(r) {
		h.refuse(w, r)
		return nil
	}
	h.Prometheus.ServeHTTP(w, r)
	return nil
}

// noHistory says so in the form that Prometheus' clients read.
func noHistory(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `{"status":"error","errorType":"not_found","error":"weir keeps no history here: see history in its configuration"}`) // fails only when the client has gone
}

// refuse says that a token is needed: to a browser with a form.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
	if r.Header.Get("Authorization") != "" || r.URL.Query().Has("token") {
		h.Log.Debug("wrong token", "path", r.URL.Path, "remote", remoteHost(r))
	}
	if !wantsHTML(r) || h.page.token == "" { // no cookie opens what a scraper's token guards
		http.Error(w, "give the token: Authorization: Bearer <token>", http.StatusUnauthorized)
		return
	}
	h.form(w, r.URL.Query().Has("token"))
}

// form writes the page that asks for the token.
func (h *handler) form(w http.ResponseWriter, wrong bool) {
	nonce := newNonce()
	body, err := h.view.form(nonce, wrong)
	if err != nil {
		http.Error(w, "give the token", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+
		"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(body) // the client may have gone
}

// maxFormBytes bounds what is read of a form.
const maxFormBytes = 4 << 10

// login takes the token from the form.
func (h *handler) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if h.page.token != "" && !h.page.is(r.PostFormValue("token")) {
		h.Log.Debug("wrong token", "path", r.URL.Path, "remote", remoteHost(r))
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
		h.form(w, true)
		return nil
	}
	h.page.signIn(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func remoteHost(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// send answers with body, compressed where that is wanted and worth it.
func (h *handler) send(w http.ResponseWriter, r *http.Request, contentType string, body []byte) error {
	header := w.Header()
	header.Set("Content-Type", contentType)
	if len(body) >= minGzipBytes {
		addVary(header, "Accept-Encoding")
		if accepts(r.Header.Values("Accept-Encoding"), "gzip") {
			packed, err := h.zip(body)
			if err != nil {
				return fmt.Errorf("compress answer: %w", err)
			}
			header.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // fails only when the client has gone
	return nil
}

func (h *handler) zip(body []byte) ([]byte, error) {
	var packed bytes.Buffer
	packed.Grow(len(body)/8 + 512)
	z := h.newZipper()
	z.Reset(&packed)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	h.zippers.Put(z)
	return packed.Bytes(), nil
}

func (h *handler) newZipper() *gzip.Writer {
	z, _ := h.zippers.Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	}
	return z
}

func addVary(h http.Header, name string) {
	if !strings.Contains(strings.Join(h.Values("Vary"), ","), name) {
		h.Add("Vary", name)
	}
}

// wantsHTML tells a browser from a scraper.
func wantsHTML(r *http.Request) bool { return accepts(r.Header.Values("Accept"), "text/html") }

// accepts tells whether an Accept or Accept-Encoding header names what, with a quality
// above zero. Wildcards do not count: who wants nothing in particular gets the plain thing.
func accepts(header []string, what string) bool {
	for _, line := range header {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), what) {
				continue
			}
			for p := range strings.SplitSeq(params, ";") {
				if q, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
					v, err := strconv.ParseFloat(q, 64)
					return err == nil && v > 0
				}
			}
			return true
		}
	}
	return false
}
