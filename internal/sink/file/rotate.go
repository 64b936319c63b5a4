package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// identity tells files apart, whatever they are called.
type identity struct{ device, inode uint64 }

func identify(f interface{ Stat() (fs.FileInfo, error) }) (identity, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return identity{}, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, 0, errors.New("the file system has no inodes")
	}
	return identity{uint64(st.Dev), st.Ino}, info.Size(), nil
}

// ready opens the file of an output: the one that was written last, cut to what is known to
// be in it, or a new one.
func (s *Sink) ready(ctx context.Context, o *output) error {
	s.clock++
	o.used = s.clock
	if o.file != nil {
		if named, err := os.Stat(o.file.Name()); err == nil {
			if opened, err := o.file.Stat(); err == nil && os.SameFile(named, opened) {
				return s.follow(ctx, o, opened.Size())
			}
		}
		_ = o.file.Close() // somebody took it away
		o.file = nil
		s.open--
	}
	path := s.path(o, 0)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	mark(filepath.Dir(path), o.stream)
	if o.id != (identity{}) {
		if err := s.restore(o); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	id, size, err := identify(f)
	known := id == o.id
	if err == nil && known {
		// What is behind the known size was written by a run whose cursor was lost.
		if size > o.size {
			err = f.Truncate(o.size)
		}
		o.size = min(o.size, size)
	} else {
		o.id, o.size = id, size // a new file, or one that was there before weir
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), f.Close())
	}
	o.file = f
	s.open++
	if known {
		return nil
	}
	// Before the first line: after a crash it is cut back to here.
	s.store(o)
	o.dirty = true
	if err := s.deps.State.Sync(ctx); err != nil {
		o.file, o.id = nil, identity{} // the same again, next time
		s.open--
		return errors.Join(err, f.Close())
	}
	return nil
}

// follow goes on in an open file whose end may be elsewhere than the sink left it: somebody
// has cut it off, or a write ended half way and could not be undone.
func (s *Sink) follow(ctx context.Context, o *output, size int64) error {
	if size > o.size {
		return o.file.Truncate(o.size)
	}
	if size == o.size {
		return nil
	}
	o.size = size
	// Before the next line: after a crash the file is cut back to here, and not to where it
	// ended before, which may lie behind lines that will be written again.
	if err := o.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", o.file.Name(), err)
	}
	s.store(o)
	o.dirty = true
	if err := s.deps.State.Sync(ctx); err != nil {
		o.size = size + 1 // the same again, next time
		return err
	}
	return nil
}

// restore takes back rotations that happened after the state was stored: the file that the
// state means gets its name again, and what was written to newer ones is removed, since it
// will be written again.
func (s *Sink) restore(o *output) error {
	for k := 0; k <= s.config.MaxFiles; k++ {
		f, err := os.Open(s.path(o, k))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		id, _, err := identify(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if id != o.id {
			continue
		}
		for newer := range k {
			if err := os.Remove(s.path(o, newer)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if k > 0 {
			return os.Rename(s.path(o, k), s.path(o, 0))
		}
		return nil
	}
	return nil // it is gone
}

// rotate makes room: the file becomes .1, and so on. What the file holds is made durable
// before, together with the cursor, so that at most this rotation will have to be taken back.
func (s *Sink) rotate(ctx context.Context, o *output) error {
	if err := o.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", o.file.Name(), err)
	}
	s.store(o)
	o.dirty = true
	if err := s.deps.State.Sync(ctx); err != nil {
		return err
	}
	if err := s.shift(o); err != nil {
		return err
	}
	if err := o.file.Close(); err != nil {
		return err
	}
	o.file = nil
	s.open--
	f, err := os.OpenFile(s.path(o, 0), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	o.file, o.size = f, 0
	s.open++
	o.id, _, err = identify(f)
	return err
}

// shift renames the files, from the oldest on.
func (s *Sink) shift(o *output) error {
	last := s.config.MaxFiles
	for k := last; k >= 0; k-- {
		for _, ext := range [...]string{"", ".gz"} {
			from := s.path(o, k) + ext
			var err error
			switch {
			case k == last:
				err = os.Remove(from)
			case k == 1 && ext == "" && s.config.Compress && last > 1:
				err = pack(from, s.path(o, 2)+".gz")
			default:
				err = os.Rename(from, s.path(o, k+1)+ext)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("rotate: %w", err)
			}
		}
	}
	if err := s.removeSurplus(o); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}

// removeSurplus removes rotated files that are there since more of them were to stay.
// Without rotation all of them stay. None of them is where restore takes a file from: the
// cursor is stored at each rotation, so its file is .1 at most.
func (s *Sink) removeSurplus(o *output) error {
	if s.config.MaxFiles == 0 {
		return nil
	}
	current := s.path(o, 0)
	entries, err := os.ReadDir(filepath.Dir(current))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".gz"), filepath.Base(current)+".")
		k, err := strconv.Atoi(number)
		if ok && err == nil && k > s.config.MaxFiles && strconv.Itoa(k) == number {
			errs = append(errs, os.Remove(filepath.Join(filepath.Dir(current), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// pack compresses a file to another, which is whole when it has its name, and removes it.
func pack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err := errors.Join(err, z.Close(), out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("compress %s: %w", from, err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		return err
	}
	return os.Remove(from)
}
