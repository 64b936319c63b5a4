package api_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"

	weirtsdb "github.com/weirlog/weir/internal/tsdb"
	"github.com/weirlog/weir/internal/tsdb/api"
)

func TestAnswers(t *testing.T) {
	s, reg := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	good := func(want, path string, parameters ...string) {
		t.Helper()
		if status, body := ask(t, s.URL, path, parameters...); status != 200 || body != `{"status":"success","data":`+want+`}` {
			t.Errorf("%s %q: %d\n%s\nwant\n%s", path, parameters, status, body, want)
		}
		resp, err := http.PostForm(s.URL+path, form(parameters))
		if err != nil {
			t.Fatal(err)
		}
		if status, body := read(t, resp); status != 200 || body != `{"status":"success","data":`+want+`}` {
			t.Errorf("POST %s %q: %d\n%s\nwant\n%s", path, parameters, status, body, want)
		}
	}
	good(`{"resultType":"vector","result":[{"metric":{"__name__":"hits_total","machine":"web-1","status":"200"},"value":[1795180507.250,"900"]}]}`,
		"/api/v1/query", `query=hits_total{status="200"}`, "time=1795180507.25")
	good(`{"resultType":"vector","result":[{"metric":{"machine":"web-1"},"value":[1795177800,"0.39999999999999997"]}]}`,
		"/api/v1/query", `query=sum without(status) (rate(hits_total[5m]))`, "time="+at(3600-1800))
	good(`{"resultType":"scalar","result":[1795179600,"+Inf"]}`, "/api/v1/query", "query=1/0", "time=2026-11-20T13:00:00Z")
	good(`{"resultType":"scalar","result":[1795179600,"1e-07"]}`, "/api/v1/query", "query=0.0000001", "time=2026-11-20T13:00:00Z", "timeout=5s")
	good(`{"resultType":"string","result":[1795179600.001,"a\"b"]}`, "/api/v1/query", `query='a"b'`, "time=1795179600.001")
	good(`{"resultType":"matrix","result":[{"metric":{"__name__":"gone","machine":"web-1","quote":"a \"b\" \\c\n<é>"},"values":[[1795179570,"238"],[1795179585,"239"]]}]}`,
		"/api/v1/query", "query=gone[40s]", "time=1795179605")
	good(`{"resultType":"vector","result":[]}`, "/api/v1/query", "query=gone", "time="+at(3600)) // it has ended, at once
	good(`{"resultType":"matrix","result":[{"metric":{"machine":"web-1"},"values":[[1795179600,"240"],[1795179630,"242"],[1795179660,"244"]]}]}`,
		"/api/v1/query_range", `query=sum by (machine) (hits_total{status="502"})`, "start="+at(3600), "end="+at(3660), "step=30")
	good(`[{"__name__":"hits_total","machine":"web-1","status":"404"},{"__name__":"load","machine":"web-1","status":"404"}]`,
		"/api/v1/series", `match[]=load{status="404"}`, `match[]={status="404"}`)
	good(`["__name__","le","machine","quote","status"]`, "/api/v1/labels")
	good(`["__name__","machine","status"]`, "/api/v1/labels", "match[]=load", "start="+at(0), "end="+at(7200))
	good(`["+Inf","0.1","1.0"]`, "/api/v1/label/le/values")
	good(`["200","404","502"]`, "/api/v1/label/status/values", "match[]=load", "match[]=hits_total")
	good(`[]`, "/api/v1/label/nothing/values")
	good(`"sum by (a) (rate(x[5m]))"`, "/api/v1/format_query", "query=sum(rate(x[5m]))by(a)")
	good(`[]`, "/api/v1/query_exemplars", "query=hits_total", "start="+at(0), "end="+at(60))
	good(`{"groups":[]}`, "/api/v1/rules")
	good(`{"alerts":[]}`, "/api/v1/alerts")
	_, body := ask(t, s.URL, "/api/v1/metadata", "metric=weir_history_queries_total")
	if want := `{"status":"success","data":{"weir_history_queries_total":[{"type":"counter","unit":"","help":"Requests to the Prometheus API, by how they ended."}]}}`; body != want {
		t.Errorf("metadata: %s", body)
	}
	if text := string(reg.AppendText(nil, 0)); !strings.Contains(text, `weir_history_queries_total{endpoint="query",outcome="ok"} 14`) {
		t.Errorf("counted:\n%s", text)
	}
}

func TestRefusals(t *testing.T) {
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{Samples: 100})
	bad := func(status int, kind, text, path string, parameters ...string) {
		t.Helper()
		got, body := ask(t, s.URL, path, parameters...)
		if want := `{"status":"error","errorType":"` + kind + `","error":"` + text; got != status || !strings.HasPrefix(body, want) {
			t.Errorf("%s %q: %d %s\nwant %d %s", path, parameters, got, body, status, want)
		}
	}
	bad(400, "bad_data", `invalid parameter \"query\": 1:6: parse error: unclosed left parenthesis`, "/api/v1/query", "query=rate(")
	bad(400, "bad_data", `invalid parameter \"query\": unknown position: parse error: no expression found in input`, "/api/v1/query")
	bad(400, "bad_data", `invalid parameter \"time\": invalid time value for 'time': cannot parse \"noon\" to a valid timestamp`, "/api/v1/query", "query=1", "time=noon")
	bad(400, "bad_data", `invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration`, "/api/v1/query", "query=1", "timeout=soon")
	bad(400, "bad_data", `invalid parameter \"limit\": limit must be non-negative`, "/api/v1/query", "query=1", "limit=-1")
	bad(422, "execution", `found duplicate series for the match group`, "/api/v1/query", "query=load * on(machine) hits_total", "time="+at(60))
	bad(422, "execution", `query processing would load too many samples into memory in query execution`, "/api/v1/query", "query=hits_total[1h]", "time="+at(3600))
	bad(503, "timeout", `query timed out in query execution`, "/api/v1/query", "query=hits_total", "timeout=0.000000001")
	bad(503, "timeout", `query timed out in query execution`, "/api/v1/query", "query=hits_total", "timeout=0")
	bad(400, "bad_data", `invalid parameter \"start\": cannot parse \"\" to a valid timestamp`, "/api/v1/query_range", "query=1")
	bad(400, "bad_data", `invalid parameter \"end\": end timestamp must not be before start time`, "/api/v1/query_range", "query=1", "start=2", "end=1", "step=1")
	bad(400, "bad_data", `invalid parameter \"step\": zero or negative query resolution step widths`, "/api/v1/query_range", "query=1", "start=1", "end=2", "step=0")
	bad(400, "bad_data", `exceeded maximum resolution of 11,000 points per timeseries`, "/api/v1/query_range", "query=1", "start=1", "end=20000", "step=1")
	bad(400, "bad_data", `no match[] parameter provided`, "/api/v1/series")
	bad(400, "bad_data", `invalid parameter \"match[]\": match[] must contain at least one non-empty matcher`, "/api/v1/series", `match[]={a=~".*"}`)
	bad(400, "bad_data", `invalid parameter \"match[]\": 1:2: parse error`, "/api/v1/labels", `match[]=)`)
	bad(400, "bad_data", `limit must be a number`, "/api/v1/metadata", "limit=x")
	bad(404, "not_found", `weir does not have /api/v1/admin/tsdb/snapshot`, "/api/v1/admin/tsdb/snapshot")
	del, err := http.NewRequest("DELETE", s.URL+"/api/v1/series?match[]=load", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(del)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := read(t, resp); status != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" || !strings.Contains(body, `"errorType":"bad_data"`) {
		t.Errorf("DELETE: %d %s", status, body)
	}
	resp, err = http.Post(s.URL+"/api/v1/query", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := read(t, resp); status != http.StatusUnsupportedMediaType {
		t.Errorf("JSON instead of a form: %d", status)
	}
	resp, err = http.Post(s.URL+"/api/v1/query", "application/x-www-form-urlencoded", strings.NewReader("query="+strings.Repeat("1", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := read(t, resp); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: %d", status)
	}
}

func TestAnswersAreCut(t *testing.T) {
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{Series: 2})
	for path, parameters := range map[string][]string{
		"/api/v1/query":               {"query=hits_total", "time=" + at(60), "limit=2"},
		"/api/v1/query_range":         {"query=hits_total", "start=" + at(0), "end=" + at(60), "step=15", "limit=2"},
		"/api/v1/series":              {"match[]=hits_total"},
		"/api/v1/labels":              {"limit=2"},
		"/api/v1/label/status/values": {"limit=2"},
	} {
		if status, body := ask(t, s.URL, path, parameters...); status != 200 || !strings.HasSuffix(body, `,"warnings":["results truncated due to limit"]}`) || strings.Contains(body, "502") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, body := ask(t, s.URL, "/api/v1/query", "query=rate(load[5m])", "time="+at(600))
	if !strings.Contains(body, `,"infos":["PromQL info: metric might not be a counter`) {
		t.Errorf("the engine's remark is missing: %s", body)
	}
}

// waiting is a history that answers once it is let go.
type waiting struct {
	asked chan struct{}
	let   chan struct{}
}

func (w waiting) Querier(int64, int64) (storage.Querier, error) {
	w.asked <- struct{}{}
	<-w.let
	return nil, weirtsdb.ErrNotReady
}

func (waiting) ExemplarQuerier(context.Context) (storage.ExemplarQuerier, error) {
	return nil, weirtsdb.ErrNotReady
}

func TestRequestsAreBounded(t *testing.T) {
	h := waiting{make(chan struct{}, 4), make(chan struct{})}
	s, _ := newAPI(t, h, api.Limits{Running: 1, Waiting: 1, Timeout: time.Minute})
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer)
	query := func() {
		status, body := ask(t, s.URL, "/api/v1/series", "match[]=x")
		answers <- answer{status, body}
	}
	go query()
	<-h.asked // one runs
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan string)
	for range 3 { // of which one can wait
		go func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/series?match[]=x", nil)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				ended <- "left"
				return
			}
			_, body := read(t, resp)
			ended <- body
		}()
	}
	for range 2 {
		if body := <-ended; !strings.Contains(body, `"errorType":"unavailable"`) {
			t.Errorf("beyond what may wait: %s", body)
		}
	}
	leave()
	if body := <-ended; body != "left" {
		t.Errorf("who went away got %s", body)
	}
	close(h.let)
	if a := <-answers; a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "the history is not open") {
		t.Errorf("not open: %d %s", a.status, a.body)
	}
}

func TestGzip(t *testing.T) {
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	resp, err := http.Get(s.URL + "/api/v1/query?query=hits_total[1h]&time=" + at(3600)) // the client asks for it, and unpacks
	if err != nil {
		t.Fatal(err)
	}
	if status, body := read(t, resp); status != 200 || !resp.Uncompressed || len(body) < 5000 {
		t.Errorf("%d, compressed: %v, %d bytes", status, resp.Uncompressed, len(body))
	}
}

// TestVersion: what is said to be spoken is what is linked in.
func TestVersion(t *testing.T) {
	s, _ := newAPI(t, openHistory(t, t.TempDir()), api.Limits{})
	_, body := ask(t, s.URL, "/api/v1/status/buildinfo")
	_, version, _ := strings.Cut(body, `"version":"3.`)
	version, _, _ = strings.Cut(version, `"`)
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	minor, patch, _ := strings.Cut(version, ".")
	for len(minor) < 2 {
		minor = "0" + minor
	}
	if want := "github.com/prometheus/prometheus v0.3" + minor + "." + patch + "\n"; version == "" || !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not have %s: %s", want, body)
	}
}
