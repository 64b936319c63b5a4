package statsdhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/statsd"
	"github.com/weirlog/weir/statsd/statsdhttp"
)

// record returns the lines that use makes, with the times replaced by T.
func record(t *testing.T, o statsd.Options, use func(*statsd.Client)) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	o.Address, o.Aggregate = "tcp://"+l.Addr().String(), -1
	c, err := statsd.New(o)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	use(c)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	times := regexp.MustCompile(`:[0-9.e-]+\|ms`).ReplaceAllString(strings.TrimSuffix(string(text), "\n"), ":T|ms")
	return strings.Split(times, "\n")
}

// serve starts a server that keeps quiet about panics.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, method, url string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestNamesOfRequests(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	mux.HandleFunc("GET /users/{id}/posts", answer(http.StatusNoContent))
	mux.HandleFunc("POST /users/{id}/posts", answer(http.StatusCreated))
	mux.HandleFunc("/files/{path...}", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("no") })
	requests := func(s *httptest.Server) {
		url := s.URL
		for _, r := range []string{"GET /users/7/posts", "POST /users/8/posts", "PUT /files/a/b", "GET /early", "BREW /files/", "b.a /files/", "GET /unknown", "DELETE /users/1/posts"} {
			method, path, _ := strings.Cut(r, " ")
			if _, _, err := do(t, method, url+path); err != nil {
				t.Error(err)
			}
		}
		if status, body, err := do(t, "GET", url+"/panic"); err != nil || status != 500 || body != "Internal Server Error\n" {
			t.Errorf("a panic is answered %d %q, %v", status, body, err)
		}
		s.Close() // waits for the handlers, which record after they have answered
	}
	want := []string{"users.id.posts.GET.204", "users.id.posts.POST.201", "files.path.PUT.200", "early.GET.418", "files.path.BREW.200", "files.path.OTHER.200", "panic.GET.500"}
	for i, name := range want {
		want[i] = "timers." + name + ":T|ms"
	}
	got := record(t, statsd.Options{Naming: statsd.Sprockets}, func(c *statsd.Client) {
		requests(serve(t, statsdhttp.New(c, statsdhttp.Options{}).Wrap(mux)))
	})
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%q, want\n%q", got, want)
	}
	got = record(t, statsd.Options{}, func(c *statsd.Client) {
		m := statsdhttp.New(c, statsdhttp.Options{Metric: "http.request"})
		s := serve(t, m.Wrap(mux))
		if _, _, err := do(t, "GET", s.URL+"/users/7/posts"); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	if want := []string{"http.request:T|ms|#handler:users.id.posts,method:GET,status:204"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// TestTornado repeats what the web mix-ins of sprockets-statsd sent; testdata of package
// statsd has it.
func TestTornado(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "testdata", "sprockets-tornado-tcp.stream"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(regexp.MustCompile(`:[0-9.e-]+\|ms`).ReplaceAllString(strings.TrimSuffix(string(text), "\n"), ":T|ms"), "\n")
	got := record(t, statsd.Options{Naming: statsd.Sprockets, Prefix: "applications.my-service"}, func(c *statsd.Client) {
		m := statsdhttp.New(c, statsdhttp.Options{})
		mux := http.NewServeMux()
		mux.Handle("/", m.WrapNamed("MyHandler", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic("as the original's handler did")
			}
			here := statsdhttp.From(r.Context())
			here.Timer("some-operation").Stop()
			here.Timer("multi", "part", 7).Stop()
			here.Count(1, "request-count")
			here.Count(5, "by", "code", 204)
			here.Count(-2, "down")
			here.Timing(1500*time.Millisecond, "db", "query")
			w.WriteHeader(http.StatusNoContent)
		})))
		mux.Handle("/slash", m.WrapNamed("Slash", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		})))
		s := serve(t, mux)
		for _, r := range []string{"GET /", "POST /", "GET /slash", "DELETE /slash"} {
			method, path, _ := strings.Cut(r, " ")
			if _, _, err := do(t, method, s.URL+path); err != nil {
				t.Error(err)
			}
		}
		s.Close()
	})
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%q, want\n%q", got, want)
	}
}

func TestPanics(t *testing.T) {
	got := record(t, statsd.Options{}, func(c *statsd.Client) {
		m := statsdhttp.New(c, statsdhttp.Options{})
		mux := http.NewServeMux()
		mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half of")
			panic("late")
		})
		var mu sync.Mutex
		var seen []any
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				failure := recover()
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, failure, r.Pattern)
				panic(failure)
			}()
			m.Wrap(mux).ServeHTTP(w, r)
		}))
		for _, path := range []string{"/abort", "/late"} {
			if status, body, err := do(t, "POST", s.URL+path); err == nil {
				t.Errorf("%s is answered %d %q", path, status, body)
			}
		}
		s.Close() // waits for both
		mu.Lock()
		defer mu.Unlock()
		if want := []any{http.ErrAbortHandler, "/abort", "late", "/late"}; !slices.Equal(seen, want) {
			t.Errorf("who is around sees %v, want %v", seen, want)
		}
	})
	if !slices.Equal(got, []string{"abort.POST.500:T|ms", "late.POST.500:T|ms"}) {
		t.Errorf("recorded %q", got)
	}
}

// TestTakenOver: a handler speaks another protocol on the connection, got by assertion or
// by ResponseController.
func TestTakenOver(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"asserted": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"controlled": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := record(t, statsd.Options{}, func(c *statsd.Client) {
				over := make(chan struct{})
				measured := statsdhttp.New(c, statsdhttp.Options{}).WrapNamed("ws", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn, rw, err := hijack(w)
					if err != nil {
						t.Error(err)
						return
					}
					_, err = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
					line, readErr := rw.ReadString('\n')
					_, writeErr := rw.WriteString(line)
					if err := errors.Join(err, readErr, writeErr, rw.Flush(), conn.Close()); err != nil {
						t.Error(err)
					}
				}))
				s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(over) // the server does not wait for who has taken over
					measured.ServeHTTP(w, r)
				}))
				conn, err := net.Dial("tcp", s.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
				answer, err := io.ReadAll(conn)
				if err != nil || !strings.HasSuffix(string(answer), "\r\n\r\nhello\n") {
					t.Errorf("answered %q, %v", answer, err)
				}
				<-over
				s.Close()
			})
			if !slices.Equal(got, []string{"ws.GET.101:T|ms"}) {
				t.Errorf("recorded %q", got)
			}
		})
	}
}

// TestServerSentEvents: what a handler flushes arrives while it goes on.
func TestServerSentEvents(t *testing.T) {
	got := record(t, statsd.Options{}, func(c *statsd.Client) {
		goOn := make(chan struct{})
		s := serve(t, statsdhttp.New(c, statsdhttp.Options{}).WrapNamed("sse", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			controller := http.NewResponseController(w)
			if err := errors.Join(controller.SetWriteDeadline(time.Now().Add(time.Minute)), controller.EnableFullDuplex()); err != nil {
				t.Error(err)
			}
			w.(http.Flusher).Flush() // the header alone
			<-goOn
			fmt.Fprint(w, "data: 1\n\n")
			if err := controller.Flush(); err != nil {
				t.Error(err)
			}
			<-goOn
		})))
		response, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		goOn <- struct{}{}
		line, err := bufio.NewReader(response.Body).ReadString('\n')
		if err != nil || line != "data: 1\n" {
			t.Errorf("read %q, %v", line, err)
		}
		close(goOn)
		_ = response.Body.Close()
		s.Close()
	})
	if !slices.Equal(got, []string{"sse.GET.200:T|ms"}) {
		t.Errorf("recorded %q", got)
	}
}

// plain is a ResponseWriter that can do nothing more.
type plain struct{ http.ResponseWriter }

// TestAsMuchAsTheServerCan: a handler finds by assertion what there is, and not more.
func TestAsMuchAsTheServerCan(t *testing.T) {
	m := statsdhttp.New(nil, statsdhttp.Options{})
	type hijacker struct {
		plain
		http.Hijacker
	}
	for _, test := range []struct {
		w               http.ResponseWriter
		flushes, hijack bool
	}{
		{plain{}, false, false}, {httptest.NewRecorder(), true, false}, {hijacker{}, false, true},
		{struct {
			plain
			http.Flusher
			http.Hijacker
		}{}, true, true},
	} {
		m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, flushes := w.(http.Flusher)
			_, hijacks := w.(http.Hijacker)
			_, reads := w.(io.ReaderFrom)
			if flushes != test.flushes || hijacks != test.hijack || !reads {
				t.Errorf("%T: flushes %t, hijacks %t, reads %t", test.w, flushes, hijacks, reads)
			}
			if statsdhttp.From(r.Context()) == nil {
				t.Error("there is no recorder")
			}
			statsdhttp.From(r.Context()).Timer("nothing").Stop() // with a nil client
		})).ServeHTTP(test.w, httptest.NewRequest("GET", "/", nil))
	}
	// Without a middleware, too, nothing happens.
	none := statsdhttp.From(t.Context())
	none.Timer("a").Stop()
	none.Count(1, "a")
	none.Timing(1, "a")
}

// TestFiles: io.Copy reaches the server's ReadFrom, and the status is known.
func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := record(t, statsd.Options{}, func(c *statsd.Client) {
		m := statsdhttp.New(c, statsdhttp.Options{Name: func(r *http.Request) string { return r.URL.Query().Get("as") }})
		s := serve(t, m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })))
		for _, query := range []string{"?as=file", ""} {
			if _, body, err := do(t, "GET", s.URL+query); err != nil || body != "content" {
				t.Errorf("%q, %v", body, err)
			}
		}
		s.Close()
	})
	if !slices.Equal(got, []string{"file.GET.200:T|ms"}) {
		t.Errorf("recorded %q", got)
	}
}

func TestPatternName(t *testing.T) {
	for pattern, want := range map[string]string{
		"": "", "/": "root", "GET /": "root", "GET /{$}": "root", "GET /users/{id}/posts": "users.id.posts", "/static/": "static", "/files/{path...}": "files.path",
		"GET example.com/a": "example_com.a", "example.com/": "example_com.root", "/robots.txt": "robots_txt", "POST   /x": "x", "/a/{id}/{$}": "a.id",
	} {
		if got := statsdhttp.PatternName(pattern); got != want {
			t.Errorf("PatternName(%q) = %q, want %q", pattern, got, want)
		}
	}
}
