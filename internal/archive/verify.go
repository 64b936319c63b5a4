package archive

import (
	"errors"
	"fmt"

	"github.com/weirlog/weir/internal/codec/kept"
)

// Finding is what Verify found in one stream.
type Finding struct {
	// Blocks, Records and Gaps are those that are sound.
	Blocks, Records, Gaps int
	// Bytes is the size of their NDJSON.
	Bytes int64
	// Removed counts blocks that retention removed meanwhile.
	Removed int
	// Damage says what is not sound, in the order of the stream.
	Damage []error
}

// Verify reads all that is shown of the stream, and compares each block and each
// filter with its checksum, each line with the format, and each Head with its lines.
func (s *Stream) Verify() Finding {
	v := s.View()
	defer v.Close()
	var f Finding
	var d Decoder
	var text []byte
	for i := range v.Len() {
		h := v.Head(i)
		var err error
		text, err = v.AppendText(text[:0], i, &d)
		if errors.Is(err, ErrGone) {
			f.Removed++
			continue
		}
		if err == nil {
			err = compareHead(h, text)
		}
		if err != nil {
			f.Damage = append(f.Damage, fmt.Errorf("records %d to %d: %w", h.First, h.First+uint64(max(h.Records+h.Gaps, 1))-1, err))
			continue
		}
		if err := v.checkFilter(i); err != nil {
			f.Damage = append(f.Damage, fmt.Errorf("the filter of records %d to %d, which can be read: %w", h.First, h.First+uint64(h.Records+h.Gaps)-1, err))
		}
		f.Blocks++
		f.Records += h.Records
		f.Gaps += h.Gaps
		f.Bytes += int64(len(text))
	}
	return f
}

// compareHead counts the lines of a block again.
func compareHead(h *Head, text []byte) error {
	for line := range kept.Lines(text) {
		if _, err := kept.Parse(line); err != nil {
			return fmt.Errorf("a line is no record: %.80q", line)
		}
	}
	var b builder
	b.start(h.First)
	b.add(text)
	if got := &b.Head; got.Records != h.Records || got.Gaps != h.Gaps || got.Levels != h.Levels || got.MinTime != h.MinTime || got.MaxTime != h.MaxTime {
		return fmt.Errorf("the index says %d records and %d gaps, the block has %d and %d", h.Records, h.Gaps, got.Records, got.Gaps)
	}
	return nil
}
