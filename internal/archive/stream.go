package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// Stream is the kept text of one stream.
type Stream struct {
	a   *Archive
	dir string // with a slash at its end

	mu       sync.Mutex // guards what readers see, and what inputs say
	def      record.Stream
	keep     Bound
	revision int // grows when def or keep change
	visible  *visible

	delivery delivery

	missed  atomic.Uint64 // records that were not kept, to be stated by a gap
	writers atomic.Int64  // inputs that write to it

	// Of the writing goroutine.
	hasMeta   bool // there is a meta.json, of whatever state
	described int  // the revision that it says, synced; 0: none
	blocks    []block
	segments  []*segment // the last is written to, if open is set
	open      bool
	waiting   []waiting // sealed and in no file yet
	tail      tail
	next      uint64 // the sequence number of the next record
	unsynced  []*segment
	newNames  bool // files were made since the last checkpoint
	shown     bool // nothing happened since the last Show

	log        string // as in meta.json
	generation uint64 // as in meta.json
	lost       uint64 // records that were in damaged blocks, to be stated
	doubt      bool   // a byte of the tail is not as it was, and none can say which
	begun      uint64 // what its numbers began with; 0 is 1
	fresh      bool   // it is new here: the log says what its numbers begin with
	gone       uint64 // not 0: the log has to hold that the records before are gone
}

// waiting is a block on its way to its file.
type waiting struct {
	b            block
	frame, grams []byte
	missed       uint64 // as in tail
}

// tail is the text behind the last block.
type tail struct {
	builder
	mem    []byte // the text from memFrom on
	from   int    // how much of it is on disk only
	onDisk int    // how much of it is on disk
	since  int64  // when its first record came, Unix milliseconds
	missed uint64 // how many records that are not kept its gap records state
	synced bool
}

// visible is what readers see: it is replaced, never changed.
type visible struct {
	blocks     []block
	tail       Head // without records when there is none
	tailFields Fields
	mem        []byte
	memFrom    int
	next       uint64
	begun      uint64
}

// dirOf returns the directory of a stream: what can be read of its identity, and a hash.
func dirOf(id string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, id)
	readable = strings.TrimLeft(readable, "._-")
	if len(readable) > 80 {
		readable = readable[len(readable)-80:]
	}
	// Whoever pushes chooses identities: two that share a directory must be beyond them.
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("streams/%s-%x/", strings.Trim(readable, "._-"), sum[:12])
}

func newStream(a *Archive, def record.Stream, dir string) *Stream {
	return &Stream{a: a, dir: dir, def: def, revision: 1, next: 1, visible: &visible{next: 1}, shown: true, tail: tail{builder: builder{Head: Head{First: 1}}}}
}

// ID returns the stream's identity, as in record.Stream.
func (s *Stream) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def.ID
}

// Source returns the name of the source that reads it.
func (s *Stream) Source() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def.Source
}

// Labels returns the stream's present labels. They must not be changed.
func (s *Stream) Labels() record.Labels {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def.Labels
}

// Dir returns the stream's directory in the data directory.
func (s *Stream) Dir() string { return s.dir }

// Missed counts records that are not kept, and appends to dst what a log has to hold. A gap
// record says so once there is room.
func (s *Stream) Missed(dst []byte, records int) []byte {
	s.touch()
	s.miss(records)
	return appendNumber(dst, partMissed, s.missed.Load())
}

func (s *Stream) miss(records int) {
	s.missed.Add(uint64(records))
	s.a.count(func(st *Stats) { st.Missed += uint64(records) })
}

func (s *Stream) shows() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.visible.blocks) > 0 || s.visible.tail.Bytes > 0
}

// Size returns what is shown of the stream: bytes on disk, bytes of text, blocks.
func (s *Stream) Size() (bytes, text int64, blocks int) {
	s.mu.Lock()
	v := s.visible
	s.mu.Unlock()
	for i := range v.blocks {
		b := &v.blocks[i]
		bytes += int64(b.frameBytes + b.gramsBytes)
		text += int64(b.Bytes)
	}
	return bytes + int64(v.tail.Bytes), text + int64(v.tail.Bytes), len(v.blocks)
}

// describe sets what the stream is; meta.json follows.
func (s *Stream) describe(def record.Stream, keep Bound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.def.ID == def.ID && s.def.Source == def.Source && slices.Equal(s.def.Labels, def.Labels) && s.keep == keep {
		return
	}
	s.def = record.Stream{ID: def.ID, Source: def.Source, Labels: slices.Clone(def.Labels)}
	s.keep = keep
	s.revision++
}

// bound returns how much of the stream is kept.
func (s *Stream) bound() Bound {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keep
}

// isDescribed tells whether meta.json is what it should be.
func (s *Stream) isDescribed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.described == s.revision
}

// target returns how large a block becomes, and a segment.
func (s *Stream) target() (blockSize int, segmentSize int64) {
	blockSize, segmentSize = blockBytes, segmentBytes
	if size := s.bound().Size; size > 0 {
		blockSize = int(min(int64(blockSize), max(size/(2*parts), minBlockBytes)))
		segmentSize = min(segmentSize, max(size/parts, minSegmentBytes))
	}
	return blockSize, segmentSize
}

// Add takes text, whole lines of NDJSON, behind what there is, and appends to dst what a
// log has to hold so that Replay can repeat it.
func (s *Stream) Add(dst []byte, t kept.Text) []byte {
	s.touch()
	dst = s.appendGone(dst)
	missed := s.missed.Swap(0)
	if missed > 0 {
		all := kept.TextOf(appendMissed(nil, missed))
		all.AddText(t)
		t = all
		dst = appendNumber(dst, partMissed, 0)
	}
	blockSize, _ := s.target()
	for len(t.Bytes) > 0 {
		left := max(blockSize-s.tail.Bytes, 1) // it may be less than it was
		if len(t.Bytes) < left {
			s.tail.missed += missed
			return s.grow(dst, t)
		}
		var now kept.Text
		now, t = t.Cut(left)
		dst = s.complete(dst, now, missed)
		missed = 0 // the gap record was the first line
	}
	return dst
}

// complete makes a block of the tail and of whole lines behind it, whose gap record states so many
// missed records. They are in the log as a part of the block alone.
func (s *Stream) complete(dst []byte, t kept.Text, missed uint64) []byte {
	if s.tail.Bytes == 0 {
		s.tail.start(s.next)
		s.tail.missed += missed
		return s.sealWith(dst, t, t.Bytes)
	}
	before, err := s.tailText()
	if err != nil {
		s.loseTail(tailUnread, err)
		s.tail.missed += missed
		return s.grow(dst, t)
	}
	s.tail.missed += missed
	a := s.a
	addGrams(&a.grams, before, s.tail.counted.mayHaveTasks())
	text := append(append(a.joined[:0], before...), t.Bytes...)
	if a.joined = text; cap(text) > 2*blockBytes { // of a line that was very long
		a.joined = nil
	}
	return s.sealWith(dst, t, text)
}

// sealWith makes a block of text, which ends with t; of what is before that the builder knows,
// and the filter.
func (s *Stream) sealWith(dst []byte, t kept.Text, text []byte) []byte {
	s.next += uint64(len(t.Marks))
	s.tail.take(t, &s.a.grams)
	return s.seal(dst, text)
}

// tailUnread is why a tail is lost.
const tailUnread = "the tail cannot be read"

// grow appends whole lines to the tail.
func (s *Stream) grow(dst []byte, t kept.Text) []byte {
	if s.tail.Bytes == 0 {
		s.tail.start(s.next)
		s.tail.since = time.Now().UnixMilli()
	}
	s.fresh = false
	s.next += uint64(len(t.Marks))
	s.tail.take(t, nil)
	s.tail.mem = append(s.tail.mem, t.Bytes...)
	dst = append(dst, partText)
	return append(binary.AppendUvarint(dst, uint64(len(t.Bytes))), t.Bytes...)
}

// Seal makes a block of the tail, if there is any.
func (s *Stream) Seal(dst []byte) []byte {
	if s.tail.Bytes == 0 {
		return dst
	}
	s.touch()
	text, err := s.tailText()
	if err != nil {
		s.loseTail(tailUnread, err)
		return dst
	}
	addGrams(&s.a.grams, text, s.tail.counted.mayHaveTasks())
	return s.seal(dst, text)
}

// tailText returns the text of the tail, which must not be changed.
func (s *Stream) tailText() ([]byte, error) {
	if s.tail.from == 0 {
		return s.tail.mem, nil
	}
	whole, err := readAll(s.a.opts.Tree, s.dir+tailName(s.tail.First), int64(s.tail.from))
	if err == nil && len(whole) < s.tail.from {
		err = errors.New("it is too short")
	}
	return append(whole, s.tail.mem...), err
}

// seal makes a block of text, of which the builder knows and the filter, and appends it to
// dst.
func (s *Stream) seal(dst, text []byte) []byte {
	a := s.a
	w := waiting{b: block{Head: s.tail.Head, written: time.Now().UnixMilli(), fields: s.tail.counted.appendTo(nil, s.tail.Bytes)}, missed: s.tail.missed}
	w.grams = s.tail.appendFilter(&a.grams)
	w.frame = a.packer.pack(text, time.Now(), a.opts.Log)
	s.waiting = append(s.waiting, w)
	s.dropTail()
	entry := appendEntry(nil, &w.b)
	dst = append(dst, partBlock)
	for _, part := range [...][]byte{entry, w.grams, w.frame} {
		dst = append(binary.AppendUvarint(dst, uint64(len(part))), part...)
	}
	return dst
}

// dropTail begins a new tail. The old one's file goes when the log is synced that says why.
func (s *Stream) dropTail() {
	if s.tail.onDisk > 0 && !s.a.opts.ReadOnly {
		s.a.stale = append(s.a.stale, stale{s, s.tail.First})
	}
	s.tail = tail{builder: s.tail.builder}
	s.tail.start(s.next)
}

// touch notes that there is something to show and to sync.
func (s *Stream) touch() {
	if s.shown {
		s.shown = false
		s.a.touched = append(s.a.touched, s)
	}
	s.a.dirty[s] = true
}

// lose gives up records that are not on disk, and says so.
func (s *Stream) lose(why string, records int, err error) {
	s.miss(records)
	s.a.opts.Log.Warn("kept text was lost", "stream", s.ID(), "records", records, "why", why, "error", err)
}

// loseTail gives up the tail.
func (s *Stream) loseTail(why string, err error) {
	s.missed.Add(s.tail.missed)
	s.lose(why, s.tail.Records, err)
	s.dropTail()
}

// flush writes the sealed blocks to their segment, and meta.json. Blocks for which the disk
// has no room wait for the next call; those that it does not take for another reason are lost.
func (s *Stream) flush() error {
	if !s.hasMeta {
		if err := s.writeMeta(false); err != nil {
			s.a.opts.Log.Debug("describe a stream later", "stream", s.ID(), "error", err)
		}
	}
	for len(s.waiting) > 0 {
		w := &s.waiting[0]
		g, err := s.active(w.b.First)
		if err == nil {
			w.b.segment = g
			err = g.write(&w.b, w.frame, w.grams)
		}
		if disk.IsFull(err) {
			s.a.refuse(true)
			return err
		}
		if err != nil {
			s.loseWaiting(err)
			return err
		}
		s.blocks = append(s.blocks, w.b)
		s.waiting = s.waiting[1:]
	}
	s.waiting = nil
	return nil
}

func (s *Stream) loseWaiting(err error) {
	n := 0
	for i := range s.waiting {
		n += s.waiting[i].b.Records
		s.missed.Add(s.waiting[i].missed) // to be stated again
	}
	s.waiting = nil
	if n > 0 {
		s.lose("the disk does not take it", n, err)
	}
}

// active returns the segment that a block goes to, which may be a new one.
func (s *Stream) active(first uint64) (*segment, error) {
	_, size := s.target()
	if s.open && s.segments[len(s.segments)-1].size[0] >= size {
		s.closeSegment()
	}
	if !s.open {
		s.segments = append(s.segments, &segment{first: first})
		s.open, s.newNames = true, true
	}
	g := s.segments[len(s.segments)-1]
	if !slices.Contains(s.unsynced, g) {
		s.unsynced = append(s.unsynced, g)
	}
	return g, g.open(s.a.opts.Tree, s.dir)
}

// closeSegment ends the active segment: the next block begins another.
func (s *Stream) closeSegment() {
	if s.open {
		_ = s.segments[len(s.segments)-1].close()
		s.open = false
	}
}

// writeMeta writes meta.json. Without sync it is for those who look at the files.
func (s *Stream) writeMeta(sync bool) error {
	s.mu.Lock()
	m := newMeta(s.def, s.keep)
	revision := s.revision
	s.mu.Unlock()
	if sync {
		s.log, s.generation = s.a.log, s.a.generation
	}
	m.Log, m.Generation, m.Next = s.log, s.generation, s.begun
	text, err := m.encode()
	if err != nil {
		return err
	}
	tree := s.a.opts.Tree
	f, err := tree.Open(s.dir + metaName + ".new")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	err = errors.Join(err, f.Truncate(int64(len(text))))
	if (sync || s.begun > 1) && err == nil {
		err = f.Sync() // what it replaces may be all that has the number
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", s.dir+metaName, err)
	}
	if err := tree.Rename(s.dir+metaName+".new", s.dir+metaName); err != nil {
		return err
	}
	s.hasMeta, s.newNames = true, true
	if sync {
		s.described = revision
	}
	return nil
}

// writeTail brings the tail's file up to date. It is opened each time: a node may have more
// streams than a process may have open files.
func (s *Stream) writeTail() error {
	t := &s.tail
	if t.onDisk == t.Bytes {
		return nil
	}
	return s.withTail(func(f disk.File) error {
		if _, err := f.WriteAt(t.mem[t.onDisk-t.from:], int64(t.onDisk)); err != nil {
			return fmt.Errorf("write %s: %w", s.dir+tailName(t.First), err)
		}
		s.newNames = s.newNames || t.onDisk == 0
		t.onDisk, t.synced = t.Bytes, false
		return nil
	})
}

// withTail opens the tail's file for use.
func (s *Stream) withTail(use func(disk.File) error) error {
	f, err := s.a.opts.Tree.Open(s.dir + tailName(s.tail.First))
	if err != nil {
		return err
	}
	return errors.Join(use(f), f.Close())
}

// Hold says once more that somebody writes to the stream, until Release.
func (s *Stream) Hold() { s.writers.Add(1) }

// Release ends a Hold, or what Stream began.
func (s *Stream) Release() { s.writers.Add(-1) }

// Definition returns what the stream is.
func (s *Stream) Definition() record.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.def
}
