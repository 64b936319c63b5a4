package faulttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

// TestClassesOverKills kills weir while it reads a file whose records are kept in classes: every line is
// counted once, and kept once, in the class that it is of; LogQL finds all of them, and each class.
func TestClassesOverKills(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: n
journal: {age: 30d}
sources: {app: {type: file, paths: [%q], start: beginning, labels: {host: h}}}
rules:
  - match: '{source="app"}'
    count: [{name: app.lines}]
    keep: {age: 7d, classes: [{name: sevens, of: '7$', age: 30d}, {name: odd, of: '[13579]$', age: 1d}]}
`, path)})
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	written := 0
	shown := func() float64 {
		m, err := w.Metrics()
		if err != nil {
			return 0
		}
		return faulttest.Sum(m, "app_lines_total")
	}
	for range 6 {
		before := shown()
		faulttest.WaitFor(t, "more lines", func() bool {
			for range 20 {
				fmt.Fprintf(log, "number %d\n", written)
				written++
			}
			return shown() > before+50
		})
		w.Kill()
		w.Again()
	}
	faulttest.WaitFor(t, "all lines", func() bool { return shown() >= float64(written) })
	if n := shown(); n != float64(written) {
		t.Errorf("%v lines are counted, %d were written", n, written)
	}
	all := numbers(t, w, "number")
	slices.Sort(all)
	for i, n := range all {
		if i != n {
			t.Fatalf("line %d stands where %d should, of %d", n, i, len(all))
		}
	}
	if len(all) != written {
		t.Errorf("%d lines are kept, %d were written", len(all), written)
	}
	want := map[string]int{}
	for n := range written {
		switch {
		case n%10 == 7:
			want["sevens"]++
		case n%2 == 1:
			want["odd"]++
		default:
			want[""]++
		}
	}
	t.Logf("%d lines, %d starts", written, w.Starts)
	if got := classCounts(t, w); len(got) != 3 || got["sevens"] != want["sevens"] || got["odd"] != want["odd"] || got[""] != want[""] {
		t.Errorf("classes have %v, want %v", got, want)
	}
}

// classCounts asks how many lines there are, by class.
func classCounts(t *testing.T, w *faulttest.Weir) map[string]int {
	t.Helper()
	q := url.Values{"query": {`sum by (class) (count_over_time({host="h"}[1h]))`}, "time": {fmt.Sprint(time.Now().Add(time.Minute).UnixNano())}}
	response, err := http.Get("http://" + w.Address() + "/loki/api/v1/query?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(response.Status, err)
	}
	counts := map[string]int{}
	for _, r := range answer.Data.Result {
		var n int
		if _, err := fmt.Sscan(fmt.Sprint(r.Value[1]), &n); err != nil {
			t.Fatal(err)
		}
		counts[r.Metric["class"]] += n
	}
	return counts
}
