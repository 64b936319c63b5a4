package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/realtest"
)

// board is what matters here of a dashboard as Grafana exports it.
type board struct {
	file, UID, Title string
	Panels           []panel
	Templating       struct{ List []variable }
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
	FieldConfig struct{ Defaults struct{ Unit string } }
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                struct{ Type, UID string }
}

type variable struct {
	Name, Type, Definition string
	AllValue               string
}

func boards(t *testing.T) (all []board) {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("dashboards: %q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{file: file}
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, b)
	}
	return all
}

// alert is one rule of prometheus/alerts.yml.
type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	tree, mistakes := config.Load(config.Options{}, "prometheus/alerts.yml")
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	mistakes = append(mistakes, config.Decode(tree.Root, &file)...)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// query is an expression of a dashboard or an alert, and the labels that are shown of its
// answer.
type query struct {
	where, expr string
	shown       []string
}

var (
	legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	alertLabel  = regexp.MustCompile(`\$labels\.(\w+)`)
	anyVariable = regexp.MustCompile(`\$(\w+)`)
)

// promQueries returns everything that asks Prometheus, variables filled in.
func promQueries(t *testing.T) (all []query) {
	t.Helper()
	shown := func(re *regexp.Regexp, text string) (labels []string) {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			labels = append(labels, m[1])
		}
		return labels
	}
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Type == "query" {
				all = append(all, query{b.file + ": variable " + v.Name, fill(v.Definition), nil})
			}
		}
		for _, p := range b.Panels {
			for _, x := range p.Targets {
				if x.Datasource.Type == "prometheus" {
					all = append(all, query{b.file + ": " + p.Title, fill(x.Expr), shown(legendLabel, x.LegendFormat)})
				}
			}
		}
	}
	for _, a := range alerts(t) {
		all = append(all, query{"alert " + a.Alert, a.Expr, shown(alertLabel, fmt.Sprint(a.Annotations))})
	}
	return all
}

// fill puts values in for Grafana's variables.
func fill(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$__range_s", "3600", "$__range", "1h", "$machine", ".+", "$container", ".+").Replace(expr)
}

// TestDashboards checks what Grafana would only show as an odd page.
func TestDashboards(t *testing.T) {
	uids := map[string]bool{}
	for _, b := range boards(t) {
		if b.UID == "" || b.Title == "" || uids[b.UID] {
			t.Errorf("%s: uid %q, title %q", b.file, b.UID, b.Title)
		}
		uids[b.UID] = true
		known := []string{"__rate_interval", "__range", "__range_s"}
		for _, v := range b.Templating.List {
			known = append(known, v.Name)
			if v.Type == "query" && v.AllValue != ".+" {
				t.Errorf("%s: all of %s is %q, and Loki refuses what may be empty", b.file, v.Name, v.AllValue)
			}
		}
		for i, p := range b.Panels {
			checkPanel(t, b, i, known)
			if p.Type == "row" {
				continue
			}
			for _, x := range p.Targets {
				if !slices.Contains(known, strings.Trim(x.Datasource.UID, "${}")) || x.Expr == "" {
					t.Errorf("%s: %s: %+v", b.file, p.Title, x)
				}
				if strings.Contains(x.LegendFormat, "{{container}}") && !strings.Contains(x.LegendFormat, "{{machine}}") {
					t.Errorf("%s: %s: containers of several machines have the same name in the legend %s", b.file, p.Title, x.LegendFormat)
				}
				for _, m := range anyVariable.FindAllStringSubmatch(x.Expr, -1) {
					if !slices.Contains(known, m[1]) {
						t.Errorf("%s: %s: no variable $%s", b.file, p.Title, m[1])
					}
				}
			}
		}
	}
}

// checkPanel checks the place and the looks of a panel.
func checkPanel(t *testing.T, b board, i int, known []string) {
	t.Helper()
	p := b.Panels[i]
	g := p.GridPos
	if p.Title == "" || g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
		t.Errorf("%s: panel %d %q at %+v", b.file, p.ID, p.Title, g)
	}
	if (p.Type == "stat" || p.Type == "timeseries") && p.FieldConfig.Defaults.Unit == "" {
		t.Errorf("%s: %s has no unit", b.file, p.Title)
	}
	for _, o := range b.Panels[:i] {
		q := o.GridPos
		if o.ID == p.ID {
			t.Errorf("%s: two panels have the id %d", b.file, p.ID)
		}
		if g.X < q.X+q.W && q.X < g.X+g.W && g.Y < q.Y+q.H && q.Y < g.Y+g.H {
			t.Errorf("%s: %q lies over %q", b.file, p.Title, o.Title)
		}
	}
}

// TestPrometheus has promtool judge the configuration, the alerts, when they fire, and every
// expression of the dashboards.
func TestPrometheus(t *testing.T) {
	promtool := realtest.Promtool(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("check", "config", "prometheus/prometheus.yml")
	run("check", "rules", "--lint-fatal", "prometheus/alerts.yml")
	run("test", "rules", "prometheus/alerts_test.yml")

	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboards\n    rules:\n")
	n := 0
	for _, q := range promQueries(t) {
		if strings.HasPrefix(q.expr, "label_values(") {
			continue
		}
		text, err := json.Marshal(q.expr) // which is YAML too
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rules, "      - record: panel:%d\n        expr: %s\n", n, text)
		n++
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run("check", "rules", file)

	tested, err := os.ReadFile("prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if !strings.Contains(string(tested), "alertname: "+a.Alert+"\n        exp_alerts:\n") {
			t.Errorf("no test has %s fire", a.Alert)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || a.Labels["severity"] == "" {
			t.Errorf("%s lacks a summary, a description or a severity", a.Alert)
		}
	}
}
