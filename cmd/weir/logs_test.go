package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql"
)

// evening is when the tests ask.
var evening = time.Date(2026, 3, 4, 20, 30, 0, 0, time.FixedZone("", 3600))

func TestMoment(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		if at, err := moment(text, evening); err != nil || at.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %v, %v; want %s", text, at, err, want)
		}
	}
	good("90s", "2026-03-04T20:28:30+01:00")
	good("1h30m", "2026-03-04T19:00:00+01:00")
	good("2d", "2026-03-02T20:30:00+01:00")
	good("now", "2026-03-04T20:30:00+01:00")
	good("today", "2026-03-04T00:00:00+01:00")
	good("yesterday", "2026-03-03T00:00:00+01:00")
	good("20:29", "2026-03-04T20:29:00+01:00")
	good("20:31:05", "2026-03-03T20:31:05+01:00") // that of yesterday
	good("2026-01-02", "2026-01-02T00:00:00+01:00")
	good("2026-01-02 03:04", "2026-01-02T03:04:00+01:00")
	good("2026-01-02T03:04:05", "2026-01-02T03:04:05+01:00")
	good("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.5Z")
	if at, err := moment("1767323045", evening); err != nil || at.Unix() != 1767323045 {
		t.Errorf("%v, %v", at, err)
	}
	for _, text := range []string{"", "x", "-1h", "25:00", "2026-13-01", "12345", "1h x"} {
		if at, err := moment(text, evening); err == nil {
			t.Errorf("%q is %v", text, at)
		}
	}
}

func TestQuestion(t *testing.T) {
	ask := func(o logsOptions, args ...string) question {
		t.Helper()
		q, err := o.question(args, evening)
		if err != nil {
			t.Fatalf("%+v %q: %v", o, args, err)
		}
		return q
	}
	query := func(want string, o logsOptions, args ...string) {
		t.Helper()
		if got := ask(o, args...).Query.String(); got != want {
			t.Errorf("%+v %q: %s; want %s", o, args, got, want)
		}
	}
	query("{}", logsOptions{})
	query(`{app="a"}`, logsOptions{}, `{app="a"}`, "nginx")
	query(`{} | detected_level=~"warn|error|fatal"`, logsOptions{level: "WARNING"})
	query(`{app="a"} | detected_level=~"error|fatal" | json | x="1" |= "b"`, logsOptions{level: "err", grep: []string{"b"}}, `{app="a"} | json | x="1"`)
	query(`{} |= "a b" or "c"`, logsOptions{grep: []string{"a b", "c"}})
	query(`{} |~ "a.b" or "c"`, logsOptions{grep: []string{"a.b", "c"}})
	query(`{} !~ "(?i)a" or "(?i)b"`, logsOptions{grep: []string{"a", "b"}, ignoreCase: true, invert: true})
	query(`{} !~ "\"\\d\""`, logsOptions{grep: []string{`"\d"`}, invert: true})
	amount := func(limit, before, after int, o logsOptions, args ...string) {
		t.Helper()
		if q := ask(o, args...); q.Limit != limit || q.Before != before || q.After != after {
			t.Errorf("%+v: %d, %d, %d", o, q.Limit, q.Before, q.After)
		}
	}
	amount(100, 0, 0, logsOptions{})
	amount(0, 0, 0, logsOptions{since: "1h"})
	amount(7, 0, 0, logsOptions{since: "1h", tail: "7"})
	amount(0, 0, 0, logsOptions{tail: "all"})
	amount(100, 5, 5, logsOptions{context: 5, level: "warn"})
	amount(100, 5, 9, logsOptions{context: 5, after: 9, level: "warn"})
	amount(100, 0, 0, logsOptions{context: 5}) // of everything nothing is around
	if q := ask(logsOptions{follow: true, tail: "0"}); q.Limit != 0 || q.Start.IsZero() || !q.follow {
		t.Errorf("%+v", q)
	}
	if q := ask(logsOptions{}, "shop", `push/{app="x"}`); len(q.Words) != 2 {
		t.Errorf("%q", q.Words)
	}
	if q := ask(logsOptions{grep: []string{"a", "b|c"}, ignoreCase: true}); q.highlight.FindString("xC") != "C" {
		t.Errorf("%v", q.highlight)
	}
}

func TestNumbersQuestion(t *testing.T) {
	const rate = `rate({app="a"}[1m])`
	params := func(o logsOptions) logql.Params {
		t.Helper()
		q, err := o.question([]string{rate}, evening)
		if err != nil || q.numbers == nil {
			t.Fatal(err)
		}
		return q.params()
	}
	if p := params(logsOptions{}); p.Step != 0 || !p.Start.Equal(evening) || !p.End.Equal(evening) {
		t.Errorf("%+v", p)
	}
	if p := params(logsOptions{since: "1h"}); p.Step != time.Minute || !p.Start.Equal(evening.Add(-time.Hour)) {
		t.Errorf("%+v", p)
	}
	if p := params(logsOptions{since: "1h", step: "7m"}); p.Step != 7*time.Minute || p.Start.Unix()%420 != 0 || p.End.Unix()%420 != 0 || p.End.Before(evening) {
		t.Errorf("%+v", p)
	}
	for _, o := range []logsOptions{{follow: true}, {level: "warn"}, {grep: []string{"x"}}, {tail: "1"}, {context: 1}, {step: "1m"}, {since: "1h", step: "x"}, {since: "1h", step: "0s"}} {
		if _, err := o.question([]string{rate}, evening); err == nil {
			t.Errorf("%+v is fine", o)
		}
	}
}

func TestQuestionMistakes(t *testing.T) {
	bad := func(text string, o logsOptions, args ...string) {
		t.Helper()
		if _, err := o.question(args, evening); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v %q: %v; want %s", o, args, err, text)
		}
	}
	bad("parse error", logsOptions{}, "{")
	bad("parse error", logsOptions{}, `rate({app="a"})`)
	bad("one query", logsOptions{}, `{app="a"}`, `{app="b"}`)
	bad("leave out nginx", logsOptions{}, "nginx", `rate({app="a"}[1m])`)
	bad("--level loud", logsOptions{level: "loud"})
	bad("--grep (", logsOptions{grep: []string{"("}})
	bad("go with --grep", logsOptions{invert: true})
	bad("from 0 to 1000", logsOptions{context: 1001, level: "warn"})
	bad("from 0 to 1000", logsOptions{before: -1})
	bad("--tail x", logsOptions{tail: "x"})
	bad("--tail -1", logsOptions{tail: "-1"})
	bad("goes with --follow", logsOptions{tail: "0"})
	bad("exclude", logsOptions{follow: true, until: "1h"})
	bad("not before", logsOptions{since: "1h", until: "2h"})
	bad("--until x", logsOptions{until: "x"})
	bad("query for numbers", logsOptions{step: "1m"})
}

func TestParseNumbers(t *testing.T) {
	res, warnings, err := parseNumbers([]byte(`{"status":"success","warnings":["some are left out"],"data":{"resultType":"vector","result":[{"metric":{"app":"a"},"value":[1795197600.123,"4.5"]}],"stats":{}}}`))
	if err != nil || len(warnings) != 1 || warnings[0] != "some are left out" || res.Kind != logql.Vector || len(res.Series) != 1 || res.Series[0].Labels.Get("app") != "a" ||
		res.Series[0].Points[0] != (logql.Point{Time: 1795197600123e6, Value: 4.5}) {
		t.Errorf("%+v, %v", res, err)
	}
	res, _, err = parseNumbers([]byte(`{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"NaN"]]}]}}`))
	if err != nil || res.Kind != logql.Matrix || len(res.Series[0].Points) != 2 || !math.IsNaN(res.Series[0].Points[1].Value) {
		t.Errorf("%+v, %v", res, err)
	}
	res, _, err = parseNumbers([]byte(`{"data":{"resultType":"scalar","result":[5,"2"]}}`))
	if err != nil || res.Scalar != (logql.Point{Time: 5e9, Value: 2}) {
		t.Errorf("%+v, %v", res, err)
	}
}

// FuzzParseNumbers reads what did not come from a weir.
func FuzzParseNumbers(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"a"},"value":[1795197600.123,"4.5"]}]}}`))
	f.Add([]byte(`{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"NaN"]]}]}}`))
	f.Add([]byte(`{"data":{"resultType":"scalar","result":[5,"2"]}}`))
	f.Add([]byte(`{"data":{"resultType":"vector","result":[{}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		res, _, err := parseNumbers(text)
		if err != nil {
			return
		}
		for _, s := range res.Series {
			if res.Kind == logql.Vector && len(s.Points) != 1 {
				t.Errorf("%q: a series of a moment has %d points", text, len(s.Points))
			}
		}
	})
}
