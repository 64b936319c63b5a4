package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lookEvery is how often old files are looked for.
const lookEvery = time.Minute

// removeOld removes rotated files that nothing was written to for longer than max_age.
func (s *Sink) removeOld(now time.Time) error {
	if s.config.MaxAge <= 0 || now.Sub(s.looked) < lookEvery {
		return nil
	}
	s.looked = now
	var errs []error
	for _, o := range s.outputs {
		errs = append(errs, s.removeOldOf(o, now))
	}
	return errors.Join(errs...)
}

// removeOldOf does that for one output. After a crash the cursor may mean the file .1, as long
// as it was not stored for the present one: that has happened when the present one was written
// to before lookEvery.
func (s *Sink) removeOldOf(o *output, now time.Time) error {
	current := s.path(o, 0)
	entries, err := os.ReadDir(filepath.Dir(current))
	if err != nil {
		return ignoreMissing(err)
	}
	first := 2
	if info, err := os.Stat(current); err == nil && !o.dirty && now.Sub(info.ModTime()) > lookEvery {
		first = 1
	}
	var errs []error
	for _, e := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".gz"), filepath.Base(current)+".")
		k, err := strconv.Atoi(number)
		if !ok || err != nil || k < first || strconv.Itoa(k) != number {
			continue
		}
		info, err := e.Info()
		switch {
		case err != nil:
			errs = append(errs, ignoreMissing(err))
		case now.Sub(info.ModTime()) > s.config.MaxAge:
			errs = append(errs, ignoreMissing(os.Remove(filepath.Join(filepath.Dir(current), e.Name()))))
		}
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
