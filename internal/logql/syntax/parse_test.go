package syntax_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql/syntax"
)

// same lists queries that are in their normal form already.
var same = []string{
	`{container="nginx"}`,
	`{a="b", c!="d", e=~"f.+", g!~"h"}`,
	`{a="b"} |= "x" != "y" |~ "z+" !~ "w" |> "<_> took <_>ms" !> "<_>x"`,
	`{a="b"} |= "x" or "y" or ip("10.0.0.0/8") != ip("::1")`,
	`{a="b"} | json | logfmt | unpack | decolorize`,
	`{a="b"} | json c, d="e.f[0][\"g-h\"]" | logfmt --strict --keep-empty x, y="z.z"`,
	`{a="b"} | regexp "(?P<status>\\d+) (?P<path>.*)" | pattern "<ip> - <_> <user>"`,
	`{a="b"} | status >= 500 | took > 1h30m and size <= 5KiB or level="error" | n == -5`,
	`{a="b"} | (x="1" or y="2") and z="3" | ip = ip("192.168.0.1-192.168.0.9") | b != ip("fe80::/10")`,
	`{a="b"} | line_format "{{.status}} {{__line__ | upper}}" | label_format x=y, z="{{.a}}"`,
	`{a="b"} | drop x, y="z", __error__ | keep a, b=~"c.*"`,
	`{a="b"} | (json!="x" or b="c") | json="x" | (drop!~"y")`,
	`count_over_time({a="b"} |= "x" [5m])`,
	`rate({a="b"} | json | unwrap took | __error__="" [1h30m] offset 1d)`,
	`sum_over_time({a="b"} | unwrap duration_seconds(took) [1w] offset -5m)`,
	`quantile_over_time(0.99, {a="b"} | unwrap bytes(size) [5m]) by (host, path)`,
	`avg_over_time({a="b"} | unwrap x [5m]) without (host)`,
	`sum by (status) (rate({a="b"} [1m]))`,
	`topk(5, sum without (x) (bytes_rate({a="b"} [1m])))`,
	`bottomk by (h) (1, count_over_time({a="b"} [1m]))`,
	`sort_desc(sum(count_over_time({a="b"} [1m])))`,
	`absent_over_time({a="b"} [1m]) or vector(0)`,
	`(1 + 2) * 3 ^ 2 ^ -1 - (4 - 5)`,
	`(2 ^ 3) ^ 2`,
	`rate({a="b"} [1m]) / on (x, y) group_left (z) rate({a="c"} [1m]) > bool 0.5`,
	`rate({a="b"} [1m]) * ignoring (x) group_right rate({a="c"} [1m])`,
	`rate({a="b"} [1m]) and on () (rate({a="c"} [1m]) unless rate({a="d"} [1m]))`,
	`label_replace(rate({a="b"} [1m]), "dst", "$1", "src", "(.*):.*")`,
	`rate_counter({a="b"} | unwrap x [5m])`,
	`{by="x", json="y"} | or="1" and and="2"`,
}

func TestSame(t *testing.T) {
	for _, text := range same {
		e, err := syntax.Parse(text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
		} else if e.String() != text {
			t.Errorf("Parse(%s)\nis     %s", text, e)
		}
	}
}

func TestNormalForm(t *testing.T) {
	for text, want := range map[string]string{
		"{a=`b\\d`,} # a comment\n|=`x`":                            `{a="b\\d"} |= "x"`,
		`({a="b"})`:                                                 `{a="b"}`,
		`{a="b"} | status="200"`:                                    `{a="b"} | status="200"`,
		`{a="b"} | n=5|n>.5|n!=1e3`:                                 `{a="b"} | n == 5 | n > .5 | n != 1e3`,
		`{a="b"}|x="1",y="2" z="3"`:                                 `{a="b"} | x="1" and y="2" and z="3"`,
		`{a="b"} | x="1" or y="2" and z="3"`:                        `{a="b"} | x="1" or y="2" and z="3"`,
		`{a="b"} | x="1" or y="2", z="3" or w="4"`:                  `{a="b"} | x="1" or y="2" and (z="3" or w="4")`,
		`{a="b"} | x="1", y="2" or z="3"`:                           `{a="b"} | x="1" and (y="2" or z="3")`,
		`{a="b"} | x="1" and y="2" or z="3"`:                        `{a="b"} | x="1" and y="2" or z="3"`,
		`{a="b"} | json x="x"`:                                      `{a="b"} | json x`,
		`count_over_time({a="b"}[5m])`:                              `count_over_time({a="b"} [5m])`,
		`count_over_time({a="b"}[5m] offset 1h |= "x" | json)`:      `count_over_time({a="b"} |= "x" | json [5m] offset 1h)`,
		`count_over_time(({a="b"} |= "x")[90s])`:                    `count_over_time({a="b"} |= "x" [1m30s])`,
		`sum_over_time(({a="b"}[5m] | unwrap x))`:                   `sum_over_time({a="b"} | unwrap x [5m])`,
		`sum(rate({a="b"}[1m])) by (x,)`:                            `sum by (x) (rate({a="b"} [1m]))`,
		`topk(3,rate({a="b"}[1m])) without(x)`:                      `topk without (x) (3, rate({a="b"} [1m]))`,
		`1+1`:                                                       `1 + 1`,
		`2-+1--1`:                                                   `2 - 1 - -1`,
		`rate({a="b"}[1m])>=bool(1)`:                                `rate({a="b"} [1m]) >= bool 1`,
		`rate({a="b"}[1m])/on(x)group_left(sum(rate({a="b"}[1m])))`: `rate({a="b"} [1m]) / on (x) group_left sum(rate({a="b"} [1m]))`,
		`rate({a="b"}[365d])`:                                       `rate({a="b"} [1y])`,
	} {
		e, err := syntax.Parse(text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
		} else if e.String() != want {
			t.Errorf("Parse(%s)\nis     %s\nwanted %s", text, e, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                                         `line 1, col 1: syntax error: unexpected end of query, expected a selector, as in {container="nginx"}`,
		`{`:                                        `line 1, col 2: syntax error: unexpected end of query, expected the name of a label`,
		`{a="b"`:                                   `line 1, col 7: syntax error: unexpected end of query, expected a comma or }`,
		`{a=b}`:                                    `line 1, col 4: syntax error: unexpected identifier b, expected a string in quotes`,
		`{a='b'}`:                                  `line 1, col 4: strings are written in double quotes or backquotes, not in single quotes`,
		`{a="b}`:                                   `line 1, col 4: literal not terminated: the string has no closing "`,
		`{}`:                                       `line 1, col 1: queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will`,
		`{a=~".*"}`:                                `line 1, col 1: queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will`,
		`{a=~"("}`:                                 "line 1, col 5: error parsing regexp: missing closing ): `(`",
		"{a=\"b\"}\n  | josn":                      `line 2, col 5: syntax error: unexpected identifier josn, expected a stage (json, logfmt, line_format, …) or a condition on a label; did you mean json?`,
		`{a="b"} | unwrap x`:                       `line 1, col 11: unwrap belongs into a range aggregation, as in sum_over_time({…} | unwrap bytes [5m])`,
		`{a="b"} |~ ip("1.2.3.4")`:                 `line 1, col 12: ip(…) can only be used with |= and !=, not with |~`,
		`{a="b"} |= ip("1.2.3")`:                   `line 1, col 15: ip: expected an address, two with a dash between them, or a network: 192.0.2.1, 192.0.2.1-192.0.2.9, 192.0.2.0/24`,
		`{a="b"} |> "<x>"`:                         `line 1, col 12: the pattern of a line filter has captures without names only: write <_> for <x>`,
		`{a="b"} | pattern "<a><b>"`:               `line 1, col 19: invalid pattern: two captures follow each other at "<b>": put the text between them that separates them`,
		`{a="b"} | pattern "x"`:                    `line 1, col 19: invalid pattern: the pattern has no named capture, as in <status>`,
		`{a="b"} | regexp "x"`:                     `line 1, col 18: at least one named capture must be supplied, as in (?P<status>\d+)`,
		`{a="b"} | regexp "(?P<x>a)(?P<x>b)"`:      `line 1, col 18: duplicate extracted label name 'x'`,
		`{a="b"} | line_format "{{.x"`:             `line 1, col 23: invalid line template: template line 1: unclosed action`,
		`{a="b"} | line_format "{{nope}}"`:         `line 1, col 23: invalid line template: template line 1: function "nope" not defined`,
		`{a="b"} | label_format x=y, x=z`:          `line 1, col 29: multiple label name 'x' not allowed in a single format operation`,
		`{a="b"} | label_format __error__=x`:       `line 1, col 24: __error__ cannot be formatted`,
		`{a="b"} | x > "5"`:                        `line 1, col 13: > compares numbers, durations and sizes, which stand without quotes`,
		`{a="b"} | json x="a..b"`:                  `line 1, col 18: cannot parse expression [a..b]: a name is missing before ".b"`,
		`{a="b"} | logfmt --lax`:                   `line 1, col 18: unknown flag --lax, expected --strict or --keep-empty`,
		`{a="b"} [5m]`:                             `line 1, col 9: a range belongs into a function, as in count_over_time({a="b"} [5m])`,
		`rate({a="b"})`:                            `line 1, col 13: syntax error: unexpected ), expected a range, as in rate(… [5m])`,
		`sum(rate({a="b"}))`:                       `line 1, col 17: syntax error: unexpected ), expected a range, as in rate(… [5m])`,
		`rate({a="b"}[5m]) offset 5m`:              `line 1, col 19: offset belongs right after a range, as in {…}[5m] offset 1h`,
		`rate({a="b"}[$__interval])`:               `line 1, col 14: variables such as $__interval are filled in by Grafana; write a duration, as in 5m`,
		`rate({a="b"}[5m:1m])`:                     `line 1, col 16: subqueries, as in [5m:1m], are not supported`,
		`rate({a="b"}[0s])`:                        `line 1, col 14: the range has to be longer than 0s`,
		`rate({a="b"}[5x])`:                        `line 1, col 14: "5x" is neither a number, nor a duration (5m, 1h30m), nor a size (5KB, 5KiB)`,
		`sum_over_time({a="b"}[5m])`:               `line 1, col 1: invalid aggregation sum_over_time without unwrap: say which label holds the number, as in | unwrap duration_ms`,
		`count_over_time({a="b"}|unwrap x[5m])`:    `line 1, col 1: invalid aggregation count_over_time with unwrap`,
		`count_over_time({a="b"}[5m]) by (x)`:      `line 1, col 1: grouping not allowed for count_over_time aggregation; use sum by (…) (count_over_time(…))`,
		`sum_over_time({a="b"}|unwrap x|json[5m])`: `line 1, col 32: only conditions on labels can follow unwrap, not json`,
		`quantile_over_time({a="b"}|unwrap x[5m])`: `line 1, col 20: parameter required for operation quantile_over_time(: a number comes first, as in quantile_over_time(0.95, …)`,
		`topk(rate({a="b"}[5m]))`:                  `line 1, col 6: parameter required for operation topk(: a number comes first, as in topk(5, …)`,
		`topk(0, rate({a="b"}[5m]))`:               `line 1, col 6: invalid parameter (must be greater than 0) topk(0`,
		`topk(1.5, rate({a="b"}[5m]))`:             `line 1, col 6: invalid parameter topk(1.5,: a whole number was expected`,
		`sum({a="b"})`:                             `line 1, col 1: sum works on numbers, and a log query has none; count its lines first: sum(count_over_time({a="b"} [5m]))`,
		`sum(1)`:                                   `line 1, col 1: sum works on series, not on the number 1`,
		`sum(5, rate({a="b"}[5m]))`:                `line 1, col 6: unsupported parameter for operation sum(`,
		`approx_topk(5, rate({a="b"}[5m]))`:        `line 1, col 1: approx_topk is not supported; use topk, which is exact`,
		`count_ovr_time({a="b"}[5m])`:              `line 1, col 1: unknown function count_ovr_time; did you mean count_over_time?`,
		`sort(rate({a="b"}[5m])) by (x)`:           `line 1, col 1: grouping not allowed for sort aggregation`,
		`{a="b"} + 1`:                              `line 1, col 9: unexpected type for left leg of binary operation (+): a log query has no value; count its lines with count_over_time({a="b"} [5m])`,
		`1 and rate({a="b"}[5m])`:                  `line 1, col 3: unexpected literal for left leg of logical/set binary operation (and): 1`,
		`1 + bool 2`:                               `line 1, col 5: bool can only be used with comparisons, not with +`,
		`rate({a="b"}[5m]) * group_left rate({a="b"}[5m])`:          `line 1, col 21: group_left needs on(…) or ignoring(…) before it`,
		`rate({a="b"}[5m]) and on(x) group_left rate({a="b"}[5m])`:  `line 1, col 29: no grouping allowed for "and" operation`,
		`rate({a="b"}[5m]) / on(x) group_left(x) rate({a="b"}[5m])`: `line 1, col 27: label "x" must not occur in ON and GROUP clause at once`,
		`label_replace(rate({a="b"}[5m]), "a-b", "", "c", "")`:      `line 1, col 34: invalid destination label name in label_replace(): "a-b"`,
		`{a="b"} |= "x" é`: `line 1, col 16: syntax error: unexpected character 'é'`,
		`{ä="b"}`:          `line 1, col 2: syntax error: unexpected character 'ä'`,
		"{a=\"ä\"} §":      `line 1, col 9: syntax error: unexpected character '§'`,
	} {
		_, err := syntax.Parse(text)
		var p *syntax.ParseError
		if !errors.As(err, &p) {
			t.Errorf("Parse(%s) = %v", text, err)
		} else if err.Error() != "parse error at "+want {
			t.Errorf("Parse(%s)\nsays   %s\nwanted %s", text, strings.TrimPrefix(err.Error(), "parse error at "), want)
		}
	}
}

func TestOffsetOfError(t *testing.T) {
	_, err := syntax.Parse("{a=\"ä\"}\n|= x")
	var p *syntax.ParseError
	if !errors.As(err, &p) || p.Offset != 12 || p.Line != 2 || p.Column != 4 {
		t.Errorf("%+v", p)
	}
}

func TestBounds(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", 1_000) + "1",
		"1" + strings.Repeat("+1", 6_000),
		"1" + strings.Repeat("^1", 1_000),
		`{a="b"} | ` + strings.Repeat("(", 1_000) + `x="1"`,
		`{a="b"} | x="1"` + strings.Repeat(`,x="1"`, 1_000),
		`{a="b"} | x="1"` + strings.Repeat(` or x="1"`, 6_000),
		`count_over_time(` + strings.Repeat("(", 1_000) + `{a="b"}`,
		`{a="b"} |= "` + strings.Repeat("x", syntax.MaxLength) + `"`,
		`{a="b"} |~ "` + strings.Repeat("x", 10_000) + `"`,
		`{a="b"` + strings.Repeat(`,a="b"`, 6_000) + `}`,
		`rate({a="b"}[200y])`,
		`rate({a="b"}[1m] offset 101y)`,
		`rate({a="b"}[300y])`,
	} {
		if _, err := syntax.Parse(text); err == nil {
			t.Errorf("Parse(%.40s…) is not refused", text)
		}
	}
}

func TestParseLog(t *testing.T) {
	if q, err := syntax.ParseLog(`{a="b"} |= "x"`); err != nil || len(q.Stages) != 1 {
		t.Errorf("%v, %v", q, err)
	}
	if _, err := syntax.ParseLog(`1`); err == nil {
		t.Error("a number is not a log query")
	}
	if m, err := syntax.ParseMatchers(`{}`); err != nil || len(m) != 0 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := syntax.ParseMatchers(`{} x`); err == nil {
		t.Error("text after a selector")
	}
}

func TestReach(t *testing.T) {
	e, err := syntax.Parse(`sum(rate({a="b"}[5m] offset 1h)) / sum(rate({c="d"}[10m] offset -2h)) + label_replace(rate({e="f"}[1m]), "x", "", "y", "")`)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := syntax.Reach(e); before != 65*time.Minute || after != 2*time.Hour {
		t.Errorf("%v, %v", before, after)
	}
	if s := syntax.Selectors(e); len(s) != 3 || s[0][0].Value != "b" || s[2][0].Value != "f" {
		t.Errorf("%v", s)
	}
	if syntax.IsScalar(e) {
		t.Error("this is a vector")
	}
}

func TestFormat(t *testing.T) {
	in := `sum by (status, path)(rate({container="nginx", environment="production"} |= "GET" | json status="response.status", path="request.path" | status >= 500 [5m])) / on (path) group_left topk(5, sum by (path) (quantile_over_time(0.95, {container="nginx", environment="production"} | logfmt | unwrap duration(took) | __error__="" [5m] offset 1h) by (path))) > 0.5`
	want := `    sum by (status, path) (
      rate(
        {container="nginx", environment="production"}
          |= "GET"
          | json status="response.status", path="request.path"
          | status >= 500
        [5m]
      )
    )
  / on (path) group_left
    topk(
      5,
      sum by (path) (
        quantile_over_time(
          0.95,
          {container="nginx", environment="production"}
            | logfmt
            | unwrap duration(took)
            | __error__=""
          [5m] offset 1h
        ) by (path)
      )
    )
>
  0.5`
	got, err := syntax.Format(in)
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := syntax.Format(`{a="b"}|="x"`); err != nil || got != `{a="b"} |= "x"` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := syntax.Format(`{`); err == nil {
		t.Error("no error")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range same {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := syntax.Parse(text)
		if err != nil {
			var p *syntax.ParseError
			if !errors.As(err, &p) || p.Offset < 0 || p.Offset > len(text) || p.Line < 1 || p.Column < 1 {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		normal := e.String()
		if len(normal) > syntax.MaxLength {
			return
		}
		again, err := syntax.Parse(normal)
		if err != nil || again.String() != normal {
			t.Fatalf("%q is %q, and that is %v, %v", text, normal, again, err)
		}
		pretty, err := syntax.Format(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err = syntax.Parse(pretty); err != nil || again.String() != normal {
			t.Fatalf("%q is %q, formatted %s: %v, %v", text, normal, pretty, again, err)
		}
	})
}
