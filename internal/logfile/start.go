package logfile

import (
	"bytes"
	"io"
	"time"

	"github.com/weirlog/weir/internal/codec/cri"
	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/follow"
)

// Start says where a file that was never read begins. The zero value is its first byte.
type Start struct {
	// End begins after the last line.
	End bool
	// Since, unless zero, begins with the first line that is not older, rotated files
	// included. Raw lines need times of a common form in them; without any it is as End.
	Since time.Time
	// Rotated begins with the oldest rotated file, or with Since the oldest written to
	// after that, and reads it whole.
	Rotated bool
}

// begin makes of a start what follow wants.
func (t *Tail) begin(s Start, now time.Time) follow.Start {
	switch {
	case s.End:
		return follow.Start{Find: lastLine}
	case !s.Since.IsZero() && !s.Rotated:
		find := func(r io.ReaderAt, size int64) int64 {
			return findTime(r, size, s.Since.UnixNano(), t.timeOf(r, now))
		}
		return follow.Start{Older: true, Since: s.Since, Find: find}
	}
	return follow.Start{Older: s.Rotated, Since: s.Since}
}

// timeOf returns the function that takes the time out of a line of r.
func (t *Tail) timeOf(r io.ReaderAt, now time.Time) func(line []byte) (int64, bool) {
	format := t.opt.Format
	if format == Auto {
		head := make([]byte, window)
		n, _ := r.ReadAt(head, 0)
		format = detect(head[:n])
	}
	switch format {
	case Docker:
		return func(line []byte) (int64, bool) {
			e, err := dockerjson.Parse(line)
			return e.Time, err == nil && e.Time != 0
		}
	case CRI:
		return func(line []byte) (int64, bool) {
			e, err := cri.Parse(line)
			return e.Time, err == nil
		}
	}
	return func(line []byte) (int64, bool) { return lineTime(line, now) }
}

// window is how far a line with a time is looked for. Lines between are taken to belong to
// the one before, as those of a stack trace do.
const window = 64 << 10

// lastLine returns where the last line that has no end yet begins: the size, mostly.
func lastLine(r io.ReaderAt, size int64) int64 {
	buf := make([]byte, window)
	for end := size; end > 0; {
		from := max(0, end-window)
		n, _ := r.ReadAt(buf[:end-from], from)
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return from + int64(i) + 1
		}
		end = from
	}
	return 0
}

// findTime returns the offset of the first line whose time is not before since. It is a
// binary search: times that are a little out of order make it a little inexact.
func findTime(r io.ReaderAt, size, since int64, timeOf func([]byte) (int64, bool)) int64 {
	s := search{r: r, size: size, timeOf: timeOf, buf: make([]byte, window)}
	last := lastLine(r, size)
	if _, _, ok := s.timed(0); !ok {
		if _, _, ok := s.timed(max(0, last-window/2)); !ok {
			return last
		}
	}
	low, high := int64(0), last // lines that begin before low are older, those from high on are not
	for low < high {
		mid := low + (high-low)/2
		begin, at, ok := s.timed(mid)
		switch {
		case !ok || begin >= high:
			high = mid
		case at < since:
			low = begin + 1
		default:
			if mid == low {
				return begin
			}
			high = mid
		}
	}
	if begin, at, ok := s.timed(low); ok && at >= since {
		return begin
	}
	return last
}

// search looks for lines with times in a file.
type search struct {
	r      io.ReaderAt
	size   int64
	timeOf func([]byte) (int64, bool)
	buf    []byte
}

// timed returns the first whole line that begins at off or later and has a time.
func (s *search) timed(off int64) (begin, at int64, ok bool) {
	from := max(0, off-1) // a line begins at off if its end is just before
	n, _ := s.r.ReadAt(s.buf[:min(int64(len(s.buf)), s.size-from)], from)
	data := s.buf[:n]
	if off > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return 0, 0, false
		}
		data, from = data[i+1:], from+int64(i)+1
	}
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return 0, 0, false
		}
		if at, ok := s.timeOf(data[:i]); ok {
			return from, at, true
		}
		data, from = data[i+1:], from+int64(i)+1
	}
}
