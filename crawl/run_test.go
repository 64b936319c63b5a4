package crawl_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/crawl"
)

// records returns a stream that gives these, each with its number as the cursor, and then does
// something.
func records(name string, n int, then func(yield func(crawl.Record, error) bool)) crawl.Stream {
	return stream{name, func(_ context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
		return func(yield func(crawl.Record, error) bool) {
			last := 0
			if err := cursor.Decode(&last); err != nil {
				yield(crawl.Record{}, err)
				return
			}
			for range n {
				last++
				if !yield(crawl.Record{Data: last, Cursor: last}, nil) {
					return
				}
			}
			if then != nil {
				then(yield)
			}
		}
	}}
}

// TestFailures has streams that fail and panic: what came before is kept, and the others run.
func TestFailures(t *testing.T) {
	var out strings.Builder
	state := filepath.Join(t.TempDir(), "state.json")
	o := crawl.Options{State: state, Once: true, Output: &out, Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }}
	run := func() error {
		return crawl.Run(t.Context(), o,
			records("fails", 1, func(yield func(crawl.Record, error) bool) {
				yield(crawl.Record{Data: "no", Cursor: 99}, errors.New("it is down"))
			}),
			records("panics", 1, func(func(crawl.Record, error) bool) { panic("oh") }),
			records("odd", 1, func(yield func(crawl.Record, error) bool) { yield(crawl.Record{Data: func() {}}, nil) }),
			records("cursor", 1, func(yield func(crawl.Record, error) bool) { yield(crawl.Record{Data: "no", Cursor: func() {}}, nil) }),
			records("good", 1, nil))
	}
	for range 2 {
		err := run()
		for _, want := range []string{"stream fails: it is down", "stream panics: panic: oh", "stream odd: the data of a record", "stream cursor: the cursor of a record"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
	want := ""
	for _, n := range []string{"1", "2"} {
		for _, name := range []string{"fails", "panics", "odd", "cursor", "good"} {
			want += `{"stream":"` + name + `","data":` + n + `,"cursor":` + n + "}\n"
		}
	}
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	for text, want := range map[string]string{`{"version":2,"cursors":{"good":7}}`: "has version 2", `{`: "is damaged", `{"version":1,"cursors":{"good":"x"}}`: "the cursor"} {
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		if err := crawl.Run(t.Context(), o, records("good", 1, nil)); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%v, want %s", err, want)
		}
		if now, _ := os.ReadFile(state); string(now) != text {
			t.Errorf("the file became %s", now)
		}
	}
}

func TestAsked(t *testing.T) {
	run := func(env map[string]string, streams ...crawl.Stream) (string, error) {
		var out strings.Builder
		err := crawl.Run(t.Context(), crawl.Options{State: "/nowhere/state", Output: &out, Getenv: func(name string) string { return env[name] }}, streams...)
		return out.String(), err
	}
	one, two := records("one", 1, nil), records("two", 2, nil)
	for _, test := range []struct {
		env     map[string]string
		streams []crawl.Stream
		want    string
		err     string
	}{
		{map[string]string{"WEIR_STREAM": "two", "WEIR_CURSOR": "5"}, []crawl.Stream{one, two}, "{\"data\":6,\"cursor\":6}\n{\"data\":7,\"cursor\":7}\n", ""},
		{map[string]string{"WEIR_STREAM": "any"}, []crawl.Stream{one}, "{\"data\":1,\"cursor\":1}\n", ""},
		{map[string]string{"WEIR_STREAM": "any"}, []crawl.Stream{one, two}, "", `there is no stream "any": name it in weir's configuration as one of one, two`},
		{map[string]string{"WEIR_STREAM": "one", "WEIR_CURSOR": "{"}, []crawl.Stream{one}, "", "is no JSON"},
		{map[string]string{"WEIR_STREAM": "one", "WEIR_CURSOR": "[]"}, []crawl.Stream{one}, "", "the cursor []"},
		{nil, nil, "", "needs a stream"},
		{nil, []crawl.Stream{one, one}, "", `two streams have the name "one"`},
		{nil, []crawl.Stream{records("", 1, nil)}, "", "has no name"},
		{nil, []crawl.Stream{records("a\nb", 1, nil)}, "", `the name "a\nb"`},
		{nil, []crawl.Stream{one, nil}, "", "is nil"},
	} {
		out, err := run(test.env, test.streams...)
		if out != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%v: %q, %v", test.env, out, err)
		}
	}
}

// TestForms sees how records are written.
func TestForms(t *testing.T) {
	var out strings.Builder
	o := crawl.Options{Output: &out, Getenv: func(name string) string { return map[string]string{"WEIR_STREAM": "s"}[name] }}
	when := time.Date(2026, 11, 21, 11, 0, 0, 500, time.FixedZone("", 3600))
	err := crawl.Run(t.Context(), o, stream{"s", func(_ context.Context, c crawl.Cursor) iter.Seq2[crawl.Record, error] {
		return func(yield func(crawl.Record, error) bool) {
			for _, r := range []crawl.Record{
				{Time: when, Data: map[string]any{"b": "<\n>", "a": nil}, Cursor: c},
				{}, {Data: "text"}, {Data: nil, Cursor: []int{1}}, {Data: (*int)(nil)},
			} {
				if !yield(r, nil) {
					return
				}
			}
		}
	}})
	if want := "{\"time\":\"2026-11-21T10:00:00.0000005Z\",\"data\":{\"a\":null,\"b\":\"<\\n>\"}}\n{\"data\":\"text\"}\n{\"cursor\":[1]}\n"; err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}

// TestPause sees that runs are apart, and that a long one is not overtaken.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts, ends []time.Time
		slow := stream{"slow", func(context.Context, crawl.Cursor) iter.Seq2[crawl.Record, error] {
			return func(func(crawl.Record, error) bool) {
				starts = append(starts, time.Now())
				time.Sleep(time.Minute)
				ends = append(ends, time.Now())
			}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := crawl.Run(ctx, crawl.Options{State: filepath.Join(t.TempDir(), "s"), Output: io.Discard, Getenv: func(string) string { return "" }}, slow)
		if err != nil || len(starts) < 48 || len(starts) > 52 {
			t.Errorf("%d runs, %v", len(starts), err)
		}
		for i := 1; i < len(starts); i++ {
			if gap := starts[i].Sub(ends[i-1]); gap < 10*time.Second || gap > 15*time.Second {
				t.Errorf("%s between runs", gap)
			}
		}
	})
}

// wholeLines sees that each write ends with a line.
type wholeLines struct {
	t     *testing.T
	bytes int
}

func (w *wholeLines) Write(b []byte) (int, error) {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		w.t.Error("a write ends within a line")
	}
	w.bytes += len(b)
	return len(b), nil
}

// TestWholeLines passes on whole lines alone: who reads them would wait for the rest of one.
func TestWholeLines(t *testing.T) {
	out := &wholeLines{t: t}
	o := crawl.Options{Output: out, Getenv: func(name string) string { return map[string]string{"WEIR_STREAM": "s"}[name] }}
	err := crawl.Run(t.Context(), o, stream{"s", func(context.Context, crawl.Cursor) iter.Seq2[crawl.Record, error] {
		return func(yield func(crawl.Record, error) bool) {
			for i := range 300 {
				if !yield(crawl.Record{Data: strings.Repeat("x", 331*(i%250)), Cursor: i}, nil) {
					return
				}
			}
		}
	}})
	if err != nil || out.bytes < 1<<20 {
		t.Errorf("%d bytes: %v", out.bytes, err)
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestOutputFails ends when nobody reads any more, and keeps no cursor of what nobody got.
func TestOutputFails(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.json")
	o := crawl.Options{State: state, Output: closedPipe{}, Getenv: func(string) string { return "" }}
	if err := crawl.Run(t.Context(), o, records("one", 1, nil)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("a cursor was kept")
	}
}
