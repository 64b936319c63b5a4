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
	for try := 1; ; try++ {
		s, err := takeSurvey(l.opt.Path, "", false)
		if err != nil {
			return err
		}
		s.last = try >= surveyTries
		err = l.beginAt(start, s)
		s.live.close() // unless it was taken over
		if err != errMoved || try == 2*surveyTries {
			return err
		}
	}
}

func (l *Log) beginAt(start Start, s *survey) error {
	l.target = s.target
	if !s.live.open {
		if !start.Older {
			return nil
		}
		s.list("") // between two steps of a rotation: what was rotated away is there
		older, _, err := l.older(start, s)
		l.files = older
		return err
	}
	live := l.liveFile(s, s.live)
	if start.Find != nil {
		l.skipTo(live, start.Find(&live.content, s.is.size))
	}
	if start.Older && live.off == 0 {
		s.list("")
		older, whole, err := l.older(start, s)
		if err != nil {
			return err
		}
		l.files = older
		if !whole {
			return nil // what follows is found by walking on from the newest of these
		}
	}
	l.files = append(l.files, live)
	s.live = content{}
	return nil
}

// older opens the rotated files to begin with. They are not the whole of them if there are
// more than are held open at a time.
func (l *Log) older(start Start, s *survey) (files []*file, whole bool, err error) {
	var since int64
	if !start.Since.IsZero() {
		since = start.Since.UnixNano()
	}
	older := slices.DeleteFunc(s.newerThan(&file{mtime: since}, place{}), func(e entry) bool {
		return e.copies(s) || since != 0 && e.packed
	})
	if files, err = l.openAll(s, older); err != nil {
		return nil, false, err
	}
	whole = len(files) == len(older)
	if start.Find == nil {
		return files, whole, nil
	}
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		l.skipTo(f, start.Find(&f.content, f.seen))
		if f.off == 0 {
			continue
		}
		for _, f := range files[:i] {
			f.close()
		}
		return files[i:], whole, nil
	}
	return files, whole, nil
}
