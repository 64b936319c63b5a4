package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
)

// taker is a sink in memory.
type taker struct {
	next  map[string]uint64
	lines []string
	down  atomic.Bool
}

var errDown = errors.New("no space")

func (s *taker) Next(stream string) (uint64, bool) {
	n, ok := s.next[stream]
	return n, ok
}

func (s *taker) Write(_ context.Context, b *record.Batch) error {
	if s.down.Load() {
		return errDown
	}
	for i := range b.Records {
		if want, known := s.next[b.Stream.ID]; known && b.First+uint64(i) < want {
			return fmt.Errorf("record %d comes after %d", b.First+uint64(i), want)
		}
		s.lines = append(s.lines, b.Stream.ID+" "+string(b.Bytes(b.Records[i].Body)))
	}
	s.next[b.Stream.ID] = b.First + uint64(len(b.Records))
	return nil
}

func (s *taker) Flush(context.Context) error {
	if s.down.Load() {
		return errDown
	}
	return nil
}

// memory keeps states.
type memory map[string][]byte

func (m memory) Load(key string) []byte         { return m[key] }
func (m memory) Store(key string, value []byte) { m[key] = value }

// world is an archive with a reader's sink.
type world struct {
	t       *testing.T
	disk    *disk.Faulty
	archive *archive.Archive
	sink    *taker
	state   memory
	written map[string]int
}

func newWorld(t *testing.T) *world {
	d := new(disk.Faulty)
	a, err := archive.Open(archive.Options{Tree: d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, disk: d, archive: a, sink: &taker{next: map[string]uint64{}}, state: memory{}, written: map[string]int{}}
}

// write adds n numbered lines of a stream.
func (w *world) write(stream string, n int, keep archive.Bound) {
	w.t.Helper()
	s := w.archive.Stream(record.Stream{ID: stream, Labels: record.Labels{{Name: "app", Value: stream}}}, keep)
	var a kept.Appender
	var text []byte
	for range n {
		w.written[stream]++
		text = a.Append(text, &kept.Record{Time: time.Now().UnixNano(), Body: fmt.Appendf(nil, "line %d \"quoted\"", w.written[stream])})
	}
	s.Add(nil, kept.TextOf(text))
	if err := w.archive.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.archive.Show()
}

// retain has the bounds looked at, some time from now.
func (w *world) retain(later time.Duration) {
	time.Sleep(2 * time.Second) // it does nothing within a second
	w.archive.Retain(time.Now().Add(later))
	w.archive.Show()
}

func (w *world) options() Options {
	return Options{
		Archive: w.archive, Sink: w.sink, State: w.state, Name: "files",
		Match: func(ls record.Labels) bool { return ls.Get("app") != "other" },
	}
}

// during runs a reader while do is done.
func (w *world) during(o Options, do func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- New(o).Run(ctx) }()
	time.Sleep(time.Minute)
	do()
	time.Sleep(time.Minute)
	cancel()
	if err := <-ended; err != nil {
		w.t.Error(err)
	}
}

// inBubble plays a test in a world of its own, with a clock that does not wait.
func inBubble(t *testing.T, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { play(newWorld(t)) })
}

// want compares what the sink has with the lines of the stream from the number first on.
func (w *world) want(stream string, first int) {
	w.t.Helper()
	var got []string
	for _, l := range w.sink.lines {
		if rest, ok := strings.CutPrefix(l, stream+" "); ok {
			got = append(got, rest)
		}
	}
	if len(got) != w.written[stream]-first+1 {
		w.t.Fatalf("%s: %d lines, want %d to %d", stream, len(got), first, w.written[stream])
	}
	for i, l := range got {
		if want := fmt.Sprintf("line %d \"quoted\"", first+i); l != want {
			w.t.Fatalf("%s: %q stands where %q should", stream, l, want)
		}
	}
}

// TestFollows: the first run begins where the streams stand, streams that come later are
// read whole, and a later run goes on where the last one ended.
func TestFollows(t *testing.T) {
	inBubble(t, func(w *world) {
		w.write("a", 10, archive.Bound{})
		w.write("other", 10, archive.Bound{})
		w.during(w.options(), func() {
			w.write("a", 5, archive.Bound{})
			w.write("new", 7, archive.Bound{})
			w.write("other", 1, archive.Bound{})
		})
		w.write("a", 3, archive.Bound{})
		w.during(w.options(), func() { w.write("a", 2, archive.Bound{}) })
		w.want("a", 11)
		w.want("new", 1)
		if _, known := w.sink.next["other"]; known {
			w.t.Error("a stream that does not match was read")
		}
	})
}

// TestStart: a first run may begin in the past.
func TestStart(t *testing.T) {
	inBubble(t, func(w *world) {
		w.write("a", 10, archive.Bound{})
		o := w.options()
		o.Start = -1
		w.during(o, func() {})
		w.want("a", 1)
	})
}

// TestFailingSink gets everything once it works, each record once.
func TestFailingSink(t *testing.T) {
	inBubble(t, func(w *world) {
		w.during(w.options(), func() {
			w.sink.down.Store(true)
			for range 5 {
				w.write("a", 100, archive.Bound{})
				time.Sleep(time.Second)
			}
			w.sink.down.Store(false)
		})
		w.want("a", 1)
	})
}

// TestGap: what retention removed before the sink took it is stated with its number.
func TestGap(t *testing.T) {
	inBubble(t, func(w *world) {
		small := archive.Bound{Size: 64 << 10}
		w.write("a", 10, small)
		w.during(w.options(), func() {})
		w.sink.lines = nil
		w.sink.next["a"] = 11
		for range 60 {
			w.write("a", 3000, small)
		}
		w.archive.Retain(time.Now())
		w.during(w.options(), func() {})
		if len(w.sink.lines) < 2 || !strings.HasSuffix(w.sink.lines[0], " records were removed before they could be sent here") {
			w.t.Fatalf("the sink has %d lines, the first %q", len(w.sink.lines), w.sink.lines[:min(1, len(w.sink.lines))])
		}
		var missing int
		if _, err := fmt.Sscanf(w.sink.lines[0], "a %d", &missing); err != nil || missing+len(w.sink.lines)-1 != w.written["a"]-10 {
			w.t.Errorf("%d lines came, %d are stated to be missing, of %d (%v)", len(w.sink.lines)-1, missing, w.written["a"]-10, err)
		}
	})
}

// TestReload: a reader that ends for a reload leaves the rest to its successor.
func TestReload(t *testing.T) {
	inBubble(t, func(w *world) {
		o := w.options()
		o.Start = -1
		ctx, cancel := context.WithCancelCause(w.t.Context())
		ended := make(chan error)
		go func() { ended <- New(o).Run(ctx) }()
		time.Sleep(time.Second)
		w.sink.down.Store(true)
		w.write("a", 3, archive.Bound{})
		time.Sleep(time.Second)
		cancel(flow.ErrReload)
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
		if len(w.sink.lines) != 0 {
			w.t.Errorf("wrote %q", w.sink.lines)
		}
		w.sink.down.Store(false)
		w.during(o, func() {})
		w.want("a", 1)
	})
}
