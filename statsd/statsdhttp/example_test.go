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

func Example() {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	client, err := statsd.New(statsd.Options{Address: "udp://" + conn.LocalAddr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		defer statsdhttp.From(r.Context()).Timer("db", "query").Stop()
		w.WriteHeader(http.StatusNoContent)
	})
	handler := statsdhttp.New(client, statsdhttp.Options{}).Wrap(mux)

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
	_ = client.Close(context.Background())

	buf := make([]byte, 1500)
	n, _, err := conn.ReadFrom(buf)
	fmt.Println(regexp.MustCompile(`:[0-9.]+\|`).ReplaceAllString(string(buf[:n]), ":T|"), err)
	// Output:
	// db.query:T|ms
	// users.id.GET.204:T|ms <nil>
}
