package faulttest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// programs returns the two Python programs of docs/plugins.md: one that changes records, one
// that takes them, to a file.
func programs(t *testing.T, dir, out string) (stage, sink string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllSubmatch(page, -1)
	if len(found) != 2 {
		t.Fatalf("the page has %d programs", len(found))
	}
	stage, sink = filepath.Join(dir, "stage.py"), filepath.Join(dir, "sink.py")
	// The test wants to see them by name, and the plugin's mark.
	text := strings.ReplaceAll(string(found[1][1]), "/var/log/pager.txt", out)
	text = strings.ReplaceAll(text, `record["body"]`, `record["fields"]["shop"] + " " + record["body"]`)
	for name, text := range map[string]string{stage: string(found[0][1]), sink: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return stage, sink
}

// TestPluginsOverKills runs the programs of the documentation while weir and they are killed.
// Every line arrives, none in place of another, and nothing is left of the programs.
func TestPluginsOverKills(t *testing.T) {
	python := realtest.Program(t, "python3", "python3")
	dir := t.TempDir()
	out, path := filepath.Join(dir, "out.txt"), filepath.Join(dir, "app.log")
	stage, sink := programs(t, dir, out)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`sources: {app: {type: file, paths: [%q], start: beginning}}
rules: [{match: '{}', plugins: [{type: exec, command: [%q, %q], on_error: wait}]}]
sinks: {pager: {type: exec, command: [%q, %q], start: beginning}}
`, path, python, stage, python, sink)})
	lines := faulttest.NewWriter(t, path)
	arrived := func(n int) {
		t.Helper()
		realtest.Eventually(t, fmt.Sprintf("%d lines to arrive", n), func() bool { return len(bodies(t, out)) >= n })
	}
	lines.Write(500)
	arrived(500)
	for range 3 {
		lines.Write(500)
		w.Kill()
		for _, program := range []string{stage, sink} {
			realtest.Eventually(t, "the programs to end with weir", func() bool { return len(processes(program)) == 0 })
		}
		w.Again()
		arrived(lines.Written())
		for _, program := range []string{stage, sink} {
			for _, pid := range processes(program) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		lines.Write(500)
		arrived(lines.Written())
	}
	got := bodies(t, out)
	for n := range lines.Written() {
		if !got[strings.TrimSuffix(string(faulttest.Line(n)), "\n")] {
			t.Errorf("line %d is missing", n)
		}
	}
	if len(got) != lines.Written() {
		t.Errorf("%d different lines arrived of %d", len(got), lines.Written())
	}
	w.Terminate()
	if left := append(processes(stage), processes(sink)...); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// bodies returns the texts that the sink's program has got, with the mark of the plugin's.
func bodies(t *testing.T, name string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if _, body, ok := strings.Cut(line, " berlin "); ok && strings.HasSuffix(body, "\n") {
			got[strings.TrimSuffix(body, "\n")] = true
		}
	}
	return got
}

// processes returns those that run a program, unburied ones too.
func processes(program string) (pids []int) {
	out, _ := exec.Command("pgrep", "-f", program).Output() // exits 1 for none
	for _, word := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
