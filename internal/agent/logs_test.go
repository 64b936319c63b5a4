package agent

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestContainerLogs counts the records of a container by level, each once, over a restart.
func TestContainerLogs(t *testing.T) {
	fs := new(disk.Faulty)
	var created string
	for round, info := range []string{"2", "4"} {
		t.Run("run "+info, func(t *testing.T) { created = logContainer(t, fs, info, created) })
		if t.Failed() {
			t.Fatal("in run ", round)
		}
	}
}

// logContainer writes some records of a container, and returns when counting began, which is
// what it was before unless that is empty.
func logContainer(t *testing.T, fs *disk.Faulty, info, created string) string {
	reg, tallies, err := scratch("web-1")
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{FS: fs, Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, j)
	l := &lines{source: "docker", journal: j, tally: tallies.of("docker"), logs: &tallies.logs, settled: func() {}, takers: func(record.Labels) []string { return nil }, open: map[*line]bool{}}
	made, err := l.Open(flow.Input{ID: "1", Stream: record.Stream{ID: "docker/web", Source: "docker", Labels: record.Labels{{Name: "container", Value: "web"}}}})
	if err != nil {
		t.Fatal(err)
	}
	series := func(name, level string) string {
		return name + `{machine="web-1",container="web",level="` + level + `"} `
	}
	before := string(reg.AppendText(nil, metric.Text))
	for _, level := range []string{"info", "warning", "error"} {
		if !strings.Contains(before, series("container_logs_total", level)) {
			t.Errorf("no series of level %s before the first record:\n%s", level, before)
		}
	}
	b := new(record.Batch)
	for _, text := range []string{"all is well", "WARN: slow", "ERROR bad", `{"level":"fatal"}`, "no harm done"} {
		b.Records = append(b.Records, record.Record{Body: b.Append([]byte(text))})
	}
	b.Position.Source = []byte("somewhere")
	if err := errors.Join(made.Write(t.Context(), b), j.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
	after := string(reg.AppendText(nil, metric.Text))
	warning := map[string]string{"2": "1", "4": "2"}[info]
	for _, line := range []string{series("container_logs_total", "info") + info, series("container_logs_total", "warning") + warning, series("container_logs_total", "error") + info} {
		if !strings.Contains(after, line+"\n") {
			t.Errorf("not there: %s\n%s", line, after)
		}
	}
	_, rest, _ := strings.Cut(after, series("container_logs_created", "info"))
	at, _, _ := strings.Cut(rest, "\n")
	now, err := strconv.ParseFloat(at, 64)
	was, _ := strconv.ParseFloat(created, 64)
	if err != nil || created != "" && math.Abs(now-was) > 0.001 { // milliseconds are stored
		t.Errorf("counting began at %q, and %q before", at, created)
	}
	return at
}
