package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/tsdb/api"
)

// start is the time of the first sample.
var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// openHistory returns a database with two hours of samples, every 15 s: a counter and a
// gauge of some series, a histogram, and a series that ended after an hour.
func openHistory(t testing.TB, dir string) *tsdb.DB {
	t.Helper()
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for round := range 480 {
		app := db.Appender(context.Background())
		add := func(v float64, pairs ...string) {
			if _, err := app.Append(0, labels.FromStrings(append(pairs, "machine", "web-1")...), start.Add(time.Duration(round)*15*time.Second).UnixMilli(), v); err != nil {
				t.Fatal(err)
			}
		}
		n := float64(round)
		for i, status := range []string{"200", "404", "502"} {
			add(n*float64(3-i), "__name__", "hits_total", "status", status)
			add(n/float64(i+1)-100, "__name__", "load", "status", status)
		}
		if round <= 240 {
			if round == 240 {
				n = math.Float64frombits(value.StaleNaN)
			}
			add(n, "__name__", "gone", "quote", `a "b" \c`+"\n<é>")
		}
		n = float64(round)
		for i, le := range []string{"0.1", "1.0", "+Inf"} {
			add(n*float64(i+1), "__name__", "rt_seconds_bucket", "le", le)
		}
		add(n*3, "__name__", "rt_seconds_count")
		add(n*1.7, "__name__", "rt_seconds_sum")
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// newAPI returns a server that answers from a history.
func newAPI(t testing.TB, h api.History, l api.Limits) (*httptest.Server, *metric.Registry) {
	t.Helper()
	reg := metric.New()
	a, err := api.New(api.Deps{History: h, Registry: reg, Version: "v0.1.0", Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s, reg
}

// at is a time so many seconds after the start, as a parameter.
func at(seconds int) string {
	return fmt.Sprint(start.Add(time.Duration(seconds) * time.Second).Unix())
}

// ask sends parameters, name=value, with GET, and returns the status and the body.
func ask(t testing.TB, base, path string, parameters ...string) (int, string) {
	t.Helper()
	resp, err := http.Get(base + path + "?" + form(parameters).Encode())
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

func form(parameters []string) url.Values {
	values := url.Values{}
	for _, p := range parameters {
		name, v, _ := strings.Cut(p, "=")
		values.Add(name, v)
	}
	return values
}

func read(t testing.TB, resp *http.Response) (int, string) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(body) {
		t.Errorf("not JSON: %s", body)
	}
	return resp.StatusCode, string(body)
}
