package follow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// fileID is what tells files of a machine apart while they exist. Numbers of deleted files
// are given out again, so after a restart it is only a hint.
type fileID struct{ dev, ino uint64 }

// info is the part of a file's status that matters here.
type info struct {
	id      fileID
	size    int64
	mtime   int64 // Unix nanoseconds
	links   uint64
	regular bool
}

// errNotRegular is returned for pipes, sockets, devices and directories.
var errNotRegular = errors.New("not a regular file")

func infoOf(st *syscall.Stat_t) info {
	return info{
		id:      fileID{dev: uint64(st.Dev), ino: st.Ino},
		size:    st.Size,
		mtime:   st.Mtim.Nano(),
		links:   uint64(st.Nlink),
		regular: st.Mode&syscall.S_IFMT == syscall.S_IFREG,
	}
}

// stat follows symbolic links. Its error is an errno, so that looking costs no memory.
func stat(path string) (info, error) {
	var st syscall.Stat_t
	for {
		switch err := syscall.Stat(path, &st); err {
		case nil:
			return infoOf(&st), nil
		case syscall.EINTR:
		default:
			return info{}, err
		}
	}
}

func fstat(fd int) (info, error) {
	var st syscall.Stat_t
	for {
		switch err := syscall.Fstat(fd, &st); err {
		case nil:
			return infoOf(&st), nil
		case syscall.EINTR:
		default:
			return info{}, fmt.Errorf("stat an open file: %w", err)
		}
	}
}

// openRead opens a regular file. Plain descriptors are used instead of os.File because its
// ReadAt asks a second time at every end of file.
func openRead(path string) (int, info, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, info{}, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		in, err := fstat(fd)
		if err == nil && !in.regular {
			err = errNotRegular
		}
		if err != nil {
			syscall.Close(fd)
			return -1, info{}, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, in, nil
	}
}

func pread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := syscall.Pread(fd, p, off)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read: %w", err)
		}
		return n, nil
	}
}

// seekData is lseek's SEEK_DATA: the first place at or after off that is not a hole.
const seekData = 3

// absent tells whether err means that there is no file of that name.
func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
