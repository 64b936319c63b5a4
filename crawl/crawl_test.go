package crawl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/crawl"
)

// counter gives two records a run, from a first one on.
type counter struct {
	name  string
	first int
}

func (c *counter) Name() string { return c.name }

func (c *counter) Records(_ context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
	return func(yield func(crawl.Record, error) bool) {
		at := struct{ Counter int }{c.first - 1}
		if err := cursor.Decode(&at); err != nil {
			yield(crawl.Record{}, err)
			return
		}
		for range 2 {
			at.Counter++
			if !yield(crawl.Record{Data: fmt.Sprintf("%s %d", c.name, at.Counter), Cursor: at}, nil) {
				return
			}
		}
	}
}

// TestTwoStreams is the example that Datadog's log crawler is tested with: two streams that
// begin at 2 and 6, and two runs.
func TestTwoStreams(t *testing.T) {
	var out strings.Builder
	o := crawl.Options{State: filepath.Join(t.TempDir(), "state.json"), Once: true, Output: &out, Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }}
	for range 2 {
		if err := crawl.Run(t.Context(), o, &counter{"stream1", 2}, &counter{"stream2", 6}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, text := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var l struct {
			Stream, Data string
			Cursor       struct{ Counter int }
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%s %d", l.Stream, l.Cursor.Counter); l.Data != want {
			t.Errorf("%s has the cursor of %s", l.Data, want)
		}
		got = append(got, l.Data)
	}
	if got, want := strings.Join(got, ", "), "stream1 2, stream1 3, stream2 6, stream2 7, stream1 4, stream1 5, stream2 8, stream2 9"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
