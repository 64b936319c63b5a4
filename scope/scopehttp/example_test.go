package scopehttp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/weirlog/weir/scope"
	"github.com/weirlog/weir/scope/scopehttp"
)

func Example() {
	handler, err := scope.New(slog.DiscardHandler, scope.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := scope.WithLogger(context.Background(), slog.New(handler)) // or slog.SetDefault

	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("part", scope.From(r.Context()).ID()[36:])
	})
	server := httptest.NewServer(scopehttp.Wrap(mux, scopehttp.Options{}))
	defer server.Close()

	client := &http.Client{Transport: &scopehttp.Transport{}}
	ctx, task := scope.Task(ctx, "order")
	defer task.End(nil)
	for range 2 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/stock/7", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, err := client.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = answer.Body.Close()
	}
	// Output:
	// part /1
	// part /2
}
