package otlp

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// said returns what is shown of how a receiver answers.
func said(t *testing.T, p Protocol, address string, change func(*Config)) string {
	t.Helper()
	c := Default()
	c.URL, c.Protocol = address, p
	change(&c)
	target := newTarget(t, c)
	var log bytes.Buffer
	target.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	result, err := target.Send(t.Context(), batch(1, "a"))
	return fmt.Sprint(log.String(), result, err)
}

// TestMasks has receivers that repeat what they were told.
func TestMasks(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"bearer": func(c *Config) { c.BearerToken = delivertest.Secret },
		"basic":  func(c *Config) { c.BasicAuth = deliver.BasicAuth{Username: "weir", Password: delivertest.Secret} },
	} {
		for _, status := range []int{302, 400, 401, 413, 429, 500, 503} {
			delivertest.Hidden(t, name, said(t, HTTP, delivertest.Start(t, status).URL, change))
		}
		for _, code := range []int{0, 3, 8, 13, 14, 16} {
			r := newReceiver(t)
			r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if code == 0 {
					answerGRPC(w, code, 0, wire.Partial{Rejected: 1, Message: delivertest.Said(r.Header)})
					return
				}
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
				w.Header().Set(http.TrailerPrefix+"Grpc-Message", url.PathEscape(delivertest.Said(r.Header)))
			})
			delivertest.Hidden(t, fmt.Sprint(name, " ", code), said(t, GRPC, r.server.URL, change))
		}
		partial := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(wire.AppendResponse(nil, wire.Partial{Rejected: 1, Message: delivertest.Said(r.Header)}))
		}))
		t.Cleanup(partial.Close)
		delivertest.Hidden(t, name+" partial", said(t, HTTP, partial.URL, change))
		busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write(wire.AppendStatus(nil, wire.Status{Message: delivertest.Said(r.Header)}))
		}))
		t.Cleanup(busy.Close)
		delivertest.Hidden(t, name+" busy", said(t, HTTP, busy.URL, change))
	}
}

// TestEnvironmentProxy has a proxy that repeats its password.
func TestEnvironmentProxy(t *testing.T) {
	if !delivertest.Behind(t) {
		return
	}
	for _, p := range []Protocol{HTTP, GRPC} {
		delivertest.Hidden(t, string(p), said(t, p, "https://logs.acme.test", func(*Config) {}))
	}
}
