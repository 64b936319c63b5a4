package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/realtest"
)

// prometheus is a real one that runs for the length of a test.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus runs Debian's Prometheus with prometheus.yml, changed in the target and the
// pace alone.
func startPrometheus(t *testing.T, target string) *prometheus {
	binary := realtest.Program(t, "prometheus", "prometheus")
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yml", "alerts.yml"} {
		text, err := os.ReadFile("prometheus/" + name)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.NewReplacer("127.0.0.1:9103", target, "interval: 30s", "interval: 1s").Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	cmd := exec.Command(binary, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	said := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said)
		}
	})
	realtest.Used(t, "prometheus")
	return &prometheus{t, "http://" + address}
}

// query returns how many series an expression has now, and what is wrong with it.
func (p *prometheus) query(expr string) (series int, problem string) {
	response, err := http.Get(p.url + "/api/v1/query?" + url.Values{"query": {expr}}.Encode())
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, err.Error()
	}
	return len(answer.Data.Result), answer.Error
}

// TestPrometheusScrapes has a real Prometheus scrape a weir as prometheus.yml says, and asks it
// what the dashboards ask, and weir as well.
func TestPrometheusScrapes(t *testing.T) {
	r := startWeir(t)
	p := startPrometheus(t, strings.TrimPrefix(r.url, "http://"))
	realtest.Eventually(t, "four scrapes", func() bool {
		r.get("/loki/api/v1/query_range?query=" + url.QueryEscape(`{container=~".+"}`))
		r.get("/api/v1/query?query=1")
		n, _ := p.query(`sum(count_over_time(up{job="containers"}[1h])) >= 4`)
		return n == 1
	})
	askAll(t, p)
	own := &prometheus{t, r.url} // its history as a data source
	realtest.Eventually(t, "four rounds of the history", func() bool {
		n, _ := own.query(`sum(count_over_time(weir_source_records_total{source="docker"}[1h])) >= 4`)
		return n == 1
	})
	askAll(t, own)
	response, err := http.Get(p.url + "/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || strings.Count(string(text), `"type":"alerting"`) != len(alerts(t)) || strings.Contains(string(text), `"health":"err"`) {
		t.Errorf("rules: %v\n%s", err, text)
	}
}

// askAll asks everything: no question fails, and what does not look for trouble has an answer,
// at the latest when everything was scraped twice.
func askAll(t *testing.T, p *prometheus) {
	t.Helper()
	deadline := time.Now().Add(realtest.Patience)
	for {
		lacks := p.unanswered(promQueries(t))
		if len(lacks) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s:\n%s", p.url, strings.Join(lacks, "\n"))
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// unanswered returns the questions that fail, or that have no answer and should.
func (p *prometheus) unanswered(asked []query) (lacks []string) {
	trouble := []string{"Restarts", "Out of memory", "Events of components", "Waiting for its quota", "Failed by container", "Metrics that overflow"}
	for _, q := range asked {
		if strings.HasPrefix(q.expr, "label_values(") {
			continue
		}
		series, problem := p.query(q.expr)
		_, title, _ := strings.Cut(q.where, ": ")
		quiet := strings.HasPrefix(q.where, "alert ") || slices.Contains(trouble, title)
		if problem != "" || series == 0 && !quiet {
			lacks = append(lacks, fmt.Sprintf("%s: %d series, %s\n%s", q.where, series, problem, q.expr))
		}
	}
	return lacks
}
