package crawl_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/weirlog/weir/crawl"
)

// ticker is a stream of an API that numbers its records.
type ticker struct{ latest int }

func (*ticker) Name() string { return "ticks" }

func (t *ticker) Records(_ context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
	return func(yield func(crawl.Record, error) bool) {
		last := 0
		if err := cursor.Decode(&last); err != nil {
			yield(crawl.Record{}, err)
			return
		}
		for n := last + 1; n <= t.latest; n++ {
			if !yield(crawl.Record{Data: fmt.Sprintf("tick %d", n), Cursor: n}, nil) {
				return
			}
		}
	}
}

// What weir reads of a program that it has started.
func ExampleRun() {
	env := map[string]string{"WEIR_STREAM": "ticks", "WEIR_CURSOR": "2"} // weir sets these
	err := crawl.Run(context.Background(), crawl.Options{Getenv: func(name string) string { return env[name] }}, &ticker{latest: 4})
	fmt.Println(err)
	// Output:
	// {"data":"tick 3","cursor":3}
	// {"data":"tick 4","cursor":4}
	// <nil>
}

// A program that was started by hand keeps its cursors in a file.
func ExampleOptions() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	o := crawl.Options{State: filepath.Join(dir, "ticks.json"), Once: true, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
	for _, latest := range []int{2, 3} {
		if err := crawl.Run(context.Background(), o, &ticker{latest}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"stream":"ticks","data":"tick 1","cursor":1}
	// {"stream":"ticks","data":"tick 2","cursor":2}
	// {"stream":"ticks","data":"tick 3","cursor":3}
}

// A cursor of several parts: the latest time, and the ids that were seen at that time. The
// server is asked for records of that time too, so none is missing and none comes twice.
func ExampleCursor() {
	type place struct {
		Time time.Time
		IDs  []string
	}
	cursor, err := crawl.ParseCursor(`{"Time":"2026-11-21T10:00:00Z","IDs":["a","b"]}`)
	var at place
	fmt.Println(err, cursor.Decode(&at), cursor.IsZero(), at.Time.Format(time.TimeOnly), at.IDs)
	at.IDs = append(at.IDs, "c")
	fmt.Println(crawl.Record{Data: "c happened", Cursor: at}.Data)
	// Output:
	// <nil> <nil> false 10:00:00 [a b]
	// c happened
}

// A checkpoint moves the cursor where there was nothing to record.
func ExampleRecord() {
	looked := func(context.Context, crawl.Cursor) iter.Seq2[crawl.Record, error] {
		return func(yield func(crawl.Record, error) bool) {
			yield(crawl.Record{Cursor: map[string]string{"looked_until": "2026-11-21T10:00:00Z"}}, nil)
		}
	}
	env := map[string]string{"WEIR_STREAM": "quiet"}
	err := crawl.Run(context.Background(), crawl.Options{Getenv: func(name string) string { return env[name] }}, stream{"quiet", looked})
	fmt.Println(err)
	// Output:
	// {"cursor":{"looked_until":"2026-11-21T10:00:00Z"}}
	// <nil>
}

// Any type with a name and records is a Stream.
func ExampleStream() {
	var s crawl.Stream = &ticker{latest: 1}
	for record, err := range s.Records(context.Background(), crawl.Cursor{}) {
		fmt.Println(s.Name(), record.Data, record.Cursor, err)
	}
	// Output: ticks tick 1 1 <nil>
}

// stream is a function as a Stream.
type stream struct {
	name    string
	records func(context.Context, crawl.Cursor) iter.Seq2[crawl.Record, error]
}

func (s stream) Name() string { return s.name }
func (s stream) Records(ctx context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
	return s.records(ctx, cursor)
}
