package python_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/scope"
)

// run runs Python in this folder, leaving nothing behind, and returns what it printed.
func run(t *testing.T, python string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.Bytes())
	}
	return string(out)
}

// TestPython runs the module's own tests, with its own PUSH socket and, where pyzmq is
// installed, with that of libzmq.
func TestPython(t *testing.T) {
	run(t, realtest.Python(t), "-m", "unittest")
}

// TestPythonZmq is TestPython where pyzmq is certain, so that the summary tells if it is not.
func TestPythonZmq(t *testing.T) {
	run(t, realtest.Python(t, "zmq"), "-m", "unittest", "test_weirlog.TestWire")
}

// TestAcross: a task goes from Go to Python and back to Go, and both know it by the same ids.
func TestAcross(t *testing.T) {
	python := realtest.Python(t)
	var out bytes.Buffer
	h, err := scope.New(slog.NewJSONHandler(&out, nil), scope.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := scope.WithLogger(t.Context(), slog.New(h))
	_, task := scope.Task(ctx, "in Go")
	id := task.Foreign()
	var got struct {
		Trace, Span, Foreign, Key string
		Headers                   map[string]string
	}
	text := run(t, python, "-c", `
import json, logging, sys, weirlog
logging.getLogger().setLevel(logging.INFO)
class Last(logging.Handler):
    def emit(self, record): self.body = json.loads(weirlog.JSONFormatter().encode(record))
last = Last()
logging.getLogger().addHandler(last)
with weirlog.import_task(sys.argv[1], "in Python") as job:
    print(json.dumps({"trace": job.trace_id, "span": job.span_id, "foreign": job.get_foreign_task(),
        "key": last.body["context"]["key"], "headers": job.headers()}))
`, string(id))
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got.Trace != task.ID().TraceID() || got.Span != id.SpanID() || got.Key != "0@"+string(id) || got.Headers["traceparent"] != id.Traceparent() {
		t.Errorf("%s is %+v", id, got)
	}
	if want := string(id) + "/1"; got.Foreign != want || got.Headers["Distlog-Task"] != string(id)+"/2" {
		t.Errorf("%+v, want %s", got, want)
	}
	if _, back := scope.Import(ctx, scope.ID(got.Foreign), "in Go again"); string(back.ID()) != got.Foreign {
		t.Errorf("imported %s as %s", got.Foreign, back.ID())
	}
	if parsed, err := scope.ParseID(got.Key); err != nil || parsed != id || !strings.Contains(out.String(), "0@"+got.Foreign) {
		t.Errorf("%s, %v: %s", parsed, err, out.String())
	}
}
