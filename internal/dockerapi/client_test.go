package dockerapi

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// engine serves handler on a socket and returns a client for it.
func engine(t *testing.T, handler http.Handler) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = ln
	s.Start()
	t.Cleanup(s.Close)
	return open(t, Options{Host: "unix://" + path})
}

func open(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// answers is a fake engine: a body for each path, and the version it offers.
type answers struct {
	version string
	bodies  map[string]string
	asked   atomic.Pointer[http.Request]
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_ping" {
		w.Header().Set("Api-Version", a.version)
		return
	}
	a.asked.Store(r)
	body, ok := a.bodies[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"No such container: nope"}`)
		return
	}
	io.WriteString(w, body)
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContainers(t *testing.T) {
	const id = "852da42c4581fd59907eb3b19f63994f7b9e520f4279d749c15f1a1143e61a3e"
	a := &answers{version: "1.41", bodies: map[string]string{
		"/v1.41/containers/json":             fixture(t, "containers.json"),
		"/v1.41/containers/" + id + "/json":  fixture(t, "inspect-tty.json"),
		"/v1.41/containers/odd/json":         `{"Id":"odd","State":null,"Config":{"Labels":null},"New":[1,{}]}`,
		"/v1.41/containers/damaged/json":     `{"Id":`,
		"/v1.41/containers/" + id + "x/logs": "",
	}}
	c := engine(t, a)
	all, err := c.Containers(t.Context())
	if err != nil || len(all) != 3 || all[0].Name != "seedcap-tty" || all[0].ID != id || all[0].State != "running" || all[0].Image != "bb:1" {
		t.Errorf("Containers: %+v, %v", all, err)
	}
	if got := a.asked.Load(); got.URL.Query().Get("all") != "1" || got.Method != "GET" {
		t.Errorf("asked %s %s", got.Method, got.URL)
	}
	d, err := c.Inspect(t.Context(), id)
	if err != nil || d.Name != "seedcap-tty" || !d.TTY || !d.Running || d.LogDriver != "json-file" || !strings.HasSuffix(d.LogPath, "-json.log") ||
		d.Started.IsZero() || !d.Finished.IsZero() || d.Image != "bb:1" {
		t.Errorf("Inspect: %+v, %v", d, err)
	}
	if d, err := c.Inspect(t.Context(), "odd"); err != nil || d.ID != "odd" || d.Running {
		t.Errorf("Inspect of little: %+v, %v", d, err)
	}
	if _, err := c.Inspect(t.Context(), "nope"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "No such container: nope") {
		t.Errorf("Inspect of nothing: %v", err)
	}
	if _, err := c.Inspect(t.Context(), "damaged"); err == nil {
		t.Error("Inspect took half an answer")
	}
}

func TestNegotiation(t *testing.T) {
	version := func(offered, want, wantErr string) {
		t.Helper()
		got, err := choose(offered)
		if got != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("choose(%q) = %q, %v", offered, got, err)
		}
	}
	version("1.24", "1.24", "")
	version("1.41", "1.41", "")
	version("1.56", "1.56", "")
	version("1.99", "1.56", "")
	version("2.0", "1.56", "")
	version("1.23", "", "too old")
	version("1.9", "", "too old")
	version("", "", "does not look like")
	version("1", "", "does not look like")

	// A proxy that hides /_ping: /version tells.
	hidden := http.NewServeMux()
	hidden.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	hidden.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, fixture(t, "version.json")) })
	if got, err := engine(t, hidden).Version(t.Context()); got != "1.41" || err != nil {
		t.Errorf("by /version: %q, %v", got, err)
	}
	// Docker 1.12's /_ping has no header.
	old := http.NewServeMux()
	old.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") })
	old.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ApiVersion":"1.24"}`) })
	if got, err := engine(t, old).Version(t.Context()); got != "1.24" || err != nil {
		t.Errorf("of an old engine: %q, %v", got, err)
	}
	forbidden := http.NotFoundHandler()
	if _, err := engine(t, forbidden).Version(t.Context()); err == nil {
		t.Error("no version was agreed on")
	}
	if _, err := engine(t, &answers{version: "1.18"}).Containers(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("too old an engine: %v", err)
	}
}

// An engine that was replaced by an older one, behind a proxy that keeps connections.
func TestNegotiateAgain(t *testing.T) {
	var current atomic.Value
	current.Store("1.44")
	c := engine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := current.Load().(string)
		switch {
		case r.URL.Path == "/_ping":
			w.Header().Set("Api-Version", v)
		case !strings.HasPrefix(r.URL.Path, "/v"+v+"/"):
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"message":"client version is too new. Maximum supported API version is `+v+`"}`)
		default:
			io.WriteString(w, "[]")
		}
	}))
	for _, v := range []string{"1.44", "1.41"} {
		current.Store(v)
		if _, err := c.Containers(t.Context()); err != nil {
			t.Errorf("with %s: %v", v, err)
		}
	}
}

func TestLogs(t *testing.T) {
	const path = "/v1.41/containers/c1/logs"
	a := &answers{version: "1.41", bodies: map[string]string{path: fixture(t, "logs-limited.bin")}}
	c := engine(t, a)
	log, err := c.Logs(t.Context(), "c1", LogOptions{Since: 1795198066_000000042, Tail: 7, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n := 0
	for ; ; n++ {
		if _, err = log.Next(); err != nil {
			break
		}
	}
	q := a.asked.Load().URL.Query()
	if n != 6 || err != io.EOF || q.Get("since") != "1795198066.000000042" || q.Get("tail") != "7" || q.Get("follow") != "1" || q.Get("timestamps") != "1" {
		t.Errorf("%d messages, %v; asked %v", n, err, q)
	}
	if _, err := c.Logs(t.Context(), "nope", LogOptions{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("log of nothing: %v", err)
	}
}

func TestStreamEndsWithContext(t *testing.T) {
	c := engine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if r.URL.Path != "/_ping" {
			<-r.Context().Done()
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	events, err := c.Events(ctx, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	cancel()
	if _, err := events.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("Next after cancel: %v", err)
	}
}

func TestEvents(t *testing.T) {
	in := `{"status":"start","id":"abc","Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"name":"web","image":"bb:1"}},"time":1795198066,"timeNano":1795198066855449161}
{"Type":"network","Action":"connect","Actor":{"ID":"n"}}
not json
{"Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"exitCode":"0"}},"time":1795198067}
` + `{"Type":"container","Action":"` + strings.Repeat("x", maxEventBytes) + `","Actor":{"ID":"long"}}
{"Type":"container","Action":"destroy","Actor":{"ID":"abc"}}
`
	c := engine(t, &answers{version: "1.41", bodies: map[string]string{"/v1.41/events": in}})
	events, err := c.Events(t.Context(), time.Unix(1795198066, 5))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for _, want := range []Event{
		{Action: "start", ID: "abc", Name: "web", Time: 1795198066855449161},
		{Action: "die", ID: "abc", Time: 1795198067000000000},
		{Action: "destroy", ID: "abc"},
	} {
		got, err := events.Next()
		if got.Attributes["exitCode"] != map[string]string{"die": "0"}[got.Action] {
			t.Errorf("attributes of %s: %v", got.Action, got.Attributes)
		}
		got.Attributes = nil
		if !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("Next: %+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := events.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("Next at the end: %v", err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"Type":"container","Action":"start","Actor":{"ID":"abc","Attributes":{"name":"web"}},"timeNano":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, ok := decodeEvent(line); ok && e.ID == "" {
			t.Errorf("an event of nothing: %+v", e)
		}
	})
}

func TestHosts(t *testing.T) {
	good := func(o Options, network, address, base string) {
		t.Helper()
		e, err := parseHost(o)
		if err != nil || e.network != network || e.address != address || e.base.String() != base {
			t.Errorf("parseHost(%+v) = %+v, %v", o, e, err)
		}
	}
	bad := func(host, want string) {
		t.Helper()
		if err := CheckHost(host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckHost(%q): %v", host, err)
		}
	}
	good(Options{}, "unix", "/var/run/docker.sock", "http://docker")
	good(Options{Host: "unix:///tmp/d.sock"}, "unix", "/tmp/d.sock", "http://docker")
	good(Options{Host: "tcp://10.0.0.1:2375"}, "tcp", "10.0.0.1:2375", "http://10.0.0.1:2375")
	good(Options{Host: "tcp://engine"}, "tcp", "engine:2375", "http://engine:2375")
	good(Options{Host: "tcp://h:2376", CertDir: "/certs"}, "tcp", "h:2376", "https://h:2376")
	good(Options{Host: "tcp://h", CertDir: "/certs"}, "tcp", "h:2376", "https://h:2376")
	good(Options{Host: "http://[::1]:80/docker/"}, "tcp", "[::1]:80", "http://[::1]:80/docker")
	good(Options{Host: "https://h"}, "tcp", "h:443", "https://h:443")
	bad("npipe:////./pipe/docker_engine", "not supported")
	bad("ssh://me@h", "not supported")
	bad("/var/run/docker.sock", "unix:///path")
	bad("unix://docker.sock", "whole path")
	bad("tcp://", "unix:///path")
	bad("gopher://h", "unknown scheme")
	bad("tcp://:2375", "address:port")
}

func TestAbsent(t *testing.T) {
	c := open(t, Options{Host: "unix://" + filepath.Join(t.TempDir(), "none")})
	if _, err := c.Containers(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(&answers{version: "1.41", bodies: map[string]string{"/v1.41/containers/json": "[]"}})
	defer s.Close()
	s.Config.ErrorLog = nil
	host := strings.Replace(s.URL, "https", "tcp", 1)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, Options{Host: host, CertDir: dir}).Containers(t.Context()); err != nil {
		t.Errorf("with the authority's certificate: %v", err)
	}
	if _, err := open(t, Options{Host: host, SkipVerify: true}).Containers(t.Context()); err != nil {
		t.Errorf("without verification: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := open(t, Options{Host: s.URL}).Containers(t.Context()); !errors.As(err, &unknown) {
		t.Errorf("with the system's authorities: %v", err)
	}
	if _, err := Open(Options{Host: host, CertDir: t.TempDir()}); !errors.Is(err, ErrNoCertificates) {
		t.Errorf("an empty certificate directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Host: host, CertDir: dir}); err == nil {
		t.Error("junk was taken for a certificate")
	}
}

func TestErrors(t *testing.T) {
	check := func(status int, body string, kind error, text string) {
		t.Helper()
		e := newError(status, []byte(body))
		for _, k := range []error{ErrNotFound, ErrConflict, ErrUnsupported, ErrForbidden, ErrWantsTLS} {
			if errors.Is(e, k) != (k == kind) {
				t.Errorf("%d %q: is %v: %v", status, body, k, !(k == kind))
			}
		}
		if !strings.Contains(e.Error(), text) {
			t.Errorf("%d %q: %v", status, body, e)
		}
	}
	check(404, `{"message":"No such container: nope"}`, ErrNotFound, "No such container: nope (HTTP status 404)")
	check(409, `{"message":"marked for removal"}`, ErrConflict, "marked")
	check(501, `{"message":"configured logging driver does not support reading"}`, ErrUnsupported, "reading")
	check(500, `configured logging driver does not support reading`, ErrUnsupported, "reading")
	check(403, "<html>", ErrForbidden, "<html>")
	check(400, "Client sent an HTTP request to an HTTPS server.", ErrWantsTLS, "HTTPS")
	check(500, "", nil, "Internal Server Error")
	check(500, strings.Repeat("x", 1000), nil, "…")
}

func TestLargeMessageMemoryIsReturned(t *testing.T) {
	d := newDecoder(bytes.NewReader(append(frame(1, strings.Repeat("x", 1<<20)), frame(1, "a\n")...)), false)
	for range 2 {
		if _, err := d.next(); err != nil {
			t.Fatal(err)
		}
	}
	if cap(d.long) != 0 {
		t.Errorf("%d bytes are held for one long message", cap(d.long))
	}
}

func TestEngine(t *testing.T) {
	c := engine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(r.URL.Path, "/version") {
			io.WriteString(w, fixture(t, "version.json"))
		}
	}))
	e, err := c.Engine(t.Context())
	if err != nil || e.Version == "" || e.API != "1.41" || e.System != "linux/amd64" || e.Kernel == "" {
		t.Errorf("%+v, %v", e, err)
	}
}
