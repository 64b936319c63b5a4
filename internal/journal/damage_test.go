package journal

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/disk"
)

// damageWorld has a stream from before the present generation, and one that is new in it,
// with everything synced and a mark behind it.
func damageWorld(t *testing.T, fs *disk.Faulty) *world {
	w := openSized(t, fs, 1<<20)
	w.readText("old", 100, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.readText("old", 50, smallBlocks)
		w.readText("new", 40, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.sync(); err != nil { // idle: the mark
		t.Fatal(err)
	}
	return w
}

func openSized(t *testing.T, fs disk.Tree, size int64) *world {
	t.Helper()
	w := open(t, fs)
	w.journal.opts.FileBytes = size
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	return w
}

func copyDisk(from *disk.Faulty) *disk.Faulty {
	to := new(disk.Faulty)
	for _, name := range from.Names() {
		to.SetBytes(name, slices.Clone(from.Bytes(name)))
	}
	return to
}

// lines returns the numbers that are kept without gaps, and whether there is a gap.
func (w *world) linesOf(name string) (got []int, gap bool) {
	for _, n := range numbers(w.t, w.journal.Archive(), name) {
		if n <= 0 {
			gap = true
			continue
		}
		got = append(got, n)
	}
	return got, gap
}

// TestDamagedLogKeepsText flips bytes all over both commit files: whatever the log forgets
// of it, text that is in the files stays, and a gap record stands behind what the log lacks.
func TestDamagedLogKeepsText(t *testing.T) {
	var fs disk.Faulty
	w := damageWorld(t, &fs)
	l := &w.journal.commit
	for file, name := range fileNames {
		end := min(int64(len(fs.Bytes(name))), l.offset-37) // without the mark
		for at := int64(0); at < end; at += 1 + end/150 {
			again := copyDisk(&fs)
			data := again.Bytes(name)
			data[at] ^= 0x10
			again.SetBytes(name, data)
			v := open(t, again)
			for stream, want := range map[string]int{"old": 300, "new": 160} {
				got, gap := v.linesOf(stream)
				if len(got) != want || got[want-1] != want {
					t.Fatalf("%s at %d: %d lines of %s are kept", name, at, len(got), stream)
				}
				if counted := int(v.lines.Series(stream).Value()); counted < want && !gap || counted > want {
					t.Fatalf("%s at %d: %d lines of %s are counted, and no gap says so", name, at, counted, stream)
				}
			}
			if file == l.current && at >= 32 && !slices.ContainsFunc(again.Names(), func(n string) bool { return strings.HasSuffix(n, ".damaged") }) {
				t.Fatalf("%s at %d: no copy for inspection", name, at)
			}
			v.journal.Close()
		}
	}
}

// TestRemovedLogKeepsText: without the newer file, or both, the text stays.
func TestRemovedLogKeepsText(t *testing.T) {
	for _, which := range [][]string{fileNames[:1], fileNames[1:], fileNames[:]} {
		var fs disk.Faulty
		damageWorld(t, &fs)
		again := copyDisk(&fs)
		for _, name := range which {
			if err := again.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		v := open(t, again)
		for stream, want := range map[string]int{"old": 300, "new": 160} {
			if got, _ := v.linesOf(stream); len(got) != want {
				t.Errorf("without %v: %d lines of %s", which, len(got), stream)
			}
		}
	}
}

// TestRestoredDirectory: the directory of a stream that the log does not know, since it was
// put there while nothing ran, is taken in, and still there after further starts.
func TestRestoredDirectory(t *testing.T) {
	var fs disk.Faulty
	w := damageWorld(t, &fs)
	if err := w.journal.commit.begin(w.journal); err != nil {
		t.Fatal(err)
	}
	var other disk.Faulty
	v := openSized(t, &other, 1<<20)
	v.readText("its", 10, smallBlocks)
	if err := v.sync(); err != nil {
		t.Fatal(err)
	}
	v = reopen(t, &other, v)
	for _, name := range fs.Names() {
		if strings.HasPrefix(name, "streams/test_old") {
			other.SetBytes(name, fs.Bytes(name))
		}
	}
	for range 3 {
		v = reopen(t, &other, v)
		if got, _ := v.linesOf("old"); len(got) != 300 {
			t.Fatalf("%d lines of the restored stream", len(got))
		}
		if got, gap := v.linesOf("its"); len(got) != 10 || gap {
			t.Fatalf("%d lines of the other", len(got))
		}
	}
}

// TestMetaComesBack: what a stream is comes from the log when its description is gone.
func TestMetaComesBack(t *testing.T) {
	var fs disk.Faulty
	w := damageWorld(t, &fs)
	w = reopen(t, &fs, w)
	for _, name := range fs.Names() {
		if strings.HasSuffix(name, "meta.json") {
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	w = reopen(t, &fs, w)
	if got := w.journal.Archive().Find("test/old").Labels().Get("app"); got != "old" {
		t.Errorf("app is %q", got)
	}
	w = reopen(t, &fs, w)
	if got := w.journal.Archive().Find("test/old").Labels().Get("app"); got != "old" {
		t.Errorf("after another start app is %q", got)
	}
}

// TestFlippedMeta: a label is not as it was: that is reported, and it comes from the log.
func TestFlippedMeta(t *testing.T) {
	var fs disk.Faulty
	w := damageWorld(t, &fs)
	w = reopen(t, &fs, w)
	name := w.journal.Archive().Find("test/old").Dir() + "meta.json"
	fs.SetBytes(name, bytes.Replace(fs.Bytes(name), []byte(`"app": "old"`), []byte(`"app": "olf"`), 1))
	if a, err := OpenArchive(&fs, nil); err != nil || a.Stats().Damaged != 1 {
		t.Errorf("%v, damaged: %d", err, a.Stats().Damaged)
	}
	for damaged := range 2 {
		w = reopen(t, &fs, w)
		a := w.journal.Archive()
		if got := a.Find("test/old").Labels().Get("app"); got != "old" || a.Stats().Damaged != uint64(1-damaged) {
			t.Errorf("app is %q, damaged: %d", got, a.Stats().Damaged)
		}
		w.whole("old")
	}
}

// TestFlippedTail: a byte of a tail is not as it was: it is reported, and the stream says so.
func TestFlippedTail(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.readText("a", 5, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w = reopen(t, &fs, w)
	for _, name := range fs.Names() {
		if strings.HasSuffix(name, "0.ndjson") || strings.HasSuffix(name, "1.ndjson") {
			data := fs.Bytes(name)
			i := strings.Index(string(data), "abcdefgh")
			data[i] = 'x'
			fs.SetBytes(name, data)
		}
	}
	w = reopen(t, &fs, w)
	got, gap := w.linesOf("a")
	if len(got) != 5 || !gap || w.journal.Archive().Stats().Damaged != 1 {
		t.Errorf("%d lines, a gap: %v, damaged: %d", len(got), gap, w.journal.Archive().Stats().Damaged)
	}
	w = reopen(t, &fs, w)
	if w.journal.Archive().Stats().Damaged != 0 {
		t.Error("it is reported twice")
	}
}

// TestWholeAfterAll: a snapshot whose sync failed is whole on the disk after all, and the
// crash came while the next attempt brought a stream that the first did not have. Its source
// is read again, so what was written of it is not believed.
func TestWholeAfterAll(t *testing.T) {
	var fs disk.Faulty
	w := open(t, &fs)
	w.readText("a", 5, smallBlocks)
	begin := func(syncs int) error {
		fs.FailWith(func(op string) error {
			if op != "sync" {
				return nil
			}
			if syncs--; syncs < 0 {
				return errors.New("broken disk")
			}
			return nil
		})
		return w.journal.commit.begin(w.journal)
	}
	if err := begin(100); err != nil {
		t.Fatal(err)
	}
	if err := begin(0); err == nil {
		t.Fatal("it is synced")
	}
	w.readText("c", 5, smallBlocks)
	if err := begin(4); err == nil {
		t.Fatal("it is synced")
	}
	fs.FailWith(nil)
	fs.Crash(func(i, size int) int { return size * max(0, 1-i) })
	w = open(t, &fs)
	w.readText("c", 5, smallBlocks)
	if err := w.sync(); err != nil {
		t.Fatal(err)
	}
	w.whole("a")
	w.whole("c")
}

// TestMissingLogIsStated: where the log is gone, or its newest file is, weir says so, once in
// each stream, and takes the files' text as it is.
func TestMissingLogIsStated(t *testing.T) {
	zeroed := func(fs *disk.Faulty, name string) { fs.SetBytes(name, make([]byte, len(fs.Bytes(name)))) }
	for how, spoil := range map[string]func(fs *disk.Faulty, name string){
		"removed": func(fs *disk.Faulty, name string) { _ = fs.Remove(name) },
		"emptied": func(fs *disk.Faulty, name string) { fs.SetBytes(name, nil) },
		"zeroed":  zeroed,
		"without its first page": func(fs *disk.Faulty, name string) {
			if b := fs.Bytes(name); len(b) > 64 {
				fs.SetBytes(name, append(make([]byte, 64), b[64:]...))
			}
		},
	} {
		for _, generations := range []int{1, 2, 3} {
			for _, both := range []bool{false, true} {
				var fs disk.Faulty
				w := open(t, &fs)
				for range generations {
					w.readText("a", 40, smallBlocks)
					if err := w.sync(); err != nil {
						t.Fatal(err)
					}
					if w.journal.commit.at.generation < uint64(generations) {
						if err := w.journal.commit.begin(w.journal); err != nil {
							t.Fatal(err)
						}
					}
				}
				w.readText("a", 40, smallBlocks)
				if err := w.sync(); err != nil {
					t.Fatal(err)
				}
				lines := 40 * (generations + 1)
				newest := w.journal.commit.current
				w.journal.Close()
				spoil(&fs, fileNames[newest])
				if both {
					spoil(&fs, fileNames[1-newest])
				}
				v := openTold(t, &fs)
				if log := v.log.String(); !strings.Contains(log, "commit log was damaged") {
					t.Errorf("%s, generation %d, both %t: nothing is said:\n%s", how, generations, both, log)
				}
				for range 2 {
					got, gap := v.linesOf("a")
					if len(got) != lines || !gap {
						t.Errorf("%s, generation %d, both %t: %d lines of %d, a gap: %t", how, generations, both, len(got), lines, gap)
					}
					v.journal.Close()
					v = openTold(t, &fs)
					if log := v.log.String(); strings.Contains(log, "damage") {
						t.Errorf("%s, generation %d, both %t: it is said again:\n%s", how, generations, both, log)
					}
				}
			}
		}
	}
}

// TestNoLogYet: a first start, and one after a crash in the first, miss no log.
func TestNoLogYet(t *testing.T) {
	var fs disk.Faulty
	for range 2 {
		w := openTold(t, &fs)
		w.readText("a", 5, smallBlocks)
		w.write()
		if log := w.log.String(); strings.Contains(log, "damage") {
			t.Error(log)
		}
		fs.Crash(func(i, size int) int { return size * max(0, 1-i) })
	}
}
