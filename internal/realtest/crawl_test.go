package realtest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestCrawlNginx crawls files that nginx serves: pages with links in the body, packed by nginx
// itself, behind a password, a limit of requests and a redirect.
func TestCrawlNginx(t *testing.T) {
	dir := t.TempDir()
	began := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	total := 0
	page := func(name, next string, n int) {
		var records []map[string]any
		for range n {
			records = append(records, map[string]any{"id": total, "at": began.Add(time.Duration(total/3) * time.Second), "text": fmt.Sprintf("number %d", total)})
			total++
		}
		body := map[string]any{"items": records, "links": map[string]any{"next": nil}}
		if next != "" {
			body["links"] = map[string]any{"next": next}
		}
		text, err := json.MarshalIndent(body, "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	page("1.json", "2.json", 500)
	page("2.json", "/moved/3.json", 500)
	page("3.json", "", 100)
	password := filepath.Join(dir, "users")
	if err := os.WriteFile(password, []byte("leo:{PLAIN}secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	site := realtest.StartNginx(t, realtest.NginxConfig{
		HTTP: "types { application/json json; }\ngzip on;\ngzip_types application/json;\nlimit_req_zone $server_port zone=all:1m rate=8r/s;",
		Server: fmt.Sprintf(`root %s;
auth_basic api;
auth_basic_user_file %s;
location /api/ { alias %[1]s/; limit_req zone=all; limit_req_status 429; }
location /moved/ { rewrite ^/moved/(.*) /api/$1 redirect; }
`, dir, password),
	})
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`rules: []
sources:
  acme:
    type: crawl
    interval: 1s
    jitter: 0s
    auth: {basic: {user: leo, password: secret}}
    streams:
      events: {url: '%s/api/1.json', records: items, time: at, id: id, message: text, start: 2h, pages: {by: url, token: links.next}}
      missing: {url: '%[1]s/api/none.json', time: at}
`, site.URL)})
	counted(t, w, "weir_source_records_total", 1100)
	page("3.json", "", 0) // what was there is replaced by what comes, as a feed does
	total -= 100
	page("3.json", "", 150)
	counted(t, w, "weir_source_records_total", 1150)
	lines, labels := kept(t, w, `{source="acme", stream="events"}`, began)
	var want []string
	for i := range 1150 {
		want = append(want, fmt.Sprintf("number %d", i))
	}
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	if len(labels) == 0 || labels[0]["source"] != "acme" {
		t.Errorf("labels %v", labels)
	}
	var answers map[string]float64
	faulttest.WaitFor(t, "answers of each kind", func() bool { // both streams share what the limit allows
		m, err := w.Metrics()
		if err != nil {
			return false
		}
		answers = map[string]float64{}
		for series, n := range m {
			if rest, ok := strings.CutPrefix(series, "weir_crawl_requests_total{"); ok {
				_, status, _ := strings.Cut(rest, `status="`)
				answers[status[:3]] += n
			}
		}
		return answers["200"] > 0 && answers["302"] > 0 && answers["404"] > 0
	})
	if answers["401"]+answers["err"] != 0 {
		t.Errorf("the answers were %v", answers)
	}
	t.Logf("the answers were %v", answers)
}
