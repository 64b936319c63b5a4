package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// withFields returns the line of a record that has something behind its body.
func withFields(r *rand.Rand) []byte {
	values := []string{"200", "503", "", `a"b\c`, "{", `,"fields":{"x":"y"`, strings.Repeat("long", 200)}
	rec := kept.Record{Time: 1e9, Level: record.Level(r.IntN(7)), Body: []byte(values[r.IntN(len(values))])}
	if r.IntN(4) == 0 {
		rec.Flags |= record.Stderr
	}
	for _, name := range []string{"status", "app", "stream", "detected_level", "gap"} {
		if r.IntN(2) == 0 {
			rec.Fields = append(rec.Fields, kept.Field{Name: []byte(name), Value: []byte(values[r.IntN(len(values))])})
		}
	}
	var app kept.Appender
	return app.Append(nil, &rec)
}

// TestTails holds a runner that has met all kinds of lines to one that has met none.
func TestTails(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := compile(t, `{a="b"} | regexp "^(?P<status>[25]..)"`, pipeline.Need{All: true})
	streams := []record.Labels{{{Name: "app", Value: "shop"}}, {{Name: "status", Value: "x"}, {Name: "stream", Value: "y"}}}
	what := func(r *pipeline.Runner, line []byte) string {
		r.Block(line)
		if !r.Next() || !r.Process() {
			return "does not pass"
		}
		return fmt.Sprint(r.AppendLabels(nil), string(r.Line()))
	}
	used := p.NewRunner()
	for i := range 4000 {
		labels := streams[i/100%len(streams)]
		if i%100 == 0 {
			used.Stream(labels)
		}
		line := withFields(random)
		if random.IntN(20) == 0 {
			line[len(line)-3-random.IntN(10)] = '"' // damage
		}
		fresh := p.NewRunner()
		fresh.Stream(labels)
		if got, want := what(used, line), what(fresh, line); got != want {
			t.Fatalf("%s: %s\nwant %s", line, got, want)
		}
	}
}

// TestShadowed has records that came with the labels that a parser looks for.
func TestShadowed(t *testing.T) {
	for _, query := range []string{"{a=\"b\"} | regexp `code=(?P<status>\\d+) (?P<path>\\S+)`", "{a=\"b\"} | pattern `code=<status> <path>`"} {
		for _, c := range []struct {
			need []string
			want string
		}{
			{[]string{"status"}, `{status="200"}`},
			{[]string{"status_extracted"}, `{status_extracted="503"}`},
			{[]string{"status", "path"}, `{path="/x", status="200"}`},
			{[]string{"status", "path_extracted"}, `{status="200"}`},
		} {
			var app kept.Appender
			r := compile(t, query, pipeline.Need{Names: c.need}).NewRunner()
			r.Stream(record.Labels{{Name: "app", Value: "shop"}})
			r.Block(app.Append(nil, &kept.Record{Body: []byte("code=503 /x"), Fields: []kept.Field{{Name: []byte("status"), Value: []byte("200")}}}))
			if !r.Next() || !r.Process() {
				t.Fatalf("%s: the line does not pass", query)
			}
			if got := r.Labels().String(); got != c.want {
				t.Errorf("%s, %v needed: %s; want %s", query, c.need, got, c.want)
			}
		}
	}
}
