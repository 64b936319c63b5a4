package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

func compile(t testing.TB, query string, need pipeline.Need) *pipeline.Program {
	t.Helper()
	q, err := syntax.ParseLog(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: need, Metric: true})
}

func block(bodies ...string) (text []byte) {
	var app kept.Appender
	for i, body := range bodies {
		text = app.Append(text, &kept.Record{Time: int64(i+1) * 1e9, Level: record.LevelInfo, Body: []byte(body)})
	}
	return text
}

// pass returns the lines that pass.
func pass(p *pipeline.Program, text []byte) (lines []string) {
	r := p.NewRunner()
	r.Stream(record.Labels{{Name: "app", Value: "shop"}})
	r.Block(text)
	for r.Next() {
		if r.Process() {
			lines = append(lines, string(r.Line()))
		}
	}
	return lines
}

func TestLineFilters(t *testing.T) {
	bodies := []string{
		`GET /a 500 1`, `say "hi"`, "two\nlines", `back\slash`, `\nfo`, "nfo", `{"time":"x","level":"y","body":"z"}`, "", "ünï", "ERROR x", "error y",
		`a 503 b`, "tab\tn12", `"`, `\`, `x"`, `u0000`, "\x00", "K", "\u212a", "kelvin K",
	}
	text := block(bodies...)
	for _, filter := range []string{
		`|= "500"`, `|= "hi"`, `|= "\""`, `|= "\\"`, `|= "nfo"`, `|= "\n"`, `!= "o"`, `|= "time"`, `|= "body"`, `|= "level"`, `|~ " 5\\d\\d "`, `|~ "(?i)error"`, `|~ "(?i)k"`, `|~ "n12"`,
		`|= "unknown"`, `|= ""`, `!= ""`, `|~ ""`, `|= "hi" or "back"`, `|~ "^$"`, `|~ "."`, `|~ "o.l"`, `!~ "[a-z]"`, `|= "info"`, `|= "a" |= "b"`, `|= "e" != "y" |~ "r+"`, `|~ "x\"$"`,
		`|= "u0000"`, `|= "\u0000"`, `|~ "\\x00"`, `|~ "u00"`, `|> "<_> 5<_>"`, `!> "<_> 5<_>"`, `|~ "\\d\\d\\d"`, `|~ "ünï|two"`, `|~ "(GET|a) .*50(0|3)"`, `|~ "n"`,
		`|= ip("10.0.0.1")`,
	} {
		q, err := syntax.ParseLog("{a=\"b\"} " + filter)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, body := range bodies {
			if passes(q, body) {
				want = append(want, body)
			}
		}
		if got := pass(pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.Need{All: true}}), text); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q; want %q", filter, got, want)
		}
	}
}

// passes is what a filter means.
func passes(q *syntax.LogQuery, line string) bool {
	for _, s := range q.Stages {
		f := s.(*syntax.LineFilter)
		found := false
		for _, term := range f.Terms {
			switch {
			case term.Re != nil:
				found = found || term.Re.MatchString(line)
			case term.Pattern != nil:
				found = found || strings.Contains(line, " 5")
			case term.IP == nil:
				found = found || strings.Contains(line, term.Text)
			}
		}
		if found == f.Op.Negated() {
			return false
		}
	}
	return true
}

// TestSkip has blocks excluded by their filters alone that no line passes.
func TestSkip(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	pieces := []string{"error", "timeout", "ab", " ", `say \"hi\"`, `\\`, "é", "Disk", "(?i:warning)", "(?i:desk)", "[xy]", `\\d`, ".*", "(?:one|two)", "(?:lost|)", "(abcd|abce)+", "s?", "(?:foobar){2}", "^", "$", `\\b`, "[^a]", "(?:x|.)"}
	words := []string{"error", "timeout", "ab", " ", `say "hi"`, `\`, "é", "Disk", "WARNING", "DEsK", "DE\u017fK", "x", "y", "7", "one", "two", "lost", "abcd", "abce", "s", "foobarfoobar", "\n"}
	excluded, matched := 0, 0
	for range 6000 {
		expr := ""
		for range 1 + r.IntN(4) {
			expr += pieces[r.IntN(len(pieces))]
		}
		if r.IntN(3) == 0 {
			expr += "|" + pieces[r.IntN(len(pieces))] + pieces[r.IntN(len(pieces))]
		}
		q, err := syntax.ParseLog(`{a="b"} |~ "` + expr + `"`)
		if err != nil {
			continue
		}
		line := ""
		for range r.IntN(6) {
			line += words[r.IntN(len(words))]
		}
		var b gram.Builder
		b.Add(kept.Escape(nil, []byte(line)))
		filter := b.AppendFilter(nil)
		p := pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.Need{All: true}})
		match := passes(q, line)
		if got := len(pass(p, block("before", line, "after"))); match && got == 0 {
			t.Fatalf("%q is not found by %s", line, expr)
		}
		skip := p.Skip()
		if skip == nil {
			continue
		}
		switch out := skip.Excludes(func(q *gram.Query) bool { return q.MayContain(filter) }); {
		case out && match:
			t.Fatalf("%q is excluded for %s", line, expr)
		case out:
			excluded++
		case match:
			matched++
		}
	}
	if excluded < 300 || matched < 30 {
		t.Errorf("%d excluded, %d matched", excluded, matched)
	}
}

func TestNoAllocations(t *testing.T) {
	text := block(strings.Split(strings.Repeat(`10.0.0.1 - - "GET /a HTTP/1.1" 503 12 took=5ms level=warn`+"\n"+`{"status":200,"path":"/x","n":{"m":"a\"b"}}`+"\n", 50), "\n")...)
	for _, query := range []string{
		`{a="b"} |= "GET"`,
		`{a="b"} |~ " 5\\d\\d "`,
		`{a="b"} |~ "(?i)get" != "POST"`,
		`{a="b"} | regexp "\" (?P<status>\\d+) "`,
		"{a=\"b\"} | pattern `<_> \"<method> <_>\" <status> <_>`",
		`{a="b"} | json | status>100 or status="x"`,
		`{a="b"} | json status, n="n.m"`,
		`{a="b"} | logfmt | took>1ms | level=~"warn|error"`,
		`{a="b"} | detected_level="info" | drop app | keep status`,
	} {
		p := compile(t, query, pipeline.Need{Names: []string{"status", "app"}})
		r := p.NewRunner()
		group := pipeline.Grouping{Labels: []string{"app", "status"}}
		var key []byte
		passed := 0
		run := func() {
			r.Block(text)
			for r.Next() {
				if r.Process() {
					key = r.AppendKey(key[:0], &group)
					passed++
				}
			}
		}
		r.Stream(record.Labels{{Name: "app", Value: "shop"}})
		run()
		if n := testing.AllocsPerRun(10, run); n > 0 && !raceDetector {
			t.Errorf("%s: %v allocations for %d lines", query, n, strings.Count(string(text), "\n"))
		}
		if passed == 0 {
			t.Errorf("%s: nothing passed", query)
		}
	}
}

func TestKeys(t *testing.T) {
	p := compile(t, `{a="b"} | logfmt`, pipeline.Need{All: true})
	r := p.NewRunner()
	r.Stream(record.Labels{{Name: "app", Value: "shop"}})
	r.Block(block(`b=2 a=` + strings.Repeat("x", 300) + ` empty=""`))
	if !r.Next() || !r.Process() {
		t.Fatal("the line does not pass")
	}
	check := func(g pipeline.Grouping, want string) {
		t.Helper()
		if got := pipeline.DecodeKey(string(r.AppendKey(nil, &g))); strings.ReplaceAll(got.String(), strings.Repeat("x", 300), "xxx") != want {
			t.Errorf("%+v: %s; want %s", g, got, want)
		}
	}
	check(pipeline.Grouping{}, "{}")
	check(pipeline.Grouping{Without: true}, `{a="xxx", app="shop", b="2", detected_level="info"}`)
	check(pipeline.Grouping{Without: true, Labels: []string{"b"}, Drop: "a"}, `{app="shop", detected_level="info"}`)
	check(pipeline.Grouping{Labels: []string{"a", "none"}}, `{a="xxx"}`)
	check(pipeline.Grouping{Labels: []string{"a", "empty"}, Drop: "a"}, `{}`)
}

// FuzzStages sends any line through all stages.
func FuzzStages(f *testing.F) {
	stages := []string{
		`| json`, `| json a="b[0].c", d`, `| logfmt`, `| logfmt --strict`, `| logfmt --keep-empty a, b`, `| regexp "(?P<a>\\w+)=(?P<b>.)"`, "| pattern `<a> <_>=<b>`", `| unpack | json`,
		`| decolorize`, `| line_format "{{.a}} {{__line__}}" |= "x"`, `| label_format b=a, c="{{.app}}"`, `| logfmt | a > 5 or b = ip("10.0.0.0/8") | c < 5ms`, `|> "<_>=<_>"`, `|= ip("::1")`,
	}
	var programs []*pipeline.Program
	for _, s := range stages {
		programs = append(programs, compile(f, `{a="b"} `+s, pipeline.Need{All: true}))
	}
	for _, s := range []string{`{"a":{"b":[{"c":1}]},"d":"\u00e9"}`, `a=1 b="x y" c=3ms`, `{"_entry":"x=1","pod":"y"}`, "\x1b[31mred", `{"a":`, `a="\x"`, "::1 10.0.0.1", "\xff\x00\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		text := block("x", body, body)
		for i, p := range programs {
			lines := pass(p, text)
			if n := len(lines); n > 3 {
				t.Errorf("%s: %d lines of three", stages[i], n)
			}
			if n := len(lines); n >= 2 && lines[n-1] != lines[n-2] && stages[i] != stages[9] && n > 2 {
				t.Errorf("%s: the same line became %q and %q", stages[i], lines[n-1], lines[n-2])
			}
		}
	})
}

func Example() {
	q, _ := syntax.ParseLog(`{app="shop"} |= "GET" | logfmt | status>=500`)
	r := pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: pipeline.Need{All: true}}).NewRunner()
	r.Stream(record.Labels{{Name: "app", Value: "shop"}})
	r.Block(block(`method=GET status=200`, `method=GET status=503`, `method=PUT status=500`))
	for r.Next() {
		if r.Process() {
			fmt.Println(r.Labels(), string(r.Line()))
		}
	}
	// Output: {app="shop", detected_level="info", method="GET", status="503"} method=GET status=503
}
