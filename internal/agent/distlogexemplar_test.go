package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/scope"
)

// TestExemplarsOfScopes: what rules count of the records of package scope has the trace, and the
// key, of a record that was counted.
func TestExemplarsOfScopes(t *testing.T) {
	address := "ipc://" + filepath.Join(t.TempDir(), "weir.sock")
	cfg, mistakes := loaded(t, fmt.Sprintf(`node: web-1
http: {listen: ''}
sources: {distlog: {listen: ['%s']}}
rules:
  - {match: '{source="distlog"}', parse: {fields: {}}, count: [{name: scope.records, by: [level], exemplar: [trace_id]}]}
  - match: '{source="distlog"}'
    parse: {fields: {}}
    count: [{name: task.duration, histogram: took, unit: seconds, buckets: [3600], by: [task], exemplar: [trace_id]}]
  - match: '{source="distlog"}'
    parse: {regex: '^FAILED (?P<task>.*)'}
    count: [{name: task.failures, by: [task], exemplar: [trace_id, key]}]
`, address))
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	a, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), FS: new(disk.Faulty)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.Close()
	}()
	handler, err := scope.New(slog.DiscardHandler, scope.Options{Address: address, Trace: true, Took: true, Local: scope.Never})
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close(context.Background())
	_, task := scope.Task(scope.WithLogger(ctx, slog.New(handler)), "import")
	trace := task.Foreign().TraceID()
	failed := errors.New("no file")
	task.End(&failed)
	var text string
	for end := time.Now().Add(20 * time.Second); !strings.Contains(text, `task="import"} 1`); <-time.After(10 * time.Millisecond) {
		if text = string(a.Registry().AppendText(nil, metric.OpenMetrics)); time.Now().After(end) {
			t.Fatalf("nothing is counted:\n%s", text)
		}
	}
	for _, want := range []string{
		`task_failures_total{machine="web-1",task="import"} 1 # {trace_id="` + trace + `",key="1@`,
		`task_duration_seconds_bucket{machine="web-1",task="import",le="3600.0"} 1 # {trace_id="` + trace + `"}`,
		`task_duration_seconds_count{machine="web-1",task="import"} 1`,
		`scope_records_total{machine="web-1",level="info"} 1 # {trace_id="` + trace + `"}`,
		`scope_records_total{machine="web-1",level="error"} 1 # {trace_id="` + trace + `"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s\n%s", want, text)
		}
	}
}
