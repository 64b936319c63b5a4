// Package file is the source of log files: it finds the files that patterns name, now and
// later, and follows each as the log it is, over rotation and restarts.
//
//	src, err := file.New(cfg, deps)
//	err = src.Run(ctx, lines)
//
// A log's stream is named after its path, whatever file is there. What a log file is, and
// that nothing of it is lost or read twice, is the business of the packages follow and
// logfile; this one knows which there are. Left out: what is in the lines.
package file

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/follow"
	"github.com/weirlog/weir/internal/logfile"
)

const (
	// scanPeriod is how often the patterns are looked at without an event.
	scanPeriod = 10 * time.Second
	// scanPause is the least time between two looks at the patterns.
	scanPause = 200 * time.Millisecond
	// behindPeriod is how often the bytes behind are summed up.
	behindPeriod = 2 * time.Second
	// forgetAfter is how long a log must be missing, and must not have been written to, for
	// its position to be forgotten.
	forgetAfter = 24 * time.Hour
)

// source is the flow.Source of this package.
type source struct {
	cfg     Config
	deps    flow.Deps
	format  logfile.Format
	start   start
	scanner *scanner
	trouble *trouble
	left    map[string]bool // directories of weir's of which the log says that they are left out

	mu    sync.Mutex // guards tails
	tails map[string]*logfile.Tail
}

// New returns a source for a valid configuration. It touches nothing before Run.
func New(cfg Config, deps flow.Deps) (flow.Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	format, _ := logfile.ParseFormat(cfg.Format)
	begin, err := parseStart(cfg.Start)
	if err != nil {
		return nil, err
	}
	return &source{
		cfg: cfg, deps: deps, format: format, start: begin,
		scanner: newScanner(cfg, deps.Once, deps.Own),
		trouble: &trouble{ledger: deps.Ledger},
		left:    map[string]bool{},
		tails:   map[string]*logfile.Tail{},
	}, nil
}

// Run follows files until ctx ends, or once all were read to their end if that is all.
func (s *source) Run(ctx context.Context, lines flow.Lines) error {
	watcher := follow.NewWatcher(follow.WatchOptions{Poll: s.cfg.Poll, Polling: s.polling, Hurry: s.deps.Hurry})
	var wg sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	r := &run{source: s, lines: lines, watcher: watcher}
	if s.deps.Once {
		r.slots = make(chan struct{}, runtime.GOMAXPROCS(0))
		r.first(ctx, s.scan(time.Now()))
		r.tails.Wait()
		return nil
	}
	wg.Go(func() { watcher.Run(watching) })
	defer r.tails.Wait()
	now := time.Now()
	l := s.scan(now)
	r.first(ctx, l)
	return r.discover(ctx, now, watcher.Dirs(l.sortedDirs()...))
}

func (s *source) polling(reason string) {
	s.deps.Ledger.Event("polling")
	s.deps.Log.Info("files are polled", "reason", reason)
}

// scan looks at the patterns and reports what is wrong with them.
func (s *source) scan(now time.Time) logs {
	l := s.scanner.scan(now, s.followed)
	s.sayLeft(l.left)
	switch {
	case l.problem != nil:
		s.trouble.set("", l.problem)
	case l.full:
		s.trouble.set("", errTooMany)
	case len(l.files) == 0 && s.count() == 0 && l.odd != nil:
		s.trouble.set("", l.odd)
	case len(l.files) == 0 && s.count() == 0 && len(l.left) > 0:
		s.trouble.set("", &ownError{slices.Min(slices.Collect(maps.Keys(l.left)))})
	case len(l.files) == 0 && s.count() == 0:
		s.trouble.set("", errNoFile)
	default:
		s.trouble.set("", nil)
	}
	return l
}

// sayLeft says once of each directory of weir's that its files are left out.
func (s *source) sayLeft(dirs map[string]bool) {
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if !s.left[dir] {
			s.left[dir] = true
			s.deps.Log.Info("what weir writes itself is not followed", "directory", dir)
		}
	}
}

func (s *source) followed(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.tails[path]
	return ok
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tails)
}

// add enters a tail for path, unless there is one.
func (s *source) add(path string, t *logfile.Tail) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.tails[path]; ok {
		return false
	}
	s.tails[path] = t
	return true
}

func (s *source) replace(path string, t *logfile.Tail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil {
		delete(s.tails, path)
	} else {
		s.tails[path] = t
	}
}

// sumBehind tells the ledger how much is to be read.
func (s *source) sumBehind() {
	s.mu.Lock()
	var sum int64
	for _, t := range s.tails {
		sum += t.Behind()
	}
	s.mu.Unlock()
	s.deps.Ledger.BehindBytes(sum)
}
