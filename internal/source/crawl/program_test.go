package crawl

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/weirlog/weir/crawl"
	"github.com/weirlog/weir/internal/config"
)

// TestMain lets the test's own binary be a crawler, where a variable says so.
func TestMain(m *testing.M) {
	if os.Getenv("CRAWL_TEST") == "" {
		os.Exit(m.Run())
	}
	if err := crawl.Run(context.Background(), crawl.Options{}, counter{"stream1", 2}, counter{"stream2", 6}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// counter gives two records a run, from a first one on.
type counter struct {
	name  string
	first int
}

func (c counter) Name() string { return c.name }

func (c counter) Records(_ context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
	return func(yield func(crawl.Record, error) bool) {
		at := struct{ Counter int }{c.first - 1}
		if err := cursor.Decode(&at); err != nil {
			yield(crawl.Record{}, err)
			return
		}
		for range 2 {
			at.Counter++
			if !yield(crawl.Record{Data: map[string]any{"message": fmt.Sprint(at.Counter)}, Cursor: at}, nil) {
				return
			}
		}
	}
}

// TestGoCrawler runs a crawler of package crawl, with the example that Datadog's log crawler is
// tested with: two streams that begin at 2 and 6.
func TestGoCrawler(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Streams = map[string]Stream{}
	for _, name := range []string{"stream1", "stream2"} {
		c.Streams[name] = streamConfig(func(s *Stream) {
			s.Exec, s.Env, s.Message = []string{self}, map[string]config.Secret{"CRAWL_TEST": "1"}, "message"
		})
	}
	w := newWorld(t)
	for range 2 {
		for _, name := range []string{"stream1", "stream2"} {
			one := c
			one.Streams = map[string]Stream{name: c.Streams[name]}
			w.once(one)
		}
	}
	if want := texts(2, 3, 6, 7, 4, 5, 8, 9); !slices.Equal(w.all, want) || w.problem() != "" {
		t.Errorf("got %q, want %q; %s", w.all, want, w.problem())
	}
	w.once(c) // both at the same time
	if !slices.Equal(w.got["acme/stream1"], texts(numbers(2, 7)...)) || !slices.Equal(w.got["acme/stream2"], texts(numbers(6, 11)...)) {
		t.Errorf("got %q", w.got)
	}
	c.Streams["other"] = c.Streams["stream1"]
	w.once(c)
	if want := `other: the program ended: exit status 1`; w.problem() != want {
		t.Errorf("%s, want %s", w.problem(), want)
	}
}
