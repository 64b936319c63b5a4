package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// receiver takes requests, and answers as it is told.
type receiver struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	got    []string // bodies of records that were taken
	calls  int
	header http.Header // of the last request
	// judge returns the answer to a request with these records: a status of HTTP or a code of
	// gRPC, zero to take them.
	judge func(records []string) (code int, after float64, partial wire.Partial)
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Config.Protocols = new(http.Protocols)
	r.server.Config.Protocols.SetHTTP1(true)
	r.server.Config.Protocols.SetUnencryptedHTTP2(true)
	r.server.Start()
	t.Cleanup(r.server.Close)
	return r
}

// bodies is the visitor that notes the bodies of records.
type bodies struct{ all []string }

func (*bodies) Resource(*wire.Resource) bool { return true }
func (*bodies) Scope(*wire.Scope)            {}
func (v *bodies) Log(l *wire.Log) error {
	text, _ := l.Body.Text()
	v.all = append(v.all, string(text))
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	grpc := req.Header.Get("Content-Type") == "application/grpc"
	packed := req.Header.Get("Content-Encoding") == "gzip"
	if grpc {
		if len(body) < prefixBytes || int(binary.BigEndian.Uint32(body[1:])) != len(body)-prefixBytes || req.URL.Path != logsMethod {
			r.t.Errorf("%s %x", req.URL.Path, body)
		}
		packed, body = body[0] == 1, body[prefixBytes:]
	} else if req.URL.Path != logsPath {
		r.t.Error(req.URL.Path)
	}
	if packed {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			r.t.Error(err)
			return
		}
		body, _ = io.ReadAll(z)
	}
	var d wire.Decoder
	var v bodies
	if err := d.Logs(body, &v); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.header = req.Header
	code, after, partial := 0, 0.0, wire.Partial{}
	if r.judge != nil {
		code, after, partial = r.judge(v.all)
	}
	if code == 0 {
		r.got = append(r.got, v.all...)
	}
	if grpc {
		answerGRPC(w, code, after, partial)
		return
	}
	if code == 0 {
		_, _ = w.Write(wire.AppendResponse(nil, partial))
		return
	}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after)))
	}
	w.WriteHeader(code)
	_, _ = w.Write(wire.AppendStatus(nil, wire.Status{Message: "for a reason"}))
}

func answerGRPC(w http.ResponseWriter, code int, after float64, partial wire.Partial) {
	w.Header().Set("Content-Type", "application/grpc")
	if code == 0 {
		body := wire.AppendResponse(make([]byte, prefixBytes), partial)
		binary.BigEndian.PutUint32(body[1:], uint32(len(body)-prefixBytes))
		_, _ = w.Write(body)
	}
	h := w.Header()
	h.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
	h.Set(http.TrailerPrefix+"Grpc-Message", "for%20a reason")
	if after > 0 {
		h.Set(http.TrailerPrefix+"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(wire.AppendStatus(nil, wire.Status{Code: int32(code), RetryAfter: after})))
	}
}

// newTarget returns the target of a sink that sends to r.
func (r *receiver) target(change func(*Config)) *target {
	r.t.Helper()
	c := Default()
	c.URL = r.server.URL
	if change != nil {
		change(&c)
	}
	return newTarget(r.t, c)
}

func newTarget(t *testing.T, c Config) *target {
	t.Helper()
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "Content-Encoding": {"gzip"}}
	if c.Protocol == GRPC {
		header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Encoding": {"gzip"}}
	}
	if c.Compression == None {
		header.Del("Content-Encoding")
	}
	client, err := c.HTTP.NewClient(c.address(), header, c.Protocol == GRPC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &target{config: c, deps: deliver.Deps{Node: "web-1", Log: slog.New(slog.DiscardHandler)}, client: client, parts: c.Parts()}
}

// batch returns records with these texts.
func batch(first uint64, texts ...string) *record.Batch {
	b := &record.Batch{Stream: &record.Stream{ID: "app/x", Labels: record.NewLabels(map[string]string{"source": "app"})}, First: first}
	for i, text := range texts {
		b.Records = append(b.Records, record.Record{Time: int64(i + 1), Body: b.Append([]byte(text))})
	}
	return b
}

// each runs a test for both protocols. Code returns the code of gRPC, or the status of HTTP.
func each(t *testing.T, test func(t *testing.T, r *receiver, send func(b *record.Batch) (deliver.Result, error), code func(grpc, http int) int)) {
	for _, p := range []Protocol{HTTP, GRPC} {
		for _, packed := range []Compression{Gzip, None} {
			t.Run(string(p)+" "+string(packed), func(t *testing.T) {
				r := newReceiver(t)
				target := r.target(func(c *Config) { c.Protocol, c.Compression, c.MaxRecords = p, packed, 4 })
				test(t, r, func(b *record.Batch) (deliver.Result, error) { return target.Send(t.Context(), b) }, func(grpc, http int) int {
					if p == GRPC {
						return grpc
					}
					return http
				})
			})
		}
	}
}

// TestPage: a web page with status 200 is of something else than a receiver, which took nothing.
func TestPage(t *testing.T) {
	r := newReceiver(t)
	r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Sign in</title>"))
	})
	for _, p := range []Protocol{HTTP, GRPC} {
		target := r.target(func(c *Config) { c.Protocol = p })
		if _, err := target.Send(t.Context(), batch(1, "a")); err == nil || !strings.Contains(err.Error(), "web page") {
			t.Error(p, err)
		}
	}
}

func TestSend(t *testing.T) {
	each(t, func(t *testing.T, r *receiver, send func(b *record.Batch) (deliver.Result, error), _ func(int, int) int) {
		b := batch(1, "a", "b", "left out", "c", "d", "e", "f")
		b.Records[2].Flags = record.Dropped
		if result, err := send(b); err != nil || result != (deliver.Result{}) {
			t.Error(result, err)
		}
		if !slices.Equal(r.got, []string{"a", "b", "c", "d", "e", "f"}) || r.calls != 2 {
			t.Error(r.got, r.calls)
		}
		r.judge = func([]string) (int, float64, wire.Partial) { return 0, 0, wire.Partial{Rejected: 2, Message: "old"} }
		if result, err := send(batch(8, "a", "b", "c")); err != nil || result != (deliver.Result{Refused: 2, Why: "refused in part"}) {
			t.Error(result, err)
		}
	})
}

// TestBad: what is not wanted is found, dropped and counted, and the rest goes out.
func TestBad(t *testing.T) {
	each(t, func(t *testing.T, r *receiver, send func(b *record.Batch) (deliver.Result, error), code func(int, int) int) {
		r.judge = func(all []string) (int, float64, wire.Partial) {
			if slices.Contains(all, "bad") {
				return code(invalidArgument, 400), 0, wire.Partial{}
			}
			if len(all) > 2 {
				return code(resourceExhausted, 413), 0, wire.Partial{}
			}
			return 0, 0, wire.Partial{}
		}
		result, err := send(batch(1, "a", "b", "c", "bad", "d", "e", "bad"))
		if err != nil || result.Refused != 2 || !slices.Equal(r.got, []string{"a", "b", "c", "d", "e"}) {
			t.Error(result, err, r.got)
		}
		r.judge = func([]string) (int, float64, wire.Partial) { return code(16, 401), 0, wire.Partial{} }
		if result, err := send(batch(8, "a", "b", "c", "d", "e")); err != nil || result.Refused != 5 {
			t.Error("a refusal for good: ", result, err)
		}
	})
}

// TestAgain: after an error the rest goes out, and what went out does not come twice.
func TestAgain(t *testing.T) {
	each(t, func(t *testing.T, r *receiver, send func(b *record.Batch) (deliver.Result, error), code func(int, int) int) {
		fail := true
		r.judge = func(all []string) (int, float64, wire.Partial) {
			switch {
			case all[0] == "bad":
				return code(invalidArgument, 400), 0, wire.Partial{}
			case all[0] == "e" && fail:
				fail = false
				return code(unavailable, 503), 0, wire.Partial{}
			}
			return 0, 0, wire.Partial{}
		}
		b := batch(1, "bad", "b", "c", "d", "e", "f")
		if _, err := send(b); err == nil || !strings.Contains(err.Error(), "for a reason") {
			t.Error(err)
		}
		if result, err := send(b); err != nil || result.Refused != 1 || !slices.Equal(r.got, []string{"b", "c", "d", "e", "f"}) {
			t.Error(result, err, r.got)
		}
		for grpc, status := range map[int]int{unavailable: 502, deadlineExceeded: 504, resourceExhausted: 429, aborted: 503} {
			r.judge = func([]string) (int, float64, wire.Partial) { return code(grpc, status), 600, wire.Partial{} }
			calls := r.calls
			r.t.Log(grpc, status)
			target := r.target(nil)
			if code(1, 0) == 1 {
				target = r.target(func(c *Config) { c.Protocol = GRPC })
			}
			_, err := target.Send(t.Context(), batch(1, "x"))
			_, again := target.Send(t.Context(), batch(1, "x"))
			if err == nil || again == nil || !strings.Contains(again.Error(), "left alone for 10m") || r.calls != calls+1 {
				t.Errorf("%v, %v, %d calls", err, again, r.calls-calls)
			}
		}
	})
}

func TestNobodyThere(t *testing.T) {
	r := newReceiver(t)
	for _, p := range []Protocol{HTTP, GRPC} {
		target := r.target(func(c *Config) { c.Protocol = p })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := target.Send(ctx, batch(1, "x")); err == nil {
			t.Error("it was sent")
		}
	}
	r.server.Close()
	if _, err := r.target(nil).Send(t.Context(), batch(1, "x")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler()) // it speaks no HTTP/2
	defer plain.Close()
	c := Default()
	c.URL, c.Protocol = plain.URL, GRPC
	if _, err := newTarget(t, c).Send(t.Context(), batch(1, "x")); err == nil {
		t.Error("a server without HTTP/2 takes gRPC")
	}
}

func TestNew(t *testing.T) {
	c := Default()
	c.URL = "http://127.0.0.1:1"
	for _, p := range []Protocol{HTTP, GRPC} {
		c.Protocol = p
		s, err := New(c, deliver.Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil || s.Close() != nil {
			t.Error(err)
		}
	}
	bad := func(key string, change func(*Config)) {
		t.Helper()
		c := Default()
		c.URL = "http://127.0.0.1:4318"
		change(&c)
		var p *config.Problem
		if err := c.Validate(); !errors.As(err, &p) || p.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	bad("url", func(c *Config) { c.URL = "" })
	bad("url", func(c *Config) { c.URL = "ftp://x" })
	bad("url", func(c *Config) { c.URL = "http://me:secret@x" })
	bad("url", func(c *Config) { c.URL, c.Protocol = "http://x/v1/logs", GRPC })
	bad("attributes", func(c *Config) { c.Attributes = map[string]string{"weir.stream": "x"} })
	bad("max_records", func(c *Config) { c.MaxRecords = 0 })
	bad("max_bytes", func(c *Config) { c.MaxBytes = 1 })
	bad("timeout", func(c *Config) { c.Timeout = time.Millisecond })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"content-type": "x"} })
	bad("headers", func(c *Config) { c.Headers = map[string]config.Secret{"a b": "x"} })
	bad("bearer_token", func(c *Config) { c.BearerToken, c.BasicAuth.Username = "x", "y" })
	bad("match", func(c *Config) { c.Match = "{" })
	for url, want := range map[string]string{"http://x": "http://x/v1/logs", "http://x/": "http://x/v1/logs", "http://x/otlp/v1/logs": "http://x/otlp/v1/logs"} {
		if got := (Config{URL: url}).address(); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}

// TestSignIn: the headers of the configuration go along.
func TestSignIn(t *testing.T) {
	r := newReceiver(t)
	target := r.target(func(c *Config) {
		c.BearerToken, c.Headers = "token", map[string]config.Secret{"X-Scope-OrgID": "shop"}
	})
	if _, err := target.Send(t.Context(), batch(1, "x")); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.header["Authorization"], r.header["X-Scope-Orgid"]); got != "[Bearer token] [shop]" {
		t.Error(got)
	}
	target = r.target(func(c *Config) { c.BasicAuth = deliver.BasicAuth{Username: "me", Password: "secret"} })
	if _, err := target.Send(t.Context(), batch(1, "x")); err != nil || r.header.Get("Authorization") != "Basic bWU6c2VjcmV0" {
		t.Error(err, r.header)
	}
}

// FuzzStatus: whatever a receiver says, the sink makes something of it.
func FuzzStatus(f *testing.F) {
	f.Add("0", "", "", 200, []byte("\x00\x00\x00\x00\x00"))
	f.Add("8", "a%20b", "CAg", 200, []byte{})
	f.Fuzz(func(t *testing.T, code, text, details string, httpStatus int, body []byte) {
		a := &deliver.Answer{Status: httpStatus, Body: body, Trailer: http.Header{"Grpc-Status": {code}, "Grpc-Message": {text}, "Grpc-Status-Details-Bin": {details}}}
		_, _ = status(a)
		_ = message(body)
	})
}

// TestBeforeGRPC: what stands before a receiver of gRPC says with HTTP's words when to ask again.
func TestBeforeGRPC(t *testing.T) {
	code, s := status(&deliver.Answer{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}}})
	if code != unavailable || s.RetryAfter != 7 {
		t.Errorf("code %d, %+v", code, s)
	}
	if code, s = status(&deliver.Answer{Status: http.StatusBadGateway}); code != unavailable || s.RetryAfter != 0 {
		t.Errorf("code %d, %+v", code, s)
	}
}
