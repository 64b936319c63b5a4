package scope_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
)

// block returns the first block of a language in the manual.
func block(t *testing.T, language string) string {
	t.Helper()
	manual, err := os.ReadFile("../docs/scope.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(manual), "```"+language+"\n")
	program, _, ok2 := strings.Cut(rest, "```\n")
	if !ok || !ok2 || !strings.Contains(program, "tcp://127.0.0.1:5010") {
		t.Fatalf("no %s that sends somewhere", language)
	}
	return program
}

// TestQuickStart runs the program that the manual begins with, and gets what the manual says.
func TestQuickStart(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	// The file stands in a folder of the module that does not exist, so that nothing has to be fetched.
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	program, overlay := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "overlay.json")
	places, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "quickstart", "main.go"): program}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{program: strings.Replace(block(t, "go"), "tcp://127.0.0.1:5010", server.address, 1), overlay: string(places)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-overlay", overlay, "./quickstart")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	arrived(t, server, "order 0@T leo", "paid 1@T leo", "ship 0@T/1 -", "packed 1@T/1 -", "shipped 2@T/1 -", "order 2@T leo")
}

// TestPythonQuickStart does the same with that in Python.
func TestPythonQuickStart(t *testing.T) {
	server := listen(t, "tcp", "NULL", nil)
	cmd := exec.CommandContext(t.Context(), realtest.Python(t), "-c", strings.Replace(block(t, "python"), "tcp://127.0.0.1:5010", server.address, 1))
	cmd.Dir = "../clients/python"
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	arrived(t, server, "toplevel 0@T leo", "into task 1@T leo", "subtask 0@T/1 -", "into task 1@T/1 -", "subtask done 2@T/1 -", "toplevel 2@T leo", "all done - -")
}

// arrived holds messages, keys and users of what was received against want.
func arrived(t *testing.T, server *pull, want ...string) {
	t.Helper()
	var got []string
	task := ""
	for range want {
		r := server.next(t)
		key, user := "-", "-"
		if in, ok := r["context"].(map[string]any); ok {
			key = in["key"].(string)
			if task == "" {
				_, task, _ = strings.Cut(key, "@")
			}
			if u, ok := in["user"].(string); ok {
				user = u
			}
		}
		got = append(got, r["message"].(string)+" "+strings.ReplaceAll(key, task, "T")+" "+user)
	}
	same(t, got, want...)
}
