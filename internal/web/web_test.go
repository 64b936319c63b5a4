package web_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/web"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// fake is a Status with everything on it.
type fake struct {
	registry *metric.Registry
	ledger   *ledger.Ledger
	reasons  []string
	lines    float64
	now      time.Time
}

func newFake(t testing.TB) *fake {
	t.Helper()
	reg := metric.New(record.Label{Name: "machine", Value: "web-1"})
	if err := metric.Process(reg, "v0.1.0"); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.New(reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Component("source", "access", "file").Event("rotated")
	l.Component("source", "docker", "docker").Degraded("open /var/run/docker.sock: permission denied", "add weir's user to the group docker, or set DOCKER_HOST")
	agent := l.Component("sink", "agent", "statsd")
	agent.Sent(48213)
	agent.Dropped("missed window", 321)
	agent.Behind(42 * time.Second)
	l.Component("sink", "files", "file").Sent(120)
	status, err := reg.Family(metric.Desc{Name: "nginx_status_count_total", Help: "Log records counted by a rule.", Labels: []string{"status"}})
	if err != nil {
		t.Fatal(err)
	}
	for code, n := range map[string]float64{"200": 1208344, "304": 88123, "404": 20311, "301": 4410, "502": 311, "499": 96, "<script>alert(1)</script>": 3} {
		status.Series(code).Add(n)
	}
	rt, err := reg.Family(metric.Desc{Name: "nginx_rt_seconds", Help: "The field rt.", Kind: metric.Histogram, Labels: []string{"method", "cache"}, Buckets: []float64{0.1, 1, 10}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 900 {
		rt.Series("GET", "HIT").Observe(0.01)
		if i%3 == 0 {
			rt.Series("GET", "MISS").Observe(0.4)
		}
		if i%9 == 0 {
			rt.Series("POST", "").Observe(1.2)
		}
	}
	return &fake{registry: reg, ledger: l, lines: 1421598, now: time.Date(2026, 11, 20, 18, 7, 46, 0, time.UTC)}
}

func (f *fake) NotReady() []string { return f.reasons }

func (f *fake) family(name string) (found *metric.Family) {
	f.registry.Each(func(family *metric.Family, _ *metric.Series) bool {
		if family.Desc().Name == name {
			found = family
		}
		return found == nil
	})
	return found
}

func (f *fake) Snapshot() web.Snapshot {
	components := web.Components(f.ledger, f.registry)
	byID := map[string]web.Component{}
	for _, c := range components {
		byID[c.ID] = c
	}
	agent, files := byID["sink/agent"], byID["sink/files"]
	agent.Detail, agent.LastFlush = "udp://127.0.0.1:8125", f.now.Add(-6*time.Second)
	files.Detail = "/var/log/weir"
	return web.Snapshot{
		Node: "web-1", Version: "v0.1.0", Now: f.now, Started: f.now.Add(-50*time.Hour - 12*time.Minute),
		Problems: web.Problems(components), Components: components, Sinks: []web.Component{agent, files},
		Sources: []web.Source{
			{Component: byID["source/access"], Streams: []web.Stream{
				{ID: "access//var/log/nginx/access.log", State: "reading", Lines: f.lines, Bytes: 648e6, Last: f.now.Add(-time.Second), Labels: record.Labels{{Name: "app", Value: "shop"}}},
				{ID: "access//var/log/nginx/static.example.com-with-a-rather-long-name.access.log", State: "reading", Lines: 88123, Bytes: 41e6, BehindBytes: 3 << 20, Last: f.now.Add(-90 * time.Second), Gaps: 1},
				{ID: "access//var/log/nginx/old.log", State: "gone", Lines: 12, Bytes: 4096, Last: f.now.Add(-26 * time.Hour)},
			}},
			{Component: byID["source/docker"]},
		},
		Rules: []web.Rule{
			{Name: "nginx", Match: `{container="nginx"}`, Matched: 1321598, Unmatched: 1204, Counters: []web.Counter{
				web.CounterOf("nginx.status_count", f.family("nginx_status_count_total"), 0),
				web.CounterOf("nginx.rt", f.family("nginx_rt_seconds"), 0),
			}},
			{Name: "billing", Match: `{app="billing"}`, Unmatched: 5110, Counters: []web.Counter{{Name: "billing.lines", Kind: "counter"}}},
		},
	}
}

func handler(t testing.TB, c web.Config, f *fake) http.Handler {
	return web.Handler(c, web.Deps{Metrics: f.registry, Status: f, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// ask sends a request with headers given as "Name: value".
func ask(h http.Handler, target string, headers ...string) *http.Response {
	method, target, found := strings.Cut(target, " ")
	if !found {
		method, target = "GET", method
	}
	r := httptest.NewRequest(method, "http://localhost:9103"+target, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageOrMetrics(t *testing.T) {
	h := handler(t, web.Default(), newFake(t))
	for accept, html := range map[string]bool{
		browser: true, "text/html": true, "TEXT/HTML ; charset=x": true,
		"": false, "*/*": false, "text/plain": false, "text/html;q=0, */*": false,
		"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": false,
	} {
		r := ask(h, "/", "Accept: "+accept)
		want := "text/plain"
		switch {
		case html:
			want = "text/html"
		case strings.Contains(accept, "openmetrics"):
			want = "application/openmetrics-text"
		}
		if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || !strings.HasPrefix(got, want) {
			t.Errorf("Accept %q: %d %s; want %s", accept, r.StatusCode, got, want)
		}
		if !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Accept") {
			t.Errorf("Accept %q: an answer that does not vary", accept)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := newFake(t)
	h := handler(t, web.Default(), f)
	plain := ask(h, "/metrics", "Accept: "+browser)
	if got := plain.Header.Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("a browser gets %s", got)
	}
	text := body(t, plain)
	if !strings.Contains(text, `nginx_status_count_total{machine="web-1",status="200"} 1208344`) {
		t.Errorf("no counter in\n%s", text)
	}
	packed := ask(h, "/metrics", "Accept-Encoding: deflate, gzip;q=0.5", "Accept: application/openmetrics-text")
	z, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v", err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil || !strings.HasSuffix(string(unpacked), "# EOF\n") {
		t.Errorf("unpacked to %q, %v", unpacked, err)
	}
	if r := ask(h, "/metrics", "Accept-Encoding: gzip;q=0, identity"); r.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for who refuses it")
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIP: promtool is not installed (Debian: prometheus)")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestPageContent(t *testing.T) {
	f := newFake(t)
	h := handler(t, web.Default(), f)
	ask(h, "/", "Accept: "+browser)
	f.now = f.now.Add(5 * time.Second)
	f.lines += 500
	page := body(t, ask(h, "/", "Accept: "+browser))
	for _, want := range []string{
		"<b>web-1</b>", "v0.1.0", "up 2\u00a0d 2\u00a0h", "1 problem<", "(1) weir",
		"open /var/run/docker.sock: permission denied", "add weir&#39;s user to the group docker",
		"none of 5,110 lines matched", "100/s", "3\u00a0MiB", "618\u00a0MiB", "1\u00a0d 2\u00a0h ago", "1 gap<",
		"1,321,598", "1,204", "1,208,344", "&lt;script&gt;alert(1)&lt;/script&gt;", "mean 0.4", "48,213", "321 missed window", "6\u00a0s ago", "42\u00a0s",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("text of a log became markup")
	}
	if problem, warning := strings.Index(page, "docker.sock"), strings.Index(page, "none of 5,110"); problem > warning {
		t.Error("a warning stands above a problem")
	}
	if first, second := strings.Index(page, "1,208,344"), strings.Index(page, "88,123</td>"); first < 0 || first > strings.LastIndex(page, "88,123") || second < 0 {
		t.Error("series are not in order of their values")
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestEmptyPage(t *testing.T) {
	f := newFake(t)
	h := web.Handler(web.Default(), web.Deps{Metrics: f.registry, Status: empty{}, Log: slog.New(slog.DiscardHandler)})
	page := body(t, ask(h, "/", "Accept: "+browser))
	for _, want := range []string{"No sources.", "No rules", "No sinks.", "all is well"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := body(t, ask(h, "/weir/v1/ledger")); !strings.Contains(got, `"problems":[],"components":[]`) {
		t.Errorf("ledger: %s", got)
	}
}

type empty struct{}

func (empty) Snapshot() web.Snapshot { return web.Snapshot{} }
func (empty) NotReady() []string     { return nil }

func TestAPIs(t *testing.T) {
	f := newFake(t)
	h := handler(t, web.Default(), f)
	var ledger struct {
		Node       string
		Started    time.Time
		Problems   []web.Problem
		Components []web.Component
	}
	get := func(path string, into any) {
		t.Helper()
		r := ask(h, path)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		if err := json.NewDecoder(r.Body).Decode(into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	get("/weir/v1/ledger", &ledger)
	if ledger.Node != "web-1" || len(ledger.Problems) != 2 || len(ledger.Components) != 4 || ledger.Components[0].Dropped["missed window"] != 321 {
		t.Errorf("ledger: %+v", ledger)
	}
	var streams struct {
		Sources []struct {
			Name, Type string
			Healthy    bool
			Streams    []struct {
				ID          string
				Labels      map[string]string
				Lines, Rate float64
			}
		}
	}
	get("/weir/v1/streams", &streams)
	if s := streams.Sources; len(s) != 2 || s[0].Name != "access" || s[0].Streams[0].Labels["app"] != "shop" || s[0].Streams[0].Rate != -1 || s[1].Healthy || s[1].Streams == nil {
		t.Errorf("streams: %+v", streams)
	}
	var rules struct{ Rules []web.Rule }
	get("/weir/v1/rules", &rules)
	if r := rules.Rules; len(r) != 2 || r[0].Matched != 1321598 || r[0].Counters[0].Series[0].Values[0] != "200" || r[0].Counters[1].Series[0].Sum < 8.9 {
		t.Errorf("rules: %+v", rules)
	}
}

func TestHealth(t *testing.T) {
	f := newFake(t)
	h := handler(t, web.Config{Listen: "127.0.0.1:9103", Token: "0123456789abcdef", MetricsToken: "fedcba9876543210"}, f)
	if r := ask(h, "/healthz", "Host: anything"); r.StatusCode != 200 || body(t, r) != "ok\n" {
		t.Errorf("healthz: %d", r.StatusCode)
	}
	if r := ask(h, "/readyz"); r.StatusCode != 200 || body(t, r) != "ready\n" {
		t.Errorf("readyz: %d", r.StatusCode)
	}
	f.reasons = []string{"source access has not started", "the journal is recovering"}
	if r := ask(h, "/readyz"); r.StatusCode != 503 || body(t, r) != "source access has not started\nthe journal is recovering\n" {
		t.Errorf("readyz: %d", r.StatusCode)
	}
}

func TestUnknownAndMethods(t *testing.T) {
	h := handler(t, web.Default(), newFake(t))
	for target, want := range map[string]int{
		"/anything": 404, "/metrics/": 404, "/favicon.ico": 404, "/weir/v1/": 404, "/..%2fetc/passwd": 404,
		"POST /metrics": 405, "DELETE /": 405, "GET /weir/v1/login": 405,
	} {
		r := ask(h, target, "Accept: "+browser)
		if r.StatusCode != want || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %s; want %d in plain text", target, r.StatusCode, r.Header.Get("Content-Type"), want)
		}
	}
	for _, target := range []string{"/", "/metrics", "/healthz", "/weir/v1/ledger"} {
		got := ask(h, "HEAD "+target, "Accept: "+browser)
		if got.StatusCode != 200 || got.Header.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d, length %q", target, got.StatusCode, got.Header.Get("Content-Length"))
		}
	}
}

func TestToken(t *testing.T) {
	const token, scraper = "0123456789abcdef", "fedcba9876543210"
	h := handler(t, web.Config{Listen: "0.0.0.0:9103", Token: token, MetricsToken: scraper}, newFake(t))
	open := handler(t, web.Config{Listen: "0.0.0.0:9103", Token: token}, newFake(t))
	only := handler(t, web.Config{Listen: "127.0.0.1:9103", MetricsToken: scraper}, newFake(t))
	for _, c := range []struct {
		h       http.Handler
		target  string
		headers []string
		want    int
	}{
		{h, "/weir/v1/ledger", nil, 401},
		{h, "/weir/v1/ledger", []string{"Authorization: Bearer " + token}, 200},
		{h, "/weir/v1/ledger", []string{"Authorization: bearer  " + token}, 200},
		{h, "/weir/v1/ledger", []string{"Authorization: Bearer " + token + "x"}, 401},
		{h, "/weir/v1/ledger", []string{"Authorization: Bearer "}, 401},
		{h, "/weir/v1/ledger", []string{"Authorization: Basic " + token}, 401},
		{h, "/weir/v1/ledger", []string{"Authorization: Bearer " + scraper}, 401},
		{h, "/", []string{"Accept: " + browser}, 401},
		{h, "/", nil, 401},
		{h, "/metrics", nil, 401},
		{h, "/metrics", []string{"Authorization: Bearer " + scraper}, 200},
		{h, "/metrics", []string{"Authorization: Bearer " + token}, 200},
		{h, "/?token=" + scraper, []string{"Accept: " + browser}, 401},
		{only, "/metrics", []string{"Accept: " + browser}, 401},
		{only, "/metrics", []string{"Authorization: Bearer " + scraper}, 200},
		{only, "/", []string{"Accept: " + browser}, 200},
		{only, "/", nil, 401},
		{open, "/metrics", nil, 200},
		{open, "/", nil, 200},
		{open, "/", []string{"Accept: " + browser}, 401},
		{open, "/weir/v1/streams", nil, 401},
		{open, "/weir/v1/rules", []string{"Cookie: weir_=; weir=" + token}, 401},
	} {
		r := ask(c.h, c.target, c.headers...)
		if r.StatusCode != c.want {
			t.Errorf("%s %q: %d; want %d", c.target, c.headers, r.StatusCode, c.want)
		}
		if c.want == 401 && r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: nothing says how to authenticate", c.target)
		}
		if strings.Contains(body(t, r), token) {
			t.Errorf("%s: the answer tells the token", c.target)
		}
	}
}

func TestSignIn(t *testing.T) {
	const token = "0123456789abcdef"
	h := handler(t, web.Config{Listen: "0.0.0.0:9103", Token: token}, newFake(t))
	check := func(how string, r *http.Response, to string) {
		t.Helper()
		if r.StatusCode != 303 || r.Header.Get("Location") != to || len(r.Cookies()) != 1 {
			t.Fatalf("%s: %d to %q, %d cookies", how, r.StatusCode, r.Header.Get("Location"), len(r.Cookies()))
		}
		c := r.Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, token) {
			t.Errorf("%s: cookie %v", how, c)
		}
		if r := ask(h, "/", "Accept: "+browser, "Cookie: "+c.Name+"="+c.Value); r.StatusCode != 200 {
			t.Errorf("%s: %d with the cookie", how, r.StatusCode)
		}
		if r := ask(h, "/", "Accept: "+browser, "Cookie: "+c.Name+"="+c.Value+"0"); r.StatusCode != 401 {
			t.Errorf("%s: %d with a wrong cookie", how, r.StatusCode)
		}
	}
	check("address", ask(h, "/?token="+token+"&x=1", "Accept: "+browser), "/?x=1")
	check("API address", ask(h, "/weir/v1/ledger?token="+token), "/weir/v1/ledger")
	if r := ask(h, "//evil.example/?token="+token, "Accept: "+browser); r.StatusCode == 303 && r.Header.Get("Set-Cookie") != "" {
		t.Errorf("signed in at %s", r.Header.Get("Location"))
	}
	post := func(token string, headers ...string) *http.Response {
		r := httptest.NewRequest("POST", "http://weir.example:9103/weir/v1/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	check("form", post(token, "Sec-Fetch-Site: same-origin"), "/")
	if r := post("wrong"); r.StatusCode != 401 || !strings.Contains(body(t, r), "This is not the token") {
		t.Errorf("wrong token: %d", r.StatusCode)
	}
	if r := post(token, "Sec-Fetch-Site: cross-site"); r.StatusCode != 403 {
		t.Errorf("from another site: %d", r.StatusCode)
	}
	if r := post(strings.Repeat("x", 1<<20)); r.StatusCode != 401 {
		t.Errorf("a huge form: %d", r.StatusCode)
	}
	if page := body(t, ask(h, "/", "Accept: "+browser)); !strings.Contains(page, `action="/weir/v1/login"`) || strings.Contains(page, "web-1") {
		t.Errorf("who is not signed in sees\n%s", page)
	}
}

func TestHosts(t *testing.T) {
	f := newFake(t)
	loopback := handler(t, web.Config{Listen: "127.0.0.1:9103", Hosts: []string{"weir.example.com"}}, f)
	everywhere := handler(t, web.Config{Listen: "0.0.0.0:9103", Insecure: true}, f)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9103": 200, "LOCALHOST.:80": 200, "127.0.0.1:9103": 200, "127.1.2.3": 200, "[::1]:9103": 200, "[::1]": 200,
		"a.localhost:9103": 200, "weir.example.com:443": 200,
		"evil.example:9103": 421, "127.0.0.1.evil.example": 421, "10.0.0.1:9103": 421, "localhost.evil.example": 421, "": 421, "xlocalhost": 421,
	} {
		for _, path := range []string{"/metrics", "/weir/v1/ledger"} {
			if r := ask(loopback, path, "Host: "+host); r.StatusCode != want {
				t.Errorf("Host %q: %d; want %d", host, r.StatusCode, want)
			}
		}
		if r := ask(everywhere, "/metrics", "Host: "+host); r.StatusCode != 200 {
			t.Errorf("Host %q everywhere: %d", host, r.StatusCode)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := handler(t, web.Default(), newFake(t))
	for _, target := range []string{"/", "/metrics", "/nothing", "/weir/v1/rules"} {
		r := ask(h, target, "Accept: "+browser)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q; want %q", target, name, got, want)
			}
		}
		policy := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", target, policy)
		}
	}
	one, two := ask(h, "/", "Accept: "+browser), ask(h, "/", "Accept: "+browser)
	if one.Header.Get("Content-Security-Policy") == two.Header.Get("Content-Security-Policy") {
		t.Error("two pages have one nonce")
	}
	page := body(t, one)
	_, nonce, _ := strings.Cut(one.Header.Get("Content-Security-Policy"), "style-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if strings.Count(page, `nonce="`+nonce+`"`) != 2 || strings.Contains(page, " style=") || strings.Contains(page, "http://") && !strings.Contains(page, "www.w3.org") {
		t.Error("the page has a style or script that its policy forbids")
	}
}

func TestValidate(t *testing.T) {
	for c, want := range map[string]web.Config{
		"":                       web.Default(),
		" ":                      {Listen: ":9103", Insecure: true},
		"  ":                     {Listen: "[::1]:0"},
		"   ":                    {Listen: "10.0.0.1:9103", Token: "0123456789ab"},
		"listen: use host:port":  {Listen: "9103"},
		"token: give a token":    {Listen: ":9103"},
		"token: use at least 12": {Listen: "localhost:9103", Token: "short"},
		"metrics_token: use":     {Listen: "localhost:9103", MetricsToken: config.Secret("short")},
	} {
		err := want.Validate()
		if c := strings.TrimSpace(c); c == "" && err != nil || c != "" && (err == nil || !strings.Contains(err.Error(), c)) {
			t.Errorf("%+v: %v; want %q", want, err, c)
		}
	}
}

func TestServer(t *testing.T) {
	f := newFake(t)
	c := web.Config{Listen: "127.0.0.1:0"}
	s, err := web.Listen(c, handler(t, c, f), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r, err := http.Get("http://" + s.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, r); r.StatusCode != 200 || !strings.Contains(text, "go_goroutines") {
		t.Errorf("%d", r.StatusCode)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if _, err := http.Get("http://" + s.Addr().String() + "/metrics"); err == nil {
		t.Error("still answers")
	}
	if _, err := web.Listen(web.Config{Listen: "256.0.0.1:1"}, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("listens on an address that cannot be")
	}
}

func TestCloseInsteadOfRun(t *testing.T) {
	s, err := web.Listen(web.Config{Listen: "127.0.0.1:0"}, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}
