package docker

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
)

// offering is a proxy that lets an engine offer another version of its API.
type offering struct {
	version string
	proxy   *httputil.ReverseProxy
	other   atomic.Pointer[string] // a request of another version
}

func (o *offering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_ping" {
		w.Header().Set("Api-Version", o.version)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/v"+o.version+"/") {
		o.other.Store(&r.URL.Path)
	}
	o.proxy.ServeHTTP(w, r)
}

// offer returns the host of a proxy before e.
func offer(t *testing.T, e *enginetest.Engine, version string) (host string, o *offering) {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(e.Host, "unix://"))
	}
	o = &offering{version: version, proxy: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport:     &http.Transport{DialContext: dial},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	host = "unix://" + filepath.Join(t.TempDir(), "p")
	ln, err := net.Listen("unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: o}
	go s.Serve(ln)
	t.Cleanup(func() { s.Close() })
	return host, o
}

// The oldest version of the API that the engine has, but not one older than are spoken here.
func TestOldestAPI(t *testing.T) {
	e := enginetest.Start(t)
	_, body := e.Do("GET", "/version", nil)
	var v struct{ MinAPIVersion string }
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	if v.MinAPIVersion < "1.24" { // all are 1. and two digits
		v.MinAPIVersion = "1.24"
	}
	t.Log("API ", v.MinAPIVersion)
	for name, test := range engineTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReal(t, e)
			host, o := offer(t, e, v.MinAPIVersion)
			r.host = host
			test(r, ReadAPI)
			if path := o.other.Load(); path != nil {
				t.Errorf("asked for %s of an engine that offers %s", *path, v.MinAPIVersion)
			}
		})
	}
}
