package journal

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/weirlog/weir/internal/disk"
)

// A crash leaves the end of the newest file torn: nobody was told that what stood there is
// kept, and recovery goes on from what is before. Damage looks the same where it begins.
// It is told by what comes behind: a frame that says that those before it were synced, or
// a commit, which is written only when the snapshot before it is durable. So that there is
// such a frame soon, an idle log gets an empty one after its last sync.

// errLost means that commits that were durable cannot be read.
var errLost = errors.New("durable commits are damaged: counters and positions are those of before, kept text is what its files have")

// errMissing is errLost where nothing at all is left of the log.
var errMissing = errors.New("the commit log is missing or empty: counters and positions begin anew, kept text is what its files have, and what can be read again is kept twice")

// errUnreadable is errLost where something is left, and it cannot be read.
var errUnreadable = errors.New("no whole snapshot: counters and positions begin anew, kept text is what its files have")

// lost tells whether durable commits are missing from the state that recovery goes on
// from: that of files[best].
func lost(files [2]disk.File, found [2]*recovered, best int) bool {
	r, other := found[best], found[1-best]
	if !r.sound {
		whole := func(uint64, bool) bool { return true }
		return other.used || r.used || findFrame(files[0], 1, whole) || findFrame(files[1], 1, whole)
	}
	if r.unreadable || other.unreadable || r.lacksOther(other) {
		return true
	}
	// A torn frame has the beginning of its header, and behind that anything, a piece of an
	// older frame for one: so what is believed is only that a frame of just that generation
	// was begun there, and how.
	commit := func(generation uint64, _ bool) bool { return generation == r.generation+1 }
	behind := func(generation uint64, synced bool) bool { return generation == r.generation && synced }
	return findFrame(files[1-best], 1, commit) || findFrame(files[best], r.end+1, behind)
}

// lacksOther tells whether the file before r's, or behind, is missing or has zeros alone:
// each generation but the first has one before it.
func (r *recovered) lacksOther(other *recovered) bool {
	return r.sound && r.generation > 1 && !other.used
}

// lostError says what of the log is lost, for which state is gone on from; nil if nothing is.
func lostError(found [2]*recovered, best int) *CorruptError {
	r, other := found[best], found[1-best]
	switch {
	case !r.lost:
		return nil
	case r.missing:
		return &CorruptError{File: fileNames[best], Err: errMissing}
	case !r.sound:
		return &CorruptError{File: fileNames[best], Err: errUnreadable}
	case other.damage != nil:
		return &CorruptError{File: other.damage.File, Offset: other.damage.Offset, Err: errLost}
	case r.lacksOther(other):
		return &CorruptError{File: fileNames[1-best], Err: errLost}
	}
	return &CorruptError{File: fileNames[best], Offset: r.end, Err: errLost}
}

// findFrame tells whether there is a frame from an offset on that is wanted, whole or not.
func findFrame(f disk.File, from int64, wanted func(generation uint64, synced bool) bool) bool {
	if f == nil {
		return false
	}
	const piece = 256 << 10
	buf := make([]byte, piece+frameHeader)
	magic := []byte("WEIR")
	for ; ; from += piece {
		n, err := f.ReadAt(buf, from)
		b := buf[:n]
		for i := bytes.Index(b, magic); i >= 0 && i+frameHeader <= n; {
			if isFrame(b[i:]) && wanted(binary.LittleEndian.Uint64(b[i+8:]), isSynced(b[i:])) {
				return true
			}
			k := bytes.Index(b[i+1:], magic)
			if k < 0 {
				break
			}
			i += 1 + k
		}
		if err != nil || n < len(buf) {
			return false
		}
	}
}

// mark writes an empty commit, which tells that all before it is synced. It need not be
// synced itself, and nothing is lost if the disk does not take it.
func (l *commitLog) mark() {
	if l.stale || l.marked || l.files[l.current] == nil {
		return
	}
	l.marked = true
	f := l.frame(l.at, new(change))
	if l.offset+f.size > l.sizes[l.current] {
		return
	}
	if err := f.write(l.files[l.current], l.offset); err != nil {
		return // the next commit goes to the same place
	}
	l.advance(f)
}
