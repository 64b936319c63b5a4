// Package follow reads a log file as what it stands for: one endless sequence of bytes
// under one path, whatever is done to the files. It reads renamed files to their end and
// for a while beyond, finds files that came and went between two looks, notices truncation
// and finds the copy that was made before it, follows symbolic links, and reads compressed
// files where nothing else is left, each byte once.
//
//	l := follow.New(follow.Options{Path: "/var/log/nginx/access.log"})
//	err := l.Resume(position, at)     // or l.Begin, or neither: from the first byte
//	err = l.Look(time.Now())          // what became of the files
//	c, err := l.Read(buf)             // bytes, whole lines and perhaps a half one
//	l.Consume(n)                      // the n bytes of the whole lines are done
//	dst = l.AppendPosition(dst, c.At) // where to go on after a restart
//
// A file is known by device, inode and the hash of its first bytes; that it was not
// replaced below the offset is proved by the hash of the bytes before it. A Log belongs to
// one goroutine and never waits: a Watcher, which serves many logs, says when to look.
//
// Left out: what a line is (the caller decides how many bytes to consume), and rotation
// into other directories while nothing runs.
package follow

import (
	"fmt"
	"time"
)

// Bounds on the files that are held open for one log.
const (
	maxOld   = 16 // rotated away and read, but perhaps still written to
	maxAhead = 16 // rotated away and not read yet

	maxRetired = 2 * maxOld // closed, but remembered
)

const (
	defaultLinger = 5 * time.Second
	// unlinkedLinger is how long the last file of a log is held after it was deleted.
	unlinkedLinger = 5 * time.Minute
	// absentSurveys is how long after a path went missing its rotated files are listed.
	absentSurveys = 10 * time.Second
	// calmBefore is how long a file must have been quiet before it was copied for nothing to
	// be lost between the copy and the truncation.
	calmBefore     = time.Second
	pacePeriod     = 200 * time.Millisecond
	slowPacePeriod = 2 * time.Second
	restlessPeriod = 10 * time.Millisecond
)

// Options say which log to follow.
type Options struct {
	Path string
	// Linger is how long a rotated file must be quiet to be closed; zero means 5 s.
	Linger time.Duration
	// Notice, unless nil, is told what happens to the files, in a constant phrase:
	// "rotated", "truncated", "removed".
	Notice func(event string)
}

// Gap is a loss that was noticed.
type Gap struct {
	Bytes  int64  // -1 when it cannot be known
	Reason string // a constant phrase
}

// The reasons of gaps.
const (
	gapTruncated = "truncated"
	gapRotated   = "rotated away"
	gapDamaged   = "damaged compressed file"
)

// file is one file of a log.
type file struct {
	content
	id     fileID
	path   string    // where it was opened
	head   digest    // of its first bytes, at most headBytes
	before digest    // of the bytes before off, at most beforeBytes
	off    int64     // of the first byte not consumed
	seen   int64     // its size at the last look
	stamp  int64     // its time of modification at the last look
	mtime  int64     // the same, at the last time its content was compared
	size   int64     // as of mtime; -1 if it was written to between a look and a read
	tried  int64     // up to here no whole line was found
	quiet  time.Time // since when it has not changed
	wary   bool      // changed since the bytes before off were compared
	final  bool      // nobody writes to it any more: what is left is whole
	done   bool      // closed for good, and remembered as the newest file alone
	end    ending    // of a copy: what became of its last line
}

// run is a stretch of a file as it was consumed: from logical position at on, the bytes
// from off on.
type run struct {
	file *file
	at   int64
	off  int64
}

// mark identifies a file that was read to its end and closed.
type mark struct {
	id   fileID
	head digest
}

// Log is one path and the files rotated away from it.
type Log struct {
	opt      Options
	target   string  // what the path resolved to when its file was opened
	files    []*file // not done with, oldest first
	lost     bool    // files of a resumed position are to be found
	now      time.Time
	missing  time.Time // since when there is nothing at the path; zero while there is
	restless bool      // files moved faster than they could be looked at: again soon

	pos  int64 // logical position after the last consumed byte
	at   int64 // logical position to read from: below pos while reading again
	low  int64 // the caller has no use for anything before it
	runs []run // what was consumed from low on, in order
	cur  chunk // what Read returned last

	gaps    []Gap
	learned bool   // what Learned returns
	owing   bool   // bytes were consumed that come before a gap noticed now
	retired []mark // a ring of the last maxRetired
	retires int
	scratch []*file
}

// New returns a log that begins with the first byte of the file at its path, whenever that
// appears, unless Begin or Resume say otherwise.
func New(opt Options) *Log {
	if opt.Linger == 0 {
		opt.Linger = defaultLinger
	}
	return &Log{opt: opt, target: opt.Path}
}

// Close closes all files. The log can not be used any more.
func (l *Log) Close() {
	for _, f := range l.files {
		f.close()
	}
	l.files = nil
}

// Target returns the path without symbolic links, as of the last time a file was opened.
func (l *Log) Target() string { return l.target }

// Pos returns the logical position after the last consumed byte.
func (l *Log) Pos() int64 { return l.at }

// Absent returns how long the path has been missing; zero while there is a file.
func (l *Log) Absent(now time.Time) time.Duration {
	if l.missing.IsZero() {
		return 0
	}
	return max(now.Sub(l.missing), 1)
}

// LastWrite returns when the newest file was last written to, as far as is known.
func (l *Log) LastWrite() time.Time {
	if f := l.newest(); f != nil {
		return time.Unix(0, max(f.stamp, f.mtime))
	}
	return time.Time{}
}

// Pace returns how soon to look again even if no watcher reports anything, because files
// other than the path's are open; zero when there are none.
func (l *Log) Pace(now time.Time) time.Duration {
	if l.restless {
		return restlessPeriod
	}
	if n := len(l.files); n > 2 || n == 2 && !l.files[0].joinable() {
		return pacePeriod
	}
	f := l.newest()
	switch {
	case l.missing.IsZero() || f == nil:
		return 0
	case now.Sub(l.missing) < absentSurveys || now.Sub(f.quiet) < l.opt.Linger:
		return pacePeriod
	case f.open:
		return slowPacePeriod
	}
	return 0
}

// Behind returns how many bytes exist that were not consumed, compressed ones left out.
func (l *Log) Behind() int64 {
	n := l.pos - l.at
	for _, f := range l.files {
		if f.gz == nil && f.open {
			n += max(0, f.seen-f.off)
		}
	}
	return n
}

// Gaps returns the losses noticed since the last call; they come after what was consumed
// before that and before what was consumed since. Read returns nothing where a loss has to
// be stated first. The result is valid until the log is used again.
func (l *Log) Gaps() []Gap {
	l.owing = false
	g := l.gaps
	l.gaps = l.gaps[:0]
	return g
}

// Keep says that nothing before the logical position low will be asked for again.
func (l *Log) Keep(low int64) {
	l.low = max(l.low, min(low, l.pos))
	drop := 0
	for drop < len(l.runs)-1 && l.runs[drop+1].at <= l.low {
		drop++
	}
	if drop > 0 {
		l.runs = append(l.runs[:0], l.runs[drop:]...)
	}
}

func (l *Log) newest() *file {
	if len(l.files) == 0 {
		return nil
	}
	return l.files[len(l.files)-1]
}

func (l *Log) notice(event string) {
	if l.opt.Notice != nil {
		l.opt.Notice(event)
	}
}

func (l *Log) gap(bytes int64, reason string) {
	l.gaps = append(l.gaps, Gap{Bytes: bytes, Reason: reason})
}

// Look finds out what became of the files: growth, rotation, truncation. It is cheap when
// nothing happened, one stat. An error says that the path cannot be opened or read; what is
// open can be read on, and Look is to be called again later.
func (l *Log) Look(now time.Time) error {
	l.now, l.restless = now, false
	l.lookOld()
	in, err := stat(l.opt.Path)
	switch {
	case err == nil:
		l.missing = time.Time{}
	case absent(err):
		if l.missing.IsZero() {
			l.missing = now
		}
		return l.lookAbsent()
	default:
		return fmt.Errorf("look at %s: %w", l.opt.Path, err)
	}
	if f := l.newest(); f != nil && f.open && f.id == in.id && (!f.blank() || f.stamp == in.mtime) {
		f.look(in, now)
		return nil
	}
	if !in.regular {
		return fmt.Errorf("follow %s: %w", l.opt.Path, errNotRegular)
	}
	return l.survey()
}

func (l *Log) survey() error {
	if l.ahead() >= maxAhead {
		return nil // the rest is found by walking on from the newest of these
	}
	for try := 1; ; try++ {
		s, err := takeSurvey(l.opt.Path, l.previous(), l.newest() != nil)
		if err != nil {
			return err
		}
		s.last = try == surveyTries
		err = l.advance(s)
		s.live.close() // unless it was taken over
		if err == errMoved && try < surveyTries {
			continue
		}
		if err == errMoved {
			l.restless = true
			return nil
		}
		if err == nil {
			l.target = s.target
		}
		return err
	}
}

// previous is where the newest file was opened, if the path is a link to it.
func (l *Log) previous() string {
	if l.target == l.opt.Path {
		return ""
	}
	return l.target
}

// ahead returns how many files are waiting to be read.
func (l *Log) ahead() int {
	n := 0
	for _, f := range l.files {
		if f.unread() {
			n++
		}
	}
	return n
}

// look notes the state of an open file.
func (f *file) look(in info, now time.Time) {
	if f.gz != nil {
		return
	}
	if in.size != f.seen || in.mtime != f.stamp {
		f.quiet = now
		f.wary = true
	}
	f.seen, f.stamp = in.size, in.mtime
}

// unread tells whether a read may return something, or state a gap.
func (f *file) unread() bool {
	return f.open && (!f.exhausted() || f.unstated())
}

// exhausted tells whether a read would return no whole line.
func (f *file) exhausted() bool {
	if f.gz != nil {
		return f.gz.end && max(f.off, f.tried) >= f.gz.at+int64(len(f.gz.window))
	}
	return !f.wary && f.seen <= max(f.off, f.tried)
}

// lookAbsent handles a path with nothing there: between two steps of a rotation, or for
// good.
func (l *Log) lookAbsent() error {
	f := l.newest()
	if f == nil {
		return nil
	}
	if l.lost || l.now.Sub(l.missing) < absentSurveys { // later nothing will move any more
		if err := l.survey(); err != nil {
			return err
		}
		f = l.newest()
	}
	if f == nil || !f.open {
		return nil
	}
	in, err := fstat(f.fd)
	if err != nil {
		return err
	}
	f.look(in, l.now)
	if f.blank() {
		f.identify() // nothing will copy and truncate it where it is now
	}
	if !f.unread() && in.links == 0 && l.now.Sub(f.quiet) >= unlinkedLinger {
		l.notice("removed")
		f.close()
		f.done = true
	}
	return nil
}

// lookOld looks at the files that were rotated away, and closes those that are done.
func (l *Log) lookOld() {
	if len(l.files) < 2 {
		return
	}
	keep := l.files[:0]
	last := len(l.files) - 1
	for i, f := range l.files {
		if i == last || !l.finished(f, last-i > maxOld) {
			keep = append(keep, f)
		}
	}
	clear(l.files[len(keep):])
	l.files = keep
}

// finished tells whether nothing more is to be expected of an old file, and closes it.
func (l *Log) finished(f *file, hurry bool) bool {
	if !f.open {
		return !l.lost
	}
	if in, err := fstat(f.fd); err == nil {
		f.look(in, l.now)
	}
	if f.unread() || l.at < l.pos {
		return false
	}
	if !f.final && (hurry || l.now.Sub(f.quiet) >= l.opt.Linger) {
		f.final = true
		f.tried = 0 // what is left is a whole line now
	}
	if f.joinable() && hurry {
		f.end = endLost
	}
	if !f.final || f.unread() || f.joinable() {
		return false
	}
	l.retire(f)
	return true
}

func (l *Log) mark(m mark) {
	if len(l.retired) < maxRetired {
		l.retired = append(l.retired, m)
	} else {
		l.retired[l.retires%maxRetired] = m
	}
	l.retires++
}

func (l *Log) retire(f *file) {
	f.close()
	l.mark(mark{f.id, f.head})
}

// Finish says that nobody writes to the log any more: a last line without its end is
// whole.
func (l *Log) Finish() {
	for _, f := range l.files {
		f.final = true
		f.tried = 0
	}
}
