package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
)

// maxBlockBytes is more than any block has: a line may begin just before a block is full.
const maxBlockBytes = 64 << 20

// rebuilding is a segment whose index is made again.
type rebuilding struct {
	*segment
	data, grams []byte
	known       map[int64]block // from the old index, by frameAt
	filters     []byte          // of the blocks, one behind the other
	dec         compress.Decoder
	text        []byte
}

// rebuild makes the index of a segment again from its data and from what is good of the old
// index and of the filters, and writes it with its filters. end is the first record of the
// next segment, 0 if there is none.
func (s *Stream) rebuild(g *segment, limit lengths, end uint64) []block {
	g.size = lengths{}
	r := rebuilding{segment: g}
	tree := s.a.opts.Tree
	data, err := readAll(tree, s.dir+g.name(dataExt), limit[0])
	if err != nil {
		s.a.damage(s.dir+g.name(dataExt), 0, err)
		return nil
	}
	r.data = data
	// Without these there is more to make again.
	old, _ := readAll(tree, s.dir+g.name(idxExt), limit[1])
	r.known = salvageEntries(old)
	r.grams, _ = readAll(tree, s.dir+g.name(gramsExt), limit[2])
	first := g.first
	var blocks []block
	for at := 0; at < len(data); {
		b, err := s.rebuildBlock(&r, int64(at), first)
		if err != nil {
			s.a.damage(s.dir+g.name(dataExt), int64(at), err)
			if at = nextFrame(data, at+1); at < 0 {
				break
			}
			continue
		}
		blocks = append(blocks, b)
		first = b.First + uint64(b.Records+b.Gaps)
		at += b.frameBytes
	}
	if end > 0 && first > end {
		s.a.opts.Log.Warn("a segment has more records than its place in the stream", "stream", s.ID(), "segment", g.first)
	}
	boundWritten(blocks, s.writtenBefore(end))
	g.size = lengths{int64(len(data)), int64(len(old)), int64(len(r.grams))}
	if err := s.writeIndex(g, blocks, r.filters); err != nil {
		s.a.opts.Log.Warn("write an index again", "stream", s.ID(), "error", err)
	}
	return blocks
}

// salvageEntries returns the sound entries of a damaged index, by where they lead to.
func salvageEntries(idx []byte) map[int64]block {
	known := map[int64]block{}
	for len(idx) > 0 {
		b, n, err := parseEntry(idx)
		if err != nil {
			idx = idx[1:]
			continue
		}
		known[b.frameAt] = b
		idx = idx[n:]
	}
	return known
}

// rebuildBlock returns the block at a place in the data, whose first record has that number
// unless the old index knows better.
func (s *Stream) rebuildBlock(r *rebuilding, at int64, first uint64) (block, error) {
	b, ok := r.known[at]
	ok = ok && b.frameBytes > 0 && at+int64(b.frameBytes) <= int64(len(r.data))
	if !ok {
		n, err := compress.FrameLen(r.data[at:])
		if err == nil {
			r.text, err = r.dec.AppendBlock(r.text[:0], r.data[at:at+int64(n)], maxBlockBytes)
		}
		if err != nil {
			return b, err
		}
		b = s.describeBlock(first, r.text)
		b.frameAt, b.frameBytes, b.frameSum = at, n, crc32.Checksum(r.data[at:at+int64(n)], castagnoli)
	}
	b.segment = r.segment
	if s.a.opts.ReadOnly {
		return b, nil
	}
	filter := r.filterOf(&b)
	if filter == nil {
		var err error
		if ok {
			r.text, err = r.dec.AppendBlock(r.text[:0], r.data[at:at+int64(b.frameBytes)], b.Bytes)
		}
		if err == nil {
			filter = s.filterOf(r.text)
		}
	}
	b.gramsAt, b.gramsBytes, b.gramsSum = int64(len(r.filters)), len(filter), crc32.Checksum(filter, castagnoli)
	r.filters = append(r.filters, filter...)
	return b, nil
}

// filterOf returns the filter of a block from the old file, nil if it is not there.
func (r *rebuilding) filterOf(b *block) []byte {
	from, to := b.gramsAt, b.gramsAt+int64(b.gramsBytes)
	if from == to || to > int64(len(r.grams)) || crc32.Checksum(r.grams[from:to], castagnoli) != b.gramsSum {
		return nil
	}
	return r.grams[from:to]
}

// writtenBefore returns a time before which the blocks before a segment were written, in
// Unix milliseconds: when its first block was, else now.
func (s *Stream) writtenBefore(segment uint64) int64 {
	now := time.Now().UnixMilli()
	if segment == 0 {
		return now
	}
	idx, err := readAll(s.a.opts.Tree, s.dir+baseName(segment)+idxExt, maxEntry+entryHeader)
	if err != nil {
		return now
	}
	if b, _, err := parseEntry(idx); err == nil {
		return min(b.written, now)
	}
	return now
}

// boundWritten gives blocks of which nobody knows when they were written the latest time
// that it can have been: that of the next block. Their records' own times say nothing of it,
// and text must not go before its age.
func boundWritten(blocks []block, latest int64) {
	for i := len(blocks) - 1; i >= 0; i-- {
		if blocks[i].written == 0 {
			blocks[i].written = latest
		}
		latest = blocks[i].written
	}
}

// nextFrame returns where the next zstd frame may begin, or -1.
func nextFrame(data []byte, from int) int {
	i := bytes.Index(data[from:], []byte{0x28, 0xb5, 0x2f, 0xfd})
	if i < 0 {
		return -1
	}
	return from + i
}

// describeBlock returns what a block's text says of it, which is not when it was written.
func (s *Stream) describeBlock(first uint64, text []byte) block {
	var made builder
	made.start(first)
	made.add(text)
	return block{Head: made.Head, fields: made.counted.appendTo(nil, len(text))}
}

// writeIndex replaces the index of a segment and its filters. These go first: while the old
// index is there, all of it is made again.
func (s *Stream) writeIndex(g *segment, blocks []block, filters []byte) error {
	if s.a.opts.ReadOnly {
		return nil
	}
	var idx []byte
	sizes := make([]int, len(blocks))
	for i := range blocks {
		before := len(idx)
		idx = appendEntry(idx, &blocks[i])
		sizes[i] = len(idx) - before
	}
	wasOpen := g.files[0] != nil
	err := errors.Join(g.close(), s.replace(g.name(gramsExt), filters))
	if err == nil {
		err = s.replace(g.name(idxExt), idx)
	}
	if err != nil {
		for i := range blocks {
			blocks[i].gramsAt, blocks[i].gramsBytes = 0, 0 // they may not be where they should
		}
	} else {
		g.size[1], g.size[2] = int64(len(idx)), int64(len(filters))
		at := int64(0)
		for i := range blocks {
			blocks[i].settle(at, sizes[i])
			at += int64(sizes[i])
		}
	}
	if wasOpen {
		err = errors.Join(err, g.open(s.a.opts.Tree, s.dir))
	}
	return err
}

// replace writes a file of the stream anew.
func (s *Stream) replace(name string, content []byte) error {
	tree := s.a.opts.Tree
	name = s.dir + name
	f, err := tree.Open(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err := errors.Join(err, f.Truncate(int64(len(content))), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return tree.Rename(name+".new", name)
}
