package loki_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/web/loki"
)

// message is one of a tail's.
type message struct {
	Streams []struct {
		Stream map[string]string
		Values [][]json.RawMessage
	}
	Dropped []struct {
		Labels    map[string]string
		Timestamp string
	} `json:"dropped_entries"`
	Flags []string `json:"encodingFlags"`
}

// lines returns the lines of a message, each after its time in seconds since began.
func (m *message) lines(t testing.TB) (list []string) {
	t.Helper()
	for _, s := range m.Streams {
		for _, v := range s.Values {
			var at, line string
			if err := json.Unmarshal(v[0], &at); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(v[1], &line); err != nil {
				t.Fatal(err)
			}
			ns, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%g %s", float64(ns-began.UnixNano())/1e9, line))
		}
	}
	return list
}

// tailer is a connection that follows.
type tailer struct {
	t    *testing.T
	conn *websocket.Conn
}

// follow connects to a server of the world. Parameters are as in ask.
func follow(t *testing.T, server *httptest.Server, params ...string) *tailer {
	t.Helper()
	values, header := url.Values{}, http.Header{}
	for _, p := range params {
		if name, value, ok := strings.Cut(p, ": "); ok && !strings.Contains(name, "=") {
			header.Set(name, value)
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		values.Add(name, value)
	}
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/loki/api/v1/tail?"+values.Encode(), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &tailer{t, conn}
}

func (c *tailer) read() message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatalf("%v in %s", err, text)
	}
	return m
}

// wants reads until it has so many lines, and compares.
func (c *tailer) wants(want ...string) {
	c.t.Helper()
	var got []string
	for len(got) < len(want) {
		m := c.read()
		got = append(got, m.lines(c.t)...)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		c.t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func serve(t *testing.T, w *world) *httptest.Server {
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	return s
}

// say writes a line to a stream, so many seconds after began.
func (w *world) say(t testing.TB, def record.Stream, seconds float64, body string) {
	w.keep(t, def, kept.Record{Time: began.Add(time.Duration(seconds * 1e9)).UnixNano(), Level: record.LevelInfo, Body: []byte(body)})
}

const sinceBegan = "start=1795197600"

func TestTail(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	c := follow(t, serve(t, w), `query={app="web"}`, "limit=3", sinceBegan)
	c.wants(`85 level=info ts=17 msg="line 17"`, `90 level=info ts=18 msg="line 18"`, `95 level=info ts=19 msg="line 19"`)
	w.say(t, shop, 100, "another stream")
	w.say(t, web, 100, `level=info ts=20 msg="new"`)
	c.wants(`100 level=info ts=20 msg="new"`)
	if n := w.synced.Load(); n != 1 {
		t.Errorf("synced %d times", n)
	}
	w.say(t, web, 101, "a\tb \"c\" \x1b[31mü\xff")
	c.wants("101 a\tb \"c\" \x1b[31mü\ufffd")
	if text := w.metrics(); !strings.Contains(text, "weir_tails 1\n") {
		t.Error(text)
	}
}

func TestTailPipeline(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	c := follow(t, serve(t, w), `query={env="prod"} |= "new" | logfmt | ts > 20 | line_format "{{.msg}}"`, sinceBegan, categorized)
	// Lines that come before the first look are part of it, and so are in a message too.
	w.say(t, web, 100, `ts=20 msg="new but too small"`)
	w.say(t, web, 101, `ts=21 msg="new one"`)
	m := c.read()
	if got := m.lines(t); len(got) != 1 || got[0] != "101 new one" {
		t.Errorf("%q", got)
	}
	if s := m.Streams[0]; fmt.Sprint(s.Stream) != "map[app:web env:prod]" || string(s.Values[0][2]) != `{"structuredMetadata":{"detected_level":"info"},"parsed":{"msg":"new one","ts":"21"}}` {
		t.Errorf("%s", s.Values[0][2])
	}
	if len(m.Flags) != 1 {
		t.Errorf("flags %q", m.Flags)
	}
}

// paused is an engine that does something before and after it answers.
type paused struct {
	loki.Engine
	before, after func()
}

func (p paused) Query(ctx context.Context, q logql.Params) (logql.Result, error) {
	p.before()
	defer p.after()
	return p.Engine.Query(ctx, q)
}

// TestSeam writes lines while those are looked for that are there already.
func TestSeam(t *testing.T) {
	var w *world
	w = newWorld(t, loki.Limits{}, func(d *loki.Deps) {
		d.Engine = paused{d.Engine, func() {
			w.say(t, web, 100, "before")
			w.say(t, web, 100, "before") // twice
		}, func() { w.say(t, web, 101, "after") }}
	})
	c := follow(t, serve(t, w), `query={app="web"}`, "limit=4", sinceBegan)
	c.wants(`90 level=info ts=18 msg="line 18"`, `95 level=info ts=19 msg="line 19"`, "100 before", "100 before", "101 after")
	w.say(t, web, 102, "then")
	c.wants("102 then")
}

// TestDelay holds lines back, so that one that comes late is in its place.
func TestDelay(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	c := follow(t, serve(t, w), `query={env="prod"}`, "delay_for=1", "limit=1", sinceBegan)
	c.read()
	began := time.Now()
	w.say(t, web, 3601, "second")
	w.say(t, shop, 3600, "first")
	c.wants("3600 first", "3601 second")
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("not held back: %v", took)
	}
}

// TestSlowReader has a reader that takes nothing while much is written.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, loki.Limits{TailBytes: 64 << 10}, nil)
	server := serve(t, w)
	c := follow(t, server, `query={app="web"}`, "start=1795197600", "limit=1")
	other := follow(t, server, `query={app="web"} |= "last"`, "start=1795197600", "limit=1")
	c.read()
	line := strings.Repeat("x", 8<<10)
	const all = 3000 // 24 MB, which no buffer of the connection has room for
	var text []byte
	for i := range all {
		text = new(kept.Appender).Append(text[:0], &kept.Record{Time: began.Add(100*time.Second + time.Duration(i)).UnixNano(), Body: []byte(line)})
		w.archive.Publish(&web, text, 1)
	}
	w.say(t, web, 99999, "last")
	other.wants("99999 last")
	lines, lost := 0, 0
	for lines+lost < all+1 {
		m := c.read()
		lines += len(m.lines(t))
		for _, d := range m.Dropped {
			n, err := strconv.Atoi(d.Labels["records"])
			if err != nil || d.Labels["reason"] == "" || len(d.Timestamp) != 19 {
				t.Fatalf("%+v", d)
			}
			lost += n
		}
	}
	if lost == 0 || lines+lost != all+1 {
		t.Errorf("%d lines and %d lost", lines, lost)
	}
	if text := w.metrics(); strings.Contains(text, "weir_tail_lost_records_total 0\n") {
		t.Error(text)
	}
}

func TestTailRefusals(t *testing.T) {
	w := newWorld(t, loki.Limits{Tails: 1}, nil)
	w.refuses(t, http.StatusBadRequest, "parse error at line 1, col 2", "tail", "query={")
	w.refuses(t, http.StatusBadRequest, "only log selector is supported", "tail", "query=vector(1)")
	w.refuses(t, http.StatusBadRequest, "delay_for can't be greater than 5", "tail", `query={app="web"}`, "delay_for=6")
	w.refuses(t, http.StatusBadRequest, "limit must be", "tail", `query={app="web"}`, "limit=0")
	server := serve(t, w)
	follow(t, server, `query={app="web"}`)
	w.refuses(t, http.StatusTooManyRequests, "too many connections", "tail", `query={app="web"}`)
	// A page of another site may not follow.
	_, r, err := websocket.Dial(t.Context(), server.URL+"/loki/api/v1/tail?query={}", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://elsewhere.example"}}})
	if err == nil || r.StatusCode < 400 {
		t.Errorf("a page of another site: %v %v", r, err)
	}
}

// TestTailEnds ends a tail in all the ways there are.
func TestTailEnds(t *testing.T) {
	w := newWorld(t, loki.Limits{Ping: time.Millisecond}, nil)
	stopping, stop := context.WithCancel(t.Context())
	ended := make(chan struct{}, 3)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer context.AfterFunc(stopping, cancel)()
		w.ServeHTTP(rw, r.WithContext(ctx))
		ended <- struct{}{}
	}))
	t.Cleanup(server.Close)
	leaves := follow(t, server, `query={app="web"}`)
	if err := leaves.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	<-ended
	breaks := follow(t, server, `query={app="web"}`)
	_ = breaks.conn.CloseNow()
	<-ended
	stays := follow(t, server, `query={app="web"}`, sinceBegan, "limit=1")
	stays.read()
	stop()
	_, _, err := stays.conn.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at the end: %v", err)
	}
	<-ended
	if text := w.metrics(); !strings.Contains(text, "weir_tails 0\n") {
		t.Error(text)
	}
}

// TestTailFails has a query that fails when the tail has begun.
func TestTailFails(t *testing.T) {
	w := newWorld(t, loki.Limits{}, func(d *loki.Deps) {
		d.Engine = failing{nil, &logql.LimitError{What: strings.Repeat("too much ", 40)}}
	})
	c := follow(t, serve(t, w), `query={app="web"}`)
	_, _, err := c.conn.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusInternalError || !strings.Contains(err.Error(), "too much") {
		t.Error(err)
	}
}

type failing struct {
	loki.Engine
	err error
}

func (f failing) Query(context.Context, logql.Params) (logql.Result, error) {
	return logql.Result{}, f.err
}
