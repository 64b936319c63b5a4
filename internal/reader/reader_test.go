package reader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// taker is a sink in memory.
type taker struct {
	next  map[string]uint64
	lines []string
	down  atomic.Bool
	stuck map[string]bool // streams that it does not take
	shut  time.Time       // until then it wants nothing
	tried []string        // streams that it did not take, while it wanted something
}

var errDown = errors.New("no space")

func (s *taker) Next(stream string) (uint64, bool) {
	n, ok := s.next[stream]
	return n, ok
}

func (s *taker) Write(_ context.Context, b *record.Batch) error {
	switch {
	case s.down.Load():
		return errDown
	case time.Now().Before(s.shut):
		return fmt.Errorf("wait: %w", flow.ErrNotNow)
	case s.stuck[b.Stream.ID]:
		s.shut, s.tried = time.Now().Add(time.Second), append(s.tried, b.Stream.ID)
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

// TestStuckStreams: those that a sink does not take hold up no other, and have their turns.
func TestStuckStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		o := w.options()
		delivered := map[string]uint64{}
		o.Delivered = func(s *archive.Stream, next uint64) { delivered[s.ID()] = next }
		w.sink.stuck = map[string]bool{"a": true, "c": true}
		ctx, cancel := context.WithCancel(w.t.Context())
		ended := make(chan error)
		go func() { ended <- New(o).Run(ctx) }()
		for range 5 {
			time.Sleep(time.Minute)
			for _, stream := range []string{"a", "b", "c", "d"} {
				w.write(stream, 10, archive.Bound{})
			}
		}
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; !errors.Is(err, errDown) && !errors.Is(err, flow.ErrNotNow) {
			w.t.Error(err)
		}
		w.want("b", 1)
		w.want("d", 1)
		if delivered["b"] != 51 || delivered["d"] != 51 || delivered["a"]+delivered["c"] > 2 {
			w.t.Errorf("delivered: %v", delivered)
		}
		tried := w.sink.tried
		for i := 2; i < len(tried)-1; i++ {
			if tried[i] == tried[i+1] {
				w.t.Fatalf("%s twice in a row: %s", tried[i], tried)
			}
		}
		w.sink.stuck = nil
		w.during(w.options(), func() {})
		w.want("a", 1)
		w.want("c", 1)
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

// evens chooses every second record.
type evens struct {
	stream record.Labels
	n      int
}

func (c *evens) Stream(labels record.Labels) { c.stream = labels }

func (c *evens) Chooses(line []byte, level record.Level) bool {
	if l, err := kept.Parse(line); err != nil || l.Level != level || len(c.stream) == 0 {
		return false
	}
	c.n++
	return c.n%2 == 0
}

// whole is a sink that notes records with their numbers, levels and fields.
type whole struct {
	taker
	got []string
}

func (s *whole) Write(_ context.Context, b *record.Batch) error {
	for i, r := range b.Records {
		text := fmt.Sprintf("%d %s %s", b.First+uint64(i), r.Level, b.Bytes(r.Body))
		for _, f := range b.Fields {
			if f.Record == i {
				text += fmt.Sprintf(" %s=%s", b.Bytes(f.Name), b.Bytes(f.Value))
			}
		}
		if r.Flags&record.Dropped != 0 {
			text = fmt.Sprintf("%d not chosen", b.First+uint64(i))
		}
		s.got = append(s.got, text)
	}
	s.next[b.Stream.ID] = b.First + uint64(len(b.Records))
	return nil
}

// TestChosen brings the fields of records, and of those that are not chosen the numbers alone.
// That something is missing is told in any case.
func TestChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		sink := &whole{taker: taker{next: map[string]uint64{}}}
		o := w.options()
		o.Sink, o.Chooser, o.Start = sink, new(evens), -1
		var a kept.Appender
		var text []byte
		for i := range 4 {
			text = a.Append(text, &kept.Record{Time: int64(i + 1), Level: record.LevelWarn, Body: fmt.Appendf(nil, "line %d", i), Fields: []kept.Field{{Name: []byte("user"), Value: []byte(`"ann"`)}}})
		}
		text = a.Append(text, &kept.Record{Time: 5, Body: []byte("gone"), Gap: "rotated away", GapBytes: 7})
		w.archive.Stream(record.Stream{ID: "a", Labels: record.Labels{{Name: "app", Value: "a"}}}, archive.Bound{}).Add(nil, kept.TextOf(text))
		if err := w.archive.Flush(); err != nil {
			t.Fatal(err)
		}
		w.archive.Show()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := New(o).Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []string{"1 not chosen", `2 warn line 1 user="ann"`, "3 not chosen", `4 warn line 3 user="ann"`, "5 unknown gone"}
		if !slices.Equal(sink.got, want) {
			t.Errorf("brought %q", sink.got)
		}
	})
}

// TestBehind tells how far a sink is behind that does not work, and that it is not any more.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		registry := metric.New()
		l, err := ledger.New(registry, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		o := w.options()
		o.Start, o.Ledger = -1, l.Component("sink", "files", "file")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- New(o).Run(ctx) }()
		time.Sleep(time.Minute)
		w.sink.down.Store(true)
		w.write("a", 3, archive.Bound{})
		shows := func(want string) {
			t.Helper()
			if text := string(registry.AppendText(nil, metric.Text)); !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		time.Sleep(time.Minute)
		shows("_behind_seconds{component=\"sink/files\"} 5")
		w.sink.down.Store(false)
		time.Sleep(time.Minute)
		shows("_behind_seconds{component=\"sink/files\"} 0\n")
		shows("_behind_bytes{component=\"sink/files\"} 0\n")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestFinished: what is under way when the reader has to end is finished, not begun again.
func TestFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.options()
		o.Start = -1
		ctx, cancel := context.WithCancel(t.Context())
		sink := &slow{taker: taker{next: map[string]uint64{}}, begun: cancel}
		o.Sink = sink
		w.write("a", 3, archive.Bound{})
		if err := New(o).Run(ctx); err != nil || sink.times != 1 || len(sink.lines) != 3 {
			t.Errorf("%v, written %d times: %q", err, sink.times, sink.lines)
		}
	})
}

// slow is a sink that takes a second, and has the reader end meanwhile.
type slow struct {
	taker
	begun func()
	times int
}

func (s *slow) Write(ctx context.Context, b *record.Batch) error {
	if len(b.Records) == 0 {
		return s.taker.Write(ctx, b)
	}
	s.times++
	s.begun()
	select {
	case <-time.After(time.Second):
		return s.taker.Write(ctx, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestBacklogAfterRestart: what was there when weir starts is sent, also if nothing comes after it.
func TestBacklogAfterRestart(t *testing.T) {
	inBubble(t, func(w *world) {
		w.during(w.options(), func() {})
		w.write("web", 10, archive.Bound{})
		a, err := archive.Open(archive.Options{Tree: w.disk}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.archive = a
		w.during(w.options(), func() {
			synctest.Wait()
			w.want("web", 1)
		})
	})
}
