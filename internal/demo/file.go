package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	maxFileBytes = 1 << 20
	keptFiles    = 5
	// lateLines are written to a file after it was renamed, as a server does that has not
	// yet been told to open the new one.
	lateLines = 3
)

// rotating is a log file that is renamed to .1, .2 and so on when it is full. Its lines
// are written one by one, unbuffered.
type rotating struct {
	path     string
	maxBytes int64

	file *os.File
	size int64
	late int // lines that still go to file although it was renamed
}

// openRotating opens access.log in dir, behind what it holds already.
func openRotating(dir string, maxBytes int64) (*rotating, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the log: %w", err)
	}
	r := &rotating{path: filepath.Join(dir, "access.log"), maxBytes: maxBytes}
	return r, r.reopen()
}

// reopen opens path, which need not be there.
func (r *rotating) reopen() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open the log: %w", err)
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write appends one line.
func (r *rotating) Write(line []byte) (int, error) {
	switch {
	case r.late > 0:
		if r.late--; r.late == 0 {
			if err := r.switchOver(); err != nil {
				return 0, err
			}
		}
	case r.size > 0 && r.size+int64(len(line)) > r.maxBytes:
		if err := r.rename(); err != nil {
			return 0, err
		}
		r.late = lateLines
	}
	n, err := r.file.Write(line)
	r.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write the log: %w", err)
	}
	return n, nil
}

// rename makes room at .1 and renames the file to it.
func (r *rotating) rename() error {
	for i := keptFiles; i >= 1; i-- {
		from := fmt.Sprintf("%s.%d", r.path, i-1)
		if i == 1 {
			from = r.path
		}
		err := os.Rename(from, fmt.Sprintf("%s.%d", r.path, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate the log: %w", err)
		}
	}
	return nil
}

// switchOver goes on in a new file.
func (r *rotating) switchOver() error {
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("close the rotated log: %w", err)
	}
	return r.reopen()
}

// Close closes the file.
func (r *rotating) Close() error { return r.file.Close() }
