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
