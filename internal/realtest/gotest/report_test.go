package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// events are shortened output of `go test -json` for a package with one test of each fate,
// one that panics, and one that does not build.
const events = `{"Action":"run","Package":"x/a","Test":"TestGood"}
{"Action":"output","Package":"x/a","Test":"TestGood","Output":"    n.go:1: real component: nginx/1.22.1\n"}
{"Action":"pass","Package":"x/a","Test":"TestGood","Elapsed":0.1}
{"Action":"output","Package":"x/a","Test":"TestSkip","Output":"=== RUN   TestSkip\n"}
{"Action":"output","Package":"x/a","Test":"TestSkip","Output":"    n.go:2: SKIP wrk: not installed\n"}
{"Action":"output","Package":"x/a","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Package":"x/a","Test":"TestSkip","Elapsed":0}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"    n.go:3: got 1, want 2\n"}
{"Action":"fail","Package":"x/a","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"x/a","Output":"FAIL\n"}
{"Action":"fail","Package":"x/a","Elapsed":0.5}
{"Action":"output","Package":"x/b","Test":"TestPanic","Output":"panic: no\n"}
{"Action":"fail","Package":"x/b","Elapsed":0.2}
{"ImportPath":"x/c","Action":"build-output","Output":"c.go:1:1: syntax error\n"}
{"Action":"fail","Package":"x/c","Elapsed":0,"FailedBuild":"x/c"}
{"Action":"skip","Package":"x/d","Elapsed":0}
{"Action":"pass","Package":"x/e","Test":"TestFine","Elapsed":0}
{"Action":"pass","Package":"x/e","Elapsed":1.25}`

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	for _, line := range strings.Split(events, "\n") {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		r.add(e)
	}
	r.summary(90 * time.Second)
	for _, want := range []string{
		"    n.go:3: got 1, want 2\n",
		"FAIL  x/a                                         0.50s  1 failed, 1 passed\n",
		"panic: no\nFAIL  x/b",
		"c.go:1:1: syntax error\nFAIL  x/c                                         0.00s  0 failed, 0 passed  does not build\n",
		"ok    x/e                                         1.25s  1 passed\n",
		"real components used: nginx/1.22.1\n",
		"SKIP wrk: not installed\n      (x/a.TestSkip)\n",
		"tests FAILED: 2 passed, 3 failed, 1 skipped, in 1 packages, 1m30s\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not said: %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "x/d") {
		t.Error("a package without tests is not worth a line")
	}
}

func TestEndsWhatIsLeftBehind(t *testing.T) {
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := endOrphans(0)
	if len(left) != 1 || !strings.HasPrefix(left[0], "sleep 300 (pid ") {
		t.Errorf("ended %q", left)
	}
	if left := endOrphans(0); left != nil {
		t.Errorf("still there: %q", left)
	}
}
