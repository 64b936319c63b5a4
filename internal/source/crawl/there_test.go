package crawl

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNothingAtRecords names what there is in place of what was looked for.
func TestNothingAtRecords(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":[],"next":null}`: `nothing at "items" (records); it has data, next`,
		`[{"id":1}]`:              `nothing at "items" (records); it has a list`,
		`{}`:                      `nothing at "items" (records)`,
		`{"` + strings.Repeat("x", 200) + `":1,"data":[],"k\u001b":1}`: `nothing at "items" (records); it has data, k\u001b`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		c := testConfig(func(s *Stream) { s.URL, s.Records, s.Time = server.URL, "items", "at" })
		w := newWorld(t)
		w.once(c)
		if got := w.ledger.State().Problem; !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s; want %s", body, got, want)
		}
		server.Close()
	}
}
