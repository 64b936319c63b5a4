package disk

import (
	"io"
	"maps"
	"slices"
	"sync"
)

// Faulty is a disk in memory for tests. It forgets what was not synced when Crash is
// called, keeps torn halves of writes, and fails on demand. The zero value is a working,
// empty disk without a limit. It is safe for concurrent use.
type Faulty struct {
	mu    sync.Mutex
	files map[string]*faultyFile
	lock  *faultyLock // nil while nobody has it
	// limit is how many bytes all files together may have; 0 means no limit.
	limit int64
	fail  func(op string) error
	undo  []nameUndo // changes of names that are not durable
}

// FailWith makes every operation ask fail first; op is "open", "read", "write", "sync",
// "allocate", "truncate", "lock", "linked", "list", "rename", "remove" or "space". nil means none fails.
func (d *Faulty) FailWith(fail func(op string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// Limit bounds the size of all files together; 0 lifts the bound.
func (d *Faulty) Limit(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = bytes
}

// Crash forgets what was not synced, but for the writes that keep says survived: of the
// i-th unsynced write since the last sync of its file, keep returns how many bytes reached
// the disk. A sync that fails leaves its writes to the next crash; a later one that works
// does not make them durable, because systems take them for written.
// It releases the lock. Open files must not be used any more.
func (d *Faulty) Crash(keep func(i, size int) int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lock = nil
	d.revertLocked(keep)
	for name, f := range d.files {
		data := f.synced
		for i, w := range f.pending {
			switch n := keep(i, w.size()); {
			case n == w.size():
				data = w.apply(data)
			case !w.cut:
				data = writeAt(data, w.data[:n], w.at)
			}
		}
		d.files[name] = &faultyFile{disk: d, name: name, data: append([]byte(nil), data...), synced: append([]byte(nil), data...)}
	}
}

// RemoveAll takes away the directory with all that is in it, the lock too. Files that are open
// go on working, and nothing of them is left.
func (d *Faulty) RemoveAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files, d.lock = nil, nil
}

// Bytes returns the present content of a file, synced or not.
func (d *Faulty) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return append([]byte(nil), f.data...)
	}
	return nil
}

// SetBytes replaces the content of a file, as damage would.
func (d *Faulty) SetBytes(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = map[string]*faultyFile{}
	}
	d.files[name] = &faultyFile{disk: d, name: name, data: append([]byte(nil), data...), synced: append([]byte(nil), data...)}
}

func (d *Faulty) checkLocked(op string) error {
	if d.fail == nil {
		return nil
	}
	return d.fail(op)
}

// Open implements FS.
func (d *Faulty) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("open"); err != nil {
		return nil, err
	}
	if d.files == nil {
		d.files = map[string]*faultyFile{}
	}
	if d.files[name] == nil {
		d.files[name] = &faultyFile{disk: d, name: name}
	}
	return d.files[name], nil
}

// Lock implements FS.
func (d *Faulty) Lock() (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkLocked("lock"); err != nil {
		return nil, err
	}
	if d.lock != nil {
		return nil, ErrLocked
	}
	d.lock = &faultyLock{d}
	return d.lock, nil
}

// SyncDir implements FS.
func (d *Faulty) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.checkLocked("sync")
	if err == nil {
		d.undo = nil
	}
	return err
}

type faultyLock struct{ disk *Faulty }

func (l *faultyLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.disk.lock == l { // else it is of a directory that was removed
		l.disk.lock = nil
	}
	return nil
}

type faultyFile struct {
	disk    *Faulty
	name    string
	data    []byte // as the process sees it
	synced  []byte // as a crash leaves it, but for pending
	pending []pendingWrite
}

type pendingWrite struct {
	at     int64
	data   []byte
	failed bool // its sync failed: a later sync leaves it out
	cut    bool // the file was made to end at at
}

// size is what a crash keeps all or part of; of a cut, all or nothing.
func (w *pendingWrite) size() int {
	if w.cut {
		return 1
	}
	return len(w.data)
}

func (w *pendingWrite) apply(data []byte) []byte {
	if w.cut && w.at < int64(len(data)) {
		return data[:w.at:w.at]
	}
	return writeAt(data, w.data, w.at)
}

func (f *faultyFile) ReadAt(p []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.checkLocked("read"); err != nil {
		return 0, err
	}
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *faultyFile) WriteAt(p []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.checkLocked("write"); err != nil {
		return 0, err
	}
	n := len(p)
	if grow := at + int64(n) - int64(len(f.data)); grow > 0 {
		n = max(0, n-int(max(0, grow-f.disk.roomLocked(grow))))
	}
	f.data = writeAt(f.data, p[:n], at)
	f.pending = append(f.pending, pendingWrite{at: at, data: append([]byte(nil), p[:n]...)})
	if n < len(p) {
		return n, ErrFull
	}
	return n, nil
}

// roomLocked returns how many of want bytes the disk still has room for.
func (d *Faulty) roomLocked(want int64) int64 {
	if d.limit == 0 {
		return want
	}
	used := int64(0)
	for _, f := range d.files {
		used += int64(len(f.data))
	}
	return max(0, min(want, d.limit-used))
}

func (f *faultyFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *faultyFile) Allocate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.checkLocked("allocate"); err != nil {
		return err
	}
	grow := size - int64(len(f.data))
	if grow <= 0 {
		return nil
	}
	if f.disk.roomLocked(grow) < grow {
		return ErrFull
	}
	f.data = append(f.data, make([]byte, grow)...)
	f.pending = append(f.pending, pendingWrite{at: int64(len(f.data)) - grow, data: make([]byte, grow)})
	return nil
}

func (f *faultyFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.disk.checkLocked("sync")
	f.syncLocked(err)
	return err
}

// syncLocked makes the writes durable, or, if err says so, leaves them to the next crash.
func (f *faultyFile) syncLocked(err error) {
	if err != nil {
		for i := range f.pending {
			f.pending[i].failed = true
		}
		return
	}
	for _, w := range f.pending {
		if !w.failed {
			f.synced = w.apply(f.synced)
		}
	}
	f.pending = nil
}

func (f *faultyFile) Linked() (bool, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.files[f.name] == f, f.disk.checkLocked("linked")
}

func (f *faultyFile) Close() error { return nil }

func writeAt(data, p []byte, at int64) []byte {
	if need := int(at) + len(p); need > len(data) {
		data = append(data, make([]byte, need-len(data))...)
	}
	copy(data[at:], p)
	return data
}

// Names returns the names of all files, sorted.
func (d *Faulty) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}
