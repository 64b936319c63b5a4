package crawl

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/config"
)

const one = `{"data":[{"id":1,"at":946684801,"text":"one"}]}`

// TestAuth sees what is sent to say who weir is.
func TestAuth(t *testing.T) {
	var got *http.Request
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, r *http.Request) { got = r; fmt.Fprint(rw, one) }
	run := func(change func(*Config)) {
		c := standard(func(s *Stream) { s.Headers = map[string]config.Secret{"x-page": "{{.Page}}", "Accept": "text/x"} })
		change(&c)
		w.once(c)
		if w.problem() != "" {
			t.Error(w.problem())
		}
	}
	run(func(c *Config) { c.Auth.Basic = Basic{"leo", "secret"} })
	if user, password, ok := got.BasicAuth(); !ok || user != "leo" || password != "secret" {
		t.Error(got.Header)
	}
	run(func(c *Config) { c.Auth.Bearer = "abc" })
	if got.Header.Get("Authorization") != "Bearer abc" {
		t.Error(got.Header)
	}
	run(func(c *Config) {
		c.Headers = map[string]config.Secret{"X-Api-Key": "k", "Accept": "other", "Host": "inside"}
	})
	if got.Header.Get("X-Api-Key") != "k" || got.Header.Get("Accept") != "text/x" || got.Header.Get("X-Page") != "1" || got.Host != "inside" {
		t.Error(got.Header)
	}
}

func TestOAuth2(t *testing.T) {
	var mu sync.Mutex // guards all of it
	tokens, asked, revoked := 0, []url.Values{}, false
	bought := func() int {
		mu.Lock()
		defer mu.Unlock()
		return tokens
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api = func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Host == "login.acme.test" {
				tokens++
				_ = r.ParseForm()
				user, password, _ := r.BasicAuth()
				r.Form.Set("basic", user+":"+password)
				asked = append(asked, r.Form)
				fmt.Fprintf(rw, `{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, tokens)
				return
			}
			if got := r.Header.Get("Authorization"); got != fmt.Sprintf("Bearer t%d", tokens) || revoked && got == "Bearer t2" {
				http.Error(rw, "who?", http.StatusUnauthorized)
				return
			}
			fmt.Fprint(rw, one)
		}
		c := standard(nil)
		c.Auth.OAuth2 = OAuth2{TokenURL: "https://login.acme.test/token", ClientID: "weir", ClientSecret: "p:w", Scopes: []string{"a", "b"}, Params: map[string]config.Secret{"audience": "x"}}
		s := w.source(c, false)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, w) }()
		time.Sleep(30 * time.Minute)
		if n := bought(); n != 1 {
			t.Errorf("%d tokens", n)
		}
		time.Sleep(30 * time.Minute)
		if n := bought(); n != 2 {
			t.Errorf("%d tokens after an hour", n)
		}
		mu.Lock()
		revoked = true
		mu.Unlock()
		time.Sleep(time.Minute)
		if n := bought(); n != 3 || w.problem() != "" {
			t.Errorf("%d tokens: %s", n, w.problem())
		}
		if form := asked[0].Encode(); form != "audience=x&basic=weir%3Ap%253Aw&grant_type=client_credentials&scope=a+b" {
			t.Errorf("asked with %s", form)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// server returns a real server, and source settings that ask it.
func realServer(t *testing.T, f http.HandlerFunc) (*httptest.Server, Config) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server, standard(func(s *Stream) { s.URL = server.URL + "/events" })
}

// TestRedirects sees that credentials stay with their host, and that weir is not led to
// addresses of this machine, whatever their name.
func TestRedirects(t *testing.T) {
	var mu sync.Mutex
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%s %s %q %q", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Api-Key")))
		fmt.Fprint(rw, one)
	}))
	defer other.Close()
	to := other.URL + "/there"
	status := http.StatusFound
	_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			if r.Header.Get("Authorization") == "" || r.Header.Get("X-Api-Key") != "key" {
				t.Error("credentials got lost on the way to the same host")
			}
			fmt.Fprint(rw, one)
			return
		}
		rw.Header().Set("Location", to)
		rw.WriteHeader(status)
	})
	c.Auth.Bearer, c.Headers = "token", map[string]config.Secret{"X-Api-Key": "key"}
	run := func(c Config) *world {
		w := newWorld(t)
		w.once(c)
		return w
	}
	refused := func(c Config, why string) {
		t.Helper()
		if w := run(c); len(w.got) > 0 || len(got) > 0 || !strings.Contains(w.problem(), why) {
			t.Errorf("%s; want %s", w.problem(), why)
		}
	}
	refused(c, "allow_private")
	to = strings.Replace(other.URL, "127.0.0.1", "localhost", 1) // it is the address that counts
	refused(c, "allow_private")
	to = strings.Replace(other.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	refused(c, "allow_private")
	to = "file:///etc/passwd"
	refused(c, "neither http nor https")
	to = "/here"
	run(c).expect("one")
	to = other.URL + "/there"
	c.AllowPrivate = true
	run(c).expect("one")
	if !slices.Equal(got, []string{`GET /there "" ""`}) {
		t.Errorf("the other host got %q", got)
	}
	got = nil
	c.Streams["events"] = streamConfig(func(s *Stream) { *s = c.Streams["events"]; s.Body = "secret" })
	status = http.StatusTemporaryRedirect
	refused(c, "a request with a body")
	status = http.StatusSeeOther
	run(c).expect("one")
	to = "/again"
	status = http.StatusFound
	got = nil
	refused(c, "more than 5 redirects")
}

// TestNextElsewhere has a next page on another host.
func TestNextElsewhere(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went elsewhere")
		}
		fmt.Fprint(rw, `{"data":[{"id":2,"at":946684802,"text":"two"}]}`)
	}))
	defer other.Close()
	_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Link", "<"+other.URL+`>; rel="next"`)
		fmt.Fprint(rw, one)
	})
	c.Auth.Bearer = "token"
	c.Streams["events"] = streamConfig(func(s *Stream) { *s = c.Streams["events"]; s.Pages.By = "link" })
	w := newWorld(t)
	w.once(c)
	w.expect("one")
	if !strings.Contains(w.problem(), "allow_private") {
		t.Error(w.problem())
	}
	c.AllowPrivate = true
	w.once(c)
	w.expect("one", "two")
}

// TestNextStaysAtHome: no next page leads where a redirect may not, to what only a proxy knows and
// elsewhere with a body.
func TestNextStaysAtHome(t *testing.T) {
	for want, change := range map[string]func(c *Config, s *Stream, proxy string){
		"only the proxy knows": func(c *Config, _ *Stream, proxy string) { c.Proxy = config.Secret(proxy) },
		"with a body": func(c *Config, s *Stream, proxy string) {
			c.Proxy, c.AllowPrivate = config.Secret(proxy), true
			s.Method, s.Body = "POST", `{"key":"secret"}`
		},
	} {
		server, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Host != "api.acme.test" {
				t.Errorf("%s: %s is asked", want, r.Host)
			}
			rw.Header().Set("Link", `<http://169.254.169.254/>; rel="next"`)
			fmt.Fprint(rw, one)
		})
		s := c.Streams["events"]
		s.URL, s.Pages.By = "http://api.acme.test/events", "link"
		change(&c, &s, server.URL)
		c.Streams["events"] = s
		w := newWorld(t)
		w.once(c)
		w.expect("one")
		if !strings.Contains(w.problem(), want) {
			t.Errorf("%s: %s", want, w.problem())
		}
	}
}

func TestIsPublic(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1",
		"::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "fec0::1",
	} {
		if isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is taken for public", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"} {
		if !isPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s is taken for private", text)
		}
	}
}

func TestEncodings(t *testing.T) {
	packed := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		p := open(&b)
		fmt.Fprint(p, one)
		_ = p.Close()
		return b.Bytes()
	}
	var enc compress.Encoder
	for encoding, body := range map[string][]byte{
		"gzip":     packed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"deflate":  packed(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
		"zstd":     enc.AppendFrame(nil, []byte(one)),
		"identity": []byte(one),
	} {
		w := newWorld(t)
		w.api = func(rw http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding")+", identity", encoding) {
				t.Error(r.Header)
			}
			rw.Header().Set("Content-Encoding", encoding)
			_, _ = rw.Write(body)
		}
		w.once(standard(nil))
		w.expect("one")
		if w.problem() != "" {
			t.Errorf("%s: %s", encoding, w.problem())
		}
		w.api = func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Encoding", encoding)
			_, _ = rw.Write(body[:len(body)-3])
		}
		if w.once(standard(nil)); w.problem() == "" {
			t.Errorf("%s: a part is taken for the whole", encoding)
		}
		w.api = func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Encoding", encoding)
			rw.WriteHeader(204)
		}
		w.once(standard(nil))
		if w.problem() != "" {
			t.Errorf("%s of nothing: %s", encoding, w.problem())
		}
	}
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Encoding", "br")
		fmt.Fprint(rw, one)
	}
	if w.once(standard(nil)); !strings.Contains(w.problem(), `"br"`) {
		t.Error(w.problem())
	}
}

// TestHuge has a response that never ends, packed so that it takes no time: what comes before
// the limit is taken.
func TestHuge(t *testing.T) {
	var packed bytes.Buffer
	p := gzip.NewWriter(&packed)
	fmt.Fprint(p, `{"data":[{"id":1,"at":946684801,"text":"one"},{"id":2,"text":"`)
	spaces := bytes.Repeat([]byte{' '}, 1<<20)
	for range 8 {
		_, _ = p.Write(spaces)
	}
	_ = p.Close()
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(packed.Bytes())
	}
	c := standard(nil)
	c.MaxResponse = 6 << 20
	w.once(c)
	w.expect("one")
	if want := "the response has more than 6MiB (max_response)"; !strings.Contains(w.problem(), want) {
		t.Errorf("%s, want %s", w.problem(), want)
	}
}

// TestRetries has a server that fails some times.
func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name    string
		header  http.Header
		status  int
		times   int
		least   time.Duration // that it takes
		most    time.Duration
		problem string
	}{
		{"unavailable", nil, 503, 2, 0, time.Minute, ""},
		{"for ever", nil, 500, 1000, 0, time.Minute, "the answer is 500 Internal Server Error"},
		{"seconds", http.Header{"Retry-After": {"90"}}, 429, 1, 90 * time.Second, 2 * time.Minute, ""},
		{"date", http.Header{"Retry-After": {"Sat, 01 Jan 2000 11:02:00 GMT"}, "Date": {"Sat, 01 Jan 2000 11:00:00 GMT"}}, 503, 1, 2 * time.Minute, 3 * time.Minute, ""},
		{"used up", http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(day.Unix() + 100)}}, 403, 1, 100 * time.Second, 2 * time.Minute, ""},
		{"too long", http.Header{"Retry-After": {"3600"}}, 429, 1000, 0, 0, "the answer is 429 Too Many Requests"},
		{"forbidden", nil, 403, 1000, 0, 0, "the answer is 403 Forbidden"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &api{events: at(1, 2)}
			a.status = func(rw http.ResponseWriter, _ *http.Request) bool {
				if len(a.asked) > test.times {
					return false
				}
				for name, values := range test.header {
					rw.Header()[name] = values
				}
				rw.WriteHeader(test.status)
				return true
			}
			w := newWorld(t)
			w.api = a.serve
			began := time.Now()
			w.once(standard(nil))
			took := time.Since(began)
			if !strings.Contains(w.problem(), test.problem) || (w.problem() == "") != (test.problem == "") {
				t.Errorf("%s: %s", test.name, w.problem())
			}
			if took < test.least || took > test.most {
				t.Errorf("%s: it takes %s", test.name, took)
			}
			if test.problem == "" {
				w.expect("1", "2")
			}
		})
	}
}

// TestLater begins no run before the time that a server names.
func TestLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{events: at(1)}
		a.status = func(rw http.ResponseWriter, _ *http.Request) bool {
			if len(a.asked) > 1 {
				return false
			}
			rw.Header().Set("Retry-After", "7200")
			rw.WriteHeader(429)
			return true
		}
		w := newWorld(t)
		w.api = a.serve
		s := w.source(standard(nil), false)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, w) }()
		time.Sleep(119 * time.Minute)
		synctest.Wait()
		if a.times() != 1 || !strings.Contains(w.problem(), "429") {
			t.Errorf("asked %d times; %s", a.times(), w.problem())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if a.times() < 2 || w.problem() != "" {
			t.Errorf("asked %d times; %s", a.times(), w.problem())
		}
		cancel()
		<-ended
	})
}

// TestRuns sees how far runs are apart, and that a stream that fails or hangs holds up no other.
func TestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		times := map[string][]time.Time{}
		w := newWorld(t)
		w.api = func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			times[r.URL.Path] = append(times[r.URL.Path], time.Now())
			mu.Unlock()
			switch r.URL.Path {
			case "/fails":
				rw.WriteHeader(404)
			case "/hangs":
				<-r.Context().Done()
			case "/panics":
				panic("a server's")
			default:
				fmt.Fprint(rw, `[]`)
			}
		}
		c := Default()
		c.Streams = map[string]Stream{}
		for _, name := range []string{"good", "fails", "hangs"} {
			c.Streams[name] = streamConfig(func(s *Stream) { s.URL, s.Time = "https://acme.test/"+name, "at" })
		}
		s := w.source(c, false)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, w) }()
		time.Sleep(30 * time.Minute)
		cancel()
		<-ended
		good := times["/good"]
		if n := len(good); n < 120 || n > 180 {
			t.Errorf("%d runs", n)
		}
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(good); i++ {
			gap := good[i].Sub(good[i-1])
			if gaps[gap.Round(time.Millisecond)] = true; gap < 10*time.Second || gap > 15*time.Second {
				t.Errorf("%s between runs", gap)
			}
		}
		if len(gaps) < 50 {
			t.Errorf("%d different pauses", len(gaps))
		}
		if n := len(times["/fails"]); n < 8 || n > 20 {
			t.Errorf("%d runs that fail", n)
		}
		if n := len(times["/hangs"]); n < 6 || n > 30 {
			t.Errorf("%d requests without an answer", n)
		}
		if !strings.Contains(w.problem(), ": https://acme.test: ") {
			t.Error(w.problem())
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{events: at(numbers(1, 100)...), size: 1, paging: "link"}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.Pages.By = "link" })
		c.Rate = Rate{60, time.Minute}
		began := time.Now()
		w.once(c)
		if took := time.Since(began); took != 99*time.Second {
			t.Errorf("100 requests take %s", took)
		}
	})
}

// TestSilent has a server that stops in the middle of a response.
func TestSilent(t *testing.T) {
	hang := make(chan struct{})
	_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, `{"data":[{"id":1,"at":946684801,"text":"one"},{"id":2,`)
		rw.(http.Flusher).Flush()
		<-hang
	})
	t.Cleanup(func() { close(hang) })
	c.Timeout = time.Second
	w := newWorld(t)
	w.once(c)
	w.expect("one")
	if want := "the server was silent for 1s (timeout)"; !strings.Contains(w.problem(), want) {
		t.Errorf("%s, want %s", w.problem(), want)
	}
}

// TestCutOff has a connection that breaks in the middle of a response.
func TestCutOff(t *testing.T) {
	n := 0
	_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		n++
		rw.Header().Set("Content-Length", "1000")
		fmt.Fprint(rw, `{"data":[{"id":1,"at":946684801,"text":"one"},{"id":2,`)
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	w := newWorld(t)
	w.once(c)
	w.expect("one")
	if !strings.Contains(w.problem(), "unexpected EOF") || n != 1 {
		t.Errorf("%s, after %d requests", w.problem(), n)
	}
}

// TestErrorsTellNoSecrets has servers that fail in all ways, and repeat what they were told.
func TestErrorsTellNoSecrets(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	server, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			http.Error(rw, r.Header.Get("Authorization")+" "+r.Header.Get("X-Key")+" \x1b[31m", http.StatusForbidden)
		case "/said":
			_ = json.NewEncoder(rw).Encode(map[string]any{"data": []int{}, "error": "bad " + r.Header.Get("X-Key")})
		case "/html":
			fmt.Fprint(rw, "<html>")
		default:
			panic(http.ErrAbortHandler)
		}
	})
	c.Auth.Bearer, c.Headers = "hushhush", map[string]config.Secret{"X-Key": "hushhush2"}
	for path, want := range map[string]string{
		server.URL + "/echo?key=hushhush":                "403 Forbidden: Bearer *** ***",
		server.URL + "/said?key=hushhush":                "the response says: bad ***",
		server.URL + "/html?key=hushhush":                "no valid JSON at byte 0",
		server.URL + "/hushhush":                         "EOF",
		"http://" + closed.Addr().String() + "/hushhush": "connection refused",
	} {
		synctestless := newWorld(t)
		c.Streams["events"] = streamConfig(func(s *Stream) { *s = c.Streams["events"]; s.URL, s.Error = path, "error" })
		st := synctestless.source(c, true)
		ctx, cancel := context.WithCancel(t.Context())
		_ = st.streams[0].open(&worldLine{synctestless, "acme/events"})
		_ = st.streams[0].begin(ctx)
		_, _, err := st.streams[0].asks.follow(ctx, &variables{}, nil) // once, without pauses
		if err == nil {
			err = st.streams[0].runOnce(ctx)
		}
		cancel()
		if err == nil || strings.Contains(err.Error(), "hushhush") || strings.ContainsRune(err.Error(), '\x1b') || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestNextLink(t *testing.T) {
	for header, want := range map[string]string{
		`<https://a/b?c=1,2>; rel="next"`:                                  "https://a/b?c=1,2",
		`<a>; rel="prev", <b>; rel=next`:                                   "b",
		`<a>; title="x, <c>; rel=\"next\""; rel="last", <b>; rel="x next"`: "b",
		`<a>; REL=NEXT`:        "a",
		`<a>; rel="last"`:      "",
		`<a`:                   "",
		``:                     "",
		`<a>;rel="nextprev"`:   "",
		`< a >;x;rel = "next"`: "a",
	} {
		if got := nextLink([]string{header}); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if got := nextLink([]string{`<a>; rel="prev"`, `<b>; rel="next"`}); got != "b" {
		t.Errorf("of two headers: %q", got)
	}
}
