package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOS(t *testing.T) {
	dir := t.TempDir() + "/made/for/it"
	fs, err := OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := fs.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Lock: %v", err)
	}
	lock.Close()
	if lock, err = fs.Lock(); err != nil {
		t.Errorf("Lock after Close: %v", err)
	}
	defer lock.Close()
	f, err := fs.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("kept"), 2); err != nil {
		t.Fatal(err)
	}
	for _, allocate := range []func(int64) error{f.Allocate, f.(osFile).fill} {
		before, _ := f.Size()
		for _, want := range []int64{before + 100_000, before} { // the second changes nothing
			if err := allocate(want); err != nil {
				t.Fatal(err)
			}
		}
		if size, err := f.Size(); err != nil || size != before+100_000 {
			t.Errorf("size %d, %v; want %d", size, err, before+100_000)
		}
	}
	if err := errors.Join(f.Sync(), fs.SyncDir()); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(dir + "/a")
	if err != nil || !bytes.HasPrefix(data, []byte("\x00\x00kept\x00")) {
		t.Errorf("read %q, %v", data[:min(len(data), 10)], err)
	}
}

// TestFaulty: what a failed sync left is in the hands of the crash, whatever comes later.
func TestFaulty(t *testing.T) {
	var d Faulty
	f, _ := d.Open("a")
	broken := errors.New("broken")
	write := func(s string, at int64) {
		t.Helper()
		if _, err := f.WriteAt([]byte(s), at); err != nil {
			t.Fatal(err)
		}
	}
	write("synced", 0)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	d.FailWith(func(op string) error { return map[bool]error{true: broken}[op == "sync"] })
	write("LOST", 6)
	if err := f.Sync(); !errors.Is(err, broken) {
		t.Errorf("Sync = %v", err)
	}
	d.FailWith(nil)
	write("after", 10)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	write("torn", 15)
	if got := string(d.Bytes("a")); got != "syncedLOSTaftertorn" {
		t.Errorf("before the crash: %q", got)
	}
	d.Crash(func(int, int) int { return 2 })
	if got := string(d.Bytes("a")); got != "synced\x00\x00\x00\x00afterto" {
		t.Errorf("after the crash: %q", got)
	}
}

// TestExplain: whoever may not write to the directory is told what to do.
func TestExplain(t *testing.T) {
	for _, cause := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		err := Explain(&fs.PathError{Op: "open", Path: "/data/lock", Err: cause})
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "open /data/lock: "+cause.Error()) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("%v is explained as %q", cause, err)
		}
	}
	for _, other := range []error{nil, ErrLocked, ErrFull} {
		if err := Explain(other); err != other {
			t.Errorf("%v is explained as %q", other, err)
		}
	}
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := OS(filepath.Join(dir, "data")); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("a directory that cannot be made: %v", err)
	}
}

// TestRemoved: a directory that goes while its files are open is noticed and made again, on
// the disk that tests use as on the real one.
func TestRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	system, err := OS(dir)
	if err != nil {
		t.Fatal(err)
	}
	faulty := new(Faulty)
	for name, d := range map[string]struct {
		fs     FS
		remove func() error
	}{
		"OS":     {system, func() error { return os.RemoveAll(dir) }},
		"moved":  {system, func() error { return os.Rename(dir, dir+".away") }},
		"Faulty": {faulty, func() error { faulty.RemoveAll(); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			lock, failed := d.fs.Lock()
			f, err := d.fs.Open("a")
			if err = errors.Join(failed, err); err != nil {
				t.Fatal(err)
			}
			linked := func(f File, want bool) {
				t.Helper()
				if got, err := f.Linked(); got != want || err != nil {
					t.Errorf("Linked = %v, %v; want %v", got, err, want)
				}
			}
			linked(f, true)
			if err := d.remove(); err != nil {
				t.Fatal(err)
			}
			linked(f, false)
			_, err = f.WriteAt([]byte("lost"), 0)
			if err := errors.Join(err, f.Sync()); err != nil {
				t.Errorf("a removed file does not work: %v", err)
			}
			again, err := d.fs.Lock()
			if err != nil {
				t.Fatal(err)
			}
			lock.Close()
			if _, err := d.fs.Lock(); !errors.Is(err, ErrLocked) {
				t.Errorf("the old lock's end released the new one: %v", err)
			}
			linked(f, false)
			g, err := d.fs.Open("a")
			if err != nil {
				t.Fatal(err)
			}
			linked(g, true)
			linked(f, false)
			if size, err := g.Size(); size != 0 || err != nil {
				t.Errorf("the new file has %d bytes, %v", size, err)
			}
			if err := errors.Join(f.Close(), g.Close(), again.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made again: %v, %v", info, err)
	}
}

// TestTree: names, sizes and space behave alike on the disk that tests use and the real one.
func TestTree(t *testing.T) {
	system, err := OS(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Tree{"OS": system, "Faulty": new(Faulty)} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.OpenRead("streams/a/1"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("OpenRead of nothing: %v", err)
			}
			for _, n := range []string{"streams/a/2", "streams/a/1", "streams/b/1"} {
				f, err := d.Open(n)
				if err != nil {
					t.Fatal(err)
				}
				_, err = f.WriteAt([]byte("written"), 0)
				if err := errors.Join(err, f.Truncate(5), f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(d.Rename("streams/a/2", "streams/a/3"), d.Remove("streams/b/1"), d.Remove("streams/none"), d.SyncAll()); err != nil {
				t.Fatal(err)
			}
			for dir, want := range map[string]string{"streams/a": "1 3", "streams/none": ""} {
				if got, err := d.List(dir); strings.Join(got, " ") != want || err != nil {
					t.Errorf("List(%s) = %q, %v", dir, got, err)
				}
			}
			f, err := d.OpenRead("streams/a/3")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if size, err := f.Size(); size != 5 || err != nil {
				t.Errorf("size %d, %v", size, err)
			}
			if free, size, err := d.Space(); free <= 0 || size < free || err != nil {
				t.Errorf("Space = %d, %d, %v", free, size, err)
			}
		})
	}
}

// TestFaultyNames: a crash takes back the changes of names that were not synced.
func TestFaultyNames(t *testing.T) {
	var d Faulty
	d.SetBytes("d/a", []byte("a"))
	d.SetBytes("d/b", []byte("b"))
	for _, survives := range []int{0, 1} {
		if err := errors.Join(d.Rename("d/a", "d/b"), d.Remove("d/b")); err != nil {
			t.Fatal(err)
		}
		d.Crash(func(i, _ int) int { return min(survives, 1-i) })
		a, b := string(d.Bytes("d/a")), string(d.Bytes("d/b"))
		if want := []string{"a b", " a"}[survives]; a+" "+b != want {
			t.Errorf("%d survive: a %q, b %q", survives, a, b)
		}
		d.SetBytes("d/a", []byte("a"))
		d.SetBytes("d/b", []byte("b"))
	}
}
