package parse_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/parse"
)

func parser(t testing.TB, c parse.Config, want ...string) *parse.Parser {
	t.Helper()
	p, err := parse.New(c, want)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run sends lines through a stage and returns, for each, the bits of its rules and its
// fields; lines that begin with a backslash are escaped text without that backslash.
func run(t *testing.T, rules []parse.Rule, lines ...string) (got []string, deltas map[uint32]float64) {
	t.Helper()
	b := new(record.Batch)
	for _, line := range lines {
		r := record.Record{}
		if text, ok := strings.CutPrefix(line, "E:"); ok {
			line, r.Flags = text, record.Escaped
		}
		r.Body = b.Append([]byte(line))
		b.Records = append(b.Records, r)
	}
	deltas = map[uint32]float64{}
	end := flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		for i, r := range b.Records {
			text := fmt.Sprintf("%b", r.Rules)
			for k, v := range b.Row(i) {
				if v.Len > 0 {
					text += " " + b.Slots[k] + "=" + string(b.Bytes(v))
				}
			}
			got = append(got, text)
		}
		for _, d := range b.Deltas {
			deltas[d.Series] += d.Add
		}
		return nil
	})
	stage, _ := parse.Stage(rules)
	if err := stage(end).Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return got, deltas
}

func TestOneRule(t *testing.T) {
	samples := &parse.Samples{Redact: func(line []byte) []byte { return []byte(strings.ReplaceAll(string(line), "secret", "****")) }}
	rules := []parse.Rule{{Parser: parser(t, parse.Config{Regex: `^(?P<m>\S+) "(?P<p>[^"]*)" (?P<s>\d+)$`}), Matched: 1, Unmatched: 2, Samples: samples}}
	got, deltas := run(t, rules, `GET "/a" 200`, `E:GET \"/a\" 404`, `E:GET \"/a\" secret`, "")
	want := []string{"1 m=GET p=/a s=200", "1 m=GET p=/a s=404", "0", "0"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if deltas[1] != 2 || deltas[2] != 2 {
		t.Errorf("deltas %v", deltas)
	}
	if got := samples.Lines(); len(got) != 2 || got[0] != `GET "/a" ****` {
		t.Errorf("samples %q", got)
	}
}

// TestRulesOverride: the later rule that matches overrides a field of one name, one that
// does not match leaves it, and a rule without a parser takes everything.
func TestRulesOverride(t *testing.T) {
	rules := []parse.Rule{
		{Parser: parser(t, parse.Config{Regex: `status=(?P<status>\d+)`})},
		{},
		{Parser: parser(t, parse.Config{JSON: &parse.Object{}}, "status", "user.name")},
	}
	got, _ := run(t, rules, "status=200", `{"status":500,"user":{"name":"bo\"b"},"x":"status=200"}`, `E:{\"status\":404}`, "none")
	want := []string{"11 status=200", `111 status=500 user.name=bo"b`, "110 status=404", "10"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestEscapedFieldsFollow: when a later rule needs plain text, the fields that an earlier
// one took from the escaped text become plain as well.
func TestEscapedFieldsFollow(t *testing.T) {
	rules := []parse.Rule{
		{Parser: parser(t, parse.Config{Regex: `path=(?P<path>\S+)`})},
		{Parser: parser(t, parse.Config{Logfmt: &parse.Object{}}, "code")},
	}
	got, _ := run(t, rules, `E:path=/a\u0026b code=7`)
	if got[0] != "11 path=/a&b code=7" {
		t.Errorf("got %q", got)
	}
}

func TestFormats(t *testing.T) {
	for _, test := range []struct {
		config     parse.Config
		line, want string
	}{
		{parse.Config{Nginx: "combined"}, `1.2.3.4 - a b [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.1" 200 - "-" "c"`, "status=200"},
		{parse.Config{Nginx: `$status $request_time`}, "200 0.5", "status=200 request_time=0.5"},
		{parse.Config{Pattern: `<ip> <_> <status>`}, "1.2.3.4 - 200", "ip=1.2.3.4 status=200"},
		{parse.Config{Logfmt: &parse.Object{}}, `status=200 msg="a b"`, "status=200"},
		{parse.Config{Syslog: &parse.Object{}}, "<34>Oct 11 22:14:15 web-1 su[230]: failed", "severity=2"},
	} {
		got, _ := run(t, []parse.Rule{{Parser: parser(t, test.config, "status", "severity")}}, test.line)
		for _, field := range strings.Fields(test.want) {
			if !strings.HasPrefix(got[0], "1 ") || !strings.Contains(got[0]+" ", " "+field+" ") {
				t.Errorf("%+v: got %q, want %s in it", test.config, got[0], field)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]parse.Config{
		"give one of nginx, regex, pattern, json, logfmt, syslog, fields":              {},
		"regex: a rule parses in one way; nginx is given already: write a second rule": {Nginx: "combined", Regex: "x"},
		`regex: name at least one group, as in (?P<status>\d+)`:                        {Regex: "x"},
		"regex: error parsing regexp: missing closing ): `(`":                          {Regex: "("},
	} {
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate(%+v) = %v, want %s", c, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	p := parser(t, parse.Config{Regex: `^(?P<m>\S+) (?P<s>\d+)$`})
	if fields, ok, _ := p.Explain([]byte("GET 200")); !ok || len(fields) != 2 || fields[1].Value != "200" {
		t.Errorf("Explain = %v, %v", fields, ok)
	}
	if _, ok, stopped := p.Explain([]byte("GET x")); ok || stopped != 4 {
		t.Errorf("stopped after %d bytes, want 4", stopped)
	}
}

// TestCame takes the fields that came with records, which need not have any.
func TestCame(t *testing.T) {
	b := new(record.Batch)
	add := func(body string, fields ...string) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			b.Fields = append(b.Fields, record.Field{Record: len(b.Records), Name: b.Append([]byte(name)), Value: b.Append([]byte(value))})
		}
		b.Records = append(b.Records, record.Record{Body: b.Append([]byte(body))})
	}
	add("first", "name=shop", "key=1@u", "job=checkout")
	add("second")
	add("third", "other=x")
	add("fourth", "job=pay", "name=db")
	rules := []parse.Rule{
		{Parser: parser(t, parse.Config{Fields: &parse.Object{}}, "job", "name"), Matched: 1, Unmatched: 2},
		{Parser: parser(t, parse.Config{Fields: &parse.Object{}}, "key"), Matched: 3, Unmatched: 4},
	}
	var got []string
	deltas := map[uint32]float64{}
	stage, _ := parse.Stage(rules)
	err := stage(flow.SinkFunc(func(_ context.Context, b *record.Batch) error {
		for i, r := range b.Records {
			text := fmt.Sprintf("%b", r.Rules)
			for k, v := range b.Row(i) {
				if v.Len > 0 {
					text += " " + b.Slots[k] + "=" + string(b.Bytes(v))
				}
			}
			got = append(got, text)
		}
		for _, d := range b.Deltas {
			deltas[d.Series] += d.Add
		}
		return nil
	})).Write(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"11 job=checkout name=shop key=1@u", "0", "11", "11 job=pay name=db"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if fmt.Sprint(deltas) != "map[1:3 2:1 3:3 4:1]" {
		t.Errorf("counted %v", deltas)
	}
}
