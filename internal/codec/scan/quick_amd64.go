package scan

import (
	"slices"

	"github.com/weirlog/weir/internal/codec/processor"
	"github.com/weirlog/weir/internal/record"
)

// halves describe the bytes that end a run for follow: those of which the lower half has a
// bit in low that the upper half has in high, too.
type halves struct {
	follows   bool // else follow leaves the segment alone
	low, high [16]uint8
}

// describe describes the bytes for which stop is true, or all without one, if they can be.
func (h *halves) describe(stop *[256]bool) {
	var kinds []uint16 // what lower halves there are with an upper half
	for high := range 16 {
		kind := uint16(0)
		for low := range 16 {
			if stop == nil || stop[high<<4|low] {
				kind |= 1 << low
			}
		}
		if kind == 0 {
			continue
		}
		i := slices.Index(kinds, kind)
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, kind)
		}
		h.high[high] = 1 << i
	}
	for i, kind := range kinds {
		for low := range 16 {
			h.low[low] |= uint8(kind >> low & 1 << i)
		}
	}
	h.follows = len(kinds) <= 8 && processor.HasSSSE3
}

// follow matches the segments at a place as long as each is a run of common bytes and the
// literal behind it. It returns where the first one begins that is not, which may match all
// the same. It does not read beyond t.b, and keeps the groups in row.
//
// It looks for the end of a run in sixteen bytes at once, with a table in a register for
// each half of a byte: so it need not know what kind of bytes end it, and most fields end
// in the first sixteen.
//
//go:noescape
func follow(t *text, quicks []quick, at place, row []record.Span) place
