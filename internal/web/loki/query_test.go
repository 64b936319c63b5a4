package loki_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/web/loki"
)

const categorized = "X-Loki-Response-Encoding-Flags: other, categorize-labels"

func TestLines(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","result":[`+
		`{"stream":{"app":"shop","detected_level":"info","env":"prod","trace":"t18"},"values":[["1795197870000000000","{\"level\":\"info\",\"status\":200,\"dur\":\"180ms\",\"size\":\"18KB\",\"msg\":\"hello 18\"}"]]},`+
		`{"stream":{"app":"shop","detected_level":"warn","env":"prod","trace":"t19"},"values":[["1795197885000000000","{\"level\":\"warn\",\"status\":300,\"dur\":\"190ms\",\"size\":\"19KB\",\"msg\":\"hello 19\"}"]]}]}}`,
		"query_range", within(`query={app="shop"} |= "hello 1"`, "limit=2")...)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","result":[`+
		`{"stream":{"app":"web","detected_level":"info","env":"prod"},"values":[["1795197600000000000","level=info ts=0 msg=\"line 0\""],["1795197605000000000","level=info ts=1 msg=\"line 1\""]]}]}}`,
		"query_range", within(`query={app="web"}`, "limit=2", "direction=FORWARD")...)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","result":[]}}`, "query_range", `query={app="none"}`)
	// The last hour, which has nothing, is the default.
	w.answers(t, `{"status":"success","data":{"resultType":"streams","result":[]}}`, "query_range", `query={app="shop"}`)
	if _, body := w.ask(t, "query_range", `query={app="shop"}`, "end="+began.Add(time.Hour-time.Second).Format(time.RFC3339), "limit=5000"); strings.Count(body, "hello") != 20 {
		t.Errorf("the hour before the end has\n%s", body)
	}
	if _, body := w.ask(t, "query_range", `query={app="web"}`, "end="+began.Add(time.Minute).Format(time.RFC3339), "since=30s"); strings.Count(body, "line") != 6 {
		t.Errorf("half a minute before the end has\n%s", body)
	}
	if _, body := w.ask(t, "query_range", within(`query={env="prod"}`)...); strings.Count(body, "level") < 40 {
		t.Errorf("all has\n%s", body)
	}
	if _, body := w.ask(t, "query_range", within(`query={app="shop"}`, "interval=60", "limit=3")...); strings.Count(body, "hello") != 3 ||
		!strings.Contains(body, "hello 19") || !strings.Contains(body, "hello 15") || !strings.Contains(body, "hello 11") {
		t.Errorf("a line a minute:\n%s", body)
	}
}

func TestCategories(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"shop","env":"prod"},"values":[`+
		`["1795197885000000000","{\"level\":\"warn\",\"status\":300,\"dur\":\"190ms\",\"size\":\"19KB\",\"msg\":\"hello 19\"}",{"structuredMetadata":{"detected_level":"warn","trace":"t19"},"parsed":{"dur":"190ms","level":"warn","msg":"hello 19","size":"19KB","status":"300"}}],`+
		`["1795197870000000000","{\"level\":\"info\",\"status\":200,\"dur\":\"180ms\",\"size\":\"18KB\",\"msg\":\"hello 18\"}",{"structuredMetadata":{"detected_level":"info","trace":"t18"},"parsed":{"dur":"180ms","level":"info","msg":"hello 18","size":"18KB","status":"200"}}]]}]}}`,
		"query_range", within(`query={app="shop"} | json`, "limit=2", categorized)...)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"web","env":"prod"},"values":[`+
		`["1795197695000000000","level=info ts=19 msg=\"line 19\"",{"structuredMetadata":{"detected_level":"info"}}]]}]}}`,
		"query_range", within(`query={app="web"}`, "limit=1", categorized)...)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"web","env":"prod"},"values":[`+
		`["1795197695000000000","level=info ts=19 msg=\"line 19\"",{}]]}]}}`,
		"query_range", within(`query={app="web"} | drop detected_level`, "limit=1", categorized)...)
	w.answers(t, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"web","detected_level":"info","env":"prod","level":"info","msg":"line 19","ts":"19"},"values":[`+
		`["1795197695000000000","level=info ts=19 msg=\"line 19\""]]}]}}`,
		"query_range", within(`query={app="web"} | logfmt`, "limit=1")...)
}

func TestNumbers(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	at := "time=1795197900.803"
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795197900.803,"2"]}]}}`, "query", "query=vector(1)+vector(1)", at)
	w.answers(t, `{"status":"success","data":{"resultType":"scalar","result":[1795197900.803,"2"]}}`, "query", "query=1+1", at)
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"shop"},"value":[1795197900,"19"]},{"metric":{"app":"web"},"value":[1795197900,"19"]}]}}`,
		"query", `query=sum by (app) (count_over_time({env="prod"}[5m]))`, "time=1795197900")
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[]}}`, "query", `query=sum(rate({app="none"}[1m]))`)
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795197900,"+Inf"]}]}}`, "query", `query=vector(1e308)*vector(1e308)`, "time=1795197900")
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795197900,"NaN"]}]}}`, "query", `query=vector(0)/vector(0)`, "time=1795197900")
	w.answers(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795197900,"-Inf"]}]}}`, "query", `query=vector(-1e308)*vector(1e308)`, "time=1795197900")
	// Ends move outwards to multiples of the step.
	w.answers(t, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"web"},"values":[[1795197600,"1"],[1795197660,"12"],[1795197720,"7"]]}]}}`,
		"query_range", `query=sum by (app) (count_over_time({app="web"}[1m]))`, "start=1795197610", "end=1795197701", "step=60")
	w.answers(t, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1795197600,"2"],[1795198200,"2"]]}]}}`,
		"query_range", "query=1+1", "start=1795197600", "end=1795198200", "step=10m")
	if _, body := w.ask(t, "query_range", "query=vector(1)", "start=1795197600", "end=1795198600"); strings.Count(body, `"1"`) != 251 {
		t.Errorf("250 steps by default: %s", body)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	r := httptest.NewRequest("GET", "/loki/api/v1/query_range?"+url.Values{"query": {`{app="shop"} |= "hello"`}, "start": {"1795197600"}, "end": {"1795197900"}}.Encode(), nil)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	var got struct {
		Data struct {
			Stats struct {
				Summary struct {
					ExecTime, QueueTime                                                                             float64
					BytesProcessedPerSecond, TotalBytesProcessed, TotalLinesProcessed, TotalEntriesReturned, Splits int64
					TotalPostFilterLines                                                                            int64
				}
				Querier struct {
					Store struct {
						Chunk struct{ DecompressedBytes int64 }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	s := got.Data.Stats.Summary
	if s.ExecTime <= 0 || s.BytesProcessedPerSecond <= 0 || s.TotalBytesProcessed < 1000 || s.TotalLinesProcessed != 20 || s.TotalEntriesReturned != 20 ||
		s.TotalPostFilterLines != 20 || got.Data.Stats.Querier.Store.Chunk.DecompressedBytes != s.TotalBytesProcessed {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{
		`weir_queries_total{endpoint="query_range",outcome="ok"} 1`, `weir_query_seconds_count{endpoint="query_range"} 1`,
		fmt.Sprintf(`weir_query_read_bytes_total{endpoint="query_range"} %d`, s.TotalBytesProcessed),
	} {
		if !strings.Contains(w.metrics(), want+"\n") {
			t.Errorf("no %s in\n%s", want, w.metrics())
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	const shopOnly = `query={app="shop"}`
	for _, c := range []struct{ text, path, params string }{
		{"parse error at line 1, col 1: ", "query_range", ""},
		{"parse error at line 1, col 1: ", "query", ""},
		{"parse error at line 1, col 2: ", "query_range", "query={"},
		{"parse error at line 1, col 1: ", "query_range", `query={app=~".*"}`},
		{"parse error at line 1, col 16: ", "query_range", `query={app="shop"} | foo`},
		{"parse error at line 1, col 15: ", "query_range", `query=rate({app="x"})`},
		{"parse error at line ", "query_range", `query={app="shop"} |~ "("`},
		{"log queries are not supported as an instant query type", "query", shopOnly},
		{"limit must be a positive value", "query_range", shopOnly + "&limit=0"},
		{"limit must be a positive value", "query_range", shopOnly + "&limit=-1"},
		{"could not parse 'limit' parameter: \"x\"", "query_range", shopOnly + "&limit=x"},
		{"max entries limit per query exceeded, limit > max_entries_limit_per_query (10000 > 5000)", "query_range", shopOnly + "&limit=10000"},
		{"invalid direction 'sideways'", "query_range", shopOnly + "&direction=sideways"},
		{"could not parse 'start' parameter: \"abc\"", "query_range", shopOnly + "&start=abc"},
		{"could not parse 'end' parameter", "query_range", shopOnly + "&end=1e3"},
		{"could not parse 'time' parameter", "query", "query=vector(1)&time=abc"},
		{"end timestamp must not be before or equal to start time", "query_range", shopOnly + "&start=20&end=10"},
		{"cannot parse \"abc\" to a valid duration", "query_range", shopOnly + "&step=abc"},
		{"cannot parse \"1ns\" to a valid duration", "query_range", shopOnly + "&step=1ns"},
		{"cannot parse \"1e300\" to a valid duration", "query_range", shopOnly + "&step=1e300"},
		{"zero or negative query resolution step widths are not accepted", "query_range", shopOnly + "&step=0"},
		{"zero or negative query resolution step widths are not accepted", "query_range", shopOnly + "&step=-1"},
		{"exceeded maximum resolution of 11,000 points per time series", "query_range", `query=rate({app="x"}[1m])&step=0.1`},
		{"cannot parse \"abc\" to a valid duration", "query_range", shopOnly + "&interval=abc"},
		{"interval must be >= 0", "query_range", shopOnly + "&interval=-1"},
		{"could not parse 'since' parameter: not a valid duration string: \"60\"", "query_range", shopOnly + "&since=60"},
		{"pipeline error: 'SampleExtractionErr'", "query_range", `query=sum_over_time({app="shop"} | json | unwrap msg [1m])&start=1795197600&end=1795197900`},
	} {
		w.refuses(t, http.StatusBadRequest, c.text, c.path, strings.Split(c.params, "&")...)
	}
	if status, _ := w.ask(t, "nonsense"); status != http.StatusNotFound {
		t.Errorf("unknown address: %d", status)
	}
	if !strings.Contains(w.metrics(), `weir_queries_total{endpoint="query_range",outcome="refused"} `) {
		t.Error(w.metrics())
	}
}

// TestForms asks with POST.
func TestForms(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	post := func(kind, body string) (int, string) {
		r := httptest.NewRequest("POST", "/loki/api/v1/query", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return rec.Code, withoutStats(rec.Body.String())
	}
	const good = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[5,"1"]}]}}`
	if status, body := post("application/x-www-form-urlencoded; charset=utf-8", "query=vector(1)&time=5"); status != 200 || body != good {
		t.Errorf("%d %s", status, body)
	}
	if status, body := post("application/json", `{}`); status != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s", status, body)
	}
	if status, body := post("application/x-www-form-urlencoded", "query=%zz"); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, body)
	}
	if status, body := post("application/x-www-form-urlencoded", "query="+strings.Repeat("x", 1<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", status, body)
	}
	r := httptest.NewRequest("PUT", "/loki/api/v1/query", nil)
	rec := httptest.NewRecorder()
	if w.ServeHTTP(rec, r); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", rec.Code)
	}
}

func TestCompression(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	get := func(encoding string) *http.Response {
		r := httptest.NewRequest("GET", "/loki/api/v1/query_range?"+url.Values{"query": {`{env="prod"}`}, "start": {"1795197600"}, "end": {"1795197900"}}.Encode(), nil)
		r.Header.Set("Accept-Encoding", encoding)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return rec.Result()
	}
	packed, plain := get("deflate, gzip"), get("gzip;q=0")
	if packed.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Vary") == "" {
		t.Fatalf("%v %v", packed.Header, plain.Header)
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := withoutStats(read(t, z)), withoutStats(read(t, plain.Body)); a != b || len(a) < 1000 {
		t.Errorf("%s\n%s", a, b)
	}
}

// slow is an engine that answers when it is told to.
type slow struct {
	loki.Engine
	began, let chan struct{}
	err        error
}

func (s *slow) Query(ctx context.Context, _ logql.Params) (logql.Result, error) {
	s.began <- struct{}{}
	select {
	case <-s.let:
		return logql.Result{Kind: logql.Vector}, s.err
	case <-ctx.Done():
		return logql.Result{}, fmt.Errorf("read block: %w", ctx.Err())
	}
}

func TestBounds(t *testing.T) {
	s := &slow{began: make(chan struct{}, 10), let: make(chan struct{})}
	w := newWorld(t, loki.Limits{Running: 2, Waiting: 1, Timeout: time.Hour}, func(d *loki.Deps) { d.Engine = s })
	answers := make(chan int, 10)
	ask := func() {
		status, _ := w.ask(t, "query", "query=vector(1)")
		answers <- status
	}
	go ask()
	go ask()
	<-s.began
	<-s.began
	// Two run. Of two more one waits, and the other is refused, whichever it is.
	go ask()
	go ask()
	if status := <-answers; status != http.StatusTooManyRequests {
		t.Errorf("beyond the bound: %d", status)
	}
	close(s.let)
	for range 3 {
		if status := <-answers; status != 200 {
			t.Errorf("%d", status)
		}
	}
	if text := w.metrics(); !strings.Contains(text, `weir_queries_total{endpoint="query",outcome="busy"} 1`) {
		t.Error(text)
	}
}

func TestTimeAndCancellation(t *testing.T) {
	s := &slow{began: make(chan struct{}, 10), let: make(chan struct{})}
	w := newWorld(t, loki.Limits{Running: 1, Timeout: time.Millisecond}, func(d *loki.Deps) { d.Engine = s })
	w.refuses(t, http.StatusGatewayTimeout, "request timed out", "query", "query=vector(1)")
	w = newWorld(t, loki.Limits{Running: 1, Timeout: time.Hour}, func(d *loki.Deps) { d.Engine = s })
	ctx, cancel := context.WithCancel(t.Context())
	<-s.began
	go func() {
		<-s.began
		cancel()
	}()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/loki/api/v1/query?query=vector(1)", nil))
	if rec.Code != 499 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if text := w.metrics(); !strings.Contains(text, `outcome="cancelled"} 1`) {
		t.Error(text)
	}
	s.err = errors.New("/var/lib/weir: input/output error")
	close(s.let)
	w.refuses(t, http.StatusInternalServerError, "something went wrong here", "query", "query=vector(1)")
}

// leaving is an engine that tells when a query was given up.
type leaving struct {
	loki.Engine
	began, ended chan struct{}
}

func (l leaving) Query(ctx context.Context, _ logql.Params) (logql.Result, error) {
	close(l.began)
	<-ctx.Done()
	close(l.ended)
	return logql.Result{}, ctx.Err()
}

// TestClientLeaves has a client that goes away in the middle of a query.
func TestClientLeaves(t *testing.T) {
	l := leaving{nil, make(chan struct{}), make(chan struct{})}
	w := newWorld(t, loki.Limits{Timeout: time.Hour}, func(d *loki.Deps) { d.Engine = l })
	server := httptest.NewServer(w)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/loki/api/v1/query?query=vector(1)", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-l.began
		cancel()
	}()
	if _, err := server.Client().Do(r); err == nil {
		t.Error("answered")
	}
	<-l.ended
}

// TestOneMoment: a range may be a single moment.
func TestOneMoment(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	moment := []string{"start=1795197900", "end=1795197900"}
	for path, query := range map[string]string{
		"query_range": `query={app="shop"}`, "labels": "", "label/app/values": "", "series": `match[]={app="shop"}`, "index/stats": `query={app="shop"}`,
		"index/volume": `query={app="shop"}`, "index/volume_range": `query={app="shop"}`, "detected_labels": "", "detected_fields": `query={app="shop"}`,
	} {
		if status, body := w.ask(t, path, append(moment, query)...); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	status, body := w.ask(t, "query_range", append(moment, `query=vector(7)`)...)
	if status != http.StatusOK || !strings.Contains(body, `"values":[[1795197900,"7"]]`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestNobodyWaits asks everything that takes reading for a client who is gone already.
func TestNobodyWaits(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	for _, path := range []string{
		"query_range", "labels", "label/app/values", "series", "index/stats", "index/volume", "index/volume_range",
		"detected_labels", "detected_fields", "detected_field/msg/values",
	} {
		r := httptest.NewRequest("GET", "/loki/api/v1/"+path+"?start=1795197600&end=1795197900&query="+url.QueryEscape(`{app="shop"}`), nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rec := httptest.NewRecorder()
		if w.ServeHTTP(rec, r.WithContext(ctx)); rec.Code != 499 {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// TestLargeAnswers asks for more text than an answer may have.
func TestLargeAnswers(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	for i := range 30 {
		w.keep(t, web, kept.Record{Time: began.Add(time.Duration(i) * time.Second).UnixNano(), Body: []byte(strings.Repeat("x", 50_000))})
	}
	d := loki.Deps{Engine: w.engine(logql.Options{MaxMemory: 1 << 20}), Live: w.archive}
	var err error
	if w.API, err = loki.New(d); err != nil {
		t.Fatal(err)
	}
	w.refuses(t, http.StatusBadRequest, "the answer is larger than the 1 MiB that it may be; lower the limit", "query_range", within(`query={app="web"} |= "xx"`)...)
	if status, body := w.ask(t, "query_range", within(`query={app="web"} |= "xx"`, "limit=10")...); status != 200 {
		t.Errorf("%d %.100s", status, body)
	}
	// Of lines that are thinned out anyway as many are taken as there may be.
	if status, body := w.ask(t, "query_range", within(`query={app="web"} |= "xx"`, "interval=5s")...); status != 200 || strings.Count(body, "xxx\"]") != 4 {
		t.Errorf("%d, %d lines", status, strings.Count(body, "xxx\"]"))
	}
}

// large is an engine whose answers take as much as all may.
type large struct{ loki.Engine }

func (large) Query(context.Context, logql.Params) (logql.Result, error) {
	return logql.Result{Kind: logql.Vector, Bytes: 200 << 20}, nil
}

// stuck is a client that does not read on until it is told to.
type stuck struct {
	*httptest.ResponseRecorder
	began, let chan struct{}
}

func (s *stuck) WriteHeader(status int) {
	close(s.began)
	<-s.let
	s.ResponseRecorder.WriteHeader(status)
}

// TestSlowReaders has a client that leaves its large answer where it is.
func TestSlowReaders(t *testing.T) {
	w := newWorld(t, loki.Limits{}, func(d *loki.Deps) { d.Engine = large{} })
	s := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.ServeHTTP(s, httptest.NewRequestWithContext(t.Context(), "GET", "/loki/api/v1/query?query=vector(1)", nil))
	}()
	<-s.began
	w.refuses(t, http.StatusTooManyRequests, "too many outstanding requests", "query", "query=vector(1)")
	close(s.let)
	<-ended
	if status, _ := w.ask(t, "query", "query=vector(1)"); status != 200 || s.Code != 200 {
		t.Errorf("%d, %d", status, s.Code)
	}
}
