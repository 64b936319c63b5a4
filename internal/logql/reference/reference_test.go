package reference_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql/reference"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

func labels(pairs ...string) record.Labels {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return record.NewLabels(m)
}

// lines makes a stream {app="x"} of one line a second, from second 1 on.
func lines(app string, texts ...string) reference.Stream {
	s := reference.Stream{Labels: labels("app", app)}
	for i, text := range texts {
		s.Entries = append(s.Entries, reference.Entry{Time: int64(i+1) * 1e9, Line: text, Level: record.LevelInfo})
	}
	return s
}

func eval(t *testing.T, streams []reference.Stream, query string, p reference.Params) string {
	t.Helper()
	e, err := syntax.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	r, err := reference.Eval(streams, e, p)
	if err != nil {
		return "error: " + strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return strings.TrimSuffix(reference.Text(r), "\n")
}

// pipe sends one line through a pipeline, and returns its labels, without app and level,
// and the line if it changed.
func pipe(t *testing.T, line, stages string) string {
	t.Helper()
	s := []reference.Stream{lines("a", line)}
	s[0].Entries[0].Fields = []record.Label{{Name: "host.name", Value: "web"}}
	got := eval(t, s, `{app="a"} `+stages+` | drop detected_level, app, host_name`, reference.Params{End: 1e12})
	if got == "" {
		return "-"
	}
	set, rest, _ := strings.Cut(got, "\n  1000000000 ")
	if rest == strings.SplitN(rest, "\n", 2)[0] && rest == quote(line) {
		return set
	}
	return set + " " + rest
}

func quote(s string) string {
	r := reference.Result{Streams: []reference.LogStream{{Lines: []reference.Line{{Text: s}}}}}
	return strings.TrimSuffix(strings.SplitN(reference.Text(r), "  0 ", 2)[1], "\n")
}

const badNumber = `{__error__="LabelFilterErr", __error_details__="strconv.ParseFloat: parsing \"x\": invalid syntax", v="x"}`

func TestPipelines(t *testing.T) {
	json := `{"a":"x","b":{"c":1.50,"d-e":true},"f":[1,{"g":2}],"h":null,"app":"y","host.name":"z","a":"again"}`
	for _, c := range []struct{ line, stages, want string }{
		{"error: disk", `|= "error"`, `{}`},
		{"error: disk", `|= "Error"`, `-`},
		{"error: disk", `!= "error"`, `-`},
		{"error: disk", `|= "no" or "disk"`, `{}`},
		{"error: disk", `!= "no" or "disk"`, `-`},
		{"a\nb", "|~ `a.b`", `{}`},
		{"error", `!~ "^err"`, `-`},
		{"from 10.1.2.3:80", `|= ip("10.0.0.0/8")`, `{}`},
		{"from 110.1.2.3:80", `|= ip("10.0.0.0/8")`, `-`},
		{"from [2001:db8::1]: hello", `|= ip("2001:db8::/32")`, `{}`},
		{"v1.2.3.4.5", `|= ip("0.0.0.0/0")`, `-`},
		{"took 5ms", `|> "took <_>"`, `{}`},
		{"took ", `|> "took <_>"`, `-`},
		{"it took 5ms", `|> "took <_>"`, `-`},
		{"it took 5ms", `|> "<_>took 5ms"`, `{}`},
		{"", `|> ""`, `{}`},
		{"x", `!> "<_>"`, `-`},
		{json, `| json`, `{a="x", app_extracted="y", b_c="1.50", b_d_e="true", host_name_extracted="z"}`},
		{"{\"a\":\"tab\there\",\"b\":\"x\\x22y\",\"c\":-,\"d\":007,\"e\":[1 2}],}", `| json`, "{a=\"tab\there\", b=\"\", c=\"-\", d=\"007\"}"},
		{`{"a\x22":1,"b":2}`, `| json`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{`{"a":nul,"b":2}`, `| json`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{"{\"a\":{\"b\":\"x\ny\"},\"c\":[-,\"\\x\"]}", `| json x="a.b", y="c[0]", z="c[1]"`, `{x="x\ny", y="-", z=""}`},
		{json, `| drop host_name, app | json`, `{a="x", app_extracted="y", b_c="1.50", b_d_e="true"}`},
		{`{"host.name":"z"}`, `| label_format x=host_name | json | label_format y=host_name`, `{x="web", y="z"}`},
		{`{"host.name":"z"}`, `| label_format host_name="t" | json | label_format y=host_name`, `{y="t"}`},
		{`{"host.name":"z"}`, `| keep app | json | label_format y=host_name`, `{y="z"}`},
		{`{"host.name":"z"}`, `| keep host_name | json | label_format y=host_name`, `{host_name_extracted="z", y="web"}`},
		{`{"a":1,"b":"2`, `| json`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON", a="1"}`},
		{`[1]`, `| json`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{`{"a":1} and more`, `| json`, `{a="1"}`},
		{`{"1a":1,"":2}`, `| json`, `{_1a="1"}`},
		{json, `| json x="b.c", y="f", z="f[1].g", n="no.thing", b, app="a"`, `{app_extracted="x", b="{\"c\":1.50,\"d-e\":true}", n="", x="1.50", y="[1,{\"g\":2}]", z="2"}`},
		{`5`, `| json x="y"`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{`a=1 b="x \"y\"" c= d e==f g=h=i =j k"l=2 a=3`, `| logfmt`, `{a="1", b="x \"y\""}`},
		{`a=1 c= d`, `| logfmt --keep-empty`, `{a="1", c="", d=""}`},
		{`a=1 e==f g=2`, `| logfmt --strict`, `{__error__="LogfmtParserErr", __error_details__="the line has a malformed key=value pair", a="1"}`},
		{`a=1 b="open c=2`, `| logfmt`, `{a="1"}`},
		{`a=1 a=2 a=3`, `| logfmt a`, `{a="3"}`},
		{`a=1 b=2`, `| logfmt x="b", y`, `{x="2", y=""}`},
		{`GET /x 200`, "| regexp `(?P<method>\\w+) (?P<path>\\S+)(?P<rest>z)?`", `{method="GET", path="/x", rest=""}`},
		{`nope`, "| regexp `(?P<method>\\d+)`", `{}`},
		{`1.2.3.4 - [now] "GET /x"`, `| pattern "<ip> - [<_>] \"<method> <path>\""`, `{ip="1.2.3.4", method="GET", path="/x"}`},
		{`1.2.3.4 - now`, `| pattern "<ip> - [<time>]"`, `{ip="1.2.3.4 - now"}`},
		{`abc`, `| pattern "x<a>"`, `{}`},
		{`{"_entry":"the line","x":"y","n":1}`, `| unpack`, `{x="y"} "the line"`},
		{`{"x":"y"}`, `| unpack`, `{}`},
		{`{"_entry":"one","x":"y","x":"z","_entry":"two"}`, `| unpack`, `{x="z"} "two"`},
		{`{"_entry":"one","a":}-1}`, `| unpack`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{`{"_entry":"one\x","x":"y"}`, `| unpack`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{"\x1b[31mred\x1b[0m", `| decolorize`, `{} "red"`},
		{`v=x`, `| logfmt | v > 5`, badNumber},
		{`v=x`, `| logfmt | v > 5 | v > 6 | v = "y" or v = "x"`, badNumber},
		{`v=x`, `| logfmt | v > 5 | __error__=""`, `-`},
		{`v=x`, `| logfmt | v > 5 | drop __error__, __error_details__`, `{v="x"}`},
		{`v=7`, `| logfmt | v > 5 and v <= 7 and v != 6 and v == 7`, `{v="7"}`},
		{`v=7`, `| logfmt | w > 5`, `-`},
		{`v=7`, `| json | v > 5`, `-`},
		{`{"a":1,"b":{"c":2`, `| json`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON", a="1"}`},
		{`{"v":""}`, `| json | v > 5 | __error__="LabelFilterErr"`, `{__error__="LabelFilterErr", __error_details__="strconv.ParseFloat: parsing \"\": invalid syntax", v=""}`},
		{`v=7`, `| label_format v="t" | logfmt`, `{v="t"}`},
		{``, `| json x="y"`, `{}`},
		{`"text"`, `| json x="y"`, `{x=""}`},
		{`v=7`, `| json | v != 5 or v > 1s or v <= 1KB`, `-`},
		{`{"v":7, "w"`, `| json | v > 5`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON", v="7"}`},
		{`{"v":"x", "w"`, `| json | v > 5`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON", v="x"}`},
		{`v=7`, `| json | v=ip("10.0.0.0/8")`, `{__error__="JSONParserErr", __error_details__="the line is not valid JSON"}`},
		{`v=7`, `| logfmt | w = ""`, `{v="7"}`},
		{`v=1.5s`, `| logfmt | v > 1s`, `{v="1.5s"}`},
		{`v=5KiB`, `| logfmt | v > 5KB`, `{v="5KiB"}`},
		{`v=1`, `| logfmt | v="1" or w > 5 and v="2"`, `{v="1"}`},
		{`v=10.0.0.1`, `| logfmt | v=ip("10.0.0.0/24")`, `{v="10.0.0.1"}`},
		{`v=10.0.0.1`, `| logfmt | v!=ip("10.0.0.0/24")`, `-`},
		{`v=1`, `| logfmt | line_format "{{.v}}-{{.none}}-{{__line__}}"`, `{v="1"} "1--v=1"`},
		{`v=1`, `| logfmt | line_format "{{div 1 0}}"`, `{__error__="TemplateFormatErr", __error_details__="template line 1: <div 1 0>: error calling div: division by zero", v="1"}`},
		{`v=1 w=2`, `| logfmt | label_format x=v, y="{{.x}}{{.w}}", z="{{.y}}"`, `{w="2", x="1", y="12", z=""}`},
		{`v=1 w=2`, `| logfmt | label_format x=none`, `{v="1", w="2"}`},
		{`v=1 w=2 x=3`, `| logfmt | drop v, w="3", x=~"3"`, `{w="2"}`},
		{`v=1 w=2 x=3`, `| logfmt | keep v, w="3", x=~"3"`, `{v="1", x="3"}`},
		{`{"v":1} v=2`, `| json | line_format "v=3 w=4" | logfmt`, `{v="1", w="4"} "v=3 w=4"`},
	} {
		if got := pipe(t, c.line, c.stages); got != c.want {
			t.Errorf("%s %s\nis     %s\nwanted %s", c.line, c.stages, got, c.want)
		}
	}
}

func TestLogs(t *testing.T) {
	s := []reference.Stream{lines("a", "1", "2", "3"), lines("b", "4", "5", "6"), lines("c", "7")}
	s[0].Entries[1].Gap = true
	for _, c := range []struct {
		p    reference.Params
		want string
	}{
		{reference.Params{Start: 1e9, End: 3e9}, `a 1 2 b 4 5`},
		{reference.Params{Start: 1e9, End: 9e9, Limit: 3}, `a 1 2 b 4`},
		{reference.Params{Start: 1e9, End: 9e9, Limit: 3, Backward: true}, `a 3 b 6 5`},
	} {
		got := eval(t, s, `{app=~"a|b"} | drop detected_level`, c.p)
		for _, cut := range []string{`{app="`, `"}`, `"`, "1000000000 ", "2000000000 ", "3000000000 "} {
			got = strings.ReplaceAll(got, cut, "")
		}
		if got = strings.Join(strings.Fields(got), " "); got != c.want {
			t.Errorf("%+v: %s; wanted %s", c.p, got, c.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := []reference.Stream{
		lines("a", "v=1 k=x", "v=2 k=y", "v=3 k=x", "v=4 k=y"),
		lines("b", "v=10 k=x", "v=5 k=x", "v=bad k=z", "other"),
	}
	s[0].Entries = append(s[0].Entries, reference.Entry{Time: 3e9, Line: "lost 5 bytes", Gap: true})
	const d = ` | drop detected_level`
	for query, want := range map[string]string{
		`count_over_time({app="a"}` + d + `[4s])`:                                            `{app="a"} 4`,
		`count_over_time({app="a"}` + d + `[2s])`:                                            `{app="a"} 2`,
		`count_over_time({app="a"}` + d + `[2s] offset 1s)`:                                  `{app="a"} 2`,
		`count_over_time({app="a"}` + d + `[2s] offset -1s)`:                                 `{app="a"} 1`,
		`rate({app="a"}` + d + `[2s])`:                                                       `{app="a"} 1`,
		`bytes_over_time({app="a"}` + d + `[2s])`:                                            `{app="a"} 14`,
		`bytes_rate({app="a"} | line_format "xx"` + d + `[2s])`:                              `{app="a"} 2`,
		`sum_over_time({app="a"} | logfmt | drop k` + d + ` | unwrap v [4s])`:                `{app="a"} 10`,
		`rate({app="a"} | logfmt | drop k` + d + ` | unwrap v [4s])`:                         `{app="a"} 2.5`,
		`avg_over_time({app="a"} | logfmt | unwrap v [4s]) by (k)`:                           "{k=\"x\"} 2\n{k=\"y\"} 3",
		`max_over_time({app="a"} | logfmt` + d + ` | unwrap v [4s]) without (k)`:             `{app="a"} 4`,
		`min_over_time({app="a"} | logfmt | unwrap v [4s]) by ()`:                            `{} 1`,
		`first_over_time({app="a"} | logfmt | unwrap v [4s]) by ()`:                          `{} 1`,
		`last_over_time({app="a"} | logfmt | unwrap v [4s]) by ()`:                           `{} 4`,
		`stdvar_over_time({app="a"} | logfmt | unwrap v [4s]) by ()`:                         `{} 1.25`,
		`stddev_over_time({app="a"} | logfmt | k="x" | unwrap v [4s]) by ()`:                 `{} 1`,
		`quantile_over_time(0.5, {app="a"} | logfmt | unwrap v [4s]) by ()`:                  `{} 2.5`,
		`quantile_over_time(2, {app="a"} | logfmt | unwrap v [4s]) by ()`:                    `{} +Inf`,
		`rate_counter({app="b"} | logfmt | k="x" | drop k` + d + ` | unwrap v [4s])`:         `{app="b"} 3.125`,
		`sum_over_time({app="b"} | logfmt | drop k` + d + ` | unwrap v [4s])`:                `error: pipeline error: 'SampleExtractionErr' for series: '{__error__="SampleExtractionErr", __error_details__="strconv.ParseFloat: parsing \"bad\": invalid syntax", app="b"}'.`,
		`sum_over_time({app="b"} | logfmt | drop k` + d + ` | unwrap v | __error__="" [4s])`: `{app="b"} 15`,
		`sum(sum_over_time({app="b"} | logfmt | unwrap v | __error__=~".*" [4s]))`:           `{} 15`,
		`max_over_time({app="b"} | logfmt | unwrap v | __error__!="" [4s]) by (k)`:           `{__error__="SampleExtractionErr", __error_details__="strconv.ParseFloat: parsing \"bad\": invalid syntax", k="z"} 0`,
		`sum(count_over_time({app="b"} | json [1s]))`:                                        `error: pipeline error: 'JSONParserErr' for series: '{__error__="JSONParserErr", __error_details__="the line is not valid JSON", app="b", detected_level="info"}'.`,
		`sum(count_over_time({app="b"} | json [1s] offset 9s))`:                              ``,
		`absent_over_time({app="c", x!="y"} [5s])`:                                           `{app="c"} 1`,
		`absent_over_time({app="a"} [5s])`:                                                   ``,
		`sum by (k) (count_over_time({app=~".+"} | logfmt [4s]))`:                            "{} 1\n{k=\"x\"} 4\n{k=\"y\"} 2\n{k=\"z\"} 1",
		`sum(count_over_time({app=~".+"} [4s]))`:                                             `{} 8`,
		`count without (app) (count_over_time({app=~".+"} [4s]))`:                            `{detected_level="info"} 2`,
		`topk(2, sum by (k) (count_over_time({app=~".+"} | logfmt [4s])))`:                   "{k=\"x\"} 4\n{k=\"y\"} 2",
		`bottomk(1, sum by (k) (count_over_time({app=~".+"} | logfmt [4s])))`:                `{} 1`,
		`sort(sum by (k) (count_over_time({app=~".+"} | logfmt | k!="" [4s])))`:              "{k=\"z\"} 1\n{k=\"y\"} 2\n{k=\"x\"} 4",
		`sort_desc(sum by (k) (count_over_time({app=~".+"} | logfmt | k!="" [4s])))`:         "{k=\"x\"} 4\n{k=\"y\"} 2\n{k=\"z\"} 1",
		`vector(2) + 1`:      `{} 3`,
		`1 + 2 * 3 > 6`:      `1`,
		`vector(1) / 0`:      `{} NaN`,
		`vector(1) > 2`:      ``,
		`vector(3) > bool 2`: `{} 1`,
		`2 < vector(3)`:      `{} 3`,
		`sum by (app) (count_over_time({app=~".+"} [4s])) > on () group_left sum(count_over_time({app="a"} [2s]))`:      "{app=\"a\"} 4\n{app=\"b\"} 4",
		`sum by (app) (count_over_time({app=~".+"} [4s])) / on () sum(count_over_time({app="a"} [2s]))`:                 `error: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)`,
		`sum(count_over_time({app="a"} [2s])) / on () sum by (app) (count_over_time({app=~".+"} [4s]))`:                 `error: found duplicate series on the right hand-side, many-to-many matching not allowed: matching labels must be unique on one side`,
		`sum(count_over_time({app="a"} [2s])) - on () group_right (x) sum by (app) (count_over_time({app=~".+"} [4s]))`: "{app=\"a\"} -2\n{app=\"b\"} -2",
		`sum by (app) (rate({app="a"} [4s])) or sum by (app) (rate({app=~".+"} [4s])) * 2`:                              "{app=\"a\"} 1\n{app=\"b\"} 2",
		`sum by (app) (rate({app=~".+"} [4s])) and sum by (app) (rate({app="a"} [4s]))`:                                 `{app="a"} 1`,
		`sum by (app) (rate({app=~".+"} [4s])) unless sum by (app) (rate({app="a"} [4s]))`:                              `{app="b"} 1`,
		`label_replace(sum by (app) (rate({app=~".+"} [4s])), "x", "$1-y", "app", "(a)")`:                               "{app=\"a\", x=\"a-y\"} 1\n{app=\"b\"} 1",
		`label_replace(sum by (app) (rate({app=~".+"} [4s])), "app", "", "app", ".*")`:                                  `error: vector cannot contain metrics with the same labelset`,
	} {
		if got := eval(t, s, query, reference.Params{End: 4e9}); got != want {
			t.Errorf("%s\nis     %s\nwanted %s", query, got, want)
		}
	}
	got := eval(t, s, `sum(count_over_time({app="a"} [2s]))`, reference.Params{Start: 0, End: 7e9, Step: 2 * time.Second})
	if want := `{} 2@2000000000 2@4000000000`; got != want {
		t.Errorf("%s; wanted %s", got, want)
	}
	got = eval(t, s, `1 + 1`, reference.Params{Start: 1e9, End: 2e9, Step: time.Second})
	if want := `{} 2@1000000000 2@2000000000`; got != want {
		t.Errorf("%s; wanted %s", got, want)
	}
}
