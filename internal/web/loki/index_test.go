package loki_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/web/loki"
)

func TestIndex(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	const all = `[{"app":"shop","env":"prod"},{"app":"web","env":"prod"}]`
	success := func(data string) string { return `{"status":"success","data":` + data + `}` }
	for _, c := range []struct{ want, path, params string }{
		{`["app","env"]`, "labels", ""},
		{`["app","env"]`, "label", ""},
		{`["app","env"]`, "labels", `query={app="web"}`},
		{`[]`, "labels", `query={app="none"}`},
		{`["shop","web"]`, "label/app/values", ""},
		{`["web"]`, "label/app/values", `query={app="web"}`},
		{`[]`, "label/nope/values", ""},
		{all, "series", ""},
		{all, "series", `match[]={app="web"}&match[]={app="shop"}`},
		{all, "series", `match[]={}`},
		{`[{"app":"web","env":"prod"}]`, "series", `match={app="web"}`},
		{`[]`, "series", `match[]={app="none"}`},
		{`[]`, "patterns", `query={app="web"}`},
	} {
		w.answers(t, success(c.want), c.path, within(strings.Split(c.params, "&")...)...)
	}
	w.answers(t, success(`[]`), "labels", "start=100", "end=200")
	w.answers(t, success(`[]`), "label/app/values", "start=100", "end=200")
	w.answers(t, success(`[]`), "series", "start=100", "end=200")
	// Six hours is the default, and a moment after the text it is still there.
	w.answers(t, success(all), "series", "end="+began.Add(6*time.Hour).Format(time.RFC3339))
	w.answers(t, success(`[]`), "series", "end="+began.Add(7*time.Hour).Format(time.RFC3339))
	w.refuses(t, http.StatusBadRequest, "parse error at line 1, col 11", "labels", `query={app="web"`)
	w.refuses(t, http.StatusBadRequest, "parse error at line 1, col 12", "series", `match[]={app="web" `)
	w.refuses(t, http.StatusBadRequest, "parse error at line 1", "series", `match[]={app="web"} |= "x"`)
	w.refuses(t, http.StatusBadRequest, "could not parse 'end'", "series", `end=x`)
	w.refuses(t, http.StatusBadRequest, "parse error", "patterns")
}

func TestSurvey(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.answers(t, `{"detectedLabels":[{"label":"app","cardinality":2},{"label":"env","cardinality":1}]}`, "detected_labels", within()...)
	w.answers(t, `{"detectedLabels":[{"label":"app","cardinality":1},{"label":"env","cardinality":1}]}`, "detected_labels", within(`query={app="web"}`)...)
	if _, body := w.ask(t, "index/stats", within(`query={env="prod"}`)...); !strings.HasPrefix(body, `{"streams":2,"chunks":2,"bytes":`) || !strings.HasSuffix(body, `,"entries":40}`) {
		t.Error(body)
	}
	w.answers(t, `{"streams":0,"chunks":0,"bytes":0,"entries":0}`, "index/stats", within(`query={env="none"}`)...)
	w.refuses(t, http.StatusBadRequest, "parse error", "index/stats")
	w.refuses(t, http.StatusBadRequest, "parse error", "index/stats", `query={env="prod"} |= "x"`)

	volume := func(path string, params ...string) string {
		status, body := w.ask(t, path, within(params...)...)
		if status != 200 {
			t.Errorf("%s %q: %d %s", path, params, status, body)
		}
		return body
	}
	const vector = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{`
	if got := volume("index/volume", `query={env="prod"}`); !strings.HasPrefix(got, vector+`"env":"prod"},"value":[1795197900,"`) {
		t.Error(got)
	}
	if got := volume("index/volume", `query={env="prod"}`, "targetLabels=app"); !strings.HasPrefix(got, vector+`"app":"shop"},"value":[`) || strings.Count(got, "metric") != 2 {
		t.Error(got)
	}
	if got := volume("index/volume", `query={env="prod"}`, "targetLabels=app", "limit=1"); strings.Count(got, "metric") != 1 {
		t.Error(got)
	}
	if got := volume("index/volume", `query={env="prod"}`, "targetLabels=app", "aggregateBy=labels"); !strings.HasPrefix(got, vector+`"app":""},"value":[`) {
		t.Error(got)
	}
	if got := volume("index/volume", `query={env="prod"}`, "aggregateBy=labels"); !strings.HasPrefix(got, vector+`"app":""},"value":[`) || strings.Count(got, "metric") != 2 {
		t.Error(got)
	}
	if got := volume("index/volume", `query={env="none"}`); got != `{"status":"success","data":{"resultType":"vector","result":[]}}` {
		t.Error(got)
	}
	if got := volume("index/volume_range", `query={env="prod"}`, "targetLabels=app", "step=60"); !strings.Contains(got, `"matrix"`) || strings.Count(got, "[1795197660,") != 2 {
		t.Error(got)
	}
	w.refuses(t, http.StatusBadRequest, "invalid aggregation option", "index/volume", within(`query={env="prod"}`, "aggregateBy=foo")...)
}

func TestFields(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.answers(t, `{"fields":[{"label":"msg","type":"string","cardinality":20,"parsers":["logfmt"]},{"label":"ts","type":"int","cardinality":20,"parsers":["logfmt"]},`+
		`{"label":"detected_level","type":"string","cardinality":1,"parsers":null},{"label":"level","type":"string","cardinality":1,"parsers":["logfmt"]}],"limit":1000}`,
		"detected_fields", within(`query={app="web"}`)...)
	w.answers(t, `{"fields":[{"label":"dur","type":"duration","cardinality":5,"parsers":["json"],"jsonPath":["dur"]},{"label":"msg","type":"string","cardinality":5,"parsers":["json"],"jsonPath":["msg"]}],"limit":2}`,
		"detected_fields", within(`query={app="shop"}`, "line_limit=5", "limit=2")...)
	w.answers(t, `{"fields":[],"limit":1000}`, "detected_fields", within(`query={app="none"}`)...)
	w.answers(t, `{"values":["200","300","400"],"limit":1000}`, "detected_field/status/values", within(`query={app="shop"}`)...)
	w.answers(t, `{"values":[],"limit":1000}`, "detected_field/nope/values", within(`query={app="shop"}`)...)
	w.refuses(t, http.StatusBadRequest, "parse error", "detected_fields")
	w.refuses(t, http.StatusBadRequest, "only log selector is supported", "detected_fields", "query=vector(1)")
	w.refuses(t, http.StatusBadRequest, "line_limit must be", "detected_fields", `query={app="x"}`, "line_limit=0")
}

func TestProbes(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.answers(t, `{"status":"success","data":"sum(rate({app=\"shop\"} [1m]))"}`, "format_query", `query=sum(rate( {app="shop"}[1m]))`)
	w.refuses(t, http.StatusBadRequest, `{"status":"invalid-query","error":"parse error at line 1, col 22`, "format_query", `query=sum(rate( {app="shop"`)
	if _, body := w.ask(t, "status/buildinfo"); !strings.HasPrefix(body, `{"version":"3.`) || !strings.Contains(body, "weir v1.2.3") {
		t.Error(body)
	}
	if _, body := w.ask(t, "drilldown-limits"); !strings.Contains(body, `"max_entries_limit_per_query":5000`) || !strings.Contains(body, `"query_timeout":"60s"`) ||
		!strings.Contains(body, `"pattern_ingester_enabled":false`) {
		t.Error(body)
	}
	for name, want := range map[string]string{"rules": `{"groups":[]}`, "alerts": `{"alerts":[]}`} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("GET", "/prometheus/api/v1/"+name+"?limit_alerts=16", nil))
		if want = `{"status":"success","data":` + want + `,"errorType":"","error":""}`; rec.Code != http.StatusOK || rec.Body.String() != want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// TestGrafana makes requests in the forms of Grafana's Loki data source and its Logs
// Drilldown: GET, times in nanoseconds, steps in milliseconds, the flag for categories.
func TestGrafana(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	server := httptest.NewServer(w)
	defer server.Close()
	const from, to = "start=1795197600000000000", "end=1795197900000000000"
	for _, c := range []struct{ what, path, params, want string }{
		{"save and test", "query", "direction=backward&query=vector(1)%2Bvector(1)&time=4000000000", `"resultType":"vector","result":[{"metric":{},"value":[4000000000,"2"]}]`},
		{"version", "status/buildinfo", "", `"version":"3.`},
		{"label browser", "labels", from + "&" + to, `"data":["app","env"]`},
		{"values", "label/app/values", "query=%7Benv%3D%22prod%22%7D&" + from + "&" + to, `"data":["shop","web"]`},
		{"series of a selector", "series", "match%5B%5D=%7Bapp%3D%22shop%22%7D&" + from + "&" + to, `"data":[{"app":"shop","env":"prod"}]`},
		{"statistics", "index/stats", "query=%7Bapp%3D%22shop%22%7D&" + from + "&" + to, `"entries":20`},
		{"lines", "query_range", "direction=backward&limit=1000&query=%7Bapp%3D%22shop%22%7D%20%7C%3D%20%60%60&step=2000ms&" + from + "&" + to, `"encodingFlags":["categorize-labels"]`},
		{"volume of logs", "query_range", "direction=backward&query=sum%20by%20(level%2C%20detected_level)%20(count_over_time(%7Bapp%3D%22shop%22%7D%20%7C%3D%20%60%60%20%7C%20drop%20__error__%5B1m%5D))&step=60000ms&" + from + "&" + to,
			`"metric":{"detected_level":"info"},"values":[[1795197600,"1"],`},
		{"context before", "query_range", "direction=backward&limit=3&query=%7Bapp%3D%22web%22%7D&start=1795190400000000000&end=1795197690000000000", `"values":[["1795197685000000000",`},
		{"context after", "query_range", "direction=forward&limit=3&query=%7Bapp%3D%22web%22%7D&start=1795197690000000001&end=1795204890000000000", `"values":[["1795197695000000000",`},
		{"instant metric", "query", "direction=backward&query=sum%20by%20(app)%20(count_over_time(%7Benv%3D%22prod%22%7D%5B1h%5D))&time=1795197900000000000", `[1795197900,"20"]`},
		{"fields", "detected_fields", "query=%7Bapp%3D%22shop%22%7D&line_limit=1000&limit=1000&step=14s&" + from + "&" + to, `"label":"status","type":"int"`},
		{"volumes of drilldown", "index/volume", "query=%7Bapp%3D~%60.%2B%60%7D&limit=5000&targetLabels=app&" + from + "&" + to, `"app":"shop"`},
		{"labels of drilldown", "detected_labels", from + "&" + to, `"detectedLabels":[`},
		{"patterns", "patterns", "query=%7Bapp%3D%22shop%22%7D&step=14s&" + from + "&" + to, `"data":[]`},
		{"limits", "drilldown-limits", "", `"volume_enabled":true`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/loki/api/v1/"+c.path+"?"+c.params, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body := read(t, resp.Body); resp.StatusCode != 200 || !strings.Contains(body, c.want) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s\nlacks %s", c.what, resp.StatusCode, body, c.want)
		}
	}
}
