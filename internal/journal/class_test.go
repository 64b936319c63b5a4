package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// classesOf are the classes of an input's stream in these tests: line i is of class i%3.
func classesOf(name string, bounds [3]archive.Bound) (own archive.Bound, classes []Class) {
	for k := 1; k < 3; k++ {
		classes = append(classes, Class{Stream: inputOf(fmt.Sprint(name, "/", k)).Stream, Bound: bounds[k]})
	}
	return bounds[0], classes
}

// readClasses lets an input read n more lines, which go to the stream and its classes.
func (w *world) readClasses(name string, n int, bounds [3]archive.Bound) {
	w.t.Helper()
	in := w.journal.Input(inputOf(name))
	own, classes := classesOf(name, bounds)
	in.Keep(Keep{Bound: own, Classes: classes})
	defer in.Close()
	at := position(in.Position())
	b := new(record.Batch)
	for i := at + 1; i <= at+n; i++ {
		b.Records = append(b.Records, record.Record{Time: int64(i) * 1e9, Class: uint8(i % 3), Body: b.Append(fmt.Appendf(nil, "%d %s", i, padding))})
	}
	at += n
	b.Position.Source = binary.AppendUvarint(nil, uint64(at))
	b.Position.Resume = [2]int64{int64(at), int64(at)}
	b.Deltas = append(b.Deltas, record.Delta{Series: w.lines.Series(name).ID(), Add: float64(n)})
	if err := in.Write(w.t.Context(), b); err != nil {
		w.t.Fatal(err)
	}
}

// classesWhole fails unless each class has its lines up to the last that is counted, each once and
// in order, and those without a bound all of them.
func (w *world) classesWhole(name string, bounds [3]archive.Bound) {
	w.t.Helper()
	shown := int(w.lines.Series(name).Value())
	for class, bound := range bounds {
		stream := name
		if class > 0 {
			stream = fmt.Sprint(name, "/", class)
		}
		got := numbers(w.t, w.journal.Archive(), stream)
		var want []int
		for i := 1; i <= shown; i++ {
			if i%3 == class {
				want = append(want, i)
			}
		}
		missing := len(want) - len(got)
		if missing < 0 || bound == (archive.Bound{}) && missing > 0 || !slices.Equal(got, want[missing:]) {
			w.t.Fatalf("class %d of %d lines has %v", class, shown, got)
		}
	}
}

// TestClassHistories: whatever crashes, each line that is counted is kept once, in its class: the
// text of all classes is in the same commit as the position and the counts.
func TestClassHistories(t *testing.T) {
	bounds := [3]archive.Bound{{}, {}, smallBlocks}
	for seed := range uint64(8) {
		var fs disk.Faulty
		rnd := rand.New(rand.NewPCG(seed, 23))
		w := open(t, &fs)
		for step := range 80 {
			switch rnd.IntN(11) {
			case 0, 1, 2, 3:
				w.readClasses("a", 1+rnd.IntN(60), bounds)
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
				w.journal.commit.archive.Retain(w.journal.commit.lastSync.Add(time.Duration(step) * time.Second))
			case 10:
				fs.FailWith(nil)
				fs.Crash(func(i, size int) int { return []int{0, size, rnd.IntN(size + 1)}[rnd.IntN(3)] })
				w = open(t, &fs)
			}
			w.classesWhole("a", bounds)
		}
	}
}

// TestClassesAge: each class goes when its time has come, and not before.
func TestClassesAge(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		bounds := [3]archive.Bound{{Age: 7 * day}, {Age: 30 * day}, {Age: day}}
		var fs disk.Faulty
		w := open(t, &fs)
		w.readClasses("a", 300, bounds)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		left := func() (n [3]int) {
			for class := range n {
				stream := "a"
				if class > 0 {
					stream = fmt.Sprint("a/", class)
				}
				n[class] = len(numbers(t, w.journal.Archive(), stream))
			}
			return n
		}
		for begun, steps := time.Now(), 0; steps < 46*4; steps++ {
			got, age := left(), time.Since(begun)
			for class, bound := range bounds {
				if age <= bound.Age && got[class] != 100 || age > bound.Age*3/2 && got[class] != 0 {
					t.Fatalf("after %s there are %v", age, got)
				}
			}
			if steps == 10 { // the bounds are known also of what nobody writes to
				w.journal.Close()
				fs.Crash(func(_, size int) int { return size })
				w = open(t, &fs)
			}
			time.Sleep(day / 4)
			if err := w.sync(); err != nil {
				t.Fatal(err)
			}
			w.journal.commit.archive.Retain(time.Now())
		}
		if got := left(); got != [3]int{} {
			t.Errorf("there are still %v", got)
		}
	})
}

// TestClassesOnAFullDisk: what is not kept is stated in each class.
func TestClassesOnAFullDisk(t *testing.T) {
	var bounds [3]archive.Bound
	var fs disk.Faulty
	w := open(t, &fs)
	w.readClasses("a", 30, bounds)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	own, classes := classesOf("a", bounds)
	in := w.journal.Input(inputOf("a"))
	in.Keep(Keep{Bound: own, Classes: classes})
	defer in.Close()
	text := in.render(&record.Batch{Records: []record.Record{{Class: 1}, {Class: 1}, {Class: 2}, {}, {Class: 2}, {Class: 2}, {Class: 9}}})
	w.journal.mu.Lock()
	in.acceptTextLocked(writtenText{parts: text, missed: true})
	w.journal.mu.Unlock()
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.readClasses("a", 3, bounds)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]int{"a": -2, "a/1": -2, "a/2": -3} { // a class that there is not is none
		got := numbers(t, w.journal.Archive(), stream)
		if len(got) != 12 || got[10] != want {
			t.Errorf("%s has %v", stream, got)
		}
	}
}
