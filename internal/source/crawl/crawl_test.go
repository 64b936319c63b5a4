package crawl

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestTwice reads the same page twice: nothing is there twice, and what is new comes.
func TestTwice(t *testing.T) {
	since := []string{}
	n := 3
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since = append(since, r.URL.Query().Get("since"))
		fmt.Fprint(w, `{"data":[`)
		for i := range n {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"id":%d,"at":"2026-11-21T10:00:%02dZ","text":"number %d","by":{"name":"leo"},"level":"warn"}`, i, i/2, i)
		}
		fmt.Fprint(w, `],"more":false}`)
	}))
	defer server.Close()
	c := testConfig(func(s *Stream) {
		s.URL, s.Query = server.URL, map[string]string{"since": "{{.Since}}"}
		s.Records, s.Time, s.ID, s.Level, s.Message = "data", "at", "id", "level", "text"
		s.Fields = map[string]string{"user": "by.name"}
	})
	w := newWorld(t)
	w.once(c)
	n = 5
	w.once(c)
	w.once(c)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("warn number %d user=leo", i))
	}
	if got := w.got["acme/events"]; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if want := []string{"", "2026-11-21T10:00:01Z", "2026-11-21T10:00:02Z"}; !slices.Equal(since, want) {
		t.Errorf("asked since %q, want %q", since, want)
	}
}
