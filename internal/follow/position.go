package follow

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/weirlog/weir/internal/codec/packed"
)

// A position is a version byte, the logical position, the files that are not done with
// (oldest first), the runs that may have to be read again, and marks of files that are done
// with. All numbers are varints.
const positionVersion = 1

// Bounds of a position. What exceeds them when one is made is left out, and found again by
// walking the rotated files; when one is read it is damage.
const (
	maxPositionFiles = 64
	maxPositionRuns  = 128
	maxPositionMarks = 4
)

// Bits that describe a file of a position.
const (
	flagFinal = 1 << iota
	flagDone
	endShift = iota // above them is how the file ends
)

var errPosition = errors.New("follow: position is damaged or of a newer version")

// AppendPosition appends what Resume needs to go on after the last consumed byte, or, as
// long as Keep has not passed them, at any position from low on. It may be called until
// Close.
func (l *Log) AppendPosition(dst []byte, low int64) []byte {
	files, runs := l.positionFiles(l.runsFrom(low))
	dst = append(dst, positionVersion)
	dst = binary.AppendUvarint(dst, uint64(l.pos))
	dst = binary.AppendUvarint(dst, uint64(len(files)))
	for _, f := range files {
		dst = f.append(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for _, r := range runs {
		dst = binary.AppendUvarint(dst, uint64(indexOf(files, r.file)))
		dst = binary.AppendUvarint(dst, uint64(l.pos-r.at))
		dst = binary.AppendUvarint(dst, uint64(r.off))
	}
	return l.appendMarks(dst)
}

// appendMarks appends the files that were closed last, but only as long as nothing was read
// of the newest: then their marks alone tell them from copies of it.
func (l *Log) appendMarks(dst []byte) []byte {
	n := min(l.retires, maxPositionMarks)
	if f := l.newest(); f == nil || f.off > 0 {
		n = 0
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for i := l.retires - n; i < l.retires; i++ {
		m := l.retired[i%maxRetired]
		dst = binary.AppendUvarint(dst, m.id.dev)
		dst = binary.AppendUvarint(dst, m.id.ino)
		dst = m.head.append(dst)
	}
	return dst
}

// runsFrom returns the runs that reach beyond low.
func (l *Log) runsFrom(low int64) []run {
	i := len(l.runs)
	end := l.pos
	for i > 0 && end > low && len(l.runs)-i < maxPositionRuns {
		i--
		end = l.runs[i].at
	}
	return l.runs[i:]
}

// positionFiles returns the files of a position: those that only runs refer to, because
// they are read to their end and gone, then those still followed. Of runs it returns the
// latest whose files fit. The files are valid until the next call.
func (l *Log) positionFiles(runs []run) ([]*file, []run) {
	all := l.scratch[:0]
	for i := len(runs) - 1; i >= 0; i-- {
		f := runs[i].file
		if indexOf(l.files, f) >= 0 || indexOf(all, f) >= 0 {
			continue
		}
		if len(all)+len(l.files) >= maxPositionFiles {
			runs = runs[i+1:]
			break
		}
		all = append(all, f)
	}
	all = append(all, l.files...)
	l.scratch = all
	return all, runs
}

func indexOf(files []*file, f *file) int {
	for i, o := range files {
		if o == f {
			return i
		}
	}
	return -1
}

func (f *file) append(dst []byte) []byte {
	var flags byte
	if f.final {
		flags |= flagFinal
	}
	if f.done {
		flags |= flagDone
	}
	dst = append(dst, flags|byte(f.end)<<endShift)
	for _, v := range [...]uint64{f.id.dev, f.id.ino, uint64(f.off), uint64(f.seen)} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = binary.AppendVarint(dst, f.mtime)
	dst = f.head.append(dst)
	return f.before.append(dst)
}

func (d digest) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(d.n))
	return binary.LittleEndian.AppendUint64(dst, d.sum)
}

// Resume sets a new log to go on from an encoded position, with the bytes from the logical
// position at on being read again. Files are looked for at the first Look.
func (l *Log) Resume(position []byte, at int64) error {
	d := decoder{packed.Reader{Rest: position}}
	if d.Byte() != positionVersion {
		return errPosition
	}
	pos := d.size()
	files := make([]*file, d.most(maxPositionFiles))
	for i := range files {
		files[i] = d.file()
	}
	runs := make([]run, d.most(maxPositionRuns))
	for i := range runs {
		n := d.most(maxPositionFiles)
		runs[i] = run{at: pos - d.size(), off: d.size()}
		if n >= len(files) || runs[i].at < 0 || i > 0 && runs[i].at <= runs[i-1].at {
			return errPosition
		}
		runs[i].file = files[n]
	}
	marks := make([]mark, d.most(maxPositionMarks))
	for i := range marks {
		marks[i] = mark{fileID{dev: d.Uvarint(), ino: d.Uvarint()}, d.digest(headBytes)}
	}
	if d.Failed() || len(d.Rest) > 0 {
		return errPosition
	}
	for i, r := range runs {
		if end := nextAt(runs, i, pos) - r.at + r.off; end > r.file.off {
			return errPosition
		}
	}
	l.pos, l.at, l.files, l.runs = pos, min(max(at, 0), pos), files, runs
	if len(runs) == 0 || l.at < runs[0].at {
		l.at = nextAt(runs, -1, pos)
	}
	l.lost = len(files) > 0
	for _, m := range marks {
		l.mark(m)
	}
	return nil
}

// nextAt returns where the run after runs[i] begins, pos for the last.
func nextAt(runs []run, i int, pos int64) int64 {
	if i+1 < len(runs) {
		return runs[i+1].at
	}
	return pos
}

// decoder takes what a position is made of.
type decoder struct{ packed.Reader }

// size is a number of bytes. Sums of two must not overflow.
func (d *decoder) size() int64 { return int64(d.Most(math.MaxInt64 / 4)) }

func (d *decoder) most(n int) int { return int(d.Most(uint64(n))) }

func (d *decoder) digest(most int) digest {
	return digest{n: d.most(most), sum: d.Fixed64()}
}

func (d *decoder) file() *file {
	flags := d.Byte()
	f := &file{final: flags&flagFinal != 0, done: flags&flagDone != 0, end: ending(flags >> endShift)}
	f.id = fileID{dev: d.Uvarint(), ino: d.Uvarint()}
	f.off, f.seen = d.size(), d.size()
	f.mtime = d.Varint()
	f.head, f.before = d.digest(headBytes), d.digest(beforeBytes)
	if int64(f.before.n) > f.off || f.end >= endings {
		d.Fail()
	}
	return f
}
