package scope_test

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/scope"
)

// TestLibzmq: libzmq's PULL socket receives what is sent, with heartbeats and a password, and
// Python reads it and would have written the same bytes.
func TestLibzmq(t *testing.T) {
	python := realtest.Python(t, "zmq")
	for _, mechanism := range []string{"NULL", "PLAIN"} {
		t.Run(mechanism, func(t *testing.T) {
			const n = 200
			server := exec.CommandContext(t.Context(), python, "testdata/pull.py", mechanism, strconv.Itoa(n+2))
			out, err := server.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var problems strings.Builder
			server.Stderr = &problems
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			if !lines.Scan() {
				t.Fatalf("no address: %v", server.Wait())
			}
			o := scope.Options{Address: lines.Text(), Name: "shop"}
			if mechanism == "PLAIN" {
				o.User, o.Password, _ = strings.Cut(secret, "\x06")
			}
			h, log := start(t, nil, o)
			ctx, task := scope.Task(scope.WithLogger(t.Context(), log), "é \x7f \n \U0001f600 \\ \"", "user", "leo", "f", 1e16, "g", 3.0)
			for i := range n {
				log.InfoContext(ctx, strings.Repeat("ä", i), "i", i, "f", float64(i)/7)
			}
			task.End(nil)
			end(t, h)
			for i := range n + 2 {
				if !lines.Scan() {
					t.Fatalf("%d: nothing more: %v %s", i, server.Wait(), problems.String())
				}
				var got struct {
					Topic, Line, Key string
					Same             bool
				}
				if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
					t.Fatal(err)
				}
				if got.Topic != "PLJ" || !got.Same || got.Key != strconv.Itoa(i)+"@"+string(task.ID()) || !strings.Contains(got.Line, " INFO shop real_test.go:") {
					t.Errorf("%d: %s", i, lines.Text())
				}
			}
			if err := server.Wait(); err != nil {
				t.Errorf("%v: %s", err, problems.String())
			}
		})
	}
}
