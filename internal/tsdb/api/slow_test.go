package api_test

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/tsdb/api"
)

// TestSlowReaders: clients that ask for much and do not read it take a bounded amount of
// memory together. What comes beyond is refused until they have gone.
func TestSlowReaders(t *testing.T) {
	s, reg := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	// 10 series of 24,000 to 48,000 points are some 16 MB.
	big := "/api/v1/query?query=" + url.QueryEscape(`{__name__=~".+"}[2h:150ms]`) + "&time=" + at(7200)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	refused := func() bool {
		return strings.Contains(string(reg.AppendText(nil, 0)), `weir_history_queries_total{endpoint="query",outcome="unavailable"}`)
	}
	for range 12 {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", big)
		b := make([]byte, 16)
		if _, err := c.Read(b); err != nil { // the answer is made, and begins
			t.Fatal(err)
		}
		if strings.Contains(string(b), "503") {
			break
		}
	}
	if n := len(held); !refused() || n < 2 {
		t.Fatalf("after %d slow readers nothing was refused", n)
	}
	if status, body := ask(t, s.URL, "/api/v1/query", "query=1"); status != 200 && !strings.Contains(body, "too many answers") {
		t.Errorf("%d %s", status, body)
	}
	for _, c := range held {
		_ = c.Close()
	}
	for { // until the server has noticed
		status, _ := ask(t, s.URL, "/api/v1/query_range", "query=hits_total", "start="+at(0), "end="+at(7200), "step=1")
		if status == 200 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("slow readers that have gone still count")
		}
	}
}
