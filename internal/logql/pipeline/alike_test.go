package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// compileMetric returns the program of the pipeline of a query for numbers.
func compileMetric(t *testing.T, query string, need pipeline.Need) *pipeline.Program {
	t.Helper()
	q, err := syntax.ParseLog(query)
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Compile(pipeline.Spec{Stages: q.Stages, Need: need, Metric: true})
}

// alikeLine returns a line as withFields does, whose body has the fields that the queries of
// TestOutcomes look for, or not quite.
func alikeLine(r *rand.Rand) []byte {
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	rec := kept.Record{
		Time: 1e9, Level: record.Level(r.IntN(7)),
		Body: []byte(one("GET", "POST", "", `"`, "<") + one(" ", " - ") + one("200", "503", "20", "", "5\\3") + one(" ", "", "\n") + one("x=1", `x="a\b"`, "x=\u2028", "\xff", strings.Repeat("long", 200))),
	}
	if r.IntN(4) == 0 {
		rec.Flags |= record.Stderr
	}
	if r.IntN(10) == 0 {
		rec.Gap = "rotated"
	}
	for _, name := range []string{"status", "method", "stream"} {
		if r.IntN(3) == 0 {
			rec.Fields = append(rec.Fields, kept.Field{Name: []byte(name), Value: []byte(one("200", "503", "GET"))})
		}
	}
	return new(kept.Appender).Append(nil, &rec)
}

// TestOutcomes holds a runner that remembers what became of records to one that has met none.
func TestOutcomes(t *testing.T) {
	streams := []record.Labels{{{Name: "app", Value: "shop"}}, {{Name: "app", Value: "web"}, {Name: "status", Value: "x"}}}
	for _, query := range []string{
		"{a=\"b\"} | regexp `^(?P<method>\\S+) .*?(?P<status>\\d+) ` | status != \"\"",
		"{a=\"b\"} | regexp `(?P<method>GET|POST)?` | status >= 300",
		"{a=\"b\"} | regexp `(?P<status>5..)(?P<rest>.*)` | drop method",
		"{a=\"b\"} | regexp `(?P<status>5(?:.*)*)`",
		"{a=\"b\"} | pattern `<method> <status> <rest>` | status=~\"5.*|\" or method=\"GET\"",
		"{a=\"b\"} | pattern `<_> - <status> ` | keep status, app",
		"{a=\"b\"} | status=\"200\" | detected_level=~\"warn|error\"",
		"{a=\"b\"} |= \"GET\" | drop app",
		"{a=\"b\"} |= \"GET\"",
		"{a=\"b\"} | regexp `(?P<method>GET)` | json | status != \"\"",
	} {
		remembered := 0
		for _, need := range []pipeline.Need{{All: true}, {Names: []string{"status"}}, {Names: []string{"rest", "status_extracted", "detected_level"}}, {}} {
			p := compileMetric(t, query, need)
			random := rand.New(rand.NewPCG(1, 2))
			used := p.NewRunner()
			for i := range 3000 {
				if i%100 == 0 {
					used.Stream(streams[i/100%2])
				}
				line := alikeLine(random)
				fresh := p.NewRunner()
				fresh.Stream(streams[i/100%2])
				fresh.Block(line)
				want := "does not pass"
				if fresh.Next() && fresh.Process() {
					want = fmt.Sprint(fresh.Err(), fresh.AppendLabels(nil))
				}
				used.Block(line)
				got := "does not pass"
				if used.Next() {
					if o := used.Outcome(); o != nil && o.Note == nil {
						got = fmt.Sprint(used.Err(), used.AppendLabels(nil))
						o.Note = got
					} else if o != nil {
						got = o.Note.(string)
						remembered++
					}
				}
				if got != want {
					t.Fatalf("%s, %v: %s: %s\nwant %s", query, need, line, got, want)
				}
			}
		}
		if complex := strings.Contains(query, "json") || strings.Contains(query, ")*"); complex != (remembered == 0) {
			t.Errorf("%s: %d were like another", query, remembered)
		}
	}
}

// TestOutcomesDiffer has lines of which no two are alike: that is noticed, and nothing lost.
func TestOutcomesDiffer(t *testing.T) {
	p := compileMetric(t, "{a=\"b\"} | regexp `id=(?P<id>\\d+)`", pipeline.Need{Names: []string{"id"}})
	r := p.NewRunner()
	r.Stream(nil)
	var text []byte
	var app kept.Appender
	for i := range 10_000 {
		text = app.Append(text, &kept.Record{Time: 1e9, Body: fmt.Appendf(nil, "id=%d", i)})
	}
	r.Block(text)
	for i := 0; r.Next(); i++ {
		o := r.Outcome()
		if o == nil || o.Note != nil || r.Labels().String() != fmt.Sprintf(`{id="%d"}`, i) {
			t.Fatalf("%d: %v %s", i, o, r.Labels())
		}
		o.Note = i
	}
}
