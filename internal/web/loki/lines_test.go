package loki_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/web/loki"
)

// logs asks /weir/v1/logs with parameters as name=value.
func (w *world) logs(params ...string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest("GET", "/weir/v1/logs?"+encoded(params), nil))
	return rec
}

func encoded(params []string) string {
	values := url.Values{}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		values.Add(name, value)
	}
	return values.Encode()
}

func TestLogs(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	answers := func(streams, want string, params ...string) {
		t.Helper()
		rec := w.logs(params...)
		if rec.Code != http.StatusOK || rec.Header().Get("Weir-Streams") != streams || rec.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		var got []string
		for text := range strings.Lines(rec.Body.String()) {
			l, err := lines.ParseLine([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			_, n, _ := strings.Cut(l.Line, "ts=")
			n, _, _ = strings.Cut(n, " ")
			if l.Context {
				n += "-"
			}
			got = append(got, n)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q; want %q", params, got, want)
		}
	}
	answers("1", "17 18 19", `query={app="web"}`, "limit=3")
	answers("1", "17 18 19", "stream=web", "limit=3")
	answers("1", "4- 5 6-", "stream=web", "query=|= `line 5`", "before=1", "after=1")
	answers("1", "2 3", "stream=web", "start="+began.Add(10*time.Second).Format(time.RFC3339), "end="+began.Add(20*time.Second).Format(time.RFC3339))
	answers("2", "", "query=|= `nothing like it`")
	answers("0", "", "stream=none")
	if text := w.metrics(); !strings.Contains(text, `weir_queries_total{endpoint="logs",outcome="ok"} 6`) {
		t.Error(text)
	}
	want := `{"time":"2026-11-20T18:04:45.000000000Z","stream":"test/shop","sequence":20,"level":"warn",` +
		`"line":"{\"level\":\"warn\",\"status\":300,\"dur\":\"190ms\",\"size\":\"19KB\",\"msg\":\"hello 19\"}",` +
		`"labels":{"app":"shop","env":"prod"},"metadata":{"trace":"t19"},"parsed":{"status":"300"}}` + "\n"
	if got := w.logs(`query={app="shop"} | json status="status"`, "limit=1").Body.String(); got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

func TestLogsRefused(t *testing.T) {
	w := newWorld(t, loki.Limits{Tails: 1}, nil)
	refused := func(status int, text string, params ...string) {
		t.Helper()
		if rec := w.logs(params...); rec.Code != status || !strings.Contains(rec.Body.String(), text) || rec.Header().Get("Weir-Streams") != "" {
			t.Errorf("%q: %d %s", params, rec.Code, rec.Body)
		}
	}
	refused(400, "parse error", "query={")
	refused(400, "a query for lines", `query=rate({app="a"}[5m])`)
	refused(400, "could not parse 'start'", "start=x")
	refused(400, "could not parse 'limit'", "limit=x")
	refused(400, "negative", "limit=-1")
	refused(400, "1000", "before=1001")
	refused(400, "too many streams", strings.Split(strings.Repeat("stream=a,", 101), ",")[:101]...)
	server := serve(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := open(ctx, t, server, "follow=true", "stream=web", "limit=1")
	if !body.Scan() {
		t.Fatal(body.Err())
	}
	refused(429, "too many connections")
}

// open begins to read an answer.
func open(ctx context.Context, t *testing.T, server *httptest.Server, params ...string) *bufio.Scanner {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/weir/v1/logs?"+encoded(params), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	return bufio.NewScanner(resp.Body)
}

func TestLogsFollow(t *testing.T) {
	w := newWorld(t, loki.Limits{Ping: 20 * time.Millisecond}, nil)
	server := serve(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := open(ctx, t, server, "follow=true", "query=|= `new`", "limit=1", "stream=web")
	next := func() string {
		t.Helper()
		for body.Scan() {
			if body.Text() != "" {
				l, err := lines.ParseLine(body.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				return l.Line
			}
		}
		t.Fatal(body.Err())
		return ""
	}
	if !body.Scan() || body.Text() != "" { // it has begun, with no line
		t.Fatalf("%q, %v", body.Text(), body.Err())
	}
	if text := w.metrics(); !strings.Contains(text, "weir_tails 1\n") {
		t.Error(text)
	}
	w.say(t, web, 101, "old")
	w.say(t, shop, 101, "new elsewhere")
	w.say(t, web, 102, "new 1")
	w.say(t, record.Stream{ID: "test/web2", Source: "test", Labels: record.Labels{{Name: "app", Value: "web2"}}}, 103, "another's new")
	w.say(t, web, 104, "new 2")
	if got := []string{next(), next()}; got[0] != "new 1" || got[1] != "new 2" {
		t.Errorf("%q", got)
	}
	if !body.Scan() || body.Text() != "" {
		t.Errorf("no sign of life: %q", body.Text())
	}
}

// TestLogsSlow follows and reads nothing.
func TestLogsSlow(t *testing.T) {
	w := newWorld(t, loki.Limits{TailBytes: 64 << 10}, nil)
	server := serve(t, w)
	body := open(t.Context(), t, server, "follow=true", "stream=web", "limit=1")
	body.Buffer(nil, 1<<20)
	text := new(kept.Appender).Append(nil, &kept.Record{Time: began.UnixNano(), Body: []byte(strings.Repeat("x", 60<<10))})
	for range 1000 { // more than any buffer on the way holds
		w.archive.Publish(&web, text, 1)
	}
	lost := 0
	for lost == 0 && body.Scan() {
		if body.Text() == "" {
			continue
		}
		l, err := lines.ParseLine(body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		lost += l.Lost
	}
	if lost == 0 {
		t.Error("it is not told what it lost")
	}
}

// TestLogsStop ends weir while one follows.
func TestLogsStop(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	stopping, stop := context.WithCancel(t.Context())
	defer stop()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.ServeHTTP(rw, r.WithContext(stopping))
	}))
	defer server.Close()
	body := open(t.Context(), t, server, "follow=true", "stream=web", "limit=1")
	last := ""
	for body.Scan() {
		if last = body.Text(); last == "" {
			stop() // it follows
		}
	}
	if last != `{"error":"weir stops"}` {
		t.Errorf("%q", last)
	}
}
