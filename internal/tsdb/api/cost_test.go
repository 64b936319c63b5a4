package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/tsdb/api"
)

// nested returns a query in which the function is applied so often.
func nested(begin, inside, end string, times int) string {
	return strings.Repeat(begin, times) + inside + strings.Repeat(end, times)
}

// TestCostlyQueries: what would take more memory than there is before the engine counts a
// sample is refused before it begins.
func TestCostlyQueries(t *testing.T) {
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	const (
		steps  = "exceeded maximum resolution of 1,000,000 steps in subqueries"
		labels = "label_join and label_replace would make labels that are too long"
		deep   = "the query has more than 2,000 operators and parentheses"
	)
	for _, c := range []struct{ query, want string }{
		{"count_over_time(vector(1)[3y:1ms])", steps},
		{"vector(1)[100000d:1ms]", steps},
		{"vector(1)[20d:1ms]", steps},
		{"vector(1)[290y:1m]", steps},
		{"vector(1)[1d:1ms] @ end()", steps},
		{"sum(vector(1)[20m:1ms] offset -200y)", "invalid parameter"},
		{"max_over_time(max_over_time(vector(1)[1h:1s])[1000d:1m])", steps},
		{"max_over_time(max_over_time(vector(1)[1h:1h])[1h:1h])", ""},
		{"max_over_time(vector(1)[10m:1ms]) + max_over_time(vector(1)[10m:1ms])", steps},
		{"vector(1)[1h:0.0001]", "the step of a subquery is shorter than a millisecond"},
		{"count_over_time(hits_total[30d:15s])", ""},
		{nested("label_join(", "hits_total", `,"status","-","status","status")`, 19), labels},
		{nested("label_join(", "hits_total", `,"status","-","status","status")`, 3), ""},
		{nested("label_replace(", "hits_total", `,"status","$1$1","status","(.*)")`, 19), labels},
		{nested("(label_replace((", "hits_total", `),"status",("${1}"),"status","(.*)"))`, 20), ""},
		{`label_join(hits_total,"a","` + strings.Repeat("-", 1000) + `"` + strings.Repeat(`,"status"`, 100) + ")", labels},
		{strings.TrimSuffix(strings.Repeat(`label_replace(hits_total,"a","`+strings.Repeat("-", 1000)+`","","") or `, 20), " or "), labels},
		{strings.TrimSuffix(strings.Repeat("1+", 50_000), "+"), deep},
		{nested("abs(", "hits_total", ")", 50_000), deep},
		{strings.Repeat("-", 400_000) + "1", deep},
		{nested("abs(", "hits_total", ")", 2_000), ""},
	} {
		resp, err := http.PostForm(s.URL+"/api/v1/query", form([]string{"query=" + c.query, "time=" + at(3600)}))
		if err != nil {
			t.Fatal(err)
		}
		status, body := read(t, resp)
		short := c.query[:min(len(c.query), 80)]
		if c.want == "" && status != 200 {
			t.Errorf("%s: %d %.200s", short, status, body)
		}
		if c.want != "" && (status != 400 || !strings.HasPrefix(body, `{"status":"error","errorType":"bad_data","error":"`+c.want)) {
			t.Errorf("%s: %d %.200s; want %q", short, status, body, c.want)
		}
	}
	for _, c := range []struct {
		query, from, to, step string
		want                  int
	}{
		{"max_over_time(vector(1)[1m:1s])", at(0), at(86400 * 30), "1d", 400}, // the inside is evaluated over all of it
		{"max_over_time(vector(1)[1m:1s])", at(0), at(86400), "1h", 200},
		{"vector(1)", "-9000000000000", "9000000000000", "9000000000", 200},
		{"vector(1)", "-9000000000000", "9000000000000", "900000000", 400},
	} {
		if status, body := ask(t, s.URL, "/api/v1/query_range", "query="+c.query, "start="+c.from, "end="+c.to, "step="+c.step); status != c.want {
			t.Errorf("%+v: %d %.200s", c, status, body)
		}
	}
}
