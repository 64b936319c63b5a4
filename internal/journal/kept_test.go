package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// smallBlocks is a bound under which blocks have 16 KiB and segments 64 KiB.
var smallBlocks = archive.Bound{Size: 512 << 10}

// padding makes a record so long that some thirty fill a block.
var padding = strings.Repeat("abcdefgh ", 60)

// readText lets an input read n more lines: line i is the number i and padding.
func (w *world) readText(name string, n int, bound archive.Bound) {
	w.t.Helper()
	in := w.journal.Input(inputOf(name))
	in.Keep(Keep{Bound: bound})
	defer in.Close()
	at := position(in.Position())
	b := new(record.Batch)
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(at+i+1) * 1e9, Body: b.Append(fmt.Appendf(nil, "%d %s", at+i+1, padding))})
	}
	at += n
	b.Position.Source = binary.AppendUvarint(nil, uint64(at))
	b.Position.Resume = [2]int64{int64(at), int64(at)}
	b.Deltas = append(b.Deltas, record.Delta{Series: w.lines.Series(name).ID(), Add: float64(n)})
	if err := in.Write(w.t.Context(), b); err != nil {
		w.t.Fatal(err)
	}
}

// numbers returns the lines that are kept of an input, by their numbers, and for a gap
// the number of lines that it states, negative.
func numbers(t *testing.T, a *archive.Archive, name string) []int {
	t.Helper()
	s := a.Find(inputOf(name).Stream.ID)
	if s == nil {
		return nil
	}
	v := s.View()
	defer v.Close()
	var d archive.Decoder
	var all []int
	next := uint64(0)
	for i := range v.Len() {
		text, err := v.AppendText(nil, i, &d)
		if err != nil {
			t.Fatalf("block %d: %v", i, err)
		}
		h := v.Head(i)
		if h.First < next || len(text) != h.Bytes {
			t.Fatalf("block %d begins with %d after %d, and has %d bytes of %d", i, h.First, next, len(text), h.Bytes)
		}
		n := 0
		for line := range kept.Lines(text) {
			l, err := kept.Parse(line)
			if err != nil {
				t.Fatalf("block %d: %q: %v", i, line, err)
			}
			n++
			word, _, _ := strings.Cut(string(l.Body), " ")
			number, err := strconv.Atoi(word)
			if len(l.Gap) > 0 {
				all = append(all, -number)
				continue
			}
			if err != nil || l.Time != int64(number)*1e9 || h.MinTime > l.Time || h.MaxTime < l.Time {
				t.Fatalf("block %d: %q, %v", i, line, err)
			}
			all = append(all, number)
		}
		if n != h.Records+h.Gaps {
			t.Fatalf("block %d has %d lines, its head says %d and %d gaps", i, n, h.Records, h.Gaps)
		}
		next = h.First + uint64(n)
	}
	return all
}

// whole fails unless the kept lines are those from the first that retention left to the
// last that is counted.
func (w *world) whole(name string) {
	w.t.Helper()
	got := numbers(w.t, w.journal.Archive(), name)
	shown := int(w.lines.Series(name).Value())
	if len(got) == 0 && shown == 0 {
		return
	}
	if len(got) == 0 || got[len(got)-1] != shown {
		w.t.Fatalf("%s: %d lines are counted; %d are kept: %v", name, shown, len(got), got[max(0, len(got)-5):])
	}
	for i := range got {
		if got[i] != got[0]+i {
			w.t.Fatalf("%s: line %d stands where %d should: %v", name, got[i], got[0]+i, got)
		}
	}
	if got[0] != 1 && w.journal.Archive().Stats().Removed == 0 && got[0] > 1 && !w.trimmed {
		w.t.Fatalf("%s: the first kept line is %d, and nothing was removed", name, got[0])
	}
}

// TestTextHistories: whatever crashes, and whichever sync fails, the kept text is the lines
// that are counted, each once and in order.
func TestTextHistories(t *testing.T) {
	for seed := range uint64(20) {
		var fs disk.Faulty
		rnd := rand.New(rand.NewPCG(seed, 7))
		w := open(t, &fs)
		bounds := []archive.Bound{smallBlocks, {Size: 64 << 10}, {}}
		names := []string{"a", "b", "c"}
		for step := range 100 {
			i := rnd.IntN(3)
			what := rnd.IntN(13)
			if testing.Verbose() {
				t.Logf("seed %d, step %d: %d to %s", seed, step, what, names[i])
			}
			switch what {
			case 0, 1, 2, 3:
				w.readText(names[i], 1+rnd.IntN(60), bounds[i])
			case 4, 5:
				w.write()
			case 6, 7:
				_ = w.sync()
			case 8:
				n, times := rnd.IntN(4), 1+rnd.IntN(4)
				fs.FailWith(func(op string) error {
					if op != "sync" {
						return nil
					}
					if n--; n < 0 && n >= -times {
						return errors.New("broken disk")
					}
					return nil
				})
			case 9:
				_ = w.journal.commit.begin(w.journal)
			case 10:
				w.journal.commit.archive.Retain(w.journal.commit.lastSync.AddDate(0, 0, step+1))
			case 11:
				w.journal.commit.unclean = true
				w.journal.commit.cleanNow(w.journal, time.Now())
			case 12:
				fs.FailWith(nil)
				if rnd.IntN(3) == 0 {
					w.journal.Close()
				}
				trimmed := w.trimmed || w.journal.Archive().Stats().Removed > 0
				fs.Crash(func(i, size int) int { return []int{0, size, rnd.IntN(size + 1)}[rnd.IntN(3)] })
				w = open(t, &fs)
				w.trimmed = trimmed
			}
			for _, name := range names {
				w.whole(name)
			}
		}
	}
}

// TestReadOnlyArchive: what another process, or none, has committed can be read without
// changing anything.
func TestReadOnlyArchive(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	for range 9 {
		w.readText("a", 25, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
	}
	w.readText("a", 1, smallBlocks)
	w.write()
	before := map[string]string{}
	for _, name := range fs.Names() {
		before[name] = string(fs.Bytes(name))
	}
	a, err := OpenArchive(&fs, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := numbers(t, a, "a")
	if want := 9*25 + 1; len(got) != want || !slices.IsSorted(got) || got[want-1] != want {
		t.Errorf("read %d lines: %v", len(got), got)
	}
	for _, name := range fs.Names() {
		if before[name] != string(fs.Bytes(name)) {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestTextOnAFullDisk: when the disk is full or fails, lines are counted and not kept, which
// a gap record states; no line is there twice, and none out of order.
func TestTextOnAFullDisk(t *testing.T) {
	for seed := range uint64(20) {
		var fs disk.Faulty
		rnd := rand.New(rand.NewPCG(seed, 11))
		w := open(t, &fs)
		for range 80 {
			switch rnd.IntN(8) {
			case 0, 1, 2:
				w.readText("a", 1+rnd.IntN(60), smallBlocks)
			case 3:
				w.write()
			case 4:
				if w.sync() == nil {
					w.journal.commit.archive.Retry()
				}
			case 5:
				fs.Limit(int64(rnd.IntN(2)) * int64(20_000+rnd.IntN(200_000)))
			case 6:
				n := rnd.IntN(20)
				fs.FailWith(func(op string) error {
					if n--; n == 0 && op != "read" && op != "open" {
						return errors.New("broken disk")
					}
					return nil
				})
			case 7:
				_ = w.journal.commit.begin(w.journal)
			}
			w.ascending("a")
		}
		fs.Limit(0)
		fs.FailWith(nil)
		w.readText("a", 1, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		w.journal.commit.archive.Retry()
		w.readText("a", 1, smallBlocks) // states what the last commit could not write
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		w.ascending("a")
		w.stated("a")
	}
}

// ascending fails if a line is kept twice or out of order.
func (w *world) ascending(name string) {
	w.t.Helper()
	last := 0
	for _, n := range numbers(w.t, w.journal.Archive(), name) {
		if n <= 0 {
			continue
		}
		if n <= last {
			w.t.Fatalf("line %d comes after line %d", n, last)
		}
		last = n
	}
}

// stated fails unless gap records say how many lines are missing.
func (w *world) stated(name string) {
	w.t.Helper()
	kept, stated := 0, 0
	for _, n := range numbers(w.t, w.journal.Archive(), name) {
		if n > 0 {
			kept++
		} else {
			stated -= n
		}
	}
	if position := position(w.journal.Input(inputOf(name)).Position()); kept+stated != position {
		w.t.Fatalf("%d lines were read, %d are kept, and %d are stated to be lost", position, kept, stated)
	}
}

func TestFieldsThatCameWithRecords(t *testing.T) {
	w := &Writer{fields: []string{"status", "path"}}
	b := new(record.Batch)
	span := func(text string) record.Span { return b.Append([]byte(text)) }
	b.Slots = []string{"path", "status"}
	for i := range 4 {
		r := record.Record{Time: int64(i + 1), Body: span("x")}
		if i == 1 {
			r.Flags = record.Dropped
		}
		b.Records = append(b.Records, r)
		b.Values = append(b.Values, span("/"), record.Span{})
	}
	for _, f := range []struct {
		record      int
		name, value string
	}{{0, "trace", "t0"}, {0, "status", "500"}, {1, "trace", "t1"}, {3, "path", "mine"}, {3, "note", `"quoted"`}} {
		b.Fields = append(b.Fields, record.Field{Record: f.record, Name: span(f.name), Value: span(f.value)})
	}
	text := w.render(b)[0].text
	var fields []string
	for line := range strings.Lines(string(text.Bytes)) {
		_, found, _ := strings.Cut(line, `"fields":`)
		fields = append(fields, strings.TrimSuffix(found, "}\n"))
	}
	want := []string{`{"path":"/","trace":"t0","status":"500"}`, `{"path":"/"}`, `{"path":"/","note":"\"quoted\""}`}
	if !slices.Equal(fields, want) {
		t.Errorf("fields %v, want %v", fields, want)
	}
}

// TestTimesOfRecordsWithoutTime has a batch of more lines than a client asks for at once:
// few of them have the same time, the later ones no earlier time, and none one to come.
func TestTimesOfRecordsWithoutTime(t *testing.T) {
	w, b := new(Writer), new(record.Batch)
	const lines = 3000
	for i := range lines {
		r := record.Record{Body: b.Append([]byte("x"))}
		if i%1000 == 999 {
			r.Time = 5
		}
		b.Records = append(b.Records, r)
	}
	before := time.Now().UnixNano()
	text := w.render(b)[0].text
	after, last, same := time.Now().UnixNano(), before, 0
	for line := range bytes.Lines(text.Bytes) {
		now := kept.TimeOf(line)
		if same++; now != last {
			same = 1
		}
		switch {
		case now == 5:
			now = last
		case now < last || now > after || same > 64:
			t.Fatalf("%d after %d, %d times, from %d to %d", now, last, same, before, after)
		}
		last = now
	}
	if last == before {
		t.Error("all have the same time")
	}
}

// TestPressed: a commit of a few lines presses nobody, one of a few megabytes does.
func TestPressed(t *testing.T) {
	tree, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, tree)
	defer w.journal.Close()
	w.readText("app", 10, archive.Bound{})
	w.write()
	if w.journal.Pressed() {
		t.Error("10 lines")
	}
	w.readText("app", maxWaiting/2/len(padding), archive.Bound{})
	if w.journal.Pressed() {
		t.Error("before the commit")
	}
	w.write()
	until := w.journal.pressed.Load()
	if until == 0 || w.journal.Pressed() != (time.Now().UnixNano() < until) {
		t.Error("after the commit")
	}
	w.journal.pressed.Store(time.Now().Add(time.Hour).UnixNano())
	if !w.journal.Pressed() {
		t.Error("in time")
	}
	w.journal.pressed.Store(time.Now().UnixNano())
	if w.journal.Pressed() {
		t.Error("too late")
	}
}

// TestSpares: one stream of short lines fills two texts in turns, as far as text may wait, and
// takes no new memory for them.
func TestSpares(t *testing.T) {
	tree, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, tree)
	j := w.journal
	defer j.Close()
	in := j.Input(inputOf("app"))
	in.Keep(Keep{})
	defer in.Close()
	var a kept.Appender
	var some kept.Text
	for len(some.Bytes) < 100<<10 {
		a.AppendTo(&some, &kept.Record{Time: 1, Body: []byte("short")})
	}
	fill := func(c *change) {
		j.mu.Lock()
		defer j.mu.Unlock()
		for j.waiting+len(some.Bytes) <= maxWaiting {
			j.acceptLocked(in.keeping[0], some, 0)
		}
		j.takeTextsLocked(c)
	}
	var first, second change
	fill(&first)
	fill(&second)
	j.commit.addTexts(j, &first)
	j.commit.addTexts(j, &second)
	if len(j.spares) != 2 || j.spare != j.spares[0].Cap()+j.spares[1].Cap() {
		t.Fatalf("%d texts are left, %d bytes", len(j.spares), j.spare)
	}
	fill(new(change))
	if len(j.spares) != 1 || j.spare != j.spares[0].Cap() {
		t.Errorf("%d texts are left, %d bytes", len(j.spares), j.spare)
	}
}

// TestTextFromManySides: inputs write at once, more than commits can hold back, readers look
// meanwhile, and everything is there once afterwards.
func TestTextFromManySides(t *testing.T) {
	tree, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, tree)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.journal.Run(ctx) }()
	const inputs, batches, size = 6, 60, 40
	var writing sync.WaitGroup
	for i := range inputs {
		writing.Go(func() {
			in := w.journal.Input(inputOf(fmt.Sprint("s", i)))
			in.Keep(Keep{Bound: archive.Bound{Size: 8 << 20}})
			defer in.Close()
			for n := range batches {
				b := new(record.Batch)
				for k := range size {
					number := n*size + k + 1
					b.Records = append(b.Records, record.Record{Time: int64(number) * 1e9, Body: b.Append(fmt.Appendf(nil, "%d %s", number, strings.Repeat(padding, 4)))})
				}
				b.Position.Source = binary.AppendUvarint(nil, uint64((n+1)*size))
				b.Position.Resume = [2]int64{int64((n + 1) * size), int64((n + 1) * size)}
				b.Deltas = append(b.Deltas, record.Delta{Series: w.lines.Series(fmt.Sprint("s", i)).ID(), Add: size})
				if err := in.Write(ctx, b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reading, done := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		for version := uint64(0); ; {
			seen, err := w.journal.Archive().Wait(reading, version)
			if err != nil {
				return
			}
			version = seen
			for i := range inputs {
				numbers(t, w.journal.Archive(), fmt.Sprint("s", i))
			}
		}
	})
	writing.Wait()
	if err := w.journal.Sync(ctx); err != nil {
		t.Error(err)
	}
	done()
	looking.Wait()
	stop()
	if err := errors.Join(<-ended, w.journal.Close()); err != nil {
		t.Fatal(err)
	}
	w = open(t, tree)
	for i := range inputs {
		w.whole(fmt.Sprint("s", i))
		if got := w.check(fmt.Sprint("s", i)); got != batches*size {
			t.Errorf("input %d: %d lines", i, got)
		}
	}
}
