package follow

import (
	"errors"
	"path/filepath"
	"slices"
)

// advance compares the survey with the newest known file and appends what came after it.
func (l *Log) advance(s *survey) error {
	unproved := l.newest() != nil && l.newest().blank()
	for _, f := range l.files {
		if f.open && f.blank() && f.id != s.is.id {
			f.identify() // it may have been written, rotated and compressed in one go
		}
	}
	if l.lost && !s.live.open && len(s.entries) == 0 {
		return nil // nothing is there at all: perhaps it is not mounted yet
	}
	if l.lost && len(l.files) > 1 {
		if err := l.findOld(s); err != nil {
			return err
		}
	}
	known := l.newest()
	if known == nil {
		l.lost = false
		l.appendLive(s)
		return nil
	}
	if !known.open && known.blank() {
		return l.supersede(known, s)
	}
	if s.live.open && s.is.id == known.id && (known.open || s.live.continues(known)) {
		return l.resumeLive(known, s, unproved)
	}
	return l.succeed(known, s)
}

// resumeLive goes on with the known file where it always was. It is unproved when nothing
// of it was read: then it may have been written, copied and truncated since, and whatever
// was written later than it was is such a copy.
func (l *Log) resumeLive(known *file, s *survey, unproved bool) error {
	var before []*file
	if unproved {
		newer, err := l.writtenSince(known, s, true)
		if err != nil {
			return err
		}
		opened, err := l.openAll(s, newer)
		if err != nil {
			return err
		}
		before = opened
	}
	if known.blank() {
		known.head = s.head
	}
	if known.open {
		known.look(s.is, l.now)
	} else {
		l.adopt(known, s.live, s.is, s.target)
		s.live = content{}
	}
	copied(before...)
	l.files = slices.Insert(l.files, len(l.files)-1, before...)
	l.lost = false
	return nil
}

// supersede forgets a resumed file of which nothing was read, for its inode is no proof:
// whatever was written since it was last seen has to be read from its start.
func (l *Log) supersede(known *file, s *survey) error {
	if !s.live.open {
		return nil
	}
	traced := s.is.id == known.id
	for _, e := range s.entries {
		traced = traced || e.id == known.id
	}
	newer, err := l.writtenSince(known, s, s.is.id == known.id)
	if err != nil {
		return err
	}
	opened, err := l.openAll(s, newer)
	if err != nil {
		return err
	}
	if !traced && !known.done {
		l.gap(-1, gapRotated)
	}
	if s.is.id == known.id {
		copied(opened...)
	}
	l.lost = false
	l.files = append(l.files[:len(l.files)-1], opened...)
	if len(newer) == len(opened) {
		l.appendLive(s)
	}
	return nil
}

// blank tells whether a file has nothing to know it by but its inode.
func (f *file) blank() bool { return f.off == 0 && f.head.n == 0 }

// identify makes a file known by its first bytes before any are read.
func (f *file) identify() {
	var head [headBytes]byte
	if n, err := f.readAt(head[:], 0); err == nil && f.blank() {
		f.head = digestOf(head[:n])
	}
}

// findOld opens the files of a resumed position that are not its newest.
func (l *Log) findOld(s *survey) error {
	for _, f := range l.files[:len(l.files)-1] {
		if f.open || f.done {
			continue
		}
		if f.blank() {
			f.done = true // it was rotated away empty; another may have its inode now
			continue
		}
		if s.live.open && s.is.id == f.id && s.live.continues(f) {
			c, in, err := openContent(l.opt.Path, f.id, false)
			if err != nil {
				return err
			}
			l.adopt(f, c, in, s.target)
			continue
		}
		at, err := s.find(f)
		if err != nil {
			return err
		}
		if at.ok {
			l.adopt(f, at.content, at.info, at.path)
			f.final = f.final || at.copy
			continue
		}
		f.done = true
		if f.end == endLost || f.off < f.seen && f.end != endStated && f.end != endJoined {
			l.gap(-1, gapRotated)
		}
	}
	return nil
}

// adopt gives a known file its content.
func (l *Log) adopt(f *file, c content, in info, path string) {
	f.content = c
	f.id = in.id
	f.path = path
	f.final = c.gz != nil || f.isCopy()
	f.quiet = l.now
	f.tried = 0
	f.wary = true
	f.seen, f.stamp, f.size = in.size, in.mtime, -1
	if f.mtime == in.mtime {
		f.size = in.size
	}
}

// appendLive makes the file at the path the newest one.
func (l *Log) appendLive(s *survey) {
	if !s.live.open {
		return
	}
	f := l.liveFile(s, s.live)
	if known := l.newest(); known != nil && known.id == f.id {
		l.skipTo(f, f.skipHole()) // truncated
	}
	l.files = append(l.files, f)
	s.live = content{}
}

// liveFile returns a file for what is at the path. It is known by the bytes that it had
// when the survey began: if those are copied and truncated meanwhile, that shows.
func (l *Log) liveFile(s *survey, c content) *file {
	f := l.bareFile(c, s.is, s.target)
	f.head = s.head
	return f
}

func (l *Log) newFile(c content, in info, path string) *file {
	f := l.bareFile(c, in, path)
	f.identify()
	return f
}

func (l *Log) bareFile(c content, in info, path string) *file {
	return &file{content: c, id: in.id, path: path, seen: in.size, stamp: in.mtime, mtime: in.mtime, size: in.size, quiet: l.now, final: c.gz != nil}
}

// succeed handles a path that has another file than the known one, or none: it finds where
// the known one went, and what came between.
func (l *Log) succeed(known *file, s *survey) error {
	at, err := s.find(known)
	if err != nil {
		return err
	}
	defer at.close()
	between := slices.DeleteFunc(s.newerThan(known, at), func(e entry) bool {
		return l.isKnown(e) || s.is.id == known.id && e.copies(s)
	})
	if !s.live.open && len(between) == 0 && (known.open || !at.ok) {
		return nil // nothing has taken its place
	}
	if !known.open {
		if err := l.markShort(&at); err != nil {
			return err
		}
	}
	opened, err := l.openAll(s, between)
	if err != nil {
		return err
	}
	if s.is.id == known.id && at.copy { // it was truncated, unless its inode is of another file now
		copied(slices.DeleteFunc(slices.Clone(opened), func(o *file) bool { return at.packed && o.gz == nil })...)
	}
	if !known.open {
		l.settle(known, &at, s.is.id)
	}
	if in, err := fstat(known.fd); known.open && err == nil {
		known.look(in, l.now) // what was written to it after the last look comes first
	}
	known.quiet = l.now
	l.lost = false
	l.files = append(l.files, opened...)
	if len(between) == len(opened) {
		l.appendLive(s)
	}
	l.notice("rotated")
	return nil
}

// settle gives a file that is not open what was found of it, and says what was not.
func (l *Log) settle(f *file, at *place, live fileID) {
	reason := gapRotated
	if f.id == live {
		reason = gapTruncated
	}
	switch {
	case at.open && l.hasRead(at):
		f.done = true
	case at.ok && at.open:
		if at.copy && (f.id == live || !at.packed) {
			copied(f)
		}
		l.adopt(f, at.content, at.info, at.path)
		f.final = f.final || at.copy
		at.content = content{}
	case !f.done:
		f.done = true
		l.gap(-1, reason)
	}
}

// openAll opens entries, oldest first, as many as are held open at a time. It is the last
// step before a survey is acted upon, so it makes sure that the survey still holds.
func (l *Log) openAll(s *survey, entries []entry) (files []*file, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.close()
			}
			files = nil
		}
	}()
	for _, e := range entries[:min(len(entries), maxAhead)] {
		c, in, err := openContent(e.path, e.id, e.packed)
		if absent(err) {
			return files, errMoved
		}
		if err != nil {
			return files, err
		}
		files = append(files, l.newFile(c, in, e.path))
	}
	if s.outdated() {
		return files, errMoved
	}
	return files, nil
}

// isKnown tells whether e is followed already or was read to its end before.
func (l *Log) isKnown(e entry) bool {
	var c content
	defer c.close()
	same := func(id fileID, head digest) bool {
		if head.n == 0 || e.id != id && !e.packed {
			return false
		}
		if !c.open {
			var err error
			if c, _, err = openContent(e.path, e.id, e.packed); err != nil {
				c.close()
				return false
			}
		}
		d, ok := c.digestAt(0, head.n)
		return ok && d == head
	}
	for _, f := range l.files {
		if f.open && e.id == f.id || same(f.id, f.head) {
			return true
		}
	}
	for _, m := range l.retired {
		if same(m.id, m.head) {
			return true
		}
	}
	return false
}

// hasRead tells whether the copy at a place is being read, or was, as a file of its own.
func (l *Log) hasRead(at *place) bool {
	for _, f := range l.files {
		if f.open && f.id == at.id {
			return true
		}
	}
	for _, m := range l.retired {
		if head, ok := at.digestAt(0, m.head.n); m.id == at.id && m.head.n > 0 && ok && head == m.head {
			return true
		}
	}
	return false
}

// place is where a known file was found.
type place struct {
	content // open, unless the file was found by a descriptor that is held
	info
	suffix
	path string
	ok   bool
	copy bool // another file with the same content
}

// Of a place that is ok but not open nothing is left to read.

// find looks for a known file among the rotated ones: by its inode, then by its content,
// and at last under any name in the directory.
func (s *survey) find(f *file) (place, error) {
	for _, e := range s.entries {
		if e.id != f.id {
			continue
		}
		if f.open {
			return place{ok: true, info: e.info, suffix: e.suffix, path: e.path}, nil
		}
		p, err := e.open(f)
		if err != nil || p.ok {
			return p, err
		}
	}
	if f.head.n > 0 {
		if p, err := s.findCopy(f); err != nil || p.ok {
			return p, err
		}
	}
	if f.open {
		return place{}, nil
	}
	return s.findAnywhere(f)
}

// findCopy looks for a copy of f: one that reaches beyond f's offset if there is any, else
// one that was made before f was read that far.
func (s *survey) findCopy(f *file) (place, error) {
	for _, e := range s.entries {
		if e.id == f.id || !e.packed && e.size < f.off {
			continue
		}
		p, err := e.open(f)
		if errors.Is(err, errMoved) {
			return p, err
		}
		if err == nil && p.ok {
			p.copy = true
			return p, nil
		}
	}
	for _, e := range s.entries {
		if e.id == f.id || e.packed || e.size >= f.off || e.size == 0 {
			continue
		}
		p := place{info: e.info, suffix: e.suffix, path: e.path, ok: true, copy: true}
		if e.size < int64(f.head.n) {
			if e.mtime >= f.mtime && s.live.open && s.is.id == f.id {
				return p, nil // too short to compare, but of the right time
			}
			continue
		}
		c, _, err := openContent(e.path, e.id, false)
		if err != nil {
			continue
		}
		head, ok := c.digestAt(0, f.head.n)
		c.close()
		if ok && head == f.head {
			return p, nil
		}
	}
	return place{}, nil
}

// open opens e if it has the content of f.
func (e *entry) open(f *file) (place, error) {
	c, in, err := openContent(e.path, e.id, e.packed)
	if err != nil {
		if absent(err) {
			err = errMoved
		}
		return place{}, err
	}
	if !c.continues(f) {
		c.close()
		return place{}, nil
	}
	return place{content: c, info: in, suffix: e.suffix, path: e.path, ok: true}, nil
}

// findAnywhere looks for a file under a name that does not look like a rotated one.
func (s *survey) findAnywhere(f *file) (place, error) {
	for _, name := range s.names {
		path := filepath.Join(s.dir, name)
		in, err := stat(path)
		if err != nil || in.id != f.id || !in.regular {
			continue
		}
		_, packed := cutPacked(name)
		e := entry{info: in, path: path, suffix: suffix{packed: packed}}
		if packed {
			e.packed = false // its name says so, but it may be the very file
			if p, err := e.open(f); err != nil || p.ok {
				return p, err
			}
			e.packed = true
		}
		p, err := e.open(f)
		if err == nil && p.ok && path != s.target {
			base := filepath.Base(s.target)
			if shape(name) == shape(base) && compareNatural(name, base) < 0 {
				s.listSeries(name, base)
				p.kind = series
			}
		}
		return p, err
	}
	return place{}, nil
}

// truncated handles a file whose content was replaced in place. What was not read of the
// old content may be in a copy; the new content is read from its start.
func (l *Log) truncated(f *file) error {
	i := indexOf(l.files, f)
	if i < len(l.files)-1 {
		if f.off < f.seen || f.end == endLost {
			l.gap(-1, gapTruncated)
		}
		f.close()
		l.files = slices.Delete(l.files, i, i+1)
		return nil
	}
	for try := 1; ; try++ {
		s, err := takeSurvey(l.opt.Path, l.previous(), true)
		if err != nil {
			return err
		}
		s.last = try == surveyTries
		err = l.restart(f, s)
		s.live.close()
		switch {
		case err != errMoved:
			return err
		case try == surveyTries:
			l.restless = true
			return errMoved
		}
	}
}

// restart puts the rest of f's old content, and what was written and copied after that, in
// front of its present content.
func (l *Log) restart(f *file, s *survey) error {
	fresh := l.liveFile(s, f.content)
	if s.is.id != f.id { // rotated, after all
		in, err := fstat(f.fd)
		if err != nil {
			return err
		}
		fresh = l.newFile(f.content, in, f.path)
	}
	fresh.wary = true
	was := *f
	was.content = content{}
	at, err := s.find(&was)
	if err != nil {
		return err
	}
	defer at.close()
	complete := at.ok && at.size == was.size && at.mtime-was.mtime >= int64(calmBefore)
	if at.open && l.hasRead(&at) {
		at.close()
		complete = complete || f.off == 0 // it is stated after that file
	} else if err := l.markShort(&at); err != nil {
		return err
	}
	opened, err := l.openAll(s, slices.DeleteFunc(s.newerThan(&was, at), func(e entry) bool { return l.isKnown(e) || e.copies(s) }))
	if err != nil {
		return err
	}
	if s.is.id == f.id {
		copied(opened...)
	}
	f.content, f.done = content{}, true
	l.files = l.files[:len(l.files)-1]
	switch {
	case at.open:
		copied(f)
		if f.done = false; complete {
			f.end, l.learned = endJoins, true
		}
		l.adopt(f, at.content, at.info, at.path)
		at.content = content{}
		l.files = append(l.files, f)
	case !complete:
		l.gap(-1, gapTruncated)
	}
	for _, o := range opened {
		o.final = true
	}
	l.files = append(append(l.files, opened...), fresh)
	l.skipTo(fresh, fresh.skipHole())
	l.notice("truncated")
	return nil
}

// skipTo makes reading of a new file begin at off.
func (l *Log) skipTo(f *file, off int64) {
	nb := int(min(off, beforeBytes))
	if before, ok := f.digestAt(off-int64(nb), nb); ok {
		f.off, f.before = off, before
	}
}
