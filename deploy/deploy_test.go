// Package deploy_test tries what this folder holds as far as a test can: the socket proxy
// in a real nginx before an engine that is not real, the unit by systemd's own judgement,
// the image without a registry.
package deploy_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
)

// engine answers on a unix socket as Docker does, and notes what reached it.
type engine struct {
	socket string
	event  chan string // what /events says next; closed by the test's end
	mu     sync.Mutex
	seen   []string
}

func newEngine(t *testing.T) *engine {
	e := &engine{socket: filepath.Join(t.TempDir(), "docker.sock"), event: make(chan string)}
	listener, err := net.Listen("unix", e.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		close(e.event)
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return e
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.seen = append(e.seen, r.Method+" "+r.RequestURI)
	e.mu.Unlock()
	if !strings.HasSuffix(r.URL.Path, "/events") {
		fmt.Fprintf(w, "engine: %s", r.RequestURI)
		return
	}
	_ = http.NewResponseController(w).Flush()
	for event := range e.event {
		fmt.Fprintln(w, event)
		_ = http.NewResponseController(w).Flush()
	}
}

// reached returns what the engine saw since the last call.
func (e *engine) reached() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := strings.Join(e.seen, ", ")
	e.seen = nil
	return seen
}

// proxy runs nginx with socket-proxy.conf, changed only in the places of things.
func proxy(t *testing.T, socket string) string {
	conf, err := os.ReadFile("socket-proxy.conf")
	if err != nil {
		t.Fatal(err)
	}
	return realtest.RunNginx(t, func(dir, address string) string {
		text := strings.NewReplacer(
			"/var/run/docker.sock", socket,
			"listen 2375", "listen "+address,
			"/dev/stderr", "stderr",
			"/tmp/", dir+"/",
		).Replace(string(conf))
		if os.Geteuid() != 0 {
			text = strings.Replace(text, "user root;", "", 1)
		}
		return "daemon off;\nmaster_process off;\n" + text
	}).URL
}

func TestSocketProxyLetsReadingThrough(t *testing.T) {
	e := newEngine(t)
	url := proxy(t, e.socket)
	for _, path := range []string{
		"/_ping", "/version", "/v1.47/info", "/v1.24/containers/json?all=1&filters=%7B%22name%22%3A%5B%22a%22%5D%7D",
		"/containers/3f4e/json", "/v1.41/containers/shop_web-1.x/json",
		"/v1.41/containers/3f4e/logs?follow=1&stdout=1&since=1700000000.000000001", "/containers/3f4e/stats?stream=0",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			status, body := ask(t, method, url+path)
			if seen := e.reached(); status != 200 || seen != method+" "+path || method == "GET" && body != "engine: "+path {
				t.Errorf("%s %s = %d %q; the engine saw %q", method, path, status, body, seen)
			}
		}
	}
}

func TestSocketProxyStopsTheRest(t *testing.T) {
	e := newEngine(t)
	url := proxy(t, e.socket)
	for _, request := range []string{
		"POST /containers/create", "POST /v1.41/containers/3f4e/start", "DELETE /containers/3f4e", "PUT /containers/3f4e/archive?path=/",
		"POST /containers/json", "DELETE /containers/3f4e/json", "POST /containers/3f4e/logs", "OPTIONS /info", "PATCH /info",
		"GET /", "GET /images/json", "GET /containers/3f4e/export", "GET /containers/3f4e/archive?path=/etc/shadow",
		"GET /containers/3f4e/attach/ws", "GET /containers/3f4e/top", "GET /secrets", "GET /v1.41/configs",
		"GET /containers/../images/json", "GET /containers/3f4e/export/../../../images/json", "GET /v1.41/../info/x",
		"GET /containers/3f4e%2fexport/json", "GET /containers/3f4e/json%0a", "GET /containers/3f4e/json%0aX:%20y", "GET /containers/a%20b/json",
		"GET /containers/json/", "GET /vx/info", "GET /info;x",
	} {
		method, path, _ := strings.Cut(request, " ")
		status, _ := ask(t, method, url+path)
		if seen := e.reached(); status != 403 && status != 405 || seen != "" {
			t.Errorf("%s = %d; the engine saw %q", request, status, seen)
		}
	}
	// What means an allowed path once it is cleaned reaches the engine cleaned.
	if status, _ := ask(t, "GET", url+"/containers/x%2f..%2f3f4e/export/../json"); status == 200 {
		if seen := e.reached(); seen != "GET /containers/3f4e/json" {
			t.Errorf("the engine saw %q", seen)
		}
	}
}

func TestSocketProxyStreams(t *testing.T) {
	e := newEngine(t)
	response, err := http.Get(proxy(t, e.socket) + "/v1.41/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewReader(response.Body)
	for _, event := range []string{`{"status":"start"}`, `{"status":"die"}`} {
		e.event <- event // the next is said only after this one has been read at the far end
		if line, err := lines.ReadString('\n'); err != nil || line != event+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// ask sends a request whose path must not be cleaned by the client.
func ask(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// otherUnit is how a remark on a unit of the machine itself begins.
var otherUnit = regexp.MustCompile(`^(/usr)?/lib/systemd/`)

// TestUnit lets systemd judge the unit, alone and with the drop-in for Docker.
func TestUnit(t *testing.T) {
	analyze := realtest.Program(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	unit := filepath.Join(dir, "weir.service")
	for _, name := range []string{"weir.service", "weir.service.d/docker.conf"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// verify wants the program to be there.
		data = bytes.ReplaceAll(data, []byte("/usr/local/bin/weir"), []byte("/bin/true"))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
		ours := slices.DeleteFunc(strings.SplitAfter(string(out), "\n"), func(line string) bool { return line == "" || otherUnit.MatchString(line) })
		if err != nil || len(ours) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "weir.service" {
			// From 0, closed, to 100, open: what is left is the network that weir is for.
			if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=15", unit).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	}
	realtest.Used(t, "systemd-analyze")
}

// TestImage looks into the image that needs no registry.
func TestImage(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(binary, []byte("static"), 0o755); err != nil {
		t.Fatal(err)
	}
	pack := func() []byte {
		out, err := exec.Command("./image.sh", binary, "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	image := pack()
	if !bytes.Equal(image, pack()) {
		t.Error("the same binary makes two different images")
	}
	files := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(image)); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		files[strings.Trim(h.Name, "./")] = fmt.Sprintf("%04o %d:%d", h.Mode, h.Uid, h.Gid)
	}
	for name, want := range map[string]string{"weir": "0755 0:0", "etc/weir/weir.yaml": "0644 0:0", "var/lib/weir": "0700 65532:65532", "tmp": "1777 0:0"} {
		if files[name] != want {
			t.Errorf("%s is %q, want %q", name, files[name], want)
		}
	}
}

// TestImageSettings checks that image.sh gives docker import all that the Dockerfile says.
func TestImageSettings(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(dockerfile), "FROM scratch\n")
	known := regexp.MustCompile(`^(#.*|COPY .*|(ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) .*[^\\]|)$`)
	for _, line := range strings.Split(final, "\n") {
		if !known.MatchString(line) {
			t.Errorf("image.sh does not know what to do with %q", line)
		}
	}
	for _, want := range []string{"USER 65532:65532", `ENTRYPOINT ["/weir"]`, `CMD ["/weir", "healthcheck"]`, "VOLUME /var/lib/weir"} {
		if !strings.Contains(final, want) {
			t.Errorf("the Dockerfile lacks %s", want)
		}
	}
}
