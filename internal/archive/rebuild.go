package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/weirlog/weir/internal/codec/compress"
)

// maxBlockBytes is more than any block has: a line may begin just before a block is full.
const maxBlockBytes = 64 << 20

// rebuild makes the index of a segment again from its data, as far as that is good, and
// writes it. end is the first record of the next segment, 0 if there is none.
func (s *Stream) rebuild(g *segment, limit lengths, end uint64) []block {
	g.size = lengths{}
	data, err := readAll(s.a.opts.Tree, s.dir+g.name(dataExt), limit[0])
	if err != nil {
		s.a.damage(s.dir+g.name(dataExt), 0, err)
		return nil
	}
	first := g.first
	var blocks []block
	var d compress.Decoder
	var text []byte
	for at := 0; at < len(data); {
		n, err := compress.FrameLen(data[at:])
		if err == nil {
			text, err = d.AppendBlock(text[:0], data[at:at+n], maxBlockBytes)
		}
		if err != nil {
			s.a.damage(s.dir+g.name(dataExt), int64(at), err)
			if at = nextFrame(data, at+1); at < 0 {
				break
			}
			continue
		}
		b := s.describeBlock(first, text)
		b.segment, b.frameAt, b.frameBytes, b.frameSum = g, int64(at), n, crc32.Checksum(data[at:at+n], castagnoli)
		blocks = append(blocks, b)
		first += uint64(b.Records + b.Gaps)
		at += n
	}
	if end > 0 && first > end {
		s.a.opts.Log.Warn("a segment has more records than its place in the stream", "stream", s.ID(), "segment", g.first)
	}
	g.size[0] = int64(len(data))
	if err := s.writeIndex(g, blocks); err != nil {
		s.a.opts.Log.Warn("write an index again", "stream", s.ID(), "error", err)
	}
	return blocks
}

// nextFrame returns where the next zstd frame may begin, or -1.
func nextFrame(data []byte, from int) int {
	i := bytes.Index(data[from:], []byte{0x28, 0xb5, 0x2f, 0xfd})
	if i < 0 {
		return -1
	}
	return from + i
}

// describeBlock returns what a block's text says of it. It has no filter.
func (s *Stream) describeBlock(first uint64, text []byte) block {
	var made builder
	made.start(first)
	made.add(text)
	b := block{Head: made.Head, fields: made.counted.appendTo(nil, len(text))}
	b.written = b.MaxTime / 1e6
	return b
}

// writeIndex replaces the index of a segment. Its filters are gone: its blocks are searched.
func (s *Stream) writeIndex(g *segment, blocks []block) error {
	if s.a.opts.ReadOnly {
		return nil
	}
	var idx []byte
	for i := range blocks {
		idx = appendEntry(idx, &blocks[i])
	}
	tree := s.a.opts.Tree
	name := s.dir + g.name(idxExt)
	f, err := tree.Open(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(idx, 0)
	if err := errors.Join(err, f.Truncate(int64(len(idx))), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	g.size[1] = int64(len(idx))
	wasOpen := g.files[0] != nil
	if err := errors.Join(g.close(), tree.Rename(name+".new", name)); err != nil {
		return err
	}
	if wasOpen {
		return g.open(tree, s.dir)
	}
	return nil
}
