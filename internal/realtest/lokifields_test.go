package realtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/realtest"
)

// TestSameFieldsAsLoki asks weir and Loki which fields the same logs have, what takes
// them apart, and what leads to them, which logcli does not show.
func TestSameFieldsAsLoki(t *testing.T) {
	loki := realtest.StartLoki(t)
	w, _ := pushing(t)
	from := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
	for _, url := range []string{"http://" + w.Address(), loki.URL} {
		push(t, url, logs(from))
	}
	for _, query := range []string{
		`{app="till"}`, `{app="shop"}`, `{app="nginx"}`, `{job="test"}`, `{app="till"} | logfmt`, `{app="till"} | json`, `{app="shop"} | json`, `{app="shop"} | logfmt`,
		`{app="shop"} | json s="status"`, `{app="till"} | logfmt | label_format z=amount`, `{app="till"} | logfmt | keep status`, `{app="shop"} | json | line_format "new=1"`,
		"{app=\"nginx\"} | pattern `<ip> <_> \"<method> <_>`", `{app="till"} | label_format z="1"`,
	} {
		got, want := fields(t, "http://"+w.Address(), query, from), fields(t, loki.URL, query, from)
		if got != want || want == "" {
			t.Errorf("%s\nweir:\n%s\nloki:\n%s", query, got, want)
		}
	}
}

// fields returns the names, parsers and paths of the fields that a server detects, sorted.
func fields(t *testing.T, server, query string, from time.Time) string {
	t.Helper()
	params := url.Values{"query": {query}, "start": {from.Format(time.RFC3339)}, "end": {from.Add(9 * time.Minute).Format(time.RFC3339)}, "line_limit": {"1000"}}
	response, err := http.Get(server + "/loki/api/v1/detected_fields?" + params.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Fields []struct {
			Label    string
			Parsers  []string
			JSONPath []string
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %s", response.Status, text)
	}
	var lines []string
	for _, f := range answer.Fields {
		lines = append(lines, f.Label+" "+strings.Join(f.Parsers, ",")+" "+strings.Join(f.JSONPath, "."))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
