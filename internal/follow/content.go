package follow

import (
	"compress/gzip"
	"fmt"
	"io"
	"syscall"
)

// headBytes is how much of a file's start identifies it, beforeBytes how much of what
// precedes the read offset proves that the file was not replaced below it.
const (
	headBytes   = 1024
	beforeBytes = 256
)

// digest is the hash of n bytes. It is stored, so the function must not change.
type digest struct {
	n   int
	sum uint64
}

// digestOf is FNV-1a over 64 bits: it has to tell apart logs, not adversaries. Of nothing
// it is the zero digest.
func digestOf(p []byte) digest {
	if len(p) == 0 {
		return digest{}
	}
	sum := uint64(14695981039346656037)
	for _, c := range p {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return digest{n: len(p), sum: sum}
}

// tailDigest is the digest of the last beforeBytes of p.
func tailDigest(p []byte) digest {
	return digestOf(p[max(0, len(p)-beforeBytes):])
}

// content is the bytes of an open file: as they are, or unpacked from gzip. The zero value
// is closed.
type content struct {
	open bool
	fd   int
	gz   *inflater // nil for a plain file
}

// openContent opens path and makes sure that it is still the file that want describes.
func openContent(path string, want fileID, packed bool) (content, info, error) {
	fd, in, err := openRead(path)
	if err != nil {
		return content{}, info{}, err
	}
	c := content{open: true, fd: fd}
	if in.id != want {
		c.close()
		return content{}, info{}, errMoved
	}
	if packed {
		c.gz = &inflater{fd: fd}
	}
	return c, in, nil
}

func (c *content) close() {
	if c.open {
		syscall.Close(c.fd)
		*c = content{}
	}
}

// readAt fills p from offset off. It returns less than len(p) only at the end.
func (c *content) readAt(p []byte, off int64) (int, error) {
	if c.gz != nil {
		return c.gz.readAt(p, off), nil
	}
	return pread(c.fd, p, off)
}

// ReadAt is readAt as an io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.readAt(p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// digestAt returns the digest of n bytes at off, and false if there are not that many.
func (c *content) digestAt(off int64, n int) (digest, bool) {
	var buf [headBytes]byte
	got, err := c.readAt(buf[:n], off)
	if err != nil || got < n {
		return digest{}, false
	}
	return digestOf(buf[:n]), true
}

// continues tells whether the content is that of f, grown or not: it starts with the same
// bytes and has the same bytes before f's offset.
func (c *content) continues(f *file) bool {
	if head, ok := c.digestAt(0, f.head.n); !ok || head != f.head {
		return false
	}
	before, ok := c.digestAt(f.off-int64(f.before.n), f.before.n)
	return ok && before == f.before
}

// skipHole returns where the data starts in a file whose writer kept its old offset when
// the file was truncated: all before it was never written.
func (c *content) skipHole() int64 {
	if c.gz != nil {
		return 0
	}
	off, err := syscall.Seek(c.fd, 0, seekData)
	if err != nil || off < 0 {
		return 0
	}
	var buf [4096]byte
	n, _ := c.readAt(buf[:], off)
	zeros := 0
	for zeros < n && buf[zeros] == 0 {
		zeros++
	}
	if off == 0 && zeros == 0 {
		return 0
	}
	return off + int64(zeros)
}

// inflater reads a gzip file as if it were the plain one. It unpacks forwards and keeps
// what the last read returned, so that the half line at its end can be read again. A
// damaged file ends where the damage begins.
type inflater struct {
	fd      int
	zr      *gzip.Reader
	window  []byte // the unpacked bytes from offset at
	at      int64
	end     bool  // the window reaches the end of the content
	damaged error // why it ended before its proper end
}

func (z *inflater) restart() error {
	src := io.NewSectionReader(descriptor(z.fd), 0, 1<<62)
	z.window, z.at, z.end, z.damaged = z.window[:0], 0, false, nil
	if z.zr != nil {
		return z.zr.Reset(src)
	}
	zr, err := gzip.NewReader(src)
	if err != nil {
		return err
	}
	z.zr = zr
	return nil
}

// finish notes that nothing follows what was unpacked.
func (z *inflater) finish(err error) {
	z.end = true
	if err != io.EOF {
		z.damaged = fmt.Errorf("unpack: %w", err)
	}
}

func (z *inflater) readAt(p []byte, off int64) int {
	if z.zr == nil && z.damaged == nil || off < z.at {
		if err := z.restart(); err != nil {
			z.finish(err)
		}
	}
	z.forward(off)
	have := len(z.window)
	if have < len(p) && !z.end {
		z.window = append(z.window, make([]byte, len(p)-have)...)
		for have < len(p) && !z.end {
			n, err := z.zr.Read(z.window[have:])
			have += n
			if err != nil {
				z.finish(err)
			}
		}
		z.window = z.window[:have]
	}
	return copy(p, z.window)
}

// forward drops what lies before off, unpacking as far as need be.
func (z *inflater) forward(off int64) {
	if n := off - z.at; n < int64(len(z.window)) {
		z.window = z.window[:copy(z.window, z.window[n:])]
		z.at = off
		return
	}
	z.at += int64(len(z.window))
	z.window = z.window[:0]
	if off == z.at || z.end {
		return
	}
	n, err := io.CopyN(io.Discard, z.zr, off-z.at)
	z.at += n
	if err != nil {
		z.finish(err)
	}
}

// descriptor is a file descriptor as an io.ReaderAt.
type descriptor int

// ReadAt reads with pread.
func (d descriptor) ReadAt(p []byte, off int64) (int, error) {
	n, err := pread(int(d), p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}
