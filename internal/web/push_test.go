package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/weirlog/weir/internal/web"
)

func TestPush(t *testing.T) {
	const token = "0123456789abcdef"
	taken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	push := func(h http.Handler, target, user, password string) int {
		r := httptest.NewRequest("POST", target, nil)
		r.Host = "localhost"
		if password != "" {
			r.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	f := newFake(t)
	deps := web.Deps{Metrics: f.registry, Status: f, Push: taken, Log: slog.New(slog.DiscardHandler)}
	guarded := web.Handler(web.Config{Listen: "0.0.0.0:9103", Token: token}, deps)
	open := web.Handler(web.Default(), deps)
	deps.Push = nil
	without := web.Handler(web.Default(), deps)
	for _, c := range []struct {
		h                      http.Handler
		target, user, password string
		want                   int
	}{
		{open, "/loki/api/v1/push", "", "", 204},
		{open, "/api/prom/push", "", "", 204},
		{without, "/loki/api/v1/push", "", "", 404},
		{guarded, "/loki/api/v1/push", "", "", 401},
		{guarded, "/loki/api/v1/push?token=" + token, "", "", 401},
		{guarded, "/loki/api/v1/push", "anyone", token, 204},
		{guarded, "/loki/api/v1/push", token, "wrong", 401},
	} {
		if got := push(c.h, c.target, c.user, c.password); got != c.want {
			t.Errorf("%s as %q: %d; want %d", c.target, c.user, got, c.want)
		}
	}
}
