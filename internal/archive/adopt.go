package archive

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// Told is what the log says of the kept text.
type Told struct {
	// States are those of the streams at the last checkpoint, by identity. Of a stream
	// without one Since has everything. Nil: the log is lost, files are taken as they are.
	States map[string][]byte
	// Since is what Add and Seal answered after that, one behind the other.
	Since map[string][]byte
	// Log and Generation are of the snapshot the States come from, as Checkpoint was told.
	Log        string
	Generation uint64
	// Floor is what Floor returned before.
	Floor uint64
	// Damaged says that the log lacks commits that were durable: then files may rightly
	// have more than it knows, and are believed. Missing says that it lacks all of them.
	Damaged, Missing bool
}

// Recover opens the archive so that it has what the log tells and, where that cannot be
// all, what the files have. It returns the streams whose files have all of it already, by
// identity: for those nothing is to be replayed.
func Recover(o Options, t Told) (a *Archive, adopted map[string]bool, err error) {
	a = newArchive(o)
	a.past.floor = t.Floor
	byDir := make(map[string]string, len(t.States))
	for id := range t.States {
		byDir[dirOf(id)] = id
	}
	for id := range t.Since {
		byDir[dirOf(id)] = id
	}
	names, err := o.Tree.List("streams")
	if err != nil {
		return nil, nil, fmt.Errorf("look for kept text: %w", err)
	}
	adopted = map[string]bool{}
	for _, name := range names {
		dir := "streams/" + name + "/"
		id, known := byDir[dir]
		if !known && a.recall(dir) {
			continue
		}
		stored := t.States[id]
		if !known || stored == nil && t.States != nil {
			stored = emptyState
		}
		next := nextOf(stored, t.Since[id])
		switch {
		case t.States == nil:
			stored = nil
		case t.Damaged:
			if has, err := a.probe(dir, id); err != nil {
				return nil, nil, err
			} else if has >= next {
				stored, adopted[id] = nil, known
			}
		case !known && a.knew(dir, t.Log, t.Generation):
			stored = nil
			a.opts.Log.Warn("kept text that the commit log does not know was taken in: was it restored?", "directory", dir)
		case !known:
			a.setAside(dir)
		}
		if err := a.load(dir, logged{id, stored, t.Since[id]}); err != nil {
			return nil, nil, err
		}
		if s := a.streams[dir]; s != nil && t.Damaged && !o.ReadOnly {
			if next = max(next, s.from()); s.next > next {
				s.Add(nil, kept.TextOf(appendUnvouched(nil, s.next-next, t.Missing)))
			}
		}
	}
	a.remember(t.States)
	return a, adopted, nil
}

// remember makes the streams that have no directory, and records to state that were not kept.
func (a *Archive) remember(states map[string][]byte) {
	for id, stored := range states {
		st, err := parseState(stored)
		if dir := dirOf(id); err == nil && st.missed > 0 && a.streams[dir] == nil {
			s := newStream(a, record.Stream{ID: id}, dir)
			s.missed.Store(st.missed)
			a.streams[dir] = s
		}
	}
}

// WasUsed tells whether a data directory has text, or the description of a stream that was in
// a commit log.
func WasUsed(tree disk.Tree) (bool, error) {
	names, err := tree.List("streams")
	if err != nil {
		return false, fmt.Errorf("look for kept text: %w", err)
	}
	a := newArchive(Options{Tree: tree, ReadOnly: true})
	for _, name := range names {
		dir := "streams/" + name + "/"
		files, err := tree.List("streams/" + name)
		if err == nil && slices.ContainsFunc(files, isText) || a.describedBy(dir).generation > 0 {
			return true, nil
		}
	}
	return false, nil
}

// from returns the number of the first record that there is.
func (s *Stream) from() uint64 {
	if len(s.blocks) > 0 {
		return s.blocks[0].First
	}
	return s.tail.First
}

// probe returns the number behind the last record that the files of a stream have, without
// changing them.
func (a *Archive) probe(dir, id string) (next uint64, err error) {
	o := a.opts
	o.ReadOnly, o.Log = true, slog.New(slog.DiscardHandler)
	p := newArchive(o)
	if err := p.load(dir, logged{id: id}); err != nil {
		return 0, err
	}
	if s := p.streams[dir]; s != nil {
		return s.next, nil
	}
	return 0, nil
}

// Replayed says that all that the log has was repeated: what the streams have to say about
// their recovery comes behind it.
func (a *Archive) Replayed() {
	for _, s := range a.All() {
		if s.lost > 0 && !a.opts.ReadOnly {
			reason := strconv.FormatUint(s.lost, 10) + " records before this were damaged on disk"
			s.Add(nil, kept.TextOf(appendGap(nil, reason, -1)))
		}
		if s.doubt && !a.opts.ReadOnly {
			s.Add(nil, kept.TextOf(appendGap(nil, "one of the last records before this was damaged on disk", -1)))
		}
		s.lost, s.doubt = 0, false
	}
}

// Describe says what a stream is that has no description of its own any more.
func (a *Archive) Describe(def record.Stream) {
	if s := a.Find(def.ID); s != nil && !s.hasMeta {
		s.describe(def, s.bound())
		s.touch() // the next Checkpoint writes it
	}
}

// Next says which commit log the next Checkpoint is for, and which generation of it.
func (a *Archive) Next(log string, generation uint64) { a.log, a.generation = log, generation }

// knew tells whether a directory that the log does not have was in a log once: its
// description is of a checkpoint, and not of one that a crash cut off. So it was copied
// here. What was being written when the machine stopped is not, and nobody was told that
// it is kept: what can be read again will be. That is of the next generation or, when the
// first attempt at this one turned out to be whole after all, of this one.
func (a *Archive) knew(dir, log string, generation uint64) bool {
	s := a.describedBy(dir)
	return s.hasMeta && s.generation > 0 && (s.log != log || s.generation < generation)
}

// describedBy returns what a directory's description says, which is not loaded by that.
func (a *Archive) describedBy(dir string) *Stream {
	o := a.opts
	o.Log = nil // load reports
	s := newStream(newArchive(o), record.Stream{}, dir)
	s.readMeta()
	return s
}

// setAside gives the data of a stream names under which nothing looks for it.
func (a *Archive) setAside(dir string) {
	if a.opts.ReadOnly {
		return
	}
	names, err := a.opts.Tree.List(strings.TrimSuffix(dir, "/"))
	moved := 0
	for _, name := range names {
		if _, ext, ok := parseName(name); err == nil && ok && (ext == dataExt || ext == tailExt) {
			err = a.opts.Tree.Rename(dir+name, dir+name+asideExt)
			moved++
		}
	}
	if moved > 0 {
		a.opts.Log.Warn("text that the commit log does not know was set aside", "directory", dir, "files", "*"+asideExt, "error", err)
	}
}

// asideExt ends the name of a file that was set aside.
const asideExt = ".unknown"

// appendUnvouched appends the gap record for what only the files have.
func appendUnvouched(dst []byte, records uint64, missing bool) []byte {
	state := "damaged"
	if missing {
		state = "missing"
	}
	body := "the commit log was " + state + ": the " + strconv.FormatUint(records, 10) +
		" records before this are not in it; those whose source can be read again come once more, and some may be missing"
	return appendGapLine(dst, &kept.Record{Time: time.Now().UnixNano(), Level: record.LevelWarn, Body: []byte(body), Gap: "commit log " + state, GapBytes: -1})
}
