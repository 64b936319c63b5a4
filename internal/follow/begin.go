package follow

import (
	"io"
	"slices"
	"time"
)

// Start says where a log that was never read begins.
type Start struct {
	// Older begins with the oldest rotated file that was written to after Since, instead
	// of the file at the path. Compressed files are included only if Since is zero.
	Older bool
	Since time.Time
	// Find, unless nil, returns the offset of the first line to read in the file that
	// reading begins with. It is asked for an older file only if the younger one is to be
	// read whole.
	Find func(r io.ReaderAt, size int64) int64
}

// Begin opens the files of a log that has no position. Without a call of Begin it begins
// with the first byte of the file at its path. It does nothing when there is no file.
func (l *Log) Begin(start Start, now time.Time) error {
	l.now = now
	s, err := takeSurvey(l.opt.Path, "", start.Older)
	if err != nil {
		return err
	}
	defer s.live.close()
	l.target = s.target
	if !s.live.open {
		return nil
	}
	live := l.liveFile(s, s.live)
	s.live = content{}
	l.files = []*file{live}
	if start.Find != nil {
		l.skipTo(live, start.Find(&live.content, s.is.size))
	}
	if start.Older && live.off == 0 {
		return l.beginOlder(start, s)
	}
	return nil
}

func (l *Log) beginOlder(start Start, s *survey) error {
	var since int64
	if !start.Since.IsZero() {
		since = start.Since.UnixNano()
	}
	live := s.live
	s.live = l.files[0].content // to compare with
	older := slices.DeleteFunc(s.newerThan(&file{mtime: since}, place{}), func(e entry) bool { return e.copies(s) })
	s.live = live
	files, err := l.openAll(s, older)
	if err != nil {
		return err
	}
	if len(files) < len(older) {
		l.files[0].close()
		l.files = nil // it is found again by walking on from the newest of these
	}
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if since != 0 && f.gz != nil {
			for _, f := range files[:i+1] {
				f.close()
			}
			files = files[i+1:]
			break
		}
		if start.Find == nil {
			continue
		}
		l.skipTo(f, start.Find(&f.content, f.seen))
		if f.off > 0 {
			for _, f := range files[:i] {
				f.close()
			}
			files = files[i:]
			break
		}
	}
	l.files = append(files, l.files...)
	return nil
}
