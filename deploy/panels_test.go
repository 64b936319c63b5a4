package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
)

// grown is what a panel that counts events shows of samples of 30 s, at a time.
type grown struct {
	file, title, at string
	series          []string // and their values
	want            float64  // 0: nothing
}

// TestWholeNumbers has promtool say what the panels of events show: as many as there were, the
// first of a series too, and none that a restart or a rename brings back.
func TestWholeNumbers(t *testing.T) {
	promtool := realtest.Promtool(t)
	const restarts = `container_restarts_total{machine="m", container="c"}`
	const memory = `container_oom_events_total{machine="m", container="c"}`
	const started = `container_started_at_timestamp_seconds{machine="m", container="c"}`
	const event = `weir_component_events_total{machine="m", component="source/docker", event="reconnected"}`
	for _, g := range []grown{
		{"containers", "Restarts", "4m30s", []string{restarts, "0x9 1x30"}, 0},
		{"containers", "Restarts", "5m", []string{restarts, "0x9 1x30"}, 1},
		{"containers", "Restarts", "5m15s", []string{restarts, "0x9 3x30"}, 3},
		{"containers", "Restarts", "6m30s", []string{restarts, "0x9 3x30"}, 0},
		{"containers", "Restarts", "5m", []string{restarts, "7x9 0x30"}, 0},
		{"containers", "Out of memory", "5m", []string{memory, "0x9 2x30"}, 2},
		{"containers", "Out of memory", "5m", []string{memory, "_x10 1x30", started, "_x10 290x30"}, 1},
		{"containers", "Out of memory", "20m", []string{memory, "_x40 1x30", started, "0x80"}, 0},
		{"weir", "Events of components", "5m", []string{event, "_x10 2x30"}, 2},
		{"weir", "Events of components", "5m", []string{event, "4x9 5x30"}, 1},
		{"weir", "Events of components", "5m", []string{event, "4x40"}, 0},
	} {
		if out, err := exec.Command(promtool, "test", "rules", g.test(t)).CombinedOutput(); err != nil {
			t.Errorf("%+v: %v\n%s", g, err, out)
		}
	}
}

// test writes a test for promtool.
func (g grown) test(t *testing.T) (file string) {
	t.Helper()
	expr := ""
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			if b.file == "grafana/"+g.file+".json" && p.Title == g.title && p.Type == "timeseries" {
				expr = strings.ReplaceAll(p.Targets[0].Expr, "$__rate_interval", "1m")
			}
		}
	}
	if expr == "" {
		t.Fatalf("no panel %s", g.title)
	}
	var series []map[string]string
	for i := 0; i < len(g.series); i += 2 {
		series = append(series, map[string]string{"series": g.series[i], "values": g.series[i+1]})
	}
	samples := []map[string]any{}
	if g.want != 0 {
		samples = append(samples, map[string]any{"labels": "{}", "value": g.want})
	}
	text, err := json.Marshal(map[string]any{"tests": []any{map[string]any{
		"interval": "30s", "input_series": series,
		"promql_expr_test": []any{map[string]any{"expr": fmt.Sprintf("sum(%s)", fill(expr)), "eval_time": g.at, "exp_samples": samples}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "panel.yml") // JSON is YAML too
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
