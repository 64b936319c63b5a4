package datadog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/retry"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 4 << 10
	// slowly is the pause where only somebody who corrects the configuration can help.
	slowly = time.Minute
)

// verdict is what an answer means for a request.
type verdict int

const (
	taken    verdict = iota
	refused          // for what is in it
	tooLarge         // the same
	later            // it may be sent again
	useless          // it will be answered so until somebody corrects the configuration
)

// judge returns what a status means.
func judge(code int) verdict {
	switch {
	case code/100 == 2: // 202; version 1 of the API says 200
		return taken
	case code == http.StatusBadRequest:
		return refused
	case code == http.StatusRequestEntityTooLarge:
		return tooLarge
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code/100 == 5:
		return later
	}
	return useless
}

// span is some consecutive entries.
type span struct{ from, to int }

// send sends what was written, and forgets it, also after an error. What the intake refuses is
// halved until the records are alone that it refuses.
func (s *Sink) send(ctx context.Context) error {
	defer s.clear()
	s.text = append(s.text, ',') // where the last request's list is closed
	todo := []span{{0, len(s.entries)}}
	proven := false // it takes logs, so a refusal is about what is in them
	for len(todo) > 0 {
		part := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		v, err := s.post(ctx, s.span(part))
		switch {
		case v == taken:
			s.accepted(s.entries[part.from:part.to])
			proven = true
		case v != refused && v != tooLarge:
			return err
		case part.to-part.from > 1:
			half := (part.from + part.to) / 2
			todo = append(todo, span{half, part.to}, span{part.from, half})
		case v == tooLarge:
			s.drop(part.from, "too large for the intake")
		default:
			if !proven && !s.probe(ctx) {
				return s.wait(err, slowly)
			}
			proven = true
			s.drop(part.from, "refused by the intake")
		}
	}
	return nil
}

// probe asks the intake to take a request without a log, as Datadog's agent does when it starts.
func (s *Sink) probe(ctx context.Context) bool {
	v, _ := s.post(ctx, []byte("{}"))
	return v == taken
}

// accepted counts what was taken.
func (s *Sink) accepted(entries []entry) {
	s.done(entries)
	if s.deps.Ledger == nil {
		return
	}
	s.deps.Ledger.Sent(len(entries))
	for _, e := range entries {
		if e.cut {
			s.deps.Ledger.Event("truncated")
		}
	}
}

// drop gives up an entry, and shows the beginning of it in the log.
func (s *Sink) drop(k int, why string) {
	s.done(s.entries[k : k+1])
	if s.deps.Ledger != nil {
		list := s.span(span{k, k + 1})
		s.deps.Ledger.Bad(why, list[1:len(list)-1])
	}
}

// span returns some entries as a list. It is valid until the next call.
func (s *Sink) span(part span) []byte {
	from := 0
	if part.from > 0 {
		from = s.entries[part.from-1].end
	}
	to := s.entries[part.to-1].end
	// The commas around the first and the last become brackets; those of the list before are commas
	// again.
	s.text[s.open], s.text[s.shut] = ',', ','
	s.open, s.shut = from, to
	s.text[from], s.text[to] = '[', ']'
	return s.text[from : to+1]
}

// waiting returns the failure after which nothing is to be sent yet.
func (s *Sink) waiting() error {
	if s.failure != nil && s.now().Before(s.until) {
		return s.failure
	}
	return nil
}

// wait has nothing sent for some time.
func (s *Sink) wait(err error, d time.Duration) error {
	s.failure, s.until = err, s.now().Add(d)
	return err
}

// post sends a request once. Its verdict is taken, or comes with an error.
func (s *Sink) post(ctx context.Context, text []byte) (verdict, error) {
	if err := s.waiting(); err != nil {
		return later, err
	}
	if s.unsynced { // else two requests might come twice
		if err := s.deps.State.Sync(ctx); err != nil {
			return later, fmt.Errorf("keep how far the intake is: %w", err)
		}
		s.unsynced = false
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	req, err := s.request(ctx, text)
	if err != nil {
		return later, err
	}
	s.sent = s.now()
	res, err := s.client.Do(req)
	if err != nil {
		return later, errors.New("send to " + s.config.intake() + ": " + s.masks.Hide(reason(err)))
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status is what counts
	v := judge(res.StatusCode)
	if v == taken {
		s.failure = nil
		return v, nil
	}
	err = errors.New(s.said(res, said))
	switch v {
	case later:
		if d := retry.After(res.Header.Get("Retry-After"), s.now()); d > 0 {
			return v, s.wait(err, d)
		}
	case useless:
		return v, s.wait(err, slowly)
	}
	return v, err
}

// said puts an answer that is no success into words, without secrets.
func (s *Sink) said(res *http.Response, text []byte) string {
	said := fmt.Sprintf("%s answers %d %s", s.config.intake(), res.StatusCode, http.StatusText(res.StatusCode))
	// What is masked first cannot be cut in two.
	if words := strings.TrimSpace(ledger.Shorten([]byte(s.masks.Hide(string(text))))); words != "" && words != "{}" {
		said += ": " + words
	}
	return said + remedy(res.StatusCode)
}

// remedy says what to do about a status, where somebody has to.
func remedy(code int) string {
	switch judge(code) {
	case refused:
		return " (it takes none of these records; look whether url is an intake of logs; asked again once a minute)"
	case useless:
		if code == http.StatusUnauthorized || code == http.StatusForbidden {
			return " (correct api_key, and site: a key belongs to one site; asked again once a minute)"
		}
		return " (correct site or url; asked again once a minute)"
	}
	return ""
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

// request makes a request.
func (s *Sink) request(ctx context.Context, text []byte) (*http.Request, error) {
	body := s.pack(text)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.intake(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("DD-API-KEY", string(s.config.APIKey))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "weir")
	if s.config.Compression != None {
		req.Header.Set("Content-Encoding", string(s.config.Compression))
	}
	return req, nil
}

// pack returns text as the body of a request. It is a copy: a transport may read it after it has
// failed.
func (s *Sink) pack(text []byte) []byte {
	switch s.config.Compression {
	case Zstd:
		if s.zstd == nil {
			s.zstd = new(compress.Encoder)
		}
		return s.zstd.AppendFrame(nil, text)
	case Gzip:
		s.packed.Reset()
		if s.gzip == nil {
			// Half the time of the default, for a twentieth more bytes.
			s.gzip, _ = gzip.NewWriterLevel(&s.packed, 3)
		} else {
			s.gzip.Reset(&s.packed)
		}
		_, _ = s.gzip.Write(text) // into memory
		_ = s.gzip.Close()
		return bytes.Clone(s.packed.Bytes())
	}
	return bytes.Clone(text)
}
