package demo

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn answers as an engine does, as far as the demo asks.
type standIn struct {
	leftover string // answer to the inspection of a container that is there already
	refuse   string // "METHOD path" that is answered with an error
	importAs string // answer to the import

	mu    sync.Mutex
	calls []string
	spec  map[string]any
	files []string // of the imported image
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	s.calls = append(s.calls, r.Method+" "+path)
	if s.refuse == r.Method+" "+path {
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"message":"no thanks"}`)
		return
	}
	switch r.Method + " " + path {
	case "GET /version":
		io.WriteString(w, `{"ApiVersion":"1.41"}`)
	case "GET /containers/weir-demo-nginx/json":
		if s.leftover == "" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"no such container"}`)
			return
		}
		io.WriteString(w, s.leftover)
	case "POST /images/create":
		for archive := tar.NewReader(r.Body); ; {
			h, err := archive.Next()
			if err != nil {
				break
			}
			s.files = append(s.files, h.Name)
		}
		io.WriteString(w, s.importAs)
	case "POST /containers/create":
		json.NewDecoder(r.Body).Decode(&s.spec)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"Id":"1"}`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// serve starts s on a socket and returns its address.
func (s *standIn) serve(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + path
}

func TestContainer(t *testing.T) {
	s := &standIn{importAs: `{"status":"sha256:1"}`}
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the container is made before the end is noticed, and removed after it
	o := Options{Dir: t.TempDir(), DockerHost: s.serve(t), Out: &out}
	stop := o.startContainer(context.WithoutCancel(ctx))
	if !strings.Contains(out.String(), "in the container weir-demo-nginx") {
		t.Fatalf("no container: %s", out.String())
	}
	stop()
	want := []string{
		"GET /version", "GET /containers/weir-demo-nginx/json", "POST /images/create", "POST /containers/create",
		"POST /containers/weir-demo-nginx/start", "DELETE /containers/weir-demo-nginx", "DELETE /images/weir-demo",
	}
	if !slices.Equal(s.calls, want) {
		t.Errorf("calls %q, want %q", s.calls, want)
	}
	if !slices.Equal(s.files, []string{"weir"}) {
		t.Errorf("the image holds %q, want the binary alone", s.files)
	}
	if command, ok := s.spec["Cmd"].([]any); !ok || len(command) != 4 || command[3] != "50" {
		t.Errorf("the container runs %v", s.spec["Cmd"])
	}
}

func TestContainerProblems(t *testing.T) {
	binary := os.Args[0]
	for _, c := range []struct {
		name   string
		engine *standIn
		want   string
		last   string
	}{
		{"a stranger of that name", &standIn{leftover: `{"Config":{"Labels":{}}}`}, "did not make", "GET /containers/weir-demo-nginx/json"},
		{"a bad import", &standIn{importAs: `{"error":"disk full"}`}, "disk full", "POST /images/create"},
		{"start refused", &standIn{importAs: `{}`, refuse: "POST /containers/weir-demo-nginx/start"}, "no thanks", "DELETE /images/weir-demo"},
		{"no version", &standIn{refuse: "GET /version"}, "status 500", "GET /version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := startContainer(t.Context(), c.engine.serve(t), binary, 50)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("startContainer = %v, want %q", err, c.want)
			}
			if last := c.engine.calls[len(c.engine.calls)-1]; last != c.last {
				t.Errorf("the last call is %s, want %s", last, c.last)
			}
		})
	}
	if _, err := startContainer(t.Context(), "unix://"+filepath.Join(t.TempDir(), "none.sock"), binary, 50); err == nil {
		t.Error("no engine gives no error")
	}
}

func TestLeftoverOfTheDemoIsReplaced(t *testing.T) {
	s := &standIn{leftover: `{"Config":{"Labels":{"weir.demo":"true"}}}`, importAs: `{}`}
	binary := os.Args[0]
	if _, err := startContainer(t.Context(), s.serve(t), binary, 50); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.calls[2:4], []string{"DELETE /containers/weir-demo-nginx", "DELETE /images/weir-demo"}) {
		t.Errorf("calls %q", s.calls)
	}
}

func TestReadCounts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "n_total{status=\"200\"} 4\n")
	}))
	defer server.Close()
	if got, err := readCounts(t.Context(), server.URL+"/metrics", "n_total"); err != nil || got[200] != 4 {
		t.Errorf("readCounts = %v, %v", got.String(), err)
	}
	if _, err := readCounts(t.Context(), server.URL+"/else", "n_total"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page gives %v", err)
	}
	var out bytes.Buffer
	o := Options{Out: &out, Metrics: server.URL + "/metrics", Series: "n_total"}
	o.report(t.Context(), time.Unix(0, 0), newWriter(io.Discard, 50, 1))
	if !strings.Contains(out.String(), "counted      4 lines  200:4") {
		t.Errorf("report: %s", out.String())
	}
}

func TestSettleWaitsForTheLastLine(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		io.WriteString(w, "n_total{status=\"200\"} "+strconv.Itoa(asked)+"\n")
	}))
	defer server.Close()
	var out bytes.Buffer
	w := newWriter(io.Discard, 50, 1)
	w.tally.add(200, 3)
	o := Options{Out: &out, Metrics: server.URL, Series: "n_total"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	o.settle(ended, w)
	if asked < 3 || !strings.Contains(out.String(), "written      3 lines") {
		t.Errorf("asked %d times, report: %s", asked, out.String())
	}
	server.Close()
	out.Reset()
	if o.settle(ended, w); out.Len() > 0 {
		t.Errorf("a report though nobody counts: %s", out.String())
	}
}

func TestTarOf(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 10_000} {
		content := bytes.Repeat([]byte{'x'}, size)
		archive, whole, err := tarOf(bytes.NewReader(content), "weir", int64(size))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil || int64(len(text)) != whole || whole%512 != 0 {
			t.Errorf("%d bytes: archive of %d, said to be %d, %v", size, len(text), whole, err)
		}
		r := tar.NewReader(bytes.NewReader(text))
		h, err := r.Next()
		if err != nil || h.Name != "weir" || h.Mode != 0o755 {
			t.Fatalf("%d bytes: %+v, %v", size, h, err)
		}
		if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, content) {
			t.Errorf("%d bytes do not come back: %v", size, err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%d bytes: the archive does not end: %v", size, err)
		}
	}
}
