package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/count"
	"github.com/weirlog/weir/internal/stage/parse"
)

// openLine returns a line with the rules, ending in a journal on a disk in memory.
func openLine(t testing.TB, rules ...Rule) flow.Line {
	t.Helper()
	reg, tallies, err := scratch("web-1")
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compileRules(rules, reg)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{FS: new(disk.Faulty), Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	l := &lines{source: "access", journal: j, rules: compiled, tally: tallies.of("access"), settled: func() {}, takers: func(record.Labels) []string { return nil }, open: map[*line]bool{}}
	made, err := l.Open(flow.Input{Stream: record.Stream{ID: "access/a", Source: "access", Labels: record.Labels{{Name: "source", Value: "access"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// commit runs a journal's commits until the test ends.
func commit(t *testing.T, j *journal.Journal) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- j.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, j.Close()); err != nil {
			t.Error(err)
		}
	})
}

// dockerBatch returns n copies of the lines of a Docker log, still escaped.
func dockerBatch(t testing.TB, n int) *record.Batch {
	t.Helper()
	text, err := os.ReadFile("testdata/nginx-json.log")
	if err != nil {
		t.Fatal(err)
	}
	b := new(record.Batch)
	for range n {
		for line := range bytes.Lines(text) {
			e, err := dockerjson.Parse(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatal(err)
			}
			r := record.Record{Body: b.Append(e.Log), Time: e.Time}
			if e.Escaped {
				r.Flags |= record.Escaped
			}
			b.Records = append(b.Records, r)
		}
	}
	b.Position.Source = []byte("somewhere")
	return b
}

func regexRule(t testing.TB) Rule {
	t.Helper()
	expr, err := os.ReadFile("testdata/nginx.regex")
	if err != nil {
		t.Fatal(err)
	}
	return Rule{
		Match: `{source="access"}`,
		Parse: &parse.Config{Regex: string(bytes.TrimSpace(expr))},
		Count: []count.Config{{Name: "nginx.status_count", By: []string{"status"}}},
	}
}

// TestNoAllocationsPerLine runs whole batches through a whole line: once memory has grown,
// nothing is allocated, whatever the number of lines. Where the text is kept, commits
// allocate for each block, and so for a small part of the lines: one in twenty, or twice as
// many where the race detector has pools forget what they hold.
func TestNoAllocationsPerLine(t *testing.T) {
	for name, c := range map[string]struct {
		keep  Keep
		bound float64 // allocations a line
	}{
		"counted": {Keep{None: true}, 0},
		"kept":    {Keep{}, keptAllocations},
	} {
		t.Run(name, func(t *testing.T) {
			r := regexRule(t)
			r.Keep = &c.keep
			l := openLine(t, r)
			if !c.keep.None {
				commit(t, l.(*line).lines.journal) // else text has to wait
			}
			b := dockerBatch(t, 20)
			lines := append([]record.Record(nil), b.Records...)
			arena := len(b.Arena)
			ctx := t.Context()
			n := testing.AllocsPerRun(50, func() {
				b.Records = append(b.Records[:0], lines...)
				b.Arena, b.Deltas = b.Arena[:arena], b.Deltas[:0]
				if err := l.Write(ctx, b); err != nil {
					t.Fatal(err)
				}
			})
			if n/float64(len(lines)) > c.bound {
				t.Errorf("%v allocations for %d lines", n, len(lines))
			}
		})
	}
}

// TestEveryStreamHasItsSource: rules can tell streams by the source that reads them, whatever
// labels that gives them.
func TestEveryStreamHasItsSource(t *testing.T) {
	if got := withSource(record.Labels{{Name: "container", Value: "shop"}}, "docker").String(); got != `{container="shop", source="docker"}` {
		t.Errorf("labels are %s", got)
	}
	if got := withSource(record.Labels{{Name: "source", Value: "own"}}, "docker").String(); got != `{source="own"}` {
		t.Errorf("labels are %s", got)
	}
}

// TestOwnersTellMeanings makes sure that what changes a number's meaning begins it anew, and
// that what does not, does not.
func TestOwnersTellMeanings(t *testing.T) {
	owner := func(change func(r *Rule)) string {
		r := regexRule(t)
		change(&r)
		return metricOwners([]Rule{r})["nginx_status_count_total"]
	}
	same := owner(func(*Rule) {})
	for name, change := range map[string]func(*Rule){
		"match": func(r *Rule) { r.Match = "{}" },
		"parse": func(r *Rule) { r.Parse = &parse.Config{Nginx: "combined"} },
		"by":    func(r *Rule) { r.Count[0].By = []string{"method"} },
		"sum":   func(r *Rule) { r.Count[0].Sum = "bytes" },
	} {
		if owner(change) == same {
			t.Errorf("another %s keeps the series", name)
		}
	}
	for name, change := range map[string]func(*Rule){
		"name":   func(r *Rule) { r.Name = "x" },
		"window": func(r *Rule) { r.Count[0].Window = 30 },
		"more":   func(r *Rule) { r.Count = append(r.Count, count.Config{Name: "other"}) },
	} {
		if owner(change) != same {
			t.Errorf("another %s begins the series anew", name)
		}
	}
}

func TestExplainIsJSON(t *testing.T) {
	cfg, mistakes := Load(Files{Env: unset, Hostname: "web-1"})
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	e, err := Explain(t.Context(), cfg, []byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Counts) != 1 || e.Counts[0].Series != `nginx_status_count_total{status="200"}` {
		t.Errorf("counts %v", e.Counts)
	}
	if _, err := json.Marshal(e); err != nil {
		t.Error(err)
	}
}

func BenchmarkLine(b *testing.B) {
	l := openLine(b, regexRule(b))
	batch := dockerBatch(b, 20)
	kept := append([]record.Record(nil), batch.Records...)
	arena := len(batch.Arena)
	for b.Loop() {
		batch.Records = append(batch.Records[:0], kept...)
		batch.Arena, batch.Deltas = batch.Arena[:arena], batch.Deltas[:0]
		if err := l.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(kept)), "ns/line")
}
