package scopehttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/weirlog/weir/scope"
	"github.com/weirlog/weir/scope/scopehttp"
)

// journal keeps what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// lines returns what was logged since the last call, in short.
func (j *journal) lines(t *testing.T, task scope.ID) (all []string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(j.buf.Bytes()) {
		var r struct {
			Msg, Error, Pattern string
			Status              int
			Context             map[string]any
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(r.Msg, " ", r.Context)
		if r.Status != 0 {
			text += fmt.Sprint(" ", r.Status, " ", r.Pattern)
		}
		if text += " " + r.Error; task != "" {
			text = strings.ReplaceAll(text, string(task), "T")
		}
		all = append(all, text)
	}
	j.buf.Reset()
	return all
}

// setUp returns a logger's context and what it logs.
func setUp(t *testing.T) (context.Context, *journal) {
	t.Helper()
	j := &journal{}
	h, err := scope.New(slog.NewJSONHandler(j, nil), scope.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return scope.WithLogger(t.Context(), slog.New(h)), j
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// within gives a server's requests the context that its scopes log by.
func within(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(ctx)) })
}

// TestAcross: a request is a part of the scope that it is made in, and what its handler calls
// is a part of that.
func TestAcross(t *testing.T) {
	ctx, j := setUp(t)
	client := &http.Client{Transport: &scopehttp.Transport{}}
	get := func(ctx context.Context, url string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		_ = answer.Body.Close()
		if len(r.Header) != 0 {
			t.Errorf("the request was changed: %v", r.Header)
		}
	}
	mux := http.NewServeMux()
	handler := within(ctx, scopehttp.Wrap(mux, scopehttp.Options{}))
	server := httptest.NewServer(handler)
	defer server.Close()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if want := "00-" + scope.From(r.Context()).ID().TraceID(); r.PathValue("id") == "7" && !strings.HasPrefix(r.Header.Get("traceparent"), want) {
			t.Errorf("traceparent %q", r.Header.Get("traceparent"))
		}
		get(r.Context(), server.URL+"/fails")
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	in, task := scope.Task(ctx, "work")
	get(in, server.URL+"/users/7")
	get(in, server.URL+"/nothing")
	task.End(nil)
	same(t, j.lines(t, task.ID()),
		"work map[key:0@T] ",
		"HTTP GET map[key:0@T/1 method:GET path:/users/7] ",
		"HTTP GET map[key:0@T/1/1 method:GET path:/fails] ",
		"FAILED HTTP GET map[key:1@T/1/1 method:GET path:/fails] 503 /fails status 503",
		"HTTP GET map[key:1@T/1 method:GET path:/users/7] 200 GET /users/{id} ",
		"HTTP GET map[key:0@T/2 method:GET path:/nothing] ",
		"HTTP GET map[key:1@T/2 method:GET path:/nothing] 404  ",
		"work map[key:1@T] ")

	get(ctx, server.URL+"/users/8") // outside of any scope, so the server begins a task
	if lines := j.lines(t, task.ID()); len(lines) != 4 || strings.Contains(lines[0], "@T") {
		t.Error(lines)
	}
}

// TestExtract: which of the headers names the scope.
func TestExtract(t *testing.T) {
	const task, traced = "18f9d278-b3d8-489c-82e4-6d1d49b63f18", "00-18f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01"
	const other = "00-28f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01"
	for _, test := range []struct{ id, parent, want string }{
		{task + "/3", "", task + "/3"},
		{task + "/3", traced, task + "/3"},
		{task + "/3", other, "28f9d278-b3d8-489c-82e4-6d1d49b63f18/"},
		{"", traced, task + "/"},
		{"None/1", traced, task + "/"},
		{"None/1", "00-nonsense", ""},
		{"", "", ""},
	} {
		h := http.Header{}
		h.Set("Distlog-Task", test.id)
		h.Set("traceparent", test.parent)
		got := string(scopehttp.Extract(h))
		if !strings.HasPrefix(got, test.want) || strings.HasSuffix(test.want, "/") != (got != test.want) {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// TestInject leaves headers alone that somebody has set.
func TestInject(t *testing.T) {
	ctx, _ := setUp(t)
	h := http.Header{}
	scopehttp.Inject(ctx, h)
	if len(h) != 0 {
		t.Errorf("outside of a scope: %v", h)
	}
	in, task := scope.Task(ctx, "work")
	h.Set("traceparent", "mine")
	scopehttp.Inject(in, h)
	if len(h) != 1 || h.Get("traceparent") != "mine" {
		t.Errorf("%v", h)
	}
	h = http.Header{}
	scopehttp.Inject(in, h)
	if h.Get("Distlog-Task") != string(task.ID()+"/1") || h.Get("traceparent") != task.ID().Traceparent() {
		t.Errorf("%v", h)
	}
}

// TestStrangers: who is not trusted begins a task of his own; his methods make no names.
func TestStrangers(t *testing.T) {
	ctx, j := setUp(t)
	handler := within(ctx, scopehttp.Wrap(http.NotFoundHandler(), scopehttp.Options{Trust: func(*http.Request) bool { return false }}))
	r := httptest.NewRequest("gEt", "/", nil)
	r.Header.Set(scopehttp.Header, "18f9d278-b3d8-489c-82e4-6d1d49b63f18/1")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if lines := j.lines(t, ""); len(lines) != 2 || strings.Contains(lines[0], "18f9d278") || !strings.HasPrefix(lines[0], "HTTP OTHER ") {
		t.Errorf("%q", lines)
	}
	named := within(ctx, scopehttp.Wrap(http.NotFoundHandler(), scopehttp.Options{Name: func(*http.Request) string { return "shop" }}))
	named.ServeHTTP(httptest.NewRecorder(), r)
	if lines := j.lines(t, "18f9d278-b3d8-489c-82e4-6d1d49b63f18"); len(lines) != 2 || !strings.HasPrefix(lines[0], "shop map[key:0@T/1 ") {
		t.Errorf("%q", lines)
	}
}

// TestPanic: a panic is a failure and goes on to the server.
func TestPanic(t *testing.T) {
	ctx, j := setUp(t)
	handler := within(ctx, scopehttp.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("help") }), scopehttp.Options{}))
	func() {
		defer func() {
			if recover() != "help" {
				t.Error("the panic is gone")
			}
		}()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	if lines := j.lines(t, ""); len(lines) != 2 || !strings.HasPrefix(lines[1], "FAILED HTTP GET") || !strings.HasSuffix(lines[1], "panic: help") {
		t.Errorf("%q", lines)
	}
}

// TestWriters: what handlers do with a ResponseWriter works as without the middleware.
func TestWriters(t *testing.T) {
	ctx, j := setUp(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/flush", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/copy", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		if _, err := io.Copy(w, strings.NewReader("copied")); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "written") })
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\ntaken")
		_ = conn.Close()
	})
	done := make(chan struct{}, 1)
	wrapped := within(ctx, scopehttp.Wrap(mux, scopehttp.Options{}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		wrapped.ServeHTTP(w, r)
	}))
	defer server.Close()
	for path, want := range map[string]string{"flush": "200 ", "copy": "201 copied", "write": "200 written", "hijack": "101 taken"} {
		answer, err := http.Get(server.URL + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		<-done
		lines := j.lines(t, "")
		status, text, _ := strings.Cut(want, " ")
		if string(body) != text || !strings.Contains(lines[len(lines)-1], "] "+status+" /"+path) {
			t.Errorf("%s: %q, %v", path, body, lines)
		}
	}
}

// FuzzExtract: whatever the headers are, the id is one or none.
func FuzzExtract(f *testing.F) {
	f.Add("18f9d278-b3d8-489c-82e4-6d1d49b63f18/1", "00-18f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, id, parent string) {
		got := scopehttp.Extract(http.Header{scopehttp.Header: {id}, scopehttp.Traceparent: {parent}})
		if _, err := scope.ParseID(string(got)); err != nil && got != "" {
			t.Errorf("%q, %q: %q", id, parent, got)
		}
	})
}

// TestMetrics: the answer says what it is.
func TestMetrics(t *testing.T) {
	m := &scope.Metrics{}
	m.Observe("", "work", 0, false)
	w := httptest.NewRecorder()
	scopehttp.Metrics(m).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != scope.ContentType || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
		t.Errorf("%q, %s", got, w.Body)
	}
}
