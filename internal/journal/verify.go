package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirlog/weir/internal/disk"
)

// logFiles are the two files as somebody reads them who changes nothing.
type logFiles struct {
	files [2]disk.File // nil: there is none
	found [2]*recovered
	best  int
}

// readLog reads the commit log of a directory that may be in use.
func readLog(tree disk.Tree) (l logFiles, err error) {
	l.found = [2]*recovered{{}, {}}
	for i, name := range fileNames {
		f, err := tree.OpenRead(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return l, errors.Join(err, l.close())
		}
		l.files[i] = f
		size, err := f.Size()
		if err != nil {
			return l, errors.Join(err, l.close())
		}
		l.found[i] = readFile(f, name, size)
		if l.found[i].sound && (!l.found[l.best].sound || l.found[i].generation > l.found[l.best].generation) {
			l.best = i
		}
	}
	r := l.found[l.best]
	r.lost = lost(l.files, l.found, l.best)
	if err := r.lookForText(tree); err != nil {
		return l, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *logFiles) close() error {
	var errs []error
	for _, f := range l.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// errSuperseded is for commits that nothing depends on any more unless the newer file is
// damaged, too.
var errSuperseded = errors.New("commits that were durable are damaged; the newer file has all that they led to")

// superseded returns what is damaged of the file that is not gone on from. A snapshot of the
// next generation that is not whole is what a crash leaves, or a weir that writes it now.
func (l *logFiles) superseded() error {
	name, f := fileNames[1-l.best], l.files[1-l.best]
	r, old := l.found[l.best], l.found[1-l.best]
	if !r.sound || !old.used {
		return nil
	}
	behind := func(generation uint64, synced bool) bool { return generation == old.generation && synced }
	if old.sound {
		if findFrame(f, old.end+1, behind) {
			return &CorruptError{File: name, Offset: old.end, Err: errSuperseded}
		}
		return nil
	}
	head := make([]byte, frameHeader)
	if n, _ := f.ReadAt(head, 0); n == frameHeader && isFrame(head) && binary.LittleEndian.Uint64(head[8:]) == r.generation+1 {
		return nil
	}
	return &CorruptError{File: name, Err: errSuperseded}
}

// verifyTries is how often a log that changes while it is read is read again.
const verifyTries = 8

// VerifyLog reads the commit log of a data directory as the next start would, and returns
// what is damaged of its durable commits, nil if nothing is. What a crash tore at its end is
// no damage. Nothing is changed, and a weir may be using the directory: damage is what is
// found twice in a row, in the same place of the same generation.
func VerifyLog(tree disk.Tree) error {
	before := ""
	for range verifyTries {
		place, damage := verifyOnce(tree)
		if damage == nil || place == before {
			return damage
		}
		before = place
	}
	return nil // it is written to faster than it can be read, so it is in use
}

// verifyOnce returns what is damaged, and where that is.
func verifyOnce(tree disk.Tree) (place string, damage error) {
	l, err := readLog(tree)
	if err != nil {
		return "", err
	}
	if lost := lostError(l.found, l.best); lost != nil {
		damage = lost
	} else {
		damage = l.superseded()
	}
	if damage = errors.Join(damage, l.close()); damage != nil {
		place = fmt.Sprintln(l.found[0].generation, l.found[1].generation, damage)
	}
	return place, damage
}
