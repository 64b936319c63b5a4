package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/web"
)

// TestPrometheus: the API is behind the page's token, and no page of another site can post to it.
func TestPrometheus(t *testing.T) {
	const token = "0123456789abcdef"
	f := newFake(t)
	deps := web.Deps{Metrics: f.registry, Status: f, Log: slog.New(slog.DiscardHandler),
		Prometheus: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	guarded := web.Handler(web.Config{Listen: "0.0.0.0:9103", Token: token}, deps)
	open := web.Handler(web.Default(), deps)
	deps.Prometheus = nil
	without := web.Handler(web.Default(), deps)
	for _, c := range []struct {
		h                       http.Handler
		method, password, other string
		want                    int
	}{
		{open, "GET", "", "", 200},
		{open, "POST", "", "", 200},
		{open, "POST", "", "cross-site", 403},
		{open, "GET", "", "cross-site", 403},
		{guarded, "GET", "", "", 401},
		{guarded, "GET", token, "", 200},
		{guarded, "POST", token, "", 200},
		{without, "GET", "", "", 404},
	} {
		r := httptest.NewRequest(c.method, "/api/v1/query?query=1", nil)
		r.Host = "localhost"
		if c.password != "" {
			r.SetBasicAuth("anyone", c.password)
		}
		if c.other != "" {
			r.Header.Set("Sec-Fetch-Site", c.other)
		}
		w := httptest.NewRecorder()
		if c.h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s with password %q from %q: %d; want %d", c.method, c.password, c.other, w.Code, c.want)
		}
		if w.Code == 404 && !strings.HasPrefix(w.Body.String(), `{"status":"error","errorType":"not_found",`) {
			t.Errorf("without a history: %s", w.Body)
		}
	}
}
