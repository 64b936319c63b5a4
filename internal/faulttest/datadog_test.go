package faulttest_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/sink/datadog/datadogtest"
)

// TestDatadogOverKills kills weir between what Datadog's intake has taken and what weir knows of
// it, again and again. Nothing is missing, and each time one request at most comes twice.
func TestDatadogOverKills(t *testing.T) {
	const key = "0123456789abcdef"
	intake := datadogtest.Start(t, key)
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{
		Config: fmt.Sprintf(`node: web-1
sources: {app: {type: file, paths: [%q], start: beginning}}
sinks: {central: {type: datadog, url: %q, tags: ["env:test"], start: beginning}}
`, path, intake.URL),
		Env: []string{"DD_API_KEY=" + key},
	})
	lines := faulttest.NewWriter(t, path)
	const kills = 4
	for i := range kills {
		var silent atomic.Bool
		left := atomic.Int64{}
		left.Store(int64(1 + 2*i)) // requests that are answered before
		intake.Answers(func(logs []datadogtest.Log) datadogtest.Answer {
			if left.Add(-1) >= 0 {
				return datadogtest.Answer{}
			}
			if silent.Swap(true) {
				return datadogtest.Answer{Code: 503} // weir is as good as dead
			}
			return datadogtest.Answer{Code: 202, Hangup: true} // it is there, and weir is not told
		})
		lines.Write(8000)
		realtest.Eventually(t, "a request that is not answered", silent.Load)
		w.Kill()
		intake.Answers(nil)
		w.Again()
	}
	times := map[int]int{}
	realtest.Eventually(t, "all lines to arrive", func() bool {
		clear(times)
		for _, l := range intake.Logs() {
			var n int
			message := l.Text("message")
			if _, err := fmt.Sscanf(message, "n=%d ", &n); err != nil || message+"\n" != string(faulttest.Line(n)) || !strings.HasPrefix(l.Text("ddtags"), "env:test,") {
				t.Fatalf("%v: %v", l, err)
			}
			times[n]++
		}
		return len(times) == lines.Written()
	})
	twice := 0
	for n, count := range times {
		if twice += count - 1; count > 2 {
			t.Errorf("line %d is there %d times", n, count)
		}
	}
	if twice > kills*datadogtest.MaxEntries {
		t.Errorf("%d lines are there twice after %d kills", twice, kills)
	}
	w.Terminate()
	if strings.Contains(w.Log(), key) {
		t.Error("the key is in the log")
	}
	t.Logf("%d lines, %d kills, %d lines came twice", lines.Written(), kills, twice)
}
