package journal

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
)

// until has the text of an input kept for a sink alone.
func (w *world) until(name string) *archive.Stream {
	s := w.journal.Archive().Find(inputOf(name).Stream.ID)
	s.Until([]string{"files"})
	return s
}

// delivered says that the sink has so many lines, and stores that it does.
func (w *world) delivered(s *archive.Stream, lines int) {
	w.journal.Store("cursor", binary.AppendUvarint(nil, uint64(lines)))
	s.Delivered("files", uint64(lines+1))
}

// retain looks at the bounds as if that much time had passed.
func (w *world) retain(after time.Duration) {
	w.journal.commit.archive.Retain(time.Now().Add(after))
}

// withText returns the names of the files that hold any of the test's text.
func withText(fs *disk.Faulty) (names []string) {
	for _, name := range fs.Names() {
		if strings.Contains(string(fs.Bytes(name)), "abcdefgh") {
			names = append(names, name)
		}
	}
	return names
}

// TestNoTextIsLeft: text that was kept for a sink leaves the files once the sink has it, the
// commit log's too: soon while weir runs, at once when it ends.
func TestNoTextIsLeft(t *testing.T) {
	for _, end := range []string{"runs", "ends", "is killed"} {
		var fs disk.Faulty
		w := openSized(t, &fs, 1<<20)
		w.readText("a", 20, smallBlocks)
		s := w.until("a")
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		w.retain(time.Minute)
		if len(withText(&fs)) == 0 || len(numbers(t, w.journal.Archive(), "a")) != 20 {
			t.Fatalf("the sink does not have it yet: %v", withText(&fs))
		}
		w.delivered(s, 20)
		now := time.Now()
		switch end {
		case "runs":
			for i := range 3 {
				w.journal.commit.tick(w.journal, now.Add(time.Duration(i)*time.Minute))
			}
		case "ends":
			if err := w.journal.commit.finish(w.journal); err != nil {
				t.Fatal(err)
			}
		case "is killed":
			w = reopen(t, &fs, w)
			w.readText("a", 1, smallBlocks)
			w.delivered(w.until("a"), 21)
			for i := range 3 {
				w.journal.commit.tick(w.journal, now.Add(time.Duration(i)*time.Minute))
			}
		}
		if got := withText(&fs); len(got) > 0 {
			t.Errorf("%s: text is left in %v", end, got)
		}
		w = reopen(t, &fs, w)
		if n := w.check("a"); n < 20 {
			t.Errorf("%s: %d lines are counted", end, n)
		}
		if got := numbers(t, w.journal.Archive(), "a"); len(got) > 0 {
			t.Errorf("%s: %v came back", end, got)
		}
	}
}

// TestGoneHistories: whatever crashes while text goes that a sink has, what the sink lacks is
// there, each line once and in order.
func TestGoneHistories(t *testing.T) {
	for seed := range uint64(20) {
		var fs disk.Faulty
		rnd := rand.New(rand.NewPCG(seed, 13))
		w := openSized(t, &fs, 64<<10)
		has := 0 // lines that the sink has
		for step := range 100 {
			switch rnd.IntN(8) {
			case 0, 1:
				w.readText("a", 1+rnd.IntN(40), smallBlocks)
			case 2:
				w.write()
			case 3, 4:
				if err := w.sync(); err != nil {
					t.Fatal(err)
				}
			case 5:
				has = max(has, rnd.IntN(int(w.lines.Series("a").Value())+1))
				if s := w.journal.Archive().Find("test/a"); s != nil {
					w.delivered(s, has)
				}
			case 6:
				w.retain(time.Duration(step) * time.Minute)
			case 7:
				if rnd.IntN(2) == 0 {
					w.journal.commit.unclean = true
					w.journal.commit.cleanNow(w.journal, time.Now())
				}
				fs.Crash(func(i, size int) int { return []int{0, size, rnd.IntN(size + 1)}[rnd.IntN(3)] })
				w = openSized(t, &fs, 64<<10)
				n, _ := binary.Uvarint(w.journal.Load("cursor"))
				has = int(n)
				if s := w.journal.Archive().Find("test/a"); s != nil {
					w.delivered(s, has)
				}
			}
			if w.journal.Archive().Find("test/a") != nil {
				w.until("a")
			}
			got := numbers(t, w.journal.Archive(), "a")
			shown := int(w.lines.Series("a").Value())
			if len(got) == 0 {
				if has < shown {
					t.Fatalf("seed %d: nothing is left of %d lines, the sink has %d", seed, shown, has)
				}
				continue
			}
			if got[0] > has+1 || got[len(got)-1] != shown {
				t.Fatalf("seed %d: %d to %d are kept of %d; the sink has %d", seed, got[0], got[len(got)-1], shown, has)
			}
			for i := range got {
				if got[i] != got[0]+i {
					t.Fatalf("seed %d: %v", seed, got)
				}
			}
		}
	}
}

// TestMissedOverRestart: that lines could not be kept is stated once there is room, over
// restarts and crashes, and without a line that comes then.
func TestMissedOverRestart(t *testing.T) {
	for _, crash := range []bool{false, true} {
		var fs disk.Faulty
		w := open(t, &fs)
		w.readText("a", 5, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		fs.Limit(1 << 30) // the floor is above
		w.journal = openFloor(t, &fs, w, 2<<30)
		w.retain(0)
		w.readText("a", 40, smallBlocks)
		w.readText("new", 30, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		if crash {
			fs.Crash(func(int, int) int { return 0 })
			w.journal.closed = true
		}
		w.journal = openFloor(t, &fs, w, 2<<30) // there is no room yet
		w.journal = openFloor(t, &fs, w, 0)
		w.retain(time.Minute)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, want := numbers(t, w.journal.Archive(), "a"), []int{1, 2, 3, 4, 5, -40}; !slices.Equal(got, want) {
				t.Errorf("crash %t: %v, want %v", crash, got, want)
			}
			if got := numbers(t, w.journal.Archive(), "new"); !slices.Equal(got, []int{-30}) {
				t.Errorf("crash %t: of the new one %v", crash, got)
			}
			w.journal = openFloor(t, &fs, w, 0)
		}
	}
}

// openFloor opens the directory again with a floor.
func openFloor(t *testing.T, fs *disk.Faulty, w *world, floor int64) *Journal {
	t.Helper()
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, fs)
	if err := fresh.journal.Close(); err != nil {
		t.Fatal(err)
	}
	*w = *fresh
	j, err := Open(Options{FS: fs, Registry: w.reg, FileBytes: 1 << 10, Floor: floor})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestTailsGo: the file of a tail goes when the commit that has its block is durable, not
// before, and without waiting for the next generation.
func TestTailsGo(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	tails := func() (n int) {
		for _, name := range fs.Names() {
			if strings.HasSuffix(name, ".ndjson") {
				n++
			}
		}
		return n
	}
	w.readText("a", 20, smallBlocks)
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		w.readText("a", 20, smallBlocks)
		w.write()
		if tails() == 0 {
			t.Error("the tail went before it was durable elsewhere")
		}
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		if n := tails(); n > 1 {
			t.Errorf("%d tails", n)
		}
	}
	for _, power := range []bool{true, false} {
		again := copyDisk(&fs)
		if !power {
			fs.Crash(func(i, size int) int { return size * (i % 2) })
			again = &fs
		}
		w = open(t, again)
		w.whole("a")
		if n, st := len(numbers(t, w.journal.Archive(), "a")), w.journal.Archive().Stats(); n != 200 || st.Damaged != 0 {
			t.Errorf("%d lines, %d damaged", n, st.Damaged)
		}
	}
}

// TestRemovedIsNotListed: what retention has removed is not shown to who reads the directory
// from outside, though the commit log had it.
func TestRemovedIsNotListed(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	bound := archive.Bound{Size: smallBlocks.Size, Age: time.Hour}
	for range 20 {
		w.readText("a", 40, bound)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
	}
	w.retain(2 * time.Hour)
	w.readText("b", 1, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(&fs, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := numbers(t, a, "a"), numbers(t, w.journal.Archive(), "a")
	if !slices.Equal(got, want) || len(got) > 100 {
		t.Errorf("outside %s, inside %s", ends(got), ends(want))
	}
}

func ends(n []int) string {
	if len(n) == 0 {
		return "none"
	}
	return fmt.Sprint(n[0], " to ", n[len(n)-1])
}

// TestRoomAgain: text that comes while the disk is full waits for room, as long as the commit
// log has some, and is not lost; what comes after that is stated.
func TestRoomAgain(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	w.readText("a", 5, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	used := int64(0)
	for _, name := range fs.Names() {
		used += int64(len(fs.Bytes(name)))
	}
	fs.Limit(used + 100)
	w.readText("a", 95, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if !w.journal.Archive().Full() {
		t.Fatal("the disk is not said to be full")
	}
	w.readText("a", 20, smallBlocks) // the log has room
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	l := &w.journal.commit
	l.sizes[l.current] = l.offset + 30_000 // it has little more
	w.readText("a", 20, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.readText("a", 50, smallBlocks) // not so much
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.journal.commit.tick(w.journal, now)
	fs.Limit(0)
	for i := range 3 {
		w.journal.commit.tick(w.journal, now.Add(time.Duration(i+1)*time.Minute))
	}
	got := numbers(t, w.journal.Archive(), "a")
	if len(got) != 141 || got[139] != 140 || got[140] != -50 {
		t.Errorf("%d: %v", len(got), got[max(0, len(got)-3):])
	}
	w = reopen(t, &fs, w)
	if again := numbers(t, w.journal.Archive(), "a"); !slices.Equal(got, again) {
		t.Errorf("after a restart %d", len(again))
	}
}

// TestSteadyStream: of a stream that always has new lines, too, what its sink has goes.
func TestSteadyStream(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	for i := range 40 {
		w.readText("a", 5, smallBlocks)
		w.delivered(w.until("a"), max(0, i*5-2)) // it is behind by some
		w.journal.commit.tick(w.journal, time.Now().Add(time.Duration(i)*time.Minute))
		if got := numbers(t, w.journal.Archive(), "a"); len(got) > 20 || got[len(got)-1] != (i+1)*5 {
			t.Fatalf("round %d: %s are kept", i, ends(got))
		}
	}
	if n := strings.Count(string(fs.Bytes("commit-0.weir"))+string(fs.Bytes("commit-1.weir")), "abcdefgh abcdefgh abcdefgh abcdefgh"); n > 1000 {
		t.Errorf("the log has %d pieces of text", n)
	}
	fs.Crash(func(_, size int) int { return size })
	w = open(t, &fs)
	if got := numbers(t, w.journal.Archive(), "a"); len(got) > 20 || got[len(got)-1] != 200 {
		t.Errorf("after a crash %s are kept", ends(got))
	}
}

// TestDeliveredDuringSync: what a sink says while a commit is on its way to the disk is not in
// that commit, so no text goes for it before the next.
func TestDeliveredDuringSync(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	w.readText("a", 100, smallBlocks)
	s := w.until("a")
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	w.readText("b", 1, smallBlocks)
	told := false
	fs.FailWith(func(op string) error {
		if op == "sync" && !told {
			told = true
			w.delivered(s, 100)
		}
		return nil
	})
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.retain(time.Minute)
	fs.FailWith(nil)
	fs.Crash(func(_, size int) int { return size })
	w = openSized(t, &fs, 1<<20)
	if w.journal.Load("cursor") != nil || len(numbers(t, w.journal.Archive(), "a")) != 100 {
		t.Errorf("the sink has %v, %d lines are left", w.journal.Load("cursor"), len(numbers(t, w.journal.Archive(), "a")))
	}
}

// lookTwice is a disk on which something happens between the first look at the log and that
// at the files of text.
type lookTwice struct {
	disk.Tree
	happens func()
}

func (d *lookTwice) List(dir string) ([]string, error) {
	if d.happens != nil {
		d.happens()
		d.happens = nil
	}
	return d.Tree.List(dir)
}

// TestOpenBesideWriter: who reads the directory from outside sees no damage where a tail
// became a block meanwhile.
func TestOpenBesideWriter(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	w.readText("a", 20, smallBlocks)
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(&lookTwice{&fs, func() {
		w.readText("a", 60, smallBlocks)
		if err := w.sync(); err != nil {
			t.Error(err)
		}
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, a, "a"); len(got) != 80 || a.Stats().Damaged != 0 {
		t.Errorf("%s, %d damaged", ends(got), a.Stats().Damaged)
	}
}
