package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/realtest"
)

// running is a weir with something to show in every series.
type running struct {
	t    *testing.T
	url  string
	said *lockedBuffer
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const madeUpLines = `10.0.0.1 - - [21/Nov/2026:07:29:35 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8" 0.012
10.0.0.1 - - [21/Nov/2026:07:29:36 +0000] "POST /b HTTP/1.1" 502 12 "-" "curl/8" 1.250
error: upstream is away`

// startWeir runs a weir with the rules of http.yaml before an engine that is made up, a file
// that loses text, a metric that overflows, and a StatsD server that takes all.
func startWeir(t *testing.T) *running {
	dir := t.TempDir()
	e := startMadeUp(t, strings.Split(madeUpLines, "\n")...)
	statsd, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = statsd.Close() })
	lossy := filepath.Join(dir, "lossy.log")
	copytruncate(t, lossy, "1 one\n2 two\n3 three\n")
	settings := filepath.Join(dir, "weir.yaml")
	text := fmt.Sprintf(`
node: m
data_dir: %[1]s/state
http: {listen: "127.0.0.1:0"}
history: {interval: 1s}
sources:
  docker: {host: "unix://%[2]s", start: beginning, stats_interval: 1s, stats_read: api}
  lossy: {type: file, paths: [%[3]s], start: beginning}
  push: {}
rules:
  - name: words
    match: '{source="lossy"}'
    parse: {pattern: "<n> <word>"}
    count:
      - {name: words, by: [word], max_series: 1}
sinks:
  statsd: {address: "udp://%[4]s", window: 1s}
`, dir, e.socket, lossy, statsd.LocalAddr())
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, said: &lockedBuffer{}}
	cfg, mistakes := agent.Load(agent.Files{Paths: []string{settings, "http.yaml"}, Env: func(string) (string, bool) { return "", false }, Hostname: "m", ReadFile: os.ReadFile})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	a, err := agent.New(cfg, agent.Options{Log: slog.New(slog.NewTextHandler(r.said, nil)), Version: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.said)
		}
	})
	page := regexp.MustCompile(`page=(http://\S+)/`)
	realtest.Eventually(t, "weir listens", func() bool {
		m := page.FindStringSubmatch(r.said.String())
		if m != nil {
			r.url = m[1]
		}
		return m != nil
	})
	realtest.Eventually(t, "the file is read", func() bool {
		return strings.Contains(r.get("/metrics"), `weir_source_records_total{machine="m",source="lossy"} 3`)
	})
	copytruncate(t, lossy, "4 four\n")
	_, _ = http.Post(r.url+"/loki/api/v1/push", "application/json", strings.NewReader("{"))
	return r
}

// get returns the answer to a request.
func (r *running) get(path string) string {
	r.t.Helper()
	response, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		r.t.Fatalf("%s: %d %s %v", path, response.StatusCode, text, err)
	}
	return string(text)
}

// exposed is the labels of each name on /metrics.
type exposed map[string]map[string]bool

var (
	sampleLine  = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? \S+$`)
	sampleLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)
)

func expose(text string) exposed {
	all := exposed{"up": {}} // Prometheus' own
	for _, m := range sampleLine.FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]bool{}
		}
		for _, l := range sampleLabel.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = true
		}
	}
	return all
}

// scraped are the labels that Prometheus adds to what it scrapes.
var scraped = []string{"job", "instance", "__name__"}

// missing returns what q asks for and all does not have.
func (all exposed) missing(q query) (lacks []string) {
	n, err := names(q.expr)
	if err != nil {
		return []string{q.where + ": " + err.Error()}
	}
	some := map[string]bool{}
	for _, s := range n.selectors {
		has := all.labels(s.name)
		if has == nil {
			lacks = append(lacks, fmt.Sprintf("%s: no series %s", q.where, s.name))
			continue
		}
		maps.Copy(some, has)
		for _, l := range s.labels {
			if !has[l] && !slices.Contains(scraped, l) {
				lacks = append(lacks, fmt.Sprintf("%s: %s has no label %s", q.where, s.name, l))
			}
		}
	}
	for _, l := range slices.Concat(n.grouped, q.shown) {
		if !some[l] && !slices.Contains(scraped, l) && !slices.Contains(n.made, l) {
			lacks = append(lacks, fmt.Sprintf("%s: nothing has the label %s", q.where, l))
		}
	}
	return lacks
}

// labels returns those of a name, or of any for no name; nil where there is no such series.
func (all exposed) labels(name string) map[string]bool {
	if name != "" {
		return all[name]
	}
	any := map[string]bool{}
	for _, labels := range all {
		maps.Copy(any, labels)
	}
	return any
}

// TestSeriesExist has every series and label that a dashboard or an alert asks for be on the
// /metrics of a weir that runs, and every question to Loki be answered with lines.
func TestSeriesExist(t *testing.T) {
	r := startWeir(t)
	query := func(expr string) string {
		now := time.Now()
		return r.get("/loki/api/v1/query_range?" + url.Values{"query": {fill(expr)}, "start": {fmt.Sprint(now.Add(-time.Hour).UnixNano())}, "end": {fmt.Sprint(now.UnixNano())}}.Encode())
	}
	asked := promQueries(t)
	if len(asked) < 80 {
		t.Errorf("only %d questions", len(asked))
	}
	deadline := time.Now().Add(realtest.Patience)
	var lacks []string
	for {
		query(`{container=~".+"}`) // for the numbers of queries
		r.get("/api/v1/query?query=1")
		all := expose(r.get("/metrics"))
		lacks = nil
		for _, q := range asked {
			lacks = append(lacks, all.missing(q)...)
		}
		if len(lacks) == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	for _, l := range lacks {
		t.Error(l)
	}
	judgeMetrics(t, r.get("/metrics"))
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			for _, x := range p.Targets {
				if x.Datasource.Type == "loki" { // a series may be there before the commit of its lines
					realtest.Eventually(t, b.file+": "+p.Title, func() bool { return strings.Contains(query(x.Expr), `"values":[[`) })
				}
			}
		}
	}
}

// judgeMetrics has promtool judge what a weir with everything shows, or leaves that to others
// where it is not installed.
func judgeMetrics(t *testing.T, text string) {
	t.Helper()
	t.Run("promtool", func(t *testing.T) {
		cmd := exec.Command(realtest.Promtool(t), "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestMissing has the test above notice what it is for.
func TestMissing(t *testing.T) {
	all := expose("# HELP a b\na{x=\"1\",y=\"} 2\"} 3\nb 4\nc_bucket{le=\"1\"} 5 \n")
	for _, q := range []struct {
		expr  string
		shown []string
		want  int
	}{
		{`sum by (x) (a{y="1"})`, nil, 0}, {`b`, nil, 0}, {`up{job="c"}`, []string{"instance"}, 0},
		{`sum by (z) (a)`, nil, 1}, {`a{z="1"}`, nil, 1}, {`d`, nil, 1}, {`rate(d[5m]) / a`, nil, 1}, {`b`, []string{"x"}, 1}, {`nothing(b)`, nil, 1},
	} {
		if got := all.missing(query{"", q.expr, q.shown}); len(got) != q.want {
			t.Errorf("%s: %q", q.expr, got)
		}
	}
}
