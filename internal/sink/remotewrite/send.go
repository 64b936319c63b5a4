package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// maxAnswer is how much of an answer is read: what is cut off from a long token is not masked.
	maxAnswer = 64 << 10
	// tellEvery is how often a sink that waits says how far it is behind.
	tellEvery = 5 * time.Second
)

// answer is what became of a request.
type answer struct {
	status  int
	text    string
	written int // samples that the receiver says it has written; -1 where it says nothing
	after   time.Duration
}

// header returns what every request has.
func (c Config) header(version string) http.Header {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, string(value))
	}
	h.Set("Content-Encoding", "snappy")
	h.Set("User-Agent", "weir/"+version)
	h.Set("Content-Type", "application/x-protobuf")
	h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	if c.Protocol == V2 {
		h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	}
	if c.BearerToken != "" {
		h.Set("Authorization", "Bearer "+string(c.BearerToken))
	}
	return h
}

// deliver sends a request until it is taken or refused for good. False says that ctx ended, or
// that the history went back meanwhile.
func (s *Sink) deliver(ctx context.Context, r *request) bool {
	for {
		a, err := s.post(ctx, r.body)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil && a.status/100 == 2:
			s.taken(a, r.samples)
			s.backoff.Reset()
			return true
		case err == nil && a.status/100 == 4 && a.status != http.StatusTooManyRequests:
			s.refused(a, r.samples)
			s.backoff.Reset()
			return true
		}
		s.failed(a, err)
		if !s.wait(ctx, max(s.backoff.Next(), a.after), r.oldest) || s.overtaken(ctx) {
			return false
		}
	}
}

// overtaken tells whether the history went on from before the end of the window. It is asked all
// through an outage: later the history may have come past that time once more, and what it
// has of the time between would never be sent.
func (s *Sink) overtaken(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	cancel() // Await does not wait
	newest, err := s.deps.History.Await(ctx, s.until)
	return err == nil && newest < s.until
}

// wait pauses, and says meanwhile how far the sink is behind.
func (s *Sink) wait(ctx context.Context, d time.Duration, oldest int64) bool {
	for {
		s.deps.Ledger.Behind(time.Since(time.UnixMilli(oldest)))
		step := min(d, tellEvery)
		if d -= step; !pause(ctx, step) {
			return false
		}
		if d <= 0 {
			return true
		}
	}
}

// post sends a body once.
func (s *Sink) post(ctx context.Context, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = s.header.Clone()
	if b := s.config.BasicAuth; b.Username != "" || b.Password != "" {
		req.SetBasicAuth(b.Username, string(b.Password))
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode/100 != 2 { // what it says is of no use without the status
		text = nil
	}
	a := answer{status: res.StatusCode, text: strings.TrimSpace(ledger.Shorten([]byte(s.masks.Hide(string(text))))), written: -1}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode/100 == 5 {
		a.after = retry.After(res.Header.Get("Retry-After"), time.Now())
	}
	for _, what := range [...]string{"Samples", "Histograms"} {
		if n, err := strconv.Atoi(res.Header.Get("X-Prometheus-Remote-Write-" + what + "-Written")); err == nil && n >= 0 {
			a.written = max(a.written, 0) + n
		}
	}
	return a, nil
}

// taken counts what a receiver has accepted. One that speaks version 2 says how much that is.
func (s *Sink) taken(a answer, samples int) {
	written := samples
	if s.config.Protocol == V2 {
		written = min(max(a.written, 0), samples)
	}
	s.deps.Ledger.Sent(written)
	if written == samples {
		return
	}
	s.trouble = true
	if a.written < 0 {
		s.deps.Ledger.Dropped("not confirmed", samples)
		s.deps.Ledger.Degraded(s.config.URL+" accepts requests of version 2 and does not say what it has written of them", "it may know version 1 alone: set protocol: v1")
		return
	}
	s.deps.Ledger.Dropped("not written by the receiver", samples-written)
	s.deps.Ledger.Degraded(s.config.URL+" has not written all that it accepted", "see its log")
}

// refused counts what a receiver does not want.
func (s *Sink) refused(a answer, samples int) {
	s.trouble = true
	written := 0
	if s.config.Protocol == V2 {
		written = min(max(a.written, 0), samples)
		s.deps.Ledger.Sent(written)
	}
	s.deps.Ledger.Dropped("refused with status "+strconv.Itoa(a.status), samples-written)
	s.deps.Ledger.Degraded(s.said(a), remedy(a.status))
}

// failed tells that a request will be repeated.
func (s *Sink) failed(a answer, err error) {
	if err != nil {
		s.deps.Ledger.Degraded("send to "+s.config.URL+": "+s.masks.Hide(reason(err)), "start the receiver, or correct the sink's url; weir sends again what the history keeps")
		return
	}
	remedy := "weir sends it again; see the receiver's log if this goes on, and the sink's url if it redirects"
	if strings.Contains(a.text, "native histograms are disabled") { // a Prometheus 2, of which this is for good
		remedy = "nothing is sent until the receiver takes native histograms (Prometheus: --enable-feature=native-histograms), or the sink has send_native_histograms: false"
	}
	s.deps.Ledger.Degraded(s.said(a), remedy)
}

func (s *Sink) said(a answer) string {
	text := fmt.Sprintf("%s answers %d %s", s.config.URL, a.status, http.StatusText(a.status))
	if a.text != "" {
		text += ": " + a.text
	}
	return text
}

// remedy says what to do about a status.
func remedy(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "correct basic_auth, bearer_token or headers of the sink; what is refused is dropped"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "correct the sink's url, and let the receiver take remote write (Prometheus: --web.enable-remote-write-receiver); what is refused is dropped"
	case http.StatusUnsupportedMediaType:
		return "the receiver does not know this version: set another protocol; what is refused is dropped"
	case http.StatusRequestEntityTooLarge:
		return "lower max_samples; what is refused is dropped"
	}
	return "see what the receiver says: one of Prometheus takes samples older than an hour only with out_of_order_time_window; what is refused is dropped"
}

// reason returns why there is no answer, without what differs each time.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
