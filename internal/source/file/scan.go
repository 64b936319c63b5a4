package file

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/follow"
)

// orphanTime is how long a file that looks rotated must have been without the log it comes
// from to be followed by itself: while files are renamed that may be missing for a moment.
const orphanTime = time.Second

// scanner finds the logs that the patterns name.
type scanner struct {
	paths   []pattern
	exclude []pattern
	names   []string             // exclude patterns for names in any directory
	orphans map[string]time.Time // files that look rotated, since when they are alone
	once    bool
	own     []string // directories that weir writes to
}

func newScanner(cfg Config, once bool, mine []string) *scanner {
	s := &scanner{orphans: map[string]time.Time{}, once: once, own: mine}
	for _, p := range cfg.Paths {
		s.paths = append(s.paths, newPattern(p))
	}
	for _, p := range cfg.Exclude {
		if strings.Contains(p, "/") {
			s.exclude = append(s.exclude, newPattern(p))
		} else {
			s.names = append(s.names, p)
		}
	}
	return s
}

// wants tells whether the path fits the patterns, be there a file or not.
func (s *scanner) wants(path string) bool {
	return slices.ContainsFunc(s.paths, func(p pattern) bool { return p.matches(path) }) && !s.excluded(path)
}

func (s *scanner) excluded(path string) bool {
	name := filepath.Base(path)
	return slices.ContainsFunc(s.exclude, func(p pattern) bool { return p.matches(path) }) ||
		slices.ContainsFunc(s.names, func(p string) bool { ok, _ := filepath.Match(p, name); return ok })
}

// logs are the paths to follow, each with whether files rotated away from it fit too.
type logs struct {
	*found
	rotated map[string]bool
}

// scan looks at the file system. followed tells of paths that are followed already.
func (s *scanner) scan(now time.Time, followed func(path string) bool) logs {
	l := logs{found: newFound(s.excluded, newOwn(s.own)), rotated: map[string]bool{}}
	for _, p := range s.paths {
		l.all(p)
	}
	for path := range l.files {
		if s.excluded(path) {
			delete(l.files, path)
		}
	}
	l.withoutTwins()
	orphans := map[string]time.Time{}
	for path := range l.files {
		if followed(path) {
			continue
		}
		live, ok := s.live(path, l.files, followed)
		if ok {
			l.rotated[live] = true
			delete(l.files, path)
			continue
		}
		if live == "" || s.once {
			continue
		}
		since, waited := s.orphans[path]
		if !waited {
			since = now
		}
		orphans[path] = since
		if now.Sub(since) < orphanTime {
			delete(l.files, path)
		}
	}
	s.orphans = orphans
	return l
}

// live returns the log that a file was rotated away from, by its name, and whether that is
// there or followed; and "" if no log that is wanted can be meant.
func (s *scanner) live(path string, files map[string]bool, followed func(string) bool) (string, bool) {
	missing := ""
	for range 4 { // a number behind a date, and .gz behind both
		live, ok := follow.Rotated(path)
		if !ok {
			break
		}
		if s.wants(live) {
			if _, ok := files[live]; ok || followed(live) {
				return live, true
			}
			missing = live
		}
		path = live
	}
	return missing, false
}
