package loki_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/web/loki"
)

// began is a whole minute, an hour before which nothing is there.
var began = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

// world is an API over an archive with two streams of twenty lines, as
//
//	{app="shop", env="prod"}  JSON, every 15 s from began on, with the stored field trace
//	{app="web", env="prod"}   logfmt, every 5 s
type world struct {
	*loki.API
	archive  *archive.Archive
	disk     *disk.Faulty
	registry *metric.Registry
	synced   atomic.Int64
}

var (
	shop = record.Stream{ID: "test/shop", Source: "test", Labels: record.Labels{{Name: "app", Value: "shop"}, {Name: "env", Value: "prod"}}}
	web  = record.Stream{ID: "test/web", Source: "test", Labels: record.Labels{{Name: "app", Value: "web"}, {Name: "env", Value: "prod"}}}
)

func newWorld(t testing.TB, limits loki.Limits, change func(*loki.Deps)) *world {
	t.Helper()
	tree := new(disk.Faulty)
	a, err := archive.Open(archive.Options{Tree: tree}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{archive: a, disk: tree, registry: metric.New()}
	for i := range 20 {
		level := record.LevelInfo + record.Level(i%3)
		w.keep(t, shop, kept.Record{
			Time: began.Add(time.Duration(i) * 15 * time.Second).UnixNano(), Level: level,
			Body:   fmt.Appendf(nil, `{"level":"%s","status":%d,"dur":"%dms","size":"%dKB","msg":"hello %d"}`, level, 200+i%3*100, i*10, i, i),
			Fields: []kept.Field{{Name: []byte("trace"), Value: fmt.Appendf(nil, "t%d", i)}},
		})
		w.keep(t, web, kept.Record{
			Time: began.Add(time.Duration(i) * 5 * time.Second).UnixNano(), Level: record.LevelInfo,
			Body: fmt.Appendf(nil, `level=info ts=%d msg="line %d"`, i, i),
		})
	}
	engine := w.engine(logql.Options{})
	d := loki.Deps{
		Engine: engine, Index: engine, Survey: engine, Live: a, Registry: w.registry, Version: "v1.2.3", Limits: limits,
		Sync: func(context.Context) error { w.synced.Add(1); return nil },
	}
	if change != nil {
		change(&d)
	}
	if w.API, err = loki.New(d); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) engine(o logql.Options) *logql.Engine {
	o.Archive = w.archive
	return logql.New(o)
}

// keep adds a record to a stream, for queries and those who follow it.
func (w *world) keep(t testing.TB, def record.Stream, r kept.Record) {
	t.Helper()
	text := new(kept.Appender).Append(nil, &r)
	w.archive.Stream(def, archive.Bound{}).Add(nil, kept.TextOf(text))
	if err := w.archive.Flush(); err != nil {
		t.Fatal(err)
	}
	w.archive.Show()
	w.archive.Publish(&def, text, 1)
}

// ask returns the status and the body of an answer, statistics left out. Parameters are
// given as name=value, headers as "Name: value".
func (w *world) ask(t testing.TB, path string, params ...string) (status int, body string) {
	t.Helper()
	values := url.Values{}
	r := httptest.NewRequest("GET", "/loki/api/v1/"+path, nil)
	for _, p := range params {
		if name, value, ok := strings.Cut(p, ": "); ok && !strings.Contains(name, "=") {
			r.Header.Set(name, value)
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		values.Add(name, value)
	}
	r.URL.RawQuery = values.Encode()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Code, withoutStats(rec.Body.String())
}

func withoutStats(body string) string {
	body = strings.TrimSuffix(body, "\n")
	if i := strings.Index(body, `,"stats":{`); i >= 0 {
		return body[:i] + "}}"
	}
	return body
}

// within are the parameters for the time that the world has text of.
func within(params ...string) []string {
	return append(params, "start="+began.Format(time.RFC3339), "end="+began.Add(5*time.Minute).Format(time.RFC3339))
}

// answers checks one answer that is 200.
func (w *world) answers(t *testing.T, want, path string, params ...string) {
	t.Helper()
	status, body := w.ask(t, path, params...)
	if status != http.StatusOK || body != want {
		t.Errorf("%s %q: %d\n%s\nwant\n%s", path, params, status, body, want)
	}
	if !json.Valid([]byte(body)) {
		t.Errorf("%s %q: not JSON", path, params)
	}
}

// refuses checks one that is not.
func (w *world) refuses(t *testing.T, status int, text, path string, params ...string) {
	t.Helper()
	got, body := w.ask(t, path, params...)
	if got != status || !strings.HasPrefix(body, text) {
		t.Errorf("%s %q: %d %s; want %d %s", path, params, got, body, status, text)
	}
}

// metrics returns all numbers as text.
func (w *world) metrics() string { return string(w.registry.AppendText(nil, 0)) }

func read(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
