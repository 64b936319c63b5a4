package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// Tree is an FS with directories in it. Names may have slashes; Open makes the directories
// that a new file needs.
type Tree interface {
	FS
	Files
	Volume
}

// Files looks at what there is, and changes it.
type Files interface {
	Reader
	Names
}

// Reader looks at files without changing anything.
type Reader interface {
	// OpenRead opens a file that exists for reading. Else the error is fs.ErrNotExist.
	OpenRead(name string) (File, error)
	// List returns the names in a directory, sorted; none if there is no such directory.
	List(dir string) ([]string, error)
}

// Names changes what files are called. The change is durable after the next SyncAll, or
// SyncNames of the directory.
type Names interface {
	// Rename gives a file another name. A file that had it is replaced.
	Rename(from, to string) error
	// Remove takes away a file, or a directory that is empty; if there is none, nothing.
	Remove(name string) error
}

// Volume is the file system below.
type Volume interface {
	// Space returns how many bytes this process could still write, and the size of it all.
	Space() (free, size int64, err error)
	// SyncAll makes all writes and names durable.
	SyncAll() error
	// SyncNames makes the names in a directory durable.
	SyncNames(dir string) error
}

// Dir returns the Tree of a real directory, as OS does, but leaves making it to the first
// use: readers of a directory that is not theirs make nothing.
func Dir(dir string) Tree { return osFS(dir) }

// OpenRead implements Reader.
func (d osFS) OpenRead(name string) (File, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// List implements Reader.
func (d osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(string(d), dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// Rename implements Names.
func (d osFS) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

// Remove implements Names.
func (d osFS) Remove(name string) error {
	err := os.Remove(filepath.Join(string(d), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Space implements Volume.
func (d osFS) Space() (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := uninterrupted(func() error { return syscall.Statfs(string(d), &st) }); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: string(d), Err: err}
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// SyncAll implements Volume: one call for any number of files.
func (d osFS) SyncAll() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, errno := syscall.Syscall(syncfsNumber(), f.Fd(), 0, 0)
	if errno != 0 {
		return &fs.PathError{Op: "syncfs", Path: string(d), Err: errno}
	}
	return nil
}

// SyncNames implements Volume.
func (d osFS) SyncNames(dir string) error { return osFS(filepath.Join(string(d), dir)).SyncDir() }

// syncfsNumber is the number of the system call, which package syscall does not have.
func syncfsNumber() uintptr {
	switch runtime.GOARCH {
	case "amd64":
		return 306
	case "386":
		return 344
	case "arm":
		return 373
	case "ppc64le":
		return 348
	case "s390x":
		return 338
	}
	return 267 // arm64, riscv64, loong64
}

func (f osFile) Truncate(size int64) error {
	return uninterrupted(func() error { return syscall.Ftruncate(int(f.Fd()), size) })
}

// nameOp is a change of names that is not durable yet.
type nameOp struct {
	from, to string // to is empty for a removal
}

// OpenRead implements Reader.
func (d *Faulty) OpenRead(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("open"); err != nil {
		return nil, err
	}
	if f := d.files[name]; f != nil {
		return f, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// List implements Reader.
func (d *Faulty) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("list"); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var names []string
	for name := range d.files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			name, _, _ = strings.Cut(rest, "/")
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// Rename implements Names.
func (d *Faulty) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("rename"); err != nil {
		return err
	}
	if d.files[from] == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.changeLocked(nameOp{from, to})
	return nil
}

// Remove implements Names.
func (d *Faulty) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("remove"); err != nil {
		return err
	}
	if d.files[name] != nil {
		d.changeLocked(nameOp{from: name})
	}
	return nil
}

// changeLocked applies op now, and notes what a crash would bring back.
func (d *Faulty) changeLocked(op nameOp) {
	d.undo = append(d.undo, nameUndo{op, d.files[op.from], d.files[op.to]})
	if op.to != "" {
		d.files[op.to] = d.files[op.from]
		d.files[op.to].name = op.to
	}
	delete(d.files, op.from)
}

// nameUndo is what the two names of an op led to before it.
type nameUndo struct {
	nameOp
	wasFrom, wasTo *faultyFile
}

// revertLocked takes back the changes of names that did not survive a crash: those from the
// first on of which keep says so, since names are written in order.
func (d *Faulty) revertLocked(keep func(i, size int) int) {
	kept := 0
	for kept < len(d.undo) && keep(kept, 1) > 0 {
		kept++
	}
	for _, u := range slices.Backward(d.undo[kept:]) {
		if u.to != "" {
			delete(d.files, u.to)
			if u.wasTo != nil {
				d.files[u.to] = u.wasTo
			}
		}
		u.wasFrom.name = u.from
		d.files[u.from] = u.wasFrom
	}
	d.undo = nil
}

// Space implements Volume. Without a limit there is a terabyte.
func (d *Faulty) Space() (free, size int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.limit == 0 {
		return 1 << 40, 1 << 40, d.checkLocked("space")
	}
	return d.roomLocked(d.limit), d.limit, d.checkLocked("space")
}

// SyncAll implements Volume.
func (d *Faulty) SyncAll() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.checkLocked("sync")
	for _, f := range d.files {
		f.syncLocked(err)
	}
	if err == nil {
		d.undo = nil
	}
	return err
}

// SyncNames implements Volume.
func (d *Faulty) SyncNames(string) error { return d.SyncDir() }

func (f *faultyFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.checkLocked("truncate"); err != nil {
		return err
	}
	if size < int64(len(f.data)) {
		f.data = f.data[:size:size]
	} else {
		f.data = append(f.data, make([]byte, size-int64(len(f.data)))...)
	}
	f.pending = append(f.pending, pendingWrite{at: size, cut: true})
	return nil
}
