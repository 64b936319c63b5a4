package push

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/lokipush"
)

const (
	// firstRead is how much memory a body gets before it is known to be larger.
	firstRead = 64 << 10
	// maxKept is the largest buffer that is kept for the next push.
	maxKept = 2 << 20
)

var (
	errTooLarge = errors.New("the body is too large")
	errBusy     = errors.New("too many pushes are in work")
)

// budget bounds the memory for the bodies of all pushes.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.max {
		b.give(n)
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// job is the memory of one push.
type job struct {
	packed, body []byte
	taken        int // of the budget: the capacity of both
	limit        int // of the body, in bytes
	bodies       *budget
	decoder      lokipush.Decoder
	survey       survey
}

// job returns the memory for a push; done must be called with it.
func (s *Source) job() (*job, error) {
	j := s.jobs.Get().(*job)
	j.bodies, j.limit, j.taken = &s.bodies, int(s.cfg.MaxBody), cap(j.packed)+cap(j.body)
	if !s.bodies.take(j.taken) {
		s.jobs.Put(j)
		return nil, errBusy
	}
	return j, nil
}

// done gives the memory of a push back.
func (s *Source) done(j *job) {
	s.bodies.give(j.taken)
	if cap(j.packed) > maxKept {
		j.packed = nil
	}
	if cap(j.body) > maxKept {
		j.body = nil
	}
	s.jobs.Put(j)
}

// read reads and unpacks a body.
func (j *job) read(from io.Reader, f form) error {
	into := &j.body
	if f.encoding != "" || f.format == lokipush.Protobuf {
		into = &j.packed
	}
	if err := j.readAll(into, from); err != nil {
		return err
	}
	if f.encoding != "" {
		unpacked, err := unpacker(f.encoding, j.packed)
		if err == nil {
			err = j.readAll(&j.body, unpacked)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.encoding, err)
		}
		if f.format == lokipush.Protobuf {
			j.packed, j.body = j.body, j.packed
		}
	}
	if f.format == lokipush.Protobuf {
		return j.unsnappy()
	}
	return nil
}

// readAll reads into a buffer, up to the limit.
func (j *job) readAll(buf *[]byte, from io.Reader) error {
	*buf = (*buf)[:0]
	for {
		b := *buf
		if len(b) == cap(b) {
			if err := j.grow(buf, min(max(2*cap(b), firstRead), j.limit+1)); err != nil {
				return err
			}
			b = *buf
		}
		n, err := from.Read(b[len(b):cap(b)])
		*buf = b[:len(b)+n]
		switch {
		case len(*buf) > j.limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// grow gives a buffer room for that many bytes.
func (j *job) grow(buf *[]byte, size int) error {
	more := size - cap(*buf)
	if more <= 0 {
		return nil
	}
	if !j.bodies.take(more) {
		return errBusy
	}
	j.taken += more
	b := make([]byte, len(*buf), size)
	copy(b, *buf)
	*buf = b
	return nil
}

// unsnappy unpacks the block that all protobuf comes in.
func (j *job) unsnappy() error {
	if size, n := binary.Uvarint(j.packed); n > 0 && size <= uint64(j.limit) {
		j.body = j.body[:0]
		if err := j.grow(&j.body, int(size)); err != nil {
			return err
		}
	}
	var err error
	j.body, err = compress.UncompressSnappy(j.body[:0], j.packed, j.limit)
	if errors.Is(err, compress.ErrTooLarge) {
		return errTooLarge
	}
	return err
}

// unpacker returns a reader of what is packed. What is called deflate on the web is zlib, but
// some, as Loki, take it for what its name says; zlib can be told by its first two bytes.
func unpacker(encoding string, packed []byte) (io.Reader, error) {
	from := bytes.NewReader(packed)
	switch {
	case encoding == "gzip":
		return gzip.NewReader(from)
	case len(packed) >= 2 && packed[0]&0x0f == 8 && (int(packed[0])<<8|int(packed[1]))%31 == 0:
		return zlib.NewReader(from)
	}
	return flate.NewReader(from), nil
}
