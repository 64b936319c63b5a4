package statsdhttp_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"

	"github.com/weirlog/weir/statsd"
	"github.com/weirlog/weir/statsd/statsdhttp"
)

// try serves a GET of a path with a handler that a client measures, and prints what was sent,
// with a T for each time.
func try(o statsdhttp.Options, path string, wrap func(*statsdhttp.Middleware) http.Handler) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	client, err := statsd.New(statsd.Options{Address: "udp://" + conn.LocalAddr().String(), PacketSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	wrap(statsdhttp.New(client, o)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	if err := client.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	buf := make([]byte, 1500)
	for range client.Stats().Sent {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(regexp.MustCompile(`:[0-9.]+\|ms`).ReplaceAllString(string(buf[:n]), ":T|ms"))
	}
}

func Example() {
	try(statsdhttp.Options{}, "/users/7", func(m *statsdhttp.Middleware) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		return m.Wrap(mux)
	})
	// Output: users.id.GET.204:T|ms
}

func ExampleMiddleware_WrapNamed() {
	try(statsdhttp.Options{}, "/", func(m *statsdhttp.Middleware) http.Handler {
		return m.WrapNamed("MyHandler", http.NotFoundHandler())
	})
	// Output: MyHandler.GET.404:T|ms
}

func ExampleOptions() {
	try(statsdhttp.Options{Metric: "http.request"}, "/files/a.txt", func(m *statsdhttp.Middleware) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/files/{path...}", func(http.ResponseWriter, *http.Request) {})
		return m.Wrap(mux)
	})
	// Output: http.request:T|ms|#handler:files.path,method:GET,status:200
}

func ExampleRecorder() {
	try(statsdhttp.Options{}, "/", func(m *statsdhttp.Middleware) http.Handler {
		return m.WrapNamed("home", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer statsdhttp.From(r.Context()).Timer("db", "query", 1).Stop()
		}))
	})
	// Output:
	// db.query.1:T|ms
	// home.GET.200:T|ms
}
