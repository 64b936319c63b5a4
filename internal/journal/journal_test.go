package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// world is a journal with one counter. The position of an input is the number of lines it
// has read, so that after any fault position and counter must agree.
type world struct {
	t       *testing.T
	reg     *metric.Registry
	journal *Journal
	lines   *metric.Family
	trimmed bool // retention has removed text
}

func open(t *testing.T, fs disk.Tree) *world {
	t.Helper()
	w := &world{t: t, reg: metric.New()}
	j, err := Open(Options{FS: fs, Registry: w.reg, FileBytes: 1 << 10})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	w.journal = j
	w.claim()
	return w
}

// claim makes the family, as building a configuration does.
func (w *world) claim() {
	w.t.Helper()
	var err error
	if w.lines, err = w.reg.Family(metric.Desc{Name: "lines_total", Labels: []string{"input"}, Durable: true, Owner: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func inputOf(name string) flow.Input {
	return flow.Input{Stream: record.Stream{ID: "test/" + name, Source: "test", Labels: record.Labels{{Name: "app", Value: name}}}}
}

func position(p record.Position) int {
	n, _ := binary.Uvarint(p.Source)
	return int(n)
}

// read lets an input read n more lines.
func (w *world) read(name string, n int) {
	w.t.Helper()
	in := w.journal.Input(inputOf(name))
	at := position(in.Position()) + n
	b := new(record.Batch)
	b.Position.Source = binary.AppendUvarint(nil, uint64(at))
	b.Position.Resume = [2]int64{int64(at), int64(at)}
	b.Deltas = append(b.Deltas, record.Delta{Series: w.lines.Series(name).ID(), Add: float64(n)})
	if err := in.Write(context.Background(), b); err != nil {
		w.t.Fatal(err)
	}
}

// check returns how many lines of the input are counted, after comparing that with its position.
func (w *world) check(name string) int {
	w.t.Helper()
	p := w.journal.Input(inputOf(name)).Position()
	got := int(w.lines.Series(name).Value())
	if position(p) != got || p.Resume[0] != int64(got) {
		w.t.Fatalf("input %s: position %d (resume %v), but %d lines counted", name, position(p), p.Resume, got)
	}
	return got
}

func (w *world) write() { _ = w.journal.commit.write(w.journal) }

func (w *world) sync() error { return w.journal.commit.sync(w.journal) }

func TestStateComesBack(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 3)
	w.read("b", 5)
	w.read("a", 4)
	w.journal.Store("sink/agent", []byte("baseline"))
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, &fs)
	if a, b := w.check("a"), w.check("b"); a != 7 || b != 5 {
		t.Errorf("a = %d, b = %d; want 7, 5", a, b)
	}
	if got := w.journal.Load("sink/agent"); string(got) != "baseline" {
		t.Errorf("state = %q", got)
	}
	known := w.journal.Known("test")
	if len(known) != 2 || known[0].Stream.Labels.Get("app") != "a" {
		t.Errorf("Known = %v", known)
	}
}

func TestRegistryIsRaisedAfterSync(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 3)
	w.write()
	if v := w.lines.Series("a").Value(); v != 0 {
		t.Fatalf("counter is %v before the sync", v)
	}
	if p := w.journal.Input(inputOf("a")).Progress(); p != (Progress{}) {
		t.Fatalf("progress is %v before the sync", p)
	}
	fs.FailWith(func(op string) error {
		if op == "sync" {
			return errors.New("broken disk")
		}
		return nil
	})
	if err := w.sync(); err == nil {
		t.Fatal("sync succeeded on a broken disk")
	}
	if v := w.lines.Series("a").Value(); v != 0 {
		t.Fatalf("counter is %v after a failed sync", v)
	}
	fs.FailWith(nil)
	w.read("a", 1)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if got := w.check("a"); got != 4 {
		t.Errorf("counted %d lines, want 4", got)
	}
}

// TestTornAtEveryByte cuts the log at every byte, with zeros and with rubbish behind the
// cut, and expects what recovery finds to be some whole commit.
func TestTornAtEveryByte(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.journal.Close()
	w = open(t, &fs) // both files are in use now
	for i := range 6 {
		w.read("a", i+1)
		w.read("b", 1)
		w.write()
	}
	w.sync()
	l := &w.journal.commit
	name, end := fileNames[l.current], l.offset
	other := fileNames[1-l.current]
	whole, rest := fs.Bytes(name), fs.Bytes(other)
	seen := map[int]bool{}
	for cut := range end + 1 {
		for _, fill := range []byte{0, 0xa5} {
			data := slices.Clone(whole)
			for i := cut; i < int64(len(data)); i++ {
				data[i] = fill
			}
			var torn disk.Faulty
			torn.SetBytes(name, data)
			torn.SetBytes(other, rest)
			v := open(t, &torn)
			seen[v.check("a")] = true
			v.check("b")
			v.read("a", 2)
			v.sync()
			v.journal.Close()
			v = open(t, &torn)
			v.check("a")
		}
	}
	for _, want := range []int{0, 1, 3, 6, 10, 15, 21} {
		if !seen[want] {
			t.Errorf("no cut left %d lines", want)
		}
	}
	if len(seen) != 7 {
		t.Errorf("cuts left %v", seen)
	}
}

// TestFlippedBits damages one byte after the other.
func TestFlippedBits(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	for i := range 4 {
		w.read("a", i+1)
		w.write()
	}
	w.sync()
	l := &w.journal.commit
	name, end := fileNames[l.current], l.offset
	whole := fs.Bytes(name)
	for at := range end {
		data := slices.Clone(whole)
		data[at] ^= 0x10
		var damaged disk.Faulty
		damaged.SetBytes(name, data)
		damaged.SetBytes(fileNames[1-l.current], fs.Bytes(fileNames[1-l.current]))
		v := open(t, &damaged)
		v.check("a")
		v.journal.Close()
	}
}

// TestCrashes runs random histories of reads, writes, syncs, failures and crashes in which
// any part of any unsynced write may have survived.
func TestCrashes(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var fs disk.Faulty
		w := open(t, &fs)
		synced := map[string]int{}
		for range 60 {
			switch rnd.IntN(8) {
			case 0, 1, 2:
				w.read(fmt.Sprint("input", rnd.IntN(3)), 1+rnd.IntN(5))
			case 3, 4:
				w.write()
			case 5:
				if w.sync() == nil {
					for i := range 3 {
						name := fmt.Sprint("input", i)
						synced[name] = w.check(name)
					}
				}
			case 6:
				op, n := []string{"write", "sync", "allocate"}[rnd.IntN(3)], rnd.IntN(3)
				fs.FailWith(func(o string) error {
					if o == op && n > 0 {
						n--
						return errors.New("broken disk")
					}
					return nil
				})
			case 7:
				fs.FailWith(nil)
				fs.Crash(func(i, size int) int {
					return []int{0, size, rnd.IntN(size + 1)}[rnd.IntN(3)]
				})
				w = open(t, &fs)
				for i := range 3 {
					name := fmt.Sprint("input", i)
					if got := w.check(name); got < synced[name] {
						t.Fatalf("seed %d: %s has %d lines after a crash, %d were synced", seed, name, got, synced[name])
					}
				}
			}
		}
	}
}

// TestFullDisk fills the disk behind the journal's back: commits go on in the reserved
// space, and when even that ends what was counted stays pending until there is room.
func TestFullDisk(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 1)
	w.sync()
	w.journal.Close()
	w = open(t, &fs)
	size := int64(len(fs.Bytes(fileNames[0])) + len(fs.Bytes(fileNames[1])))
	fs.Limit(size)
	for range 200 { // several generations in the same space
		w.read("a", 1)
		if err := w.sync(); err != nil {
			t.Fatalf("sync on a full disk: %v", err)
		}
	}
	for i := range 100 { // the snapshot outgrows its reservation
		w.read(fmt.Sprint("more", i), 1)
	}
	if err := w.sync(); !errors.Is(err, disk.ErrFull) {
		t.Fatalf("sync = %v, want no space", err)
	}
	if v := w.lines.Series("more7").Value(); v != 0 {
		t.Errorf("counter raised to %v without a commit", v)
	}
	w.read("a", 1)
	fs.Limit(0)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if a, m := w.check("a"), w.check("more7"); a != 202 || m != 1 {
		t.Errorf("a = %d, more7 = %d; want 202, 1", a, m)
	}
}

func TestForget(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.read("a", 3)
	w.read("b", 1)
	w.sync()
	w.journal.Input(inputOf("a")).Forget()
	w.sync()
	w.journal.Close()
	w = open(t, &fs)
	if known := w.journal.Known("test"); len(known) != 1 || known[0].Stream.ID != "test/b" {
		t.Errorf("Known = %v, want b alone", known)
	}
	if got := w.lines.Series("a").Value(); got != 3 {
		t.Errorf("the counter of a forgotten input is %v, want 3", got)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs disk.Faulty
		w := open(t, &fs)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.journal.Run(ctx) }()
		w.read("a", 3)
		time.Sleep(1300 * time.Millisecond)
		synctest.Wait()
		if got := w.check("a"); got != 3 {
			t.Errorf("%d lines after a second, want 3", got)
		}
		w.read("a", 2)
		if err := w.journal.Sync(ctx); err != nil {
			t.Error(err)
		}
		if got := w.check("a"); got != 5 {
			t.Errorf("%d lines after Sync, want 5", got)
		}
		w.read("a", 1)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := w.check("a"); got != 6 {
			t.Errorf("%d lines after Run, want 6", got)
		}
	})
}

func TestOSDisk(t *testing.T) {
	dir := t.TempDir() + "/data"
	fs, err := disk.OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, fs)
	if _, err := Open(Options{FS: fs, Registry: metric.New()}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second Open = %v, want ErrLocked", err)
	}
	w.read("a", 3)
	w.sync()
	w.journal.Close()
	if w = open(t, fs); w.check("a") != 3 {
		t.Error("lines are missing")
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, dir + "/" + fileNames[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", path, info.Mode(), err, want)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	c := change{
		inputs:    []inputDef{{1, "id", record.Stream{ID: "s", Source: "x", Labels: record.Labels{{Name: "a", Value: "b"}}}}},
		positions: []positionDef{{input: 1, position: record.Position{Source: []byte("p"), Resume: [2]int64{-1, 7}}}},
		series:    []metric.Durable{{ID: 2, Key: "k", Created: time.UnixMilli(5), Cells: []float64{1, 2.5, -3}}},
		deltas:    []record.Delta{{Series: 2, Cell: 1, Add: 4}},
		states:    []stateDef{{"k", []byte("v")}},
	}
	f.Add(appendFrame(nil, link{generation: 3}, &c))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, payload, err := parseFrame(b, 0)
		if err != nil {
			payload = b
		}
		c, err := parseChange(payload)
		if err != nil {
			return
		}
		again, err := parseChange(appendChange(nil, c))
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if len(again.deltas) != len(c.deltas) || len(again.inputs) != len(c.inputs) {
			t.Fatal("a round trip lost something")
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	var fs disk.Faulty
	reg := metric.New()
	j, err := Open(Options{FS: &fs, Registry: reg})
	if err != nil {
		b.Fatal(err)
	}
	w := j.Input(inputOf("a"))
	batch := &record.Batch{Position: record.Position{Source: make([]byte, 60)}}
	for i := range 10 {
		batch.Deltas = append(batch.Deltas, record.Delta{Series: uint32(i + 1), Add: 1})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
