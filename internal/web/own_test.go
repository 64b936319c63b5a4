package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/web"
)

// TestOtherSites: whatever the method, no page of another site can make a browser ask the
// APIs; who is no browser, the page itself and the user can.
func TestOtherSites(t *testing.T) {
	f := newFake(t)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	h := web.Handler(web.Default(), web.Deps{Metrics: f.registry, Status: f, Log: slog.New(slog.DiscardHandler), Prometheus: ok, Loki: ok, Push: ok})
	const host = "localhost:9103"
	asks := func(method, path, site, origin string) int {
		r := httptest.NewRequest(method, path, nil)
		r.Host = host
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	apis := []string{"GET /api/v1/query", "POST /api/v1/query", "OPTIONS /api/v1/query", "GET /loki/api/v1/tail", "GET /prometheus/api/v1/rules", "POST /loki/api/v1/push", "POST /api/prom/push",
		"GET /weir/v1/ledger", "GET /weir/v1/streams", "GET /weir/v1/rules", "GET /weir/v1/logs"}
	for _, c := range []struct {
		site, origin string
		want         int
	}{
		{"", "", 200},
		{"none", "", 200},
		{"same-origin", "http://" + host, 200},
		{"same-origin", "https://weir.example", 200}, // a proxy that changes the host
		{"", "http://" + host, 200},
		{"cross-site", "", 403},
		{"same-site", "", 403},
		{"something new", "", 403},
		{"cross-site", "http://" + host, 403},
		{"", "http://localhost:3000", 403},
		{"", "https://elsewhere.example", 403},
		{"", "null", 403},
		{"", "http://%zz", 403},
	} {
		for _, api := range apis {
			method, path, _ := strings.Cut(api, " ")
			if got := asks(method, path, c.site, c.origin); got != c.want {
				t.Errorf("%s from %q, %q: %d; want %d", api, c.site, c.origin, got, c.want)
			}
		}
	}
	for _, path := range []string{"/", "/metrics", "/healthz", "/ready"} {
		if got := asks("GET", path, "cross-site", ""); got != 200 {
			t.Errorf("%s: %d", path, got)
		}
	}
}
