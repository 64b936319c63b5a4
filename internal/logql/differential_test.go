package logql_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/reference"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// store writes streams to an archive, in blocks that end anywhere. It adds what only the
// archive has, and returns the streams with that.
func store(t testing.TB, r *rand.Rand, streams []reference.Stream) (*archive.Archive, []reference.Stream) {
	t.Helper()
	a, err := archive.Open(archive.Options{Tree: &disk.Faulty{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var app kept.Appender
	out := slices.Clone(streams)
	for i := range out {
		s := &out[i]
		s.Entries = slices.Clone(s.Entries)
		to := a.Stream(record.Stream{ID: "test/" + strconv.Itoa(i), Labels: s.Labels}, archive.Bound{})
		chance := 1 + r.IntN(60)
		for k := range s.Entries {
			to.Add(nil, kept.TextOf(appendEntry(nil, &app, r, &s.Entries[k])))
			if r.IntN(chance) == 0 {
				to.Seal(nil)
			}
		}
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	a.Show()
	return a, out
}

func appendEntry(dst []byte, app *kept.Appender, r *rand.Rand, e *reference.Entry) []byte {
	line := kept.Record{Time: e.Time, Level: e.Level, Body: []byte(e.Line)}
	e.Fields = slices.DeleteFunc(slices.Clone(e.Fields), func(l record.Label) bool { return l.Value == "" }) // they are not kept
	for _, f := range e.Fields {
		line.Fields = append(line.Fields, kept.Field{Name: kept.Escape(nil, []byte(f.Name)), Value: []byte(f.Value)})
	}
	switch {
	case e.Gap:
		line.Gap, line.GapBytes = "rotated away", 4312
		e.Fields = append(e.Fields, record.Label{Name: "gap", Value: line.Gap})
	case r.IntN(6) == 0:
		line.Flags |= record.Stderr
		e.Fields = slices.Insert(e.Fields, 0, record.Label{Name: "stream", Value: "stderr"})
	}
	return app.Append(dst, &line)
}

// answer asks the engine and returns what it says in the form of the reference.
func answer(t testing.TB, e *logql.Engine, query syntax.Expr, p reference.Params) (reference.Result, error) {
	t.Helper()
	direction := logql.Forward
	if p.Backward {
		direction = logql.Backward
	}
	res, err := e.Query(t.Context(), logql.Params{
		Expr: query, Start: time.Unix(0, p.Start), End: time.Unix(0, p.End), Step: p.Step, Limit: p.Limit, Direction: direction,
	})
	if err != nil {
		return reference.Result{}, err
	}
	out := reference.Result{}
	switch res.Kind {
	case logql.Streams:
		for _, g := range res.Grouped() {
			s := reference.LogStream{}
			for _, l := range g.Labels {
				s.Labels = append(s.Labels, record.Label{Name: l.Name, Value: l.Value})
			}
			for _, e := range g.Entries {
				s.Lines = append(s.Lines, reference.Line{Time: e.Time, Text: e.Line})
			}
			out.Streams = append(out.Streams, s)
		}
	case logql.Scalar:
		out.Scalar = &res.Scalar.Value
	case logql.Matrix:
		for _, s := range res.Series {
			m := reference.Series{Labels: s.Labels}
			for _, p := range s.Points {
				m.Points = append(m.Points, reference.Point(p))
			}
			out.Matrix = append(out.Matrix, m)
		}
	case logql.Vector:
		for _, s := range res.Series {
			out.Vector = append(out.Vector, reference.Sample{Labels: s.Labels, Value: s.Points[0].Value})
		}
	}
	return out, nil
}

// same compares errors: those of pipelines by what went wrong, others by their text.
func same(want, got error) bool {
	var a *reference.PipelineError
	var b *logql.PipelineError
	switch {
	case want == nil || got == nil:
		return want == got
	case errors.As(want, &a) || errors.As(got, &b):
		return true // of several things that are wrong either is met first
	}
	return want.Error() == got.Error()
}

func compareOnce(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	streams, queries := reference.Generate(r)
	a, streams := store(t, r, streams)
	e := logql.New(logql.Options{Archive: a, Workers: 1 + r.IntN(3), MaxEntries: 1 << 20})
	for _, q := range queries {
		expr, err := syntax.Parse(q.Text)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := reference.Eval(streams, expr, q.Params)
		got, gotErr := answer(t, e, expr, q.Params)
		if !same(wantErr, gotErr) {
			t.Errorf("seed %d: %s\n%+v: error %v; want %v", seed, q.Text, q.Params, gotErr, wantErr)
		} else if d := reference.Diff(want, got); wantErr == nil && d != "" {
			t.Errorf("seed %d: %s\n%+v: %s", seed, q.Text, q.Params, d)
		}
	}
}

// FuzzQuery asks anything about any two lines.
func FuzzQuery(f *testing.F) {
	_, queries := reference.Generate(rand.New(rand.NewPCG(1, 2)))
	for i, body := range []string{`{"a":{"b":[1]},"status":"200"}`, `level=info took=5ms n="x y"`, `10.0.0.1 "GET / HTTP/1.1" 503`, "\x1b[31mred\x00\"\\", "a\nb"} {
		for k := i; k < len(queries); k += 5 {
			f.Add(queries[k].Text, body)
		}
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		expr, err := syntax.Parse(text)
		if err != nil || len(text) > 500 || len(body) > 2000 {
			return
		}
		before, after := syntax.Reach(expr)
		if before+after > time.Hour {
			return
		}
		body = strings.ToValidUTF8(body, "\uFFFD")
		const at = int64(1_700_000_000e9)
		r := rand.New(rand.NewPCG(1, uint64(len(body))))
		streams := []reference.Stream{{Labels: record.Labels{{Name: "app", Value: "web"}, {Name: "env", Value: "prod"}}}}
		for i, line := range []string{"one line", body, body + "!"} {
			streams[0].Entries = append(streams[0].Entries, reference.Entry{Time: at + int64(i)*1e9, Line: line, Level: record.Level(i)})
		}
		a, streams := store(t, r, streams)
		e := logql.New(logql.Options{Archive: a})
		p := reference.Params{Start: at - 1, End: at + 10e9, Step: time.Duration(len(text)%2) * time.Second, Limit: 100, Backward: len(body)%2 == 0}
		want, wantErr := reference.Eval(streams, expr, p)
		got, gotErr := answer(t, e, expr, p)
		if !same(wantErr, gotErr) {
			t.Errorf("%s: error %v; want %v", text, gotErr, wantErr)
		} else if d := reference.Diff(want, got); wantErr == nil && d != "" {
			t.Errorf("%s: %s", text, d)
		}
	})
}

// TestDifferential has generated queries about generated logs answered by the engine and by
// the reference, which looks at everything.
func TestDifferential(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		compareOnce(t, seed)
		if t.Failed() {
			return
		}
	}
}
