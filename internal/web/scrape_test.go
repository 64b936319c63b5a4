package web_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/web"
)

// gone is a client that leaves in the middle of the answer.
type gone struct{ header http.Header }

func (g gone) Header() http.Header       { return g.header }
func (g gone) WriteHeader(int)           {}
func (g gone) Write([]byte) (int, error) { return 0, errors.New("it has gone") }

// TestLargeScrape: an answer in pieces is the whole text, also compressed, and who leaves in
// the middle of one disturbs no other.
func TestLargeScrape(t *testing.T) {
	f := newFake(t)
	family, err := f.registry.Family(metric.Desc{Name: "large_total", Labels: []string{"n"}, MaxSeries: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		family.Series(fmt.Sprint(i)).Add(float64(i))
	}
	h := handler(t, web.Config{}, f)
	for _, encoding := range []string{"identity", "gzip", "gone", "gzip", "gone", "identity"} {
		if encoding == "gone" {
			r := httptest.NewRequest(http.MethodGet, "http://localhost:9103/metrics", nil)
			r.Header.Set("Accept-Encoding", "gzip")
			h.ServeHTTP(gone{http.Header{}}, r)
			continue
		}
		answer := ask(h, "/metrics", "Accept-Encoding: "+encoding)
		body := io.Reader(answer.Body)
		if got := answer.Header.Get("Content-Encoding"); (got == "gzip") != (encoding == "gzip") {
			t.Errorf("asked for %s, got %q", encoding, got)
		} else if got == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if n := strings.Count(string(text), "\nlarge_total{"); err != nil || n != 20_000 || !strings.Contains(string(text), "n=\"19999\"} 19999\n") {
			t.Errorf("%s: %d series, %v", encoding, n, err)
		}
	}
}
