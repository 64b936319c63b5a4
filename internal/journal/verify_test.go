package journal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/weirlog/weir/internal/disk"
)

// TestVerifyLog flips bytes all over both commit files, and takes them away: all that is
// durable is missed, and nothing is changed.
func TestVerifyLog(t *testing.T) {
	var fs disk.Faulty
	w := openSized(t, &fs, 1<<20)
	l := &w.journal.commit
	for range 2 {
		if err := l.begin(w.journal); err != nil {
			t.Fatal(err)
		}
		for range 4 { // the last brings the mark
			w.readText("a", 30, smallBlocks)
			if err := errors.Join(w.sync(), w.sync()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := VerifyLog(&fs); err != nil {
		t.Fatalf("beside a weir that runs: %v", err)
	}
	log, err := readLog(&fs)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range fileNames {
		end := log.found[i].end - 37 // without the mark
		whole := fs.Bytes(name)
		for at := int64(0); at < end; at += 1 + end/200 {
			again := copyDisk(&fs)
			data := slices.Clone(whole)
			data[at] ^= 0x10
			again.SetBytes(name, data)
			var corrupt *CorruptError
			if err := VerifyLog(again); !errors.As(err, &corrupt) {
				t.Errorf("%s, a flip at %d of %d: %v", name, at, end, err)
			}
		}
		for how, content := range map[string][]byte{"zeroed": make([]byte, len(whole)), "emptied": nil} {
			again := copyDisk(&fs)
			again.SetBytes(name, slices.Clone(content))
			if err := VerifyLog(again); err == nil {
				t.Errorf("%s, %s: nothing is said", name, how)
			}
		}
		again := copyDisk(&fs)
		_ = again.Remove(name)
		if err := VerifyLog(again); err == nil {
			t.Errorf("%s, removed: nothing is said", name)
		}
		_ = again.Remove(fileNames[1-i])
		if err := VerifyLog(again); !errors.Is(err, errMissing) {
			t.Errorf("without a log: %v", err)
		}
	}
	if err := VerifyLog(new(disk.Faulty)); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestVerifyAfterCrash: what a crash tears is no damage.
func TestVerifyAfterCrash(t *testing.T) {
	for keep := range 40 {
		var fs disk.Faulty
		w := open(t, &fs)
		w.readText("a", 40, smallBlocks)
		if err := w.sync(); err != nil {
			t.Fatal(err)
		}
		if keep%2 == 0 {
			fs.FailWith(func(op string) error { return map[bool]error{true: errors.New("broken disk")}[op == "sync"] })
			_ = w.journal.commit.begin(w.journal)
			fs.FailWith(nil)
		} else {
			w.readText("a", 4, smallBlocks)
			w.write()
		}
		fs.Crash(func(_, size int) int { return size * keep / 40 })
		if err := VerifyLog(&fs); err != nil {
			t.Errorf("%d of 40 parts are written: %v", keep, err)
		}
	}
}

// TestVerifyBesideWriter reads a log again and again that is written to as fast as it can be,
// generation after generation.
func TestVerifyBesideWriter(t *testing.T) {
	tree, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, tree)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			w.read("a", 3)
			if err := w.sync(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 100 {
		if err := VerifyLog(tree); err != nil {
			t.Error(err)
		}
	}
	stop()
	writing.Wait()
}
