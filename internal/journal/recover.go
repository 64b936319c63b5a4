package journal

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// recovered is the state of one commit file.
type recovered struct {
	generation uint64
	used       bool // something was ever written there
	sound      bool // it begins with a whole snapshot
	inputs     map[uint32]inputDef
	positions  map[uint32]positionDef
	series     map[uint32]metric.Durable
	states     map[string][]byte
	files      map[string][]byte // what the files of kept text hold, by stream
	kept       []keptDef         // what happened to kept text since
	damage     *CorruptError
	size       int64 // of the file
	end        int64 // where the last good frame ends
	unreadable bool  // the disk failed
	lost       bool  // durable commits are missing, see lost
	missing    bool  // all of them, and both files
}

// recover reads both files, puts the newer sound state into j, and returns its file.
func (l *commitLog) recover(j *Journal) (best int, err error) {
	found, best, err := l.load(j)
	if err != nil {
		return 0, err
	}
	if found[best].sound {
		restore(j, found[best])
	} else if err := found[best].lookForText(j.opts.FS); err != nil {
		return 0, err
	}
	l.archive, err = openArchive(archive.Options{
		Tree: j.opts.FS, Total: j.opts.Total, Floor: j.opts.Floor, Log: j.opts.Log,
	}, found[best])
	if err != nil {
		return 0, err
	}
	l.damaged = found[best].lost
	l.report(j, found, best)
	return best, j.opts.FS.SyncDir()
}

// load opens and reads both files, goes on from the later generation of the two, and
// returns what they hold and which has the newer sound state.
func (l *commitLog) load(j *Journal) (found [2]*recovered, best int, err error) {
	for i, name := range fileNames {
		if l.files[i], err = j.opts.FS.Open(name); err != nil {
			return found, 0, err
		}
		if l.sizes[i], err = l.files[i].Size(); err != nil {
			return found, 0, err
		}
		found[i] = readFile(l.files[i], name, l.sizes[i])
		l.used[i] = l.sizes[i]
		l.sizes[i] = 0 // reserve it again: a copied directory may be sparse
	}
	if found[1].sound && (!found[0].sound || found[1].generation > found[0].generation) {
		best = 1
	}
	found[best].lost = lost(l.files, found, best)
	l.at.generation = max(found[0].generation, found[1].generation)
	return found, best, nil
}

// lookForText notes when the log is missing though there is text, or was: the first snapshot
// is durable before there is any.
func (r *recovered) lookForText(tree disk.Tree) (err error) {
	if !r.sound && !r.lost {
		r.missing, err = archive.WasUsed(tree)
		r.lost = r.missing
	}
	return err
}

// report says what was damaged. A torn snapshot in the other file is what a crash leaves
// while a generation begins: the present one was whole then, so nothing was lost.
func (l *commitLog) report(j *Journal, found [2]*recovered, best int) {
	r, other := found[best], found[1-best]
	if r.lost {
		for i, name := range fileNames {
			if found[i].size == 0 {
				continue
			}
			if err := keepCopy(j.opts.FS, l.files[i], name+".damaged"); err != nil {
				j.opts.Log.Error("keep damaged commits for inspection", "error", err)
			}
		}
	}
	if err := lostError(found, best); err != nil {
		r.damage = err
	}
	if r.damage == nil && !other.sound {
		r.damage = other.damage
	}
	if r.damage == nil {
		return
	}
	j.opts.Log.Warn("commit log was damaged or torn", "file", r.damage.File, "offset", r.damage.Offset, "error", r.damage.Err)
	if j.opts.Ledger != nil {
		j.opts.Ledger.Event("recovered from damage")
	}
}

func keepCopy(fs disk.FS, from disk.File, name string) error {
	to, err := fs.Open(name)
	if err != nil {
		return err
	}
	size, err := from.Size()
	if err != nil {
		return errors.Join(err, to.Close())
	}
	_, err = io.Copy(io.NewOffsetWriter(to, 0), io.NewSectionReader(from, 0, size))
	return errors.Join(err, to.Close())
}

// readFile applies the frames of one file up to the first that is not whole.
func readFile(f disk.File, name string, size int64) *recovered {
	r := &recovered{
		inputs: map[uint32]inputDef{}, positions: map[uint32]positionDef{},
		series: map[uint32]metric.Durable{}, states: map[string][]byte{}, files: map[string][]byte{},
		size: size,
	}
	var buf []byte
	offset, at := int64(0), link{}
	for {
		frame, err := readFrame(f, &buf, offset, size)
		if err != nil {
			r.used, r.unreadable = true, true
			r.damage = &CorruptError{File: name, Offset: offset, Err: err}
			return r
		}
		got, payload, err := parseFrame(frame, at.before)
		if err == nil && (got.sequence != at.sequence || at.sequence > 0 && got.generation != at.generation) {
			return r // of an earlier use of the file: the end
		}
		var c *change
		if err == nil {
			c, err = parseChange(payload)
		}
		if err != nil {
			r.used = r.used || slices.ContainsFunc(frame, func(b byte) bool { return b != 0 })
			if r.endsTorn(frame, at.sequence) || at.sequence == 0 && wasWhole(f, frame, size) {
				r.damage = &CorruptError{File: name, Offset: offset, Err: err}
			}
			return r
		}
		r.generation, r.used, r.sound = got.generation, true, true
		r.apply(c)
		offset += int64(len(frame))
		at = got.next(frame)
		r.end = offset
	}
}

// wasWhole tells whether a file's first frame, which is not sound, was so once: there is a
// commit behind it. Else a crash may have torn the snapshot, which loses nothing.
func wasWhole(f disk.File, first []byte, size int64) bool {
	if len(first) < frameHeader || !isFrame(first) {
		return false
	}
	generation := binary.LittleEndian.Uint64(first[8:])
	before := binary.LittleEndian.Uint32(first[28:])
	var buf []byte
	second, err := readFrame(f, &buf, int64(len(first)), size)
	if err != nil {
		return false
	}
	at, _, err := parseFrame(second, before)
	return err == nil && at.generation == generation && at.sequence == 1
}

// endsTorn tells whether what stands at the end is a frame of this generation that did
// not reach the disk whole, rather than unused space.
func (r *recovered) endsTorn(frame []byte, sequence uint64) bool {
	return len(frame) >= frameHeader && sequence > 0 && isFrame(frame) &&
		binary.LittleEndian.Uint64(frame[8:]) == r.generation
}

// readFrame reads the frame at offset, or what there is of it, into buf.
func readFrame(f disk.File, buf *[]byte, offset, size int64) ([]byte, error) {
	n := min(int64(frameHeader), size-offset)
	if n < frameHeader {
		return nil, nil
	}
	*buf = slices.Grow((*buf)[:0], frameHeader)[:frameHeader]
	if _, err := f.ReadAt(*buf, offset); err != nil && err != io.EOF {
		return nil, err
	}
	if !isFrame(*buf) {
		return *buf, nil
	}
	n = min(frameHeader+int64(binary.LittleEndian.Uint32((*buf)[24:])), size-offset)
	*buf = slices.Grow(*buf, int(n)-frameHeader)[:n]
	if _, err := f.ReadAt(*buf, offset); err != nil && err != io.EOF {
		return nil, err
	}
	return *buf, nil
}

func (r *recovered) apply(c *change) {
	for _, in := range c.inputs {
		r.inputs[in.number] = in
	}
	for _, p := range c.positions {
		if p.gone {
			delete(r.inputs, p.input)
			delete(r.positions, p.input)
			continue
		}
		r.positions[p.input] = p
	}
	for _, s := range c.series {
		r.series[s.ID] = s
	}
	for _, d := range c.deltas {
		if s, ok := r.series[d.Series]; ok {
			s.Change(d)
			r.series[d.Series] = s
		}
	}
	for _, s := range c.states {
		if len(s.value) == 0 {
			delete(r.states, s.key)
		} else {
			r.states[s.key] = s.value
		}
	}
	for _, s := range c.files {
		r.files[s.key] = s.value
	}
	r.kept = append(r.kept, c.kept...)
}

// openArchive opens the kept text as it was at the snapshot, and repeats what the commits
// since have.
func openArchive(o archive.Options, r *recovered) (*archive.Archive, error) {
	t := archive.Told{States: r.files, Since: map[string][]byte{}, Log: string(r.states[identity]), Generation: r.generation, Damaged: r.lost}
	t.Floor, _ = binary.Uvarint(r.states[floorKey])
	t.Missing = r.missing
	if !r.sound {
		t.States = nil // what is there is all that is known
	}
	for _, k := range r.kept {
		t.Since[k.id] = append(t.Since[k.id], k.log...)
	}
	a, adopted, err := archive.Recover(o, t)
	if err != nil {
		return nil, err
	}
	for _, in := range r.inputs {
		a.Describe(in.stream)
	}
	for _, k := range r.kept {
		if k.stream != nil {
			a.Describe(*k.stream)
		}
		if adopted[k.id] {
			continue
		}
		s := a.Find(k.id)
		if s == nil {
			if k.stream == nil {
				k.stream = &record.Stream{ID: k.id}
			}
			s = a.Stream(*k.stream, archive.Bound{})
			s.Release()
		}
		if err := s.Replay(k.log); err != nil {
			o.Log.Warn("kept text in the commit log is damaged", "error", err)
		}
	}
	a.Replayed()
	return a, nil
}

// OpenArchive opens the kept text of a data directory for reading only, as the last commit
// left it. Nothing on disk is changed, and no lock is taken: it is meant for a directory
// that no weir uses; of one that is in use it shows the state of a moment.
func OpenArchive(tree disk.Tree, log *slog.Logger) (*archive.Archive, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// A weir that runs may have removed files between the look at the log and that at them.
	for range 4 {
		a, err := openOnce(tree, slog.New(slog.DiscardHandler))
		if err == nil && a.Stats().Damaged == 0 {
			return a, nil
		}
	}
	return openOnce(tree, log)
}

func openOnce(tree disk.Tree, log *slog.Logger) (*archive.Archive, error) {
	l, err := readLog(tree)
	if err != nil {
		return nil, err
	}
	if err := l.close(); err != nil {
		return nil, err
	}
	a, err := openArchive(archive.Options{Tree: tree, Log: log, ReadOnly: true}, l.found[l.best])
	if err != nil {
		return nil, err
	}
	a.Show()
	return a, nil
}

// restore makes r the state of j and its registry.
func restore(j *Journal, r *recovered) {
	for number, def := range r.inputs {
		st := &input{def: def, position: r.positions[number].position}
		j.inputs[inputKey(flow.Input{Stream: def.stream, ID: def.id})] = st
		j.nextNum = max(j.nextNum, number+1)
	}
	restoreSeries(j, r.series)
	j.states = r.states
}

// restoreSeries gives the registry its series back. They are numbered anew, so that numbers
// do not grow with every rule that ever was: the generation that begins has no others.
func restoreSeries(j *Journal, series map[uint32]metric.Durable) {
	numbers := slices.Sorted(maps.Keys(series))
	latest := make(map[string]uint32, len(series))
	for _, n := range numbers {
		latest[series[n].Key] = n // a rule that went and came back may have left two
	}
	next := uint32(1)
	for _, n := range numbers {
		s := series[n]
		if latest[s.Key] != n {
			continue
		}
		s.ID = next
		next++
		if err := j.opts.Registry.Restore(s); err != nil {
			j.opts.Log.Warn("a series was not restored", "error", err)
		}
	}
}
