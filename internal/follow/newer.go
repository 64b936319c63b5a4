package follow

import "slices"

// writtenSince returns the rotated files that were written after known, of which nothing was
// read: those newer than the newest that was read, else those that changed later. Same says
// that known is still at the path, and that what copies it is to be left out.
func (l *Log) writtenSince(known *file, s *survey, same bool) ([]entry, error) {
	at := l.newestKnown(known, s)
	newer := slices.DeleteFunc(s.newerThan(known, at), func(e entry) bool {
		return l.isKnown(e) || same && e.copies(s)
	})
	if at.ok {
		return newer, nil
	}
	// Within one tick of the file system's clock nobody can tell what came first.
	lost := false
	for len(newer) > 0 && newer[0].mtime == known.mtime {
		if err := l.markEntry(&newer[0]); err != nil {
			return nil, err
		}
		lost = lost || newer[0].size > 0
		newer = newer[1:]
	}
	if lost {
		l.gap(-1, gapRotated)
	}
	return newer, nil
}

// newestKnown returns the place of the newest rotated file that was read, as far back as
// files were written since known was.
func (l *Log) newestKnown(known *file, s *survey) place {
	for _, e := range s.entries {
		if l.isKnown(e) {
			return place{ok: true, info: e.info, suffix: e.suffix, path: e.path}
		}
		if e.mtime < known.mtime {
			break
		}
	}
	return place{}
}

// newerThan returns the rotated files that came after the known one, oldest first. If that
// is not among them, being gone or renamed freely, those written to since it was last seen
// count.
func (s *survey) newerThan(known *file, at place) []entry {
	var newer []entry
	plain := map[int]bool{} // numbers that exist unpacked: packing is going on
	for _, e := range s.entries {
		if e.kind == numbered && !e.packed {
			plain[e.num] = true
		}
	}
	for _, e := range s.entries {
		if at.ok && at.kind != unknown {
			if e.kind != at.kind {
				continue
			}
			if e.path == at.path {
				break
			}
		} else if e.mtime < known.mtime || e.kind == series {
			continue
		}
		if known.open && e.id == known.id || e.kind == numbered && e.packed && plain[e.num] {
			continue
		}
		newer = append(newer, e)
	}
	if !at.ok || at.kind == unknown {
		slices.SortStableFunc(newer, func(a, b entry) int { return int(min(max(b.mtime-a.mtime, -1), 1)) })
	}
	slices.Reverse(newer)
	return newer
}

// copies tells whether e is a copy of what still is at the path, whole or in the making:
// the truncation comes next, and until then the path's file has it all.
func (e *entry) copies(s *survey) bool {
	if !s.live.open || e.packed {
		return false
	}
	if e.size == 0 {
		return true // nothing is to be read of it, but it may become one
	}
	c, _, err := openContent(e.path, e.id, false)
	if err != nil {
		return false
	}
	defer c.close()
	same := func(off int64, n int) bool {
		a, ok := c.digestAt(off, n)
		b, there := s.live.digestAt(off, n)
		return ok && there && a == b
	}
	n := int(min(e.size, beforeBytes))
	return same(0, int(min(e.size, headBytes))) && same(e.size-int64(n), n)
}
