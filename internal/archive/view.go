package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// Head is what is known of a block without reading it. Counts leave out gap records.
type Head struct {
	// First is the sequence number of the first record, and Records how many there are,
	// gap records not among them; Gaps is how many of those.
	First         uint64
	Records, Gaps int
	// MinTime and MaxTime are the earliest and the latest time of the records and gaps, in
	// Unix nanoseconds; Sorted, whether time never goes back in between.
	MinTime, MaxTime int64
	Sorted           bool
	// Levels counts records by record.Level.
	Levels [record.LevelFatal + 1]int
	// Bytes is the size of the NDJSON, BodyBytes that of the records' bodies in it, unescaped.
	Bytes, BodyBytes int
	// Weighted is set when sampling left out records: then counts are not what was read.
	Weighted bool
}

// end returns the number behind the last record.
func (h *Head) end() uint64 { return h.First + uint64(h.Records+h.Gaps) }

// ErrGone means that retention took a block away while it was looked at.
var ErrGone = errors.New("the block was removed")

// View is the text of a stream as it was shown at one moment: its blocks from the oldest
// to the newest, the last of which may be the tail. Its methods may be used concurrently.
// Close releases what it holds.
type View struct {
	s *Stream
	*visible

	mu    sync.Mutex // guards files and filters
	files map[string]disk.File
	// filter is the gram filter of block filterOf, the last that was asked for; nil if there
	// is none or it is damaged.
	filter   []byte
	filterOf int
}

// Decoder holds the memory for reading blocks. The zero value is ready; not for concurrent use.
type Decoder struct {
	zstd  compress.Decoder
	frame []byte
}

// View returns what is shown now. It must be closed.
func (s *Stream) View() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &View{s: s, visible: s.visible, files: map[string]disk.File{}, filterOf: -1}
	if v.memFrom > 0 {
		// Now: the file goes when the tail is in a block and that is shown. Whoever reads
		// the tail gets the error, if there is one.
		_, _ = v.openLocked(tailName(v.tail.First))
	}
	return v
}

// Close releases the view. It must not be used any more.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.files {
		f.Close()
	}
	v.files = nil
}

// Len returns the number of blocks, the tail included.
func (v *View) Len() int {
	if v.tail.Bytes > 0 {
		return len(v.blocks) + 1
	}
	return len(v.blocks)
}

// Head returns what is known of block i. It must not be changed.
func (v *View) Head(i int) *Head {
	if i == len(v.blocks) {
		return &v.tail
	}
	return &v.blocks[i].Head
}

// Next returns the sequence number after the last record.
func (v *View) Next() uint64 {
	if n := v.Len(); n > 0 {
		return v.Head(n - 1).end()
	}
	return v.next
}

// Begun returns the number of the first record that the stream ever had, or had since it was
// forgotten for having no text. Those from there on that are in no block are gone.
func (v *View) Begun() uint64 { return max(v.begun, 1) }

// MayContain tells whether block i can have a record whose body matches q. Where there is
// no filter, or it is damaged, it can.
func (v *View) MayContain(i int, q *gram.Query) bool {
	if i >= len(v.blocks) {
		return true
	}
	b := &v.blocks[i]
	if b.frame != nil || b.gramsBytes == 0 {
		return true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.filterOf != i {
		v.filterOf = i
		v.filter, _ = v.readFilterLocked(b) // reported, and without it nothing is ruled out
	}
	return q.MayContain(v.filter)
}

// readFilterLocked returns the filter of a block, nil if it cannot be had; the error is a
// CorruptError if it is damaged. It is read by itself: a query may have views of many streams.
func (v *View) readFilterLocked(b *block) ([]byte, error) {
	f, err := v.openLocked(b.segment.name(gramsExt))
	if err != nil {
		return nil, v.filterError(b, err)
	}
	filter := slices.Grow(v.filter[:0], b.gramsBytes)[:b.gramsBytes]
	if _, err = f.ReadAt(filter, b.gramsAt); err == nil && crc32.Checksum(filter, castagnoli) != b.gramsSum {
		err = errFilterSum
	}
	if err != nil {
		return nil, v.filterError(b, err)
	}
	return filter, nil
}

func (v *View) openLocked(name string) (disk.File, error) {
	if f := v.files[name]; f != nil {
		return f, nil
	}
	f, err := v.s.a.opts.Tree.OpenRead(v.s.dir + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s%s: %w", v.s.dir, name, ErrGone)
	}
	if err == nil {
		v.files[name] = f
	}
	return f, err
}

// open returns a file that stays open as long as the view.
func (v *View) open(name string) (disk.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.openLocked(name)
}

// AppendText appends the NDJSON of block i: whole lines. It fails with ErrGone, with a
// CorruptError, or as the disk does.
func (v *View) AppendText(dst []byte, i int, d *Decoder) ([]byte, error) {
	if i == len(v.blocks) {
		return v.appendTail(dst)
	}
	b := &v.blocks[i]
	d.zstd.Checked = true // below, or by the log that a frame in memory comes from
	if b.frame != nil {
		return d.zstd.AppendBlock(dst, b.frame, b.Bytes)
	}
	f, err := v.open(b.segment.name(dataExt))
	if err != nil {
		return dst, err
	}
	d.frame = slices.Grow(d.frame[:0], b.frameBytes)[:b.frameBytes]
	if _, err := f.ReadAt(d.frame, b.frameAt); err != nil {
		return dst, v.damaged(b, err)
	}
	if crc32.Checksum(d.frame, castagnoli) != b.frameSum {
		return dst, v.damaged(b, errors.New("its checksum does not match"))
	}
	before := len(dst)
	out, err := d.zstd.AppendBlock(dst, d.frame, b.Bytes)
	if err == nil && len(out)-before != b.Bytes {
		err = fmt.Errorf("it has %d bytes instead of %d", len(out)-before, b.Bytes)
	}
	if err != nil {
		return dst, v.damaged(b, err)
	}
	if b.segment.knows(b.frameAt) {
		b.segment.forget(b.frameAt) // the disk, or somebody, has mended it
	}
	return out, nil
}

// Damaged returns what is wrong with block i, if it was found damaged when it was read last;
// nil otherwise. It reads nothing.
func (v *View) Damaged(i int) *CorruptError {
	if i == len(v.blocks) || v.blocks[i].frame != nil || !v.blocks[i].segment.knows(v.blocks[i].frameAt) {
		return nil
	}
	b := &v.blocks[i]
	return &CorruptError{File: v.s.dir + b.segment.name(dataExt), Offset: b.frameAt, Err: errors.New("it could not be read before")}
}

// damaged reports a block once.
func (v *View) damaged(b *block, err error) error {
	name := v.s.dir + b.segment.name(dataExt)
	if b.segment.report(b.frameAt) {
		v.s.a.count(func(st *Stats) { st.Damaged++ })
		v.s.a.opts.Log.Warn("a block of kept text is damaged", "file", name, "offset", b.frameAt, "records", b.Records, "error", err)
	}
	return &CorruptError{File: name, Offset: b.frameAt, Err: err}
}

// appendTail appends what the view has of the tail: from its file, then from memory.
func (v *View) appendTail(dst []byte) ([]byte, error) {
	if v.memFrom > 0 {
		n := min(v.memFrom, v.tail.Bytes)
		f, err := v.open(tailName(v.tail.First))
		if err != nil {
			return dst, err
		}
		dst = slices.Grow(dst, v.tail.Bytes)
		part := dst[len(dst) : len(dst)+n]
		if _, err := f.ReadAt(part, 0); err != nil {
			return dst, &CorruptError{File: v.s.dir + tailName(v.tail.First), Err: err}
		}
		dst = dst[:len(dst)+n]
	}
	return append(dst, v.mem...), nil
}

// Stream returns what the stream is.
func (v *View) Stream() record.Stream { return v.s.Definition() }
