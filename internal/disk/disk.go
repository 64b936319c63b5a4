// Package disk is the little of a file system that the journal uses, as an interface, so
// that tests can put a failing or crashing disk in its place (see Faulty).
//
// OS is the real one. Values are safe for concurrent use as far as the operating system's
// files are.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FS opens files in one directory, which it makes if need be.
type FS interface {
	// Open opens the named file for reading and writing, making it if need be.
	Open(name string) (File, error)
	// Lock makes the directory, if need be, this process's own until the returned Closer is
	// closed. It fails with ErrLocked when another process has it.
	Lock() (io.Closer, error)
	// SyncDir makes the names of new files durable.
	SyncDir() error
}

// File is a file that is read and written at offsets.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the file's length in bytes.
	Size() (int64, error)
	// Allocate makes the file at least size bytes long and reserves the space, so that
	// writes below size cannot fail for want of it.
	Allocate(size int64) error
	// Truncate makes the file end at size.
	Truncate(size int64) error
	// Sync makes all writes durable.
	Sync() error
	// Linked tells whether the name by which the file was opened still leads to it. A file
	// that was removed, alone or with its directory, takes writes and syncs them, and they
	// are gone when it is closed.
	Linked() (bool, error)
}

// ErrLocked means that another process uses the directory.
var ErrLocked = errors.New("in use by another process")

// ErrFull means that the disk has no space left.
const ErrFull = syscall.ENOSPC

// IsFull tells whether err means that there is no space, on the disk or in the user's quota.
func IsFull(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, syscall.EDQUOT) }

// OS returns the FS of a real directory. The directory is made with mode 0700, files with
// 0600: logs are nobody else's business.
func OS(dir string) (Tree, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Explain(err)
	}
	return osFS(dir), nil
}

// Explain adds to an error of using a directory for the first time what the user can do, if
// it is one of access.
func Explain(err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; mount it for writing, or name another directory with data_dir or --data-dir", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give weir's user write access to the directory and what is in it, or name another one with data_dir or --data-dir", err)
	}
	return err
}

type osFS string

func (d osFS) Open(name string) (File, error) {
	path := filepath.Join(string(d), name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(name) != "." {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osFS) Lock() (io.Closer, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(string(d), "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: %w", string(d), ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

func (d osFS) SyncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Allocate(size int64) error {
	err := uninterrupted(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if err == nil || !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	return f.fill(size)
}

// fill reserves space by writing zeros behind the present end, where the file system
// cannot allocate.
func (f osFile) fill(size int64) error {
	at, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 64<<10)
	for at < size {
		n := min(int64(len(zeros)), size-at)
		if _, err := f.WriteAt(zeros[:n], at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

func (f osFile) Sync() error {
	return uninterrupted(func() error { return syscall.Fdatasync(int(f.Fd())) })
}

func (f osFile) Linked() (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// uninterrupted repeats a system call while a signal comes in between, as package os does:
// the runtime sends itself many.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
