package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// TestSumsComeBackToTheBit: a sum that is smaller by one bit after a restart is a reset to
// whoever scrapes it, and adds the whole sum to their rates.
func TestSumsComeBackToTheBit(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	series := w.lines.Series("a")
	for i := range 40 {
		for k := range 5 { // commits before one sync
			w.add("a", float64(i*5+k)/10+0.003)
			w.write()
		}
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		shown := series.Value()
		fs.Crash(func(int, int) int { return 0 })
		w = open(t, &fs)
		if series = w.lines.Series("a"); series.Value() != shown {
			t.Fatalf("%d: %v was shown, %v came back", i, shown, series.Value())
		}
	}
}

// add writes a batch that adds v to the series of that name.
func (w *world) add(name string, v float64) {
	w.t.Helper()
	b := &record.Batch{Deltas: []record.Delta{{Series: w.lines.Series(name).ID(), Add: v}}}
	b.Position.Source = []byte{1}
	if err := w.journal.Input(inputOf("adds")).Write(context.Background(), b); err != nil {
		w.t.Fatal(err)
	}
}

// TestReopenedInput opens a forgotten input again, and has a new generation begin before
// its first batch: that batch needs its input's definition.
func TestReopenedInput(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 3)
	w.sync()
	w.journal.Input(inputOf("a")).Forget()
	in := w.journal.Input(inputOf("a"))
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	b := &record.Batch{Position: record.Position{Source: binary.AppendUvarint(nil, 9)}}
	if err := in.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.journal.Close()
	w = open(t, &fs)
	if got := position(w.journal.Input(inputOf("a")).Position()); got != 9 {
		t.Errorf("position %d, want 9", got)
	}
}

// TestForgetByFormerWriter: the writer of an input that another has taken over must not
// take its position away, and a forgotten input must not count without a position.
func TestForgetByFormerWriter(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	former := w.journal.Input(inputOf("a"))
	w.read("a", 3)
	former.Forget()
	w.read("a", 4)
	w.sync()
	w.journal.Close()
	w = open(t, &fs)
	if got := w.check("a"); got != 7 {
		t.Errorf("%d lines, want 7", got)
	}
	in := w.journal.Input(inputOf("a"))
	in.Forget()
	w.sync()
	if err := in.Write(t.Context(), &record.Batch{}); err == nil {
		t.Error("a forgotten input takes batches")
	}
}

// TestStaleFramesAfterDamage damages the newer file's snapshot, so that recovery takes the
// older file and uses the newer generation's number again, for a file that still holds
// that generation's old commits.
func TestStaleFramesAfterDamage(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 1)
	w.sync()
	w.read("a", 1)
	if err := w.journal.commit.begin(w.journal); err != nil { // the older file never has this
		t.Fatal(err)
	}
	for range 4 {
		w.read("a", 1)
		w.write()
	}
	w.sync()
	newer := fileNames[w.journal.commit.current]
	data := fs.Bytes(newer)
	_, payload, err := parseFrame(data, 0)
	if err != nil {
		t.Fatal(err)
	}
	frame, reported := frameHeader+len(payload), 0
	for at := range frame {
		damaged := slices.Clone(data)
		damaged[at] ^= 4
		var again disk.Faulty
		again.SetBytes(fileNames[w.journal.commit.current], damaged)
		again.SetBytes(fileNames[1-w.journal.commit.current], fs.Bytes(fileNames[1-w.journal.commit.current]))
		for range 3 { // each begins a generation and ends at once
			var log bytes.Buffer
			v := &world{t: t, reg: metric.New()}
			if v.journal, err = Open(Options{FS: &again, Registry: v.reg, FileBytes: 1 << 10, Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
				t.Fatal(err)
			}
			v.claim()
			v.check("a")
			if strings.Contains(log.String(), "damaged") {
				reported++
			}
			again.Crash(func(int, int) int { return 0 })
		}
	}
	if reported < frame-12 { // the magic and the length are needed to tell
		t.Errorf("%d of %d kinds of damage were reported", reported, frame)
	}
}

// TestForgottenSeries: a rule that goes and comes back counts from 0, also after a restart.
func TestForgottenSeries(t *testing.T) {
	for _, lines := range []int{0, 2} {
		var fs disk.Faulty
		w := open(t, &fs)
		w.read("a", 3)
		w.sync()
		w.reg.Forget("lines_total")
		w.claim()
		if lines > 0 {
			w.read("a", lines)
		}
		w.sync()
		w.journal.Close()
		for range 8 { // the order of a map must not decide
			w = open(t, &fs)
			if got := w.lines.Series("a").Value(); got != float64(lines) {
				t.Fatalf("%v lines came back, want %d", got, lines)
			}
			w.journal.Close()
		}
	}
}

// TestSeriesTwiceInOneFile is what a crash leaves that comes right after the reload.
func TestSeriesTwiceInOneFile(t *testing.T) {
	key := ""
	for range 16 {
		var fs disk.Faulty
		w := open(t, &fs)
		w.read("a", 3)
		w.sync()
		for _, d := range w.reg.Snapshot() {
			key = d.Key
		}
		c := change{series: []metric.Durable{{ID: 77, Key: key, Cells: []float64{2}}}}
		l := &w.journal.commit
		if _, err := l.files[l.current].WriteAt(appendFrame(nil, l.at, &c), l.offset); err != nil {
			t.Fatal(err)
		}
		w = reopen(t, &fs, w)
		if got := w.lines.Series("a").Value(); got != 2 {
			t.Fatalf("%v lines came back, want those of the later series", got)
		}
	}
}

func reopen(t *testing.T, fs disk.Tree, w *world) *world {
	t.Helper()
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, fs)
}

// TestDroppedSeriesStayDropped: a series whose rule was missing for one run does not come
// back with its old value in the next.
func TestDroppedSeriesStayDropped(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 3)
	w.sync()
	w.journal.Close()
	reg := metric.New()
	j, err := Open(Options{FS: &fs, Registry: reg, FileBytes: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	reg.DropUnclaimed()
	if err := j.commit.sync(j); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if w = open(t, &fs); w.lines.Series("a").Value() != 0 {
		t.Errorf("%v lines came back", w.lines.Series("a").Value())
	}
}

// TestFullDiskLargeState: a state that fits what is reserved is committed on a full disk,
// though more would be reserved for its size if there were room.
func TestFullDiskLargeState(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	for i := range 40 {
		w.read(fmt.Sprint("input", i), 1)
	}
	w.sync()
	w = reopen(t, &fs, w)
	w = reopen(t, &fs, w)
	fs.Limit(int64(len(fs.Bytes(fileNames[0])) + len(fs.Bytes(fileNames[1]))))
	for i := range 20 {
		w.read(fmt.Sprint("more", i), 1)
		if err := w.sync(); err != nil {
			t.Fatalf("sync %d on a full disk: %v", i, err)
		}
	}
	for i := range 100 {
		w.read("input0", 1)
		if err := w.sync(); err != nil {
			t.Fatalf("sync %d on a full disk: %v", i, err)
		}
		if i%30 == 0 {
			w = reopen(t, &fs, w)
		}
	}
	if got := w.check("input0"); got != 101 {
		t.Errorf("%d lines, want 101", got)
	}
}

func TestSyncWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs disk.Faulty
		w := open(t, &fs)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.journal.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := w.journal.Sync(t.Context()); err == nil {
			t.Error("Sync succeeded after the end of Run")
		}
	})
}

// TestWaitingForTheDisk: what waits is bounded by the number of cells, not by the time.
func TestWaitingForTheDisk(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	fs.FailWith(func(op string) error {
		if op == "sync" {
			return errors.New("broken disk")
		}
		return nil
	})
	for range 500 {
		w.read("a", 1)
		if w.sync() == nil {
			t.Fatal("sync succeeded")
		}
	}
	if n := len(w.journal.commit.unsynced); n > 4 {
		t.Errorf("%d deltas wait for one cell", n)
	}
	fs.FailWith(nil)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if got := w.check("a"); got != 500 {
		t.Errorf("%d lines, want 500", got)
	}
}

// TestHostilePayload: a payload that lies about its counts costs memory like its length.
func TestHostilePayload(t *testing.T) {
	const n = 1 << 20
	payload := binary.AppendUvarint(nil, n)
	payload = append(payload, strings.Repeat("\xff", 11)...) // not a number
	payload = append(payload, make([]byte, n)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := parseChange(payload); err == nil {
		t.Error("no error")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > n {
		t.Errorf("%d bytes allocated for a payload of %d", got, len(payload))
	}
}

// TestNumbersStaySmall: a number is an index in memory, so rules that come and go must not
// make them grow for ever.
func TestNumbersStaySmall(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	for range 50 {
		w.reg.Forget("lines_total")
		w.claim()
		w.read("a", 1)
		w.read("b", 1)
		w.sync()
	}
	if w.lines.Series("b").ID() < 50 {
		t.Fatal("numbers do not grow: the test is for nothing")
	}
	w = reopen(t, &fs, w)
	if a, b := w.lines.Series("a"), w.lines.Series("b"); a.ID() > 2 || b.ID() > 2 || a.Value() != 1 || b.Value() != 1 {
		t.Errorf("after a restart a is %d = %v, b is %d = %v", a.ID(), a.Value(), b.ID(), b.Value())
	}
}

// TestTogether uses everything at once, for the race detector, and ends in the middle.
func TestTogether(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.journal.opts.WriteEvery, w.journal.opts.SyncEvery = time.Millisecond, 2*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.journal.Run(ctx) }()
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() {
			name := fmt.Sprint("input", i)
			for k := range 200 {
				w.read(name, 1)
				w.journal.Store("state/"+name, binary.AppendUvarint(nil, uint64(k)))
				w.journal.Load("state/" + name)
				w.journal.Known("test")
				w.reg.Each(func(*metric.Family, *metric.Series) bool { return true })
				if k%50 == 49 {
					if err := w.journal.Sync(ctx); err != nil {
						t.Error(err)
					}
					if got := w.lines.Series(name).Value(); got != float64(k+1) {
						t.Errorf("%s: %v lines are shown after Sync, want %d", name, got, k+1)
					}
					w.journal.Input(inputOf("short/" + name)).Forget()
				}
			}
		})
	}
	busy.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w = reopen(t, &fs, w)
	for i := range 4 {
		if got := w.check(fmt.Sprint("input", i)); got != 200 {
			t.Errorf("%d lines, want 200", got)
		}
	}
}

// TestOpenWithoutAccess: the error says what the user can do.
func TestOpenWithoutAccess(t *testing.T) {
	for _, failing := range []string{"lock", "open", "write"} {
		for _, cause := range []error{syscall.EACCES, syscall.EROFS} {
			var fs disk.Faulty
			fs.FailWith(func(op string) error { return map[bool]error{true: cause}[op == failing] })
			_, err := Open(Options{FS: &fs, Registry: metric.New()})
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), "--data-dir") {
				t.Errorf("%s fails with %v: %v", failing, cause, err)
			}
		}
	}
}

// FuzzOpen has a sound frame with any payload: whatever it says, Open works, and what it
// makes of it does not change any more.
func FuzzOpen(f *testing.F) {
	c := change{
		inputs:    []inputDef{{1, "id", record.Stream{ID: "s", Source: "x"}}, {1 << 31, "id", record.Stream{ID: "s", Source: "x"}}},
		positions: []positionDef{{input: 1, position: record.Position{Source: []byte("p")}}, {input: 9}},
		series:    []metric.Durable{{ID: 1 << 31, Key: "k", Cells: []float64{1, 2}}, {ID: 2, Key: "k"}, {}},
		deltas:    []record.Delta{{Series: 2, Cell: 1 << 31, Add: 4}, {Series: 1 << 31, Cell: 1, Add: 1}, {Series: 1 << 31, Cell: record.SetCell, Add: -1}},
		states:    []stateDef{{"k", []byte("v")}, {"k", nil}},
	}
	f.Add(appendChange(nil, &c))
	f.Fuzz(func(t *testing.T, payload []byte) {
		frame := appendFrame(nil, link{generation: 7}, new(change))
		frame = append(frame[:frameHeader], payload...)
		binary.LittleEndian.PutUint32(frame[24:], uint32(len(payload)))
		binary.LittleEndian.PutUint32(frame[28:], frameSum(0, frame))
		var fs disk.Faulty
		fs.SetBytes(fileNames[0], frame)
		once := open(t, &fs)
		series := once.reg.Snapshot()
		again := reopen(t, &fs, once)
		if got := again.reg.Snapshot(); len(got) != len(series) {
			t.Errorf("%d series, and after another restart %d", len(series), len(got))
		}
	})
}
