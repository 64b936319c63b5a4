package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/packed"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// State is what the files of one stream held at a checkpoint. What came later is in the
// log, and is cut off the files before the log is repeated.
type state struct {
	next      uint64
	segment   uint64 // the first record of the segment that was written to; 0 for none
	size      lengths
	tailFirst uint64
	tailBytes int
	tailSum   uint32
	missed    uint64 // records that were not kept and that no gap record states yet
	from      uint64 // the first record
}

// AppendState appends the stream's State after a Checkpoint.
func (s *Stream) AppendState(dst []byte) ([]byte, error) {
	st := state{next: s.next, tailFirst: s.tail.First, tailBytes: s.tail.Bytes}
	if s.open {
		g := s.segments[len(s.segments)-1]
		st.segment, st.size = g.first, g.size
	}
	if st.from = st.tailFirst; len(s.segments) > 0 {
		st.from = s.segments[0].first
	}
	sum, err := s.tailSum()
	if err != nil {
		return dst, err
	}
	for _, v := range []uint64{
		st.next, st.segment, uint64(st.size[0]), uint64(st.size[1]), uint64(st.size[2]),
		st.tailFirst, uint64(st.tailBytes), uint64(sum), s.missed.Load(), st.from,
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst, nil
}

// tailSum returns the CRC-32C of the tail. What is not in memory is read again.
func (s *Stream) tailSum() (uint32, error) {
	sum := uint32(0)
	if s.tail.from > 0 {
		part, err := readAll(s.a.opts.Tree, s.dir+tailName(s.tail.First), int64(s.tail.from))
		if err != nil {
			return 0, err
		}
		sum = crc32.Checksum(part, castagnoli)
	}
	return crc32.Update(sum, castagnoli, s.tail.mem), nil
}

// emptyState is that of a stream without anything.
var emptyState = []byte{1, 0, 0, 0, 0, 1, 0, 0}

func parseState(b []byte) (st state, err error) {
	r := reader{packed.Reader{Rest: b}}
	st.next, st.segment = r.Uvarint(), r.Uvarint()
	for i := range st.size {
		st.size[i] = r.offset()
	}
	st.tailFirst, st.tailBytes, st.tailSum = r.Uvarint(), r.int(), r.uint32()
	if len(r.Rest) > 0 {
		st.missed, st.from = r.Uvarint(), r.Uvarint()
	}
	if r.Failed() || len(r.Rest) > 0 {
		return state{}, errors.New("the state of a stream does not follow its format")
	}
	return st, nil
}

// Open is Recover with a log that is whole and has nothing after its checkpoint, or, without
// any states, is lost. Damage is reported and never makes it fail.
func Open(o Options, states map[string][]byte) (*Archive, error) {
	a, _, err := Recover(o, Told{States: states})
	return a, err
}

func newArchive(o Options) *Archive {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Archive{
		opts: o, streams: map[string]*Stream{}, tails: map[*Tail]bool{},
		changed: make(chan struct{}), dirty: map[*Stream]bool{}, owed: map[*Stream]bool{},
		version: 1, // what is there already
	}
	a.packer.enc, a.packer.dec.Checked = new(compress.Encoder), true // pack compares every byte
	return a
}

// logged is what the log has of one stream.
type logged struct {
	id     string
	stored []byte // its State; nil: the files are believed
	since  []byte
}

// load reads one stream's directory.
func (a *Archive) load(dir string, k logged) error {
	s := newStream(a, record.Stream{ID: k.id}, dir)
	names, err := a.opts.Tree.List(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return fmt.Errorf("look for kept text: %w", err)
	}
	s.readMeta()
	var st *state
	if k.stored != nil {
		parsed, err := parseState(k.stored)
		if err != nil {
			a.damage(dir+metaName, 0, err)
		} else {
			st = &parsed
		}
	}
	var tails []uint64
	for _, name := range names {
		first, ext, ok := parseName(name)
		switch {
		case !ok:
		case ext == dataExt, ext == idxExt: // what lacks one is damaged
			if n := len(s.segments); n == 0 || s.segments[n-1].first != first {
				s.segments = append(s.segments, &segment{first: first})
			}
		case ext == tailExt:
			tails = append(tails, first)
		}
	}
	if st != nil && st.next == 1 { // the log does not know it yet
		st.next = max(s.begun, 1)
		st.tailFirst, st.from, s.fresh = st.next, st.next, true
	}
	if st != nil {
		s.cut(*st)
		s.missed.Store(st.missed)
	}
	s.loadSegments(st)
	if st != nil && endsTail(*st, k.since) {
		s.passTail(st.tailFirst, tails)
	} else {
		s.loadTail(st, tails)
	}
	if len(s.blocks) == 0 && s.tail.Bytes == 0 && s.def.ID == "" {
		return nil // nothing that anybody could want
	}
	s.show()
	a.streams[dir] = s
	return nil
}

// damage reports what is damaged on disk.
func (a *Archive) damage(file string, offset int64, err error) {
	a.stats.Damaged++
	a.opts.Log.Warn("kept text is damaged", "error", &CorruptError{File: file, Offset: offset, Err: err})
}

// readMeta takes what meta.json says; without it the stream is known by its directory.
func (s *Stream) readMeta() {
	s.def = record.Stream{ID: s.def.ID, Labels: record.NewLabels(map[string]string{"stream": strings.TrimSuffix(strings.TrimPrefix(s.dir, "streams/"), "/")})}
	text, err := readAll(s.a.opts.Tree, s.dir+metaName, maxEntry)
	if err == nil && text == nil && s.def.ID == "" {
		return // a stream that was being made
	}
	var m meta
	if err == nil {
		m, err = parseMeta(text)
	}
	def := m.stream()
	if err == nil && dirOf(def.ID) != s.dir {
		err = errors.New("it is of another stream")
	}
	if dirOf(def.ID) == s.dir { // better than nothing, where the log does not know
		s.keep, s.def, s.begun = m.bound(), def, m.Next
	}
	if err != nil {
		s.a.damage(s.dir+metaName, 0, err)
		return
	}
	s.hasMeta, s.log, s.generation = true, m.Log, m.Generation
	if m.Generation > 0 {
		s.described = s.revision
	}
}

// cut takes away what was written after the checkpoint, which the log has, and what was
// removed before it and came back.
func (s *Stream) cut(st state) {
	tree := s.a.opts.Tree
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		if g.first >= st.from && g.first < st.tailFirst && (st.segment == 0 || g.first <= st.segment) {
			return false
		}
		if !s.a.opts.ReadOnly {
			if err := g.remove(tree, s.dir); err != nil {
				s.a.opts.Log.Warn("remove a segment that the log repeats, or had removed", "error", err)
			}
		}
		return true
	})
	n := len(s.segments)
	if st.segment == 0 {
		return
	}
	if n == 0 || s.segments[n-1].first != st.segment {
		if n == 0 {
			// Retention takes the oldest first, and all files of a segment: damage does not.
			s.a.opts.Log.Debug("a segment was removed since the last checkpoint", "stream", s.def.ID, "segment", st.segment)
			return
		}
		s.a.damage(s.dir+baseName(st.segment)+dataExt, 0, errors.New("it is gone"))
		return
	}
	g := s.segments[len(s.segments)-1]
	if s.a.opts.ReadOnly {
		return
	}
	if err := g.open(tree, s.dir); err != nil {
		s.a.damage(s.dir+g.name(dataExt), 0, err)
		return
	}
	s.open = true
	for i, f := range g.files {
		if has, err := f.Size(); err == nil && has > st.size[i] {
			_ = f.Truncate(st.size[i])
		}
	}
}

// loadSegments reads the indexes, and makes those again that are damaged.
func (s *Stream) loadSegments(st *state) {
	slices.SortFunc(s.segments, func(a, b *segment) int { return compare(a.first, b.first) })
	for i, g := range s.segments {
		limit := lengths{1 << 62, 1 << 62, 1 << 62}
		if st != nil && g.first == st.segment {
			limit = st.size
		}
		end := uint64(0)
		if i+1 < len(s.segments) {
			end = s.segments[i+1].first
		}
		blocks, err := s.loadIndex(g, limit)
		if err != nil {
			s.a.damage(s.dir+g.name(idxExt), g.size[1], err)
			old, _ := readAll(s.a.opts.Tree, s.dir+g.name(idxExt), limit[1])
			blocks = s.rebuild(g, limit, end)
			if end == 0 && st != nil {
				end = st.tailFirst // nothing else is between
			}
			s.countLost(salvageEntries(old), blocks, end)
		} else {
			s.checkFilters(g, blocks)
		}
		g.synced = g.size
		for _, b := range blocks {
			g.records += uint64(b.Records + b.Gaps)
			g.last = b.written
			if g.began == 0 {
				g.began = b.written
			}
		}
		s.blocks = append(s.blocks, blocks...)
	}
	if n := len(s.blocks); n > 0 {
		s.next = s.blocks[n-1].end()
	}
	if st != nil {
		s.next = max(s.next, st.next)
	} else {
		s.next = max(s.next, s.begun)
	}
}

// countLost notes how many records of a segment, which ends before end, are in no block any
// more: a gap will say so. Of what the old index does not have it was said before.
func (s *Stream) countLost(old map[int64]block, blocks []block, end uint64) {
	has, had := uint64(0), uint64(0)
	for i := range blocks {
		has += uint64(blocks[i].Records + blocks[i].Gaps)
	}
	for _, b := range old {
		had += uint64(b.Records + b.Gaps)
	}
	if len(old) == 0 && len(blocks) > 0 && end > 0 {
		had = end - min(end, blocks[0].segment.first)
	}
	if has < had {
		s.lost += had - has
	}
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// loadIndex reads the entries of a segment, which must lead to blocks one behind the other.
func (s *Stream) loadIndex(g *segment, limit lengths) ([]block, error) {
	tree := s.a.opts.Tree
	idx, err := readAll(tree, s.dir+g.name(idxExt), limit[1])
	if err != nil {
		return nil, err
	}
	f, err := tree.OpenRead(s.dir + g.name(dataExt))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	has, err := f.Size()
	if err != nil {
		return nil, err
	}
	has = min(has, limit[0])
	var blocks []block
	for rest := idx; len(rest) > 0; {
		b, n, err := parseEntry(rest)
		if err == nil && (b.frameAt != g.size[0] || b.frameAt+int64(b.frameBytes) > has) {
			err = errors.New("it does not lead to a block")
		}
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
		b.segment = g
		b.settle(g.size[1], n)
		g.size[0] += int64(b.frameBytes)
		g.size[1] += int64(n)
		g.size[2] = max(g.size[2], b.gramsAt+int64(b.gramsBytes))
		blocks = append(blocks, b)
	}
	if g.size[0] < has {
		return nil, fmt.Errorf("%d bytes of blocks have no entry", has-g.size[0])
	}
	return blocks, nil
}

// passTail begins a tail where the log has the block that the old one became. What there is
// of the old one stays until the log is synced once more.
func (s *Stream) passTail(first uint64, found []uint64) {
	s.removeTails(first, found)
	if slices.Contains(found, first) && !s.a.opts.ReadOnly {
		s.a.stale = append(s.a.stale, stale{s, first})
	}
	s.tail.start(s.next)
}

// removeTails removes the files of tails but one.
func (s *Stream) removeTails(but uint64, found []uint64) {
	for _, first := range found {
		if first != but && !s.a.opts.ReadOnly {
			if err := s.a.opts.Tree.Remove(s.dir + tailName(first)); err != nil {
				s.a.opts.Log.Warn("remove a tail that is in a block", "error", err)
			}
		}
	}
}

// loadTail reads the tail, and removes the files of others.
func (s *Stream) loadTail(st *state, found []uint64) {
	want, limit := s.next, int64(1<<30)
	if st != nil {
		want, limit = st.tailFirst, int64(st.tailBytes)
	} else if len(found) > 0 {
		want = slices.Max(found)
	}
	s.removeTails(want, found)
	s.tail.start(want)
	if st == nil && want < s.next {
		s.tail.start(s.next) // the tail is in the last block
		return
	}
	text, err := readAll(s.a.opts.Tree, s.dir+tailName(want), limit)
	if err == nil && st != nil && (len(text) != st.tailBytes || crc32.Checksum(text, castagnoli) != st.tailSum) {
		err = errors.New("its checksum does not match")
	}
	records := -1
	if st != nil {
		records = int(st.next - st.tailFirst)
	}
	damaged := false
	if err != nil || st == nil {
		whole, bad := salvage(text, records)
		damaged = bad > 0
		if bad > 0 && err == nil {
			err = fmt.Errorf("%d lines are no records", bad)
		}
		if err != nil {
			s.a.damage(s.dir+tailName(want), 0, err)
			s.doubt = bad == 0
		}
		text = whole
	}
	if len(text) > 0 {
		s.tail.add(text)
		s.tail.mem = text
		s.tail.since = time.Now().UnixMilli()
	}
	s.next = max(s.next, s.tail.First+uint64(s.tail.Records+s.tail.Gaps))
	if err := s.prepareTail(damaged); err != nil {
		s.a.opts.Log.Warn("prepare a tail", "stream", s.ID(), "error", err)
	}
}

// prepareTail makes the tail's file hold what the tail does. A damaged one is replaced, so
// that nothing of it is lost if that does not succeed.
func (s *Stream) prepareTail(damaged bool) error {
	if s.a.opts.ReadOnly {
		return nil
	}
	t := &s.tail
	tree, name := s.a.opts.Tree, s.dir+tailName(t.First)
	if t.Bytes == 0 {
		return tree.Remove(name)
	}
	if damaged {
		f, err := tree.Open(name + ".new")
		if err != nil {
			return err
		}
		_, err = f.WriteAt(t.mem, 0)
		if err := errors.Join(err, f.Truncate(int64(len(t.mem))), f.Sync(), f.Close()); err != nil {
			return err
		}
		if err := tree.Rename(name+".new", name); err != nil {
			return err
		}
	}
	t.onDisk = t.Bytes
	return s.withTail(func(f disk.File) error { return f.Truncate(int64(t.Bytes)) })
}

// salvage returns the lines of text that are records, with a gap record for each that is
// not, so that there are as many as there were; -1: as many as there are.
func salvage(text []byte, records int) (whole []byte, bad int) {
	n := 0
	for line := range bytes.Lines(text) {
		if records >= 0 && n == records {
			break
		}
		n++
		if sound(line) {
			whole = append(whole, line...)
			continue
		}
		bad++
		if records >= 0 {
			whole = appendGap(whole, "damaged on disk", -1)
		}
	}
	for ; n < records; n++ {
		bad++
		whole = appendGap(whole, "damaged on disk", -1)
	}
	return whole, bad
}
