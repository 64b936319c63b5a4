package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/agent"
)

// crawler runs a configuration of deploy/crawlers against an API of the test's.
type crawler struct {
	t       *testing.T
	file    string
	dataDir string
	logs    string
	env     map[string]string
}

func newCrawler(t *testing.T, file string, api http.HandlerFunc, env map[string]string) *crawler {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	for name, value := range env {
		env[name] = strings.ReplaceAll(value, "SERVER", server.URL)
	}
	return &crawler{t: t, file: "crawlers/" + file, dataDir: t.TempDir(), logs: t.TempDir(), env: env}
}

// run asks once, goes on from where the last run was, and returns all that ever came.
func (c *crawler) run() []string {
	c.t.Helper()
	out := filepath.Join(c.t.TempDir(), "sinks.yaml")
	if err := os.WriteFile(out, fmt.Appendf(nil, "sinks: {out: {type: file, dir: %q, start: beginning}}\n", c.logs), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cfg, mistakes := agent.Load(agent.Files{
		Paths: []string{c.file, out}, Hostname: "web-1", DataDir: c.dataDir, ReadFile: os.ReadFile,
		Env: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok },
	})
	for _, m := range mistakes {
		c.t.Fatal(m)
	}
	a, err := agent.New(cfg, agent.Options{Log: slog.New(slog.NewTextHandler(c.t.Output(), nil)), Once: true})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := a.Run(c.t.Context()); err != nil {
		c.t.Error(err)
	}
	if err := a.Trouble(); err != nil {
		c.t.Error(err)
	}
	if err := a.Close(); err != nil {
		c.t.Error(err)
	}
	var lines []string
	files, err := filepath.Glob(filepath.Join(c.logs, "*", "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	return lines
}

// refuse answers with an error, and fails the test.
func refuse(t *testing.T, w http.ResponseWriter, format string, args ...any) {
	t.Errorf(format, args...)
	http.Error(w, "refused", http.StatusBadRequest)
}

// githubAPI answers as GitHub does for the audit log of octo-corp.
type githubAPI struct {
	t *testing.T

	mu     sync.Mutex // guards below
	events []map[string]any
	asked  []string // phrases
}

func (g *githubAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := r.URL.Query()
	if r.Header.Get("Authorization") != "Bearer ghp_secret" || r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-GitHub-Api-Version") != "2022-11-28" ||
		r.URL.Path != "/orgs/octo-corp/audit-log" && r.URL.Path != "/organizations/6/audit-log" || q.Get("order") != "asc" || q.Get("include") != "all" || q.Get("per_page") != "100" {
		refuse(g.t, w, "%s with %v", r.URL, r.Header)
		return
	}
	since := time.Time{}
	if phrase := q.Get("phrase"); phrase != "" {
		g.asked = append(g.asked, phrase)
		var err error
		if since, err = time.Parse(time.RFC3339, strings.TrimPrefix(phrase, "created:>=")); err != nil {
			refuse(g.t, w, "phrase %q", phrase)
			return
		}
	}
	var found []map[string]any
	for _, e := range g.events {
		if e["@timestamp"].(int64) >= since.UnixMilli() {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(x, y map[string]any) int { return int(x["@timestamp"].(int64) - y["@timestamp"].(int64)) })
	const page = 2 // it gives fewer than it is asked for
	after, _ := strconv.Atoi(strings.TrimPrefix(q.Get("after"), "MS4="))
	end := min(after+page, len(found))
	if end < len(found) {
		q.Set("after", "MS4="+strconv.Itoa(end))
		q.Set("before", "")
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/organizations/6/audit-log?%s>; rel="next", <http://%s/organizations/6/audit-log?after=&before=>; rel="first"`, r.Host, q.Encode(), r.Host))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := json.NewEncoder(w).Encode(slices.Concat([]map[string]any{}, found[min(after, end):end])); err != nil {
		g.t.Error(err)
	}
}

// load reads what GitHub answered once, as if the last event were a minute ago.
func (g *githubAPI) load() {
	g.t.Helper()
	text, err := os.ReadFile("crawlers/testdata/github-audit-log.json")
	if err != nil {
		g.t.Fatal(err)
	}
	var pages [][]map[string]any
	if err := json.Unmarshal(text, &pages); err != nil {
		g.t.Fatal(err)
	}
	shift := time.Now().Add(-time.Minute).UnixMilli() - 1606929884000
	for _, e := range slices.Concat(pages...) {
		for _, name := range []string{"@timestamp", "created_at"} {
			if at, ok := e[name].(float64); ok {
				e[name] = int64(at) + shift
			}
		}
		g.events = append(g.events, e)
	}
}

// TestGitHubAuditLog reads an audit log page by page, twice: what is new comes, also what has the
// time of what was there, or comes late.
func TestGitHubAuditLog(t *testing.T) {
	api := &githubAPI{t: t}
	api.load()
	c := newCrawler(t, "github-audit-log.yaml", api.ServeHTTP, map[string]string{"GITHUB_ORG": "octo-corp", "GITHUB_TOKEN": "ghp_secret", "GITHUB_API": "SERVER"})
	ids := func(lines []string) (all []string) {
		t.Helper()
		for _, line := range lines {
			var e struct {
				ID string `json:"_document_id"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID == "" {
				t.Fatalf("%s: %v", line, err)
			}
			all = append(all, e.ID)
		}
		return all
	}
	want := []string{"xJJFlFOhQ6b-5vaAFy9Rjw", "Vqvg6kZ4MYqwWRKFDzlMoQ", "FyBKVQbbuvkIGf3mbN+pxQ", "CY_5Nds9Xg3hyCd2cSpcJQ"}
	if got := ids(c.run()); !slices.Equal(got, want) {
		t.Fatalf("%q came", got)
	}
	last := api.events[3]["@timestamp"].(int64)
	for id, at := range map[string]int64{"same": last, "late": last - 2000} {
		api.events = append(api.events, map[string]any{"@timestamp": at, "_document_id": id, "action": "repo.destroy", "actor": "octocat", "org": "octo-corp"})
	}
	if got := ids(c.run()); !slices.Equal(got, append(want, "late", "same")) {
		t.Errorf("%q came", got)
	}
	first, err := time.Parse(time.RFC3339, strings.TrimPrefix(api.asked[0], "created:>="))
	if age := time.Since(first); err != nil || age < 24*time.Hour || age > 25*time.Hour {
		t.Errorf("it asks for %s first", api.asked[0])
	}
	if again := "created:>=" + time.UnixMilli(last).Add(-5*time.Minute).UTC().Format("2006-01-02T15:04:05Z"); api.asked[len(api.asked)-1] != again {
		t.Errorf("it asks for %s then, not %s", api.asked[len(api.asked)-1], again)
	}
}

// TestCloudflareLogpull reads an hour window by window, and what came since.
func TestCloudflareLogpull(t *testing.T) {
	shape, err := os.ReadFile("crawlers/testdata/cloudflare-logpull.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	shapes := bytes.Split(bytes.TrimSpace(shape), []byte("\n"))
	type event struct {
		received time.Time
		line     string
	}
	var events []event
	began := time.Now().UTC().Truncate(time.Second)
	for i, at := 0, began.Add(-59*time.Minute); at.Before(began); i, at = i+1, at.Add(7*time.Second) {
		if i%500 > 100 && i%500 < 250 {
			continue // some windows are empty
		}
		var l map[string]any
		if err := json.Unmarshal(shapes[i%2], &l); err != nil {
			t.Fatal(err)
		}
		ended := at.Add(-time.Duration(i%40) * time.Second) // Cloudflare has it later, not in this order
		l["EdgeStartTimestamp"], l["EdgeEndTimestamp"], l["RayID"] = ended.Add(-time.Second), ended, fmt.Sprintf("ray-%d", i)
		line, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event{at, string(line)})
	}
	known := began.Add(-20 * time.Minute) // what the API has in the first run
	var mu sync.Mutex
	var ends []time.Time
	c := newCrawler(t, "cloudflare-logpull.yaml", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		q := r.URL.Query()
		start, err1 := time.Parse("2006-01-02T15:04:05Z", q.Get("start"))
		end, err2 := time.Parse("2006-01-02T15:04:05Z", q.Get("end"))
		if err1 != nil || err2 != nil || !start.Before(end) || end.Sub(start) > time.Hour || time.Since(end) < time.Minute || r.URL.Path != "/zones/z1/logs/received" ||
			q.Get("timestamps") != "rfc3339" || !strings.Contains(q.Get("fields"), "RayID") || r.Header.Get("Authorization") != "Bearer secret" {
			refuse(t, w, "%s", r.URL)
			return
		}
		ends = append(ends, end)
		for _, e := range events {
			if !e.received.Before(start) && e.received.Before(end) && e.received.Before(known) {
				fmt.Fprintln(w, e.line)
			}
		}
	}, map[string]string{"CLOUDFLARE_ZONE": "z1", "CLOUDFLARE_TOKEN": "secret", "CLOUDFLARE_API": "SERVER", "CLOUDFLARE_RATE": "0"})
	check := func() {
		t.Helper()
		got := c.run()
		until := known // or less, where a window ended before that
		if end := ends[len(ends)-1]; end.Before(known) {
			until = end
		}
		var want []string
		for _, e := range events {
			if e.received.Before(until) {
				want = append(want, e.line)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%d lines came, and there are %d", len(got), len(want))
		}
	}
	check()
	if len(ends) < 6 {
		t.Errorf("an hour was asked for in %d windows", len(ends))
	}
	known = began
	check()
	check()
}

// TestPagedAPI follows tokens, and goes on from the time of the last record.
func TestPagedAPI(t *testing.T) {
	began := time.Now().UTC().Truncate(time.Second)
	n := 5
	var asked []url.Values
	c := newCrawler(t, "paged-api.yaml", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		since, err := time.Parse(time.RFC3339Nano, q.Get("since"))
		if err != nil || r.Header.Get("Authorization") != "Bearer secret" || q.Get("limit") != "100" {
			refuse(t, w, "%s", r.URL)
			return
		}
		asked = append(asked, q)
		var found []map[string]any
		for i := range n {
			if at := began.Add(time.Duration(i/2-100) * time.Second); !at.Before(since) {
				found = append(found, map[string]any{"id": fmt.Sprint("e", i), "created_at": at, "message": fmt.Sprint("event ", i), "level": "warn", "type": "login", "actor": map[string]any{"name": "ann"}})
			}
		}
		from, _ := strconv.Atoi(strings.TrimPrefix(q.Get("cursor"), "x"))
		end := min(from+2, len(found))
		var next any
		if end < len(found) {
			next = fmt.Sprint("x", end)
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"data": found[from:end], "next_cursor": next}); err != nil {
			t.Error(err)
		}
	}, map[string]string{"API_URL": "SERVER/v1/events", "API_TOKEN": "secret"})
	for _, n = range []int{5, 5, 8} {
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint("event ", i))
		}
		if got := c.run(); !slices.Equal(got, want) {
			t.Fatalf("%q came of %d", got, n)
		}
	}
	if len(asked) != 3+1+2 {
		t.Errorf("%d requests: %v", len(asked), asked)
	}
}
